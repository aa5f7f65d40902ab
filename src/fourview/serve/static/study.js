/** A reader study: one exam after the other, its questions, its time. Nothing else is sent or shown. */
import { Annotator } from "./annotate.js";
import { ApiError } from "./api.js";
import { Clock } from "./clock.js";
import { day, el, number } from "./dom.js";
import { Form, slider } from "./form.js";
import { STEPS } from "./hang.js";
import { outbox } from "./outbox.js";
import { Viewer } from "./viewer.js";

const ALIVE = 15000; // ms between signs of life

export class Study {
  constructor(api, session) {
    Object.assign(this, { api, session });
    this.viewer = new Viewer(api);
    this.wall = this.viewer.wall;
    this.side = document.getElementById("side");
    this.box = document.getElementById("list");
    this.clock = new Clock((paused) => this.cover(paused));
    this.form = new Form(session.questions, () => this.update());
    this.marks = new Annotator(this.wall, async () => {}, { most: session.questions.marks,
      shapes: ["box"] });
    this.marks.defaults = { suspicion: null };
    this.marks.onChange = () => this.marked();
    if (session.questions.marks) this.viewer.input.tool = this.marks;
    this.shown = null;
    this.viewer.shapes = () => this.shapes();
    this.viewer.onComplete = () => this.began();
    this.wall.onEvent = (what, detail) => this.clock.note(what, detail);
    this.wall.onPoint = () => {};
    this.restrict(session.steps);
    Object.assign(this.viewer.input.keys, { h: () => this.toggleHeat(), p: () => this.pause(),
      b: () => this.toggleRegions(), u: () => this.marks.undo(), v: () => this.nextView(),
      Delete: () => this.marks.remove(), Backspace: () => this.marks.remove(),
      x: () => this.session.questions.marks && this.marks.addMiddle() });
    this.viewer.addTool("Pause", "pause (key P)", () => this.pause());
    this.viewer.addTool("?", "keys", () => document.getElementById("help").showModal());
    for (const [key, move] of [["ArrowLeft", [-1, 0]], ["ArrowRight", [1, 0]], ["ArrowUp", [0, -1]],
      ["ArrowDown", [0, 1]]]) {
      const plain = this.viewer.input.keys[key];
      this.viewer.input.keys[key] = (event) => (event.altKey
        ? this.marks.nudge(20 * move[0], 20 * move[1]) : plain && plain(event));
    }
  }

  /** Only the steps of the hanging that the study allows. */
  restrict(allowed) {
    if (!allowed.length) return;
    STEPS.forEach((_, place) => {
      if (allowed.includes(place + 1)) return;
      delete this.viewer.input.keys[String(place + 1)];
      this.viewer.stepButtons[place].hidden = true;
    });
    this.wall.allowed = allowed.map((key) => key - 1);
  }

  async start() {
    document.body.dataset.screen = "list";
    this.box.replaceChildren(this.loginForm());
    document.getElementById("code").focus();
  }

  loginForm(message = "") {
    const code = el("input", { type: "text", id: "code", autocomplete: "off", required: true });
    const pin = el("input", { type: "password", id: "pin", autocomplete: "off", required: true });
    return el("form", { class: "login", onsubmit: (event) => {
      event.preventDefault();
      this.login(code.value.trim(), pin.value);
    } }, el("h2", {}, this.session.study),
    el("p", { class: "quiet" }, "The first PIN that you give becomes yours."),
    el("label", { for: "code" }, "reader code"), code, el("label", { for: "pin" }, "PIN"), pin,
    el("button", { class: "go" }, "Begin"),
    el("p", { class: "bad", role: "alert", id: "login-error" }, message));
  }

  async login(code, pin) {
    try {
      const answer = await this.api.send("POST", "/api/study/login", { code, pin });
      this.api.extra = { "X-Reader": answer.session };
      this.code = code;
    } catch (error) {
      this.box.replaceChildren(this.loginForm(error.message));
      return;
    }
    clearInterval(this.beating);
    this.beating = setInterval(() =>
      this.api.request("/api/study/alive", { method: "POST" }, 1).catch(() => {}), ALIVE);
    addEventListener("pagehide", () => fetch("/api/study/logout", { method: "POST",
      keepalive: true, headers: this.api.headers() }));
    await this.next();
  }

  /** What is to be read now; what an earlier server did not take is sent first. */
  async next() {
    try {
      let told = await this.api.json("/api/study/next");
      const waiting = (await outbox.all()).find((sheet) => told.exam
        && sheet.exam === told.exam.key);
      if (waiting) {
        await this.deliver(waiting);
        told = await this.api.json("/api/study/next");
      }
      await this.show(told);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      document.body.dataset.screen = "list";
      this.box.replaceChildren(this.loginForm(error.message)); // the server was started again
    }
  }

  async show(told) {
    this.told = told;
    if (!told.exam) {
      document.body.dataset.screen = "list";
      const words = told.waits_until
        ? `The next exams are offered from ${day(told.waits_until.slice(0, 10).replaceAll("-", ""))}.`
        : "All exams are read. Thank you.";
      this.box.replaceChildren(el("div", { class: "login" }, el("h2", {}, this.session.study),
        el("p", { id: "finished", role: "status" }, words)));
      return;
    }
    const { exam } = told;
    this.submission = null;
    this.firstMark = false;
    this.shown = exam.shown || null;
    this.regionsOn = true;
    this.form.begin(exam.sides, exam.before);
    const before = exam.before ? exam.before.marks || [] : [];
    this.marks.load(before.map((mark, i) => ({ id: `before${i}`, image: mark.image, shape: "box",
      points: [mark.box.slice(0, 2), mark.box.slice(2)], suspicion: mark.suspicion })));
    document.body.dataset.screen = "exam";
    this.viewer.images.setWindow({ scale: 1, shift: 0, inverted: false }, []);
    this.wall.heatOn = Boolean(this.shown);
    this.panel();
    await new Promise(requestAnimationFrame);
    const showing = this.viewer.show({ key: exam.key, images: exam.images, notes: [] });
    this.viewer.images.setHeats(this.shown ? this.shown.heatmaps : []);
    for (const image of this.viewer.exam.images) image.heat = image.heats[0] || null;
    this.wall.draw();
    this.ready = showing;
    await showing;
  }

  /** All views are drawn at full size: time begins. */
  began() {
    this.clock.begin();
    if (this.viewer.exam.images.some((image) => image.heat))
      this.clock.note("heatmap", this.wall.heatOn ? "on" : "off");
    this.update();
  }

  toggleHeat() {
    if (!this.shown || !this.shown.heatmaps.length) return;
    this.wall.heatOn = !this.wall.heatOn;
    this.clock.note("heatmap", this.wall.heatOn ? "on" : "off");
    this.wall.draw();
  }

  toggleRegions() {
    if (!this.shown) return;
    this.regionsOn = !this.regionsOn;
    this.clock.note("regions", this.regionsOn ? "on" : "off");
    this.wall.draw();
  }

  nextView() {
    const { wall } = this, at = wall.views.indexOf(wall.active);
    wall.active = wall.views[(at + 1) % wall.views.length] || null;
    document.querySelectorAll(".view").forEach((box, i) =>
      box.classList.toggle("active", wall.views[i] === wall.active));
  }

  shapes() {
    const regions = this.shown && this.regionsOn ? this.shown.regions : [];
    return this.marks.outlines().concat(Viewer.shapesOf(regions, "model"));
  }

  marked() {
    if (this.marks.marks.length && !this.firstMark) this.clock.note("first mark");
    this.firstMark = this.marks.marks.length > 0;
    this.panel();
    this.update();
  }

  panel() {
    const { told } = this, { questions } = this.session;
    const parts = [el("section", {}, el("h2", {}, `Reading ${told.number} of ${told.total}`),
      el("p", { class: "quiet" }, `${told.done} sent`))];
    if (told.exam.before)
      parts.push(el("p", {}, "Your first answers are kept. You may change them now."));
    if (this.shown && Object.keys(this.shown.scores).length)
      parts.push(el("section", {}, el("h2", {}, "Model"), el("p", { class: "num" },
        Object.entries(this.shown.scores).map(([side, score]) => `${side} ${number(score, 2)}`)
          .join("   ")), el("p", { class: "quiet" }, "H heatmap, B boxes")));
    parts.push(this.form.section());
    if (questions.marks)
      parts.push(this.marks.section(`Regions, up to ${questions.marks}`, { details: false,
        extra: (mark) => slider(`suspicion-${mark.id}`, "suspicion", mark.suspicion, (value) => {
          mark.suspicion = value;
          this.update();
        }) }));
    this.missing = el("p", { class: "quiet", role: "status", id: "missing" });
    this.button = el("button", { type: "button", class: "go", id: "send", disabled: true,
      onclick: () => this.send() }, "Send and go on");
    parts.push(el("section", {}, this.button, this.missing));
    const focused = document.activeElement && document.activeElement.id;
    this.side.replaceChildren(...parts);
    if (focused) document.getElementById(focused)?.focus();
  }

  /** Whether it can be sent, and what is missing. */
  update() {
    const missing = this.form.missing();
    this.marks.marks.forEach((mark, i) => {
      if (mark.suspicion === null) missing.push(`suspicion of region ${i + 1}`);
    });
    if (!this.clock.running) missing.unshift("the images are loading");
    this.button.disabled = missing.length > 0 || this.sending;
    this.missing.textContent = missing.length ? `still open: ${missing.join(", ")}` : "";
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    this.update();
    this.submission = this.submission || Array.from(crypto.getRandomValues(new Uint8Array(12)),
      (byte) => byte.toString(16).padStart(2, "0")).join("");
    const sheet = { submission: this.submission, exam: this.told.exam.key,
      answers: this.form.value(this.marks.marks), duration_ms: this.clock.now(),
      paused_ms: this.clock.away, events: this.clock.events,
      screen: { agent: navigator.userAgent, width: screen.width, height: screen.height,
        ratio: window.devicePixelRatio } };
    this.clock.stop();
    try {
      await outbox.put(sheet);
      await this.deliver(sheet);
      this.sending = false;
      await this.next();
    } catch (error) {
      this.sending = false;
      this.clock.running = true;
      this.missing.textContent = `not sent: ${error.message}`;
      if (error.status === 409) this.box.replaceChildren(this.loginForm(error.message));
      if (error.status === 409) document.body.dataset.screen = "list";
      this.button.disabled = false;
    }
  }

  /** Bring a sheet to the server, for as long as it takes; it is kept until it was taken. */
  async deliver(sheet) {
    await this.api.send("POST", "/api/study/send", sheet, Infinity);
    await outbox.drop(sheet.submission);
  }

  pause() {
    if (this.clock.paused) this.clock.resume();
    else this.clock.pause();
  }

  /** The picture is covered while time stands still. */
  cover(paused) {
    document.getElementById("cover")?.remove();
    if (!paused) return;
    const go = el("button", { type: "button", class: "go", onclick: () => this.clock.resume() },
      "Go on");
    document.body.append(el("div", { id: "cover", class: "cover" }, el("p", {}, "Paused"), go));
    go.focus();
  }
}
