/** Mouse, touch and keys. All that they do is a method of the wall; nothing is drawn here. */

const WHEEL = 0.0015; // of the logarithm of the zoom, a unit of the wheel
const DRAG_WINDOW = 1 / 300; // of a window's width, a CSS pixel
const NUDGE = 60; // device pixels of a step of the keyboard

export class Input {
  /**
   * @param {HTMLElement} stage
   * @param {import("./wall.js").Wall} wall
   * @param {Record<string, (event: KeyboardEvent) => void>} keys what the page does at a key
   */
  constructor(stage, wall, keys) {
    this.stage = stage;
    this.wall = wall;
    this.keys = keys;
    this.pointers = new Map();
    this.held = new Set();
    this.at = null;
    this.tool = null; // a tool that takes clicks and drags before the wall does
    this.listen();
  }

  listen() {
    const stage = this.stage;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"])
      stage.addEventListener(name, (event) => this.up(event));
    stage.addEventListener("pointerleave", () => this.wall.point(null));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("dblclick", (event) => this.wall.alone(this.place(event)));
    addEventListener("keydown", (event) => this.keydown(event));
    addEventListener("keyup", (event) => this.keyup(event));
    addEventListener("blur", () => this.letGo());
  }

  /** Where an event is on the canvas, device pixels. */
  place(event) {
    const box = this.stage.getBoundingClientRect(), ratio = this.wall.ratio;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }

  wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(Math.max(-300, Math.min(300, event.deltaY * unit)) * WHEEL);
    this.wall.zoom(factor, this.place(event), !event.altKey);
  }

  down(event) {
    if (event.target.closest("button, a, input, select")) return;
    const at = this.place(event);
    if (this.tool && event.button === 0 && this.tool.down(at, event)) {
      this.stage.setPointerCapture(event.pointerId);
      this.tooling = true;
      return;
    }
    this.pointers.set(event.pointerId, at);
    this.moved = 0;
    this.windowing = event.button === 2 || this.held.has("w");
    this.stage.setPointerCapture(event.pointerId);
    this.wall.activate(at);
  }

  move(event) {
    const at = this.place(event);
    this.at = at;
    if (this.tooling) {
      this.tool.move(at, event);
      return;
    }
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.wall.point(at);
      if (this.tool) this.tool.hover(at);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, at);
    const delta = [at[0] - before[0], at[1] - before[1]];
    this.moved += Math.abs(delta[0]) + Math.abs(delta[1]);
    if (others.length) this.pinch(before, at, others[0][1]);
    else if (this.windowing) {
      const ratio = this.wall.ratio;
      this.wall.window((delta[0] / ratio) * DRAG_WINDOW, (delta[1] / ratio) * DRAG_WINDOW);
    } else this.wall.pan(delta, before, !event.altKey);
  }

  pinch(before, at, other) {
    const span = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    this.wall.zoom(span(before, other) / span(at, other), other, true);
  }

  up(event) {
    if (this.tooling) {
      this.tooling = false;
      this.tool.up(this.place(event), event);
      return;
    }
    const known = this.pointers.delete(event.pointerId);
    if (known && !this.windowing && this.moved < 5) this.wall.click(this.place(event));
    this.wall.rest();
  }

  letGo() {
    this.held.clear();
    this.wall.lens(null);
  }

  keydown(event) {
    if (event.ctrlKey || event.metaKey || isText(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "w") this.held.add("w");
    if (key === "m" && !event.repeat) this.wall.lens(this.at || this.wall.middle());
    else if (key === "+" || key === "=") this.wall.zoom(0.8, this.at || this.wall.middle(), true);
    else if (key === "-") this.wall.zoom(1.25, this.at || this.wall.middle(), true);
    else if (event.shiftKey && key.startsWith("Arrow")) this.nudge(key);
    else if (this.keys[key] && !(isChosen(event.target) && isNavigation(key)))
      this.keys[key](event);
    else return;
    event.preventDefault();
  }

  nudge(key) {
    const [dx, dy] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1],
      ArrowDown: [0, -1] }[key];
    this.wall.pan([dx * NUDGE, dy * NUDGE], this.at || this.wall.middle(), true);
    this.wall.rest();
  }

  keyup(event) {
    const key = event.key.toLowerCase();
    this.held.delete(key);
    if (key === "m") this.wall.lens(null);
  }
}

/** Whether keys are for what is typed into. */
function isText(target) {
  return target instanceof HTMLElement && (target.isContentEditable
    || target.matches("textarea, input:not([type=range]):not([type=checkbox]):not([type=radio])"));
}

/** Whether a control that arrows change has the focus. */
function isChosen(target) {
  return target instanceof HTMLElement && target.matches("select, input, [role=listbox]");
}

function isNavigation(key) {
  return key.startsWith("Arrow") || key === "Home" || key === "End";
}
