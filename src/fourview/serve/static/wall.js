/** The wall: which views hang, how they move together, and when they are drawn. */
import { View } from "./view.js";
import { hangStep, stepsOf } from "./hang.js";

const REST = 160; // ms without a move until stored pixels are sampled again
const LENS = 190; // CSS pixels from the middle of the magnifier to its edge

export class Wall {
  constructor(stage, screen, images, overlay) {
    Object.assign(this, { stage, screen, images, overlay });
    this.exam = null;
    this.allowed = null; // places of the steps that may be used; null for all
    this.steps = [];
    this.step = 0;
    this.single = null;
    this.views = [];
    this.active = null;
    this.lensView = null;
    this.ratio = 1;
    this.nearest = false;
    this.heatOn = true;
    this.opacity = 0.6;
    this.screenScale = null; // device pixels per mm, where somebody measured the screen
    this.onDrawn = () => {};
    this.onPoint = () => {};
    this.onClick = () => {};
    this.onEvent = () => {}; // a step, a zoom, a change of window: a study counts them
    new ResizeObserver((entries) => this.resized(entries[0])).observe(stage);
    screen.canvas.addEventListener("webglcontextrestored", () => {
      screen.prepare();
      images.restore();
      this.screen.resize(...this.size);
      if (this.onRestored) this.onRestored();
      this.draw();
    });
  }

  resized(entry) {
    if (!entry.contentRect.width) return; // not on the screen now
    this.ratio = window.devicePixelRatio || 1;
    const exact = entry.devicePixelContentBoxSize && entry.devicePixelContentBoxSize[0];
    const told = exact ? [exact.inlineSize, exact.blockSize] : [0, 0];
    const { width, height } = entry.contentRect;
    this.size = [width, height].map((css, i) => { // a browser that emulates a screen tells others
      const near = Math.max(1, Math.round(css * this.ratio));
      return Math.abs(told[i] - near) <= 1 ? told[i] : near;
    });
    this.screen.resize(...this.size);
    this.screen.canvas.style.width = `${this.size[0] / this.ratio}px`;
    this.screen.canvas.style.height = `${this.size[1] / this.ratio}px`;
    this.hang();
  }

  /** Show another exam at its first step, or where a permalink says. */
  show(exam, step = 0) {
    this.exam = exam;
    this.steps = stepsOf(exam).filter((one) => !this.allowed || this.allowed.includes(one.place));
    this.single = null;
    this.step = Math.min(step, this.steps.length - 1);
    this.hang();
  }

  /** Place the views of the step anew. */
  hang() {
    if (!this.exam || !this.size) return;
    const before = new Map(this.views.map((view) => [view.image.key, view]));
    const placed = hangStep(this.exam, this.steps[this.step], this.size, this.single);
    this.views = placed.views;
    this.lensView = null;
    this.active = this.views[0] || null;
    for (const view of this.views) {
      if (!before.has(view.image.key)) this.images.freshen(view.image);
      view.image.shownAt = performance.now();
    }
    this.views.forEach((view) => this.images.freshen(view.image));
    this.overlay.hang(this.views, placed.empty, this.ratio, { largest: this.screen.largest });
    this.draw();
  }

  /** An image came: hang it if it was not there, else draw it finer. */
  arrived(image) {
    if (this.views.some((view) => view.image === image)) this.draw();
    else this.hang();
  }

  go(step) {
    if (step < 0 || step >= this.steps.length) return;
    this.step = step;
    this.single = null;
    this.onEvent("step", this.steps[step].name);
    this.hang();
  }

  viewAt(at) {
    return this.views.find((view) => view.holds(at)) || null;
  }

  middle() {
    if (!this.active) return [0, 0];
    const [x, y, width, height] = this.active.rect;
    return [x + width / 2, y + height / 2];
  }

  activate(at) {
    this.active = this.viewAt(at) || this.active;
  }

  /** The active view by itself, or back to the step. */
  alone(at = null) {
    const view = (at && this.viewAt(at)) || this.active;
    this.single = this.single || !view ? null : view.image;
    this.onEvent("step", this.single ? "one view" : this.steps[this.step].name);
    this.hang();
  }

  /** Do something to a view and, mirrored, to those that are linked with it. */
  linked(at, together, act) {
    const view = this.viewAt(at) || this.active;
    if (!view) return;
    const q = [at[0] - view.rect[0], at[1] - view.rect[1]];
    for (const other of together ? this.views : [view])
      act(other, other === view ? q : view.mirroredTo(other, q),
        other.image.side === view.image.side ? 1 : -1);
  }

  zoom(factor, at, together) {
    this.linked(at, together, (view, q) => view.zoom(factor, q));
    this.onEvent("zoom", this.active ? this.active.pace[0].toFixed(3) : "");
    this.moveLens(at);
    this.draw(true);
  }

  pan(delta, at, together) {
    this.linked(at, together, (view, _, turn) => view.pan([turn * delta[0], delta[1]]));
    this.draw(true);
  }

  /** 1:1, or any number of device pixels per mm, about a point. */
  scaleAt(at, devicePixels) {
    const view = this.viewAt(at) || this.active;
    if (!view) return;
    const spacing = view.spacing || [1, 1];
    const mm = devicePixels === null ? spacing[0] : 1 / devicePixels;
    this.linked(at, true, (other, q) => {
      const own = other.spacing || spacing;
      other.zoom(mm / own[0] / other.pace[0], q);
      other.pace = [mm / own[0], mm / own[1]];
      if (devicePixels === null && other.pace[0] === 1) other.origin = other.origin.map(Math.round);
    });
    this.onEvent("zoom", devicePixels === null ? "1:1" : "true size");
    this.draw();
  }

  window(scale, shift) {
    const old = this.images.change;
    this.setWindow({ ...old, scale: Math.min(Math.max(old.scale * Math.exp(scale), 0.02), 20),
      shift: old.shift - shift });
  }

  setWindow(change) {
    this.images.setWindow(change, this.views.map((view) => view.image));
    this.onEvent("window", `${change.scale.toFixed(2)} ${change.shift.toFixed(2)}`);
    this.draw(); // where nothing moved nothing is sampled again
  }

  /** The magnifier: twice as large, or 1:1 where that is larger. */
  lens(at) {
    this.lensOn = Boolean(at);
    if (!at) this.lensView = null;
    else this.moveLens(at);
    this.draw();
  }

  moveLens(at) {
    const view = this.lensOn && this.viewAt(at);
    if (!view) return;
    const half = Math.round(LENS * this.ratio);
    const made = new View("lens", view.image,
      [Math.round(at[0]) - half, Math.round(at[1]) - half, 2 * half, 2 * half]);
    made.isLens = true;
    made.pace = view.pace.map((pace) => (pace / 2 < 1 && pace > 1 ? 1 : pace / 2));
    const q = [at[0] - view.rect[0], at[1] - view.rect[1]];
    made.origin = [0, 1].map((i) => view.origin[i] + view.pace[i] * q[i] - half * made.pace[i]);
    this.lensView = made;
  }

  point(at) {
    if (at && this.lensOn) {
      this.moveLens(at);
      this.draw(true);
    }
    const view = at && this.viewAt(at);
    const q = view && [at[0] - view.rect[0], at[1] - view.rect[1]];
    this.onPoint(view ? { view, stored: view.toStored(q) } : null);
  }

  click(at) {
    const view = this.viewAt(at);
    if (view) this.onClick(view, view.toStored([at[0] - view.rect[0], at[1] - view.rect[1]]));
  }

  /** Bring regions to the middle of the views that show their images. */
  centreOn(regions) {
    for (const view of this.views) {
      const mine = regions.filter((region) => region.image === view.image.key);
      if (!mine.length) continue;
      const points = mine.flatMap((region) => region.points);
      const x = points.map((p) => p[0]), y = points.map((p) => p[1]);
      const span = [Math.max(...x) - Math.min(...x), Math.max(...y) - Math.min(...y)];
      const spacing = view.spacing || [1, 1], [, , width, height] = view.rect;
      const mm = 3 * Math.max((span[0] * spacing[0]) / width, (span[1] * spacing[1]) / height);
      const middle = [Math.min(...x) + span[0] / 2, Math.min(...y) + span[1] / 2];
      view.centre(middle, Math.max(Math.min(mm, view.fit()), spacing[0] / 2));
    }
    this.onEvent("zoom", "finding");
    this.draw();
  }

  /** Nothing moves any more: sample stored pixels. */
  rest() {
    clearTimeout(this.resting);
    this.draw();
  }

  draw(moving = false) {
    this.moving = moving;
    if (moving) {
      clearTimeout(this.resting);
      this.resting = setTimeout(() => this.draw(), REST);
    }
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.drawNow(this.moving));
  }

  drawNow(moving = false) {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    const views = this.lensView ? [...this.views, this.lensView] : this.views;
    const opacity = this.heatOn ? this.opacity : 0;
    this.screen.draw(views, { moving, nearest: this.nearest, opacity, ramp: this.ramp });
    this.onDrawn(moving);
  }
}
