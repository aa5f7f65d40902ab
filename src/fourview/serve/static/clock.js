/** Time of a reading: monotonic, from all views drawn to sent, without pauses; and what was done. */

const IDLE = 120000; // ms without input until the picture is covered
const TOGETHER = 400; // ms within which moves of one kind are one event
const MOST = 4000; // events that are kept

export class Clock {
  /** @param {(paused: boolean) => void} onPause */
  constructor(onPause) {
    this.onPause = onPause;
    this.running = false;
    this.paused = false;
    for (const name of ["pointerdown", "pointermove", "wheel", "keydown"])
      addEventListener(name, () => this.touched(), { passive: true, capture: true });
    setInterval(() => this.check(), 1000);
  }

  begin() {
    Object.assign(this, { running: true, paused: false, start: performance.now(), away: 0,
      since: 0, events: [], last: performance.now() });
  }

  stop() {
    this.running = false;
  }

  touched() {
    this.last = performance.now();
  }

  check() {
    if (this.running && !this.paused && performance.now() - this.last > IDLE) this.pause("idle");
  }

  /** ms of reading so far. */
  now() {
    if (!this.running) return 0;
    const away = this.away + (this.paused ? performance.now() - this.since : 0);
    return performance.now() - this.start - away;
  }

  pause(why = "button") {
    if (!this.running || this.paused) return;
    this.note("pause", why);
    this.since = why === "idle" ? this.last : performance.now(); // idle time is no reading time
    this.paused = true;
    this.onPause(true);
  }

  resume() {
    if (!this.paused) return;
    this.away += performance.now() - this.since;
    this.paused = false;
    this.touched();
    this.note("resume");
    this.onPause(false);
  }

  note(what, detail = "") {
    if (!this.running || this.events.length >= MOST) return;
    const at = this.now(), before = this.events[this.events.length - 1];
    const moves = what === "zoom" || what === "window";
    if (moves && before && before.what === what && at - before.at < TOGETHER)
      Object.assign(before, { at, detail });
    else this.events.push({ at, what, detail: String(detail).slice(0, 200) });
  }
}
