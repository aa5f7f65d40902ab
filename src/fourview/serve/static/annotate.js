/** Marks of a person: box, ellipse, polygon, point; moved, deleted, undone. Stored pixels. */
import { el } from "./dom.js";

const ELLIPSE = 32; // corners of the polygon that stands for one
const GRIP = 9; // CSS pixels around a corner or point that take hold of it
const MIDDLE_MM = 10; // side of a box that the keyboard places
const KINDS = ["mass", "calcification", "distortion", "asymmetry", "finding"];

export function ellipse([[x0, y0], [x1, y1]]) {
  return Array.from({ length: ELLIPSE }, (_, i) => {
    const t = (2 * Math.PI * i) / ELLIPSE;
    return [(x0 + x1) / 2 + (Math.abs(x1 - x0) / 2) * Math.cos(t),
      (y0 + y1) / 2 + (Math.abs(y1 - y0) / 2) * Math.sin(t)];
  });
}

/** The outline of a mark. */
export function outline(mark) {
  if (mark.shape !== "box") return mark.points;
  const [[x0, y0], [x1, y1]] = mark.points;
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

export class Annotator {
  /** @param {import("./wall.js").Wall} wall @param {(marks: object[]) => Promise} save */
  constructor(wall, save, { most = Infinity, shapes = ["box", "ellipse", "polygon", "point"] } = {}) {
    Object.assign(this, { wall, save, most, shapes });
    this.marks = [];
    this.past = [];
    this.shape = null;
    this.draft = null;
    this.chosen = null;
    this.onChange = () => {};
    this.defaults = { kind: "mass", malignant: null, remark: "" };
  }

  load(marks) {
    Object.assign(this, { marks: marks.map((mark) => ({ ...mark })), past: [], draft: null,
      chosen: null, shape: null });
  }

  use(shape) {
    this.shape = this.shape === shape ? null : shape;
    this.draft = null;
    this.onChange();
    this.wall.draw();
  }

  /** Keep what was, so that it can come back, then change and save. */
  change(act) {
    this.past.push(JSON.stringify(this.marks));
    act();
    this.saved = this.save(this.marks);
    this.onChange();
    this.wall.draw();
  }

  undo() {
    const before = this.past.pop();
    if (before === undefined) return;
    this.marks = JSON.parse(before);
    this.chosen = null;
    this.saved = this.save(this.marks);
    this.onChange();
    this.wall.draw();
  }

  add(mark) {
    if (this.marks.length >= this.most) return;
    const id = Array.from(crypto.getRandomValues(new Uint8Array(9)),
      (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.change(() => this.marks.push({ ...this.defaults, id, ...mark }));
    this.chosen = id;
    this.onChange();
  }

  remove(id = this.chosen) {
    if (!this.marks.some((mark) => mark.id === id)) return;
    this.change(() => (this.marks = this.marks.filter((mark) => mark.id !== id)));
  }

  set(id, changes) {
    this.change(() => Object.assign(this.marks.find((mark) => mark.id === id), changes));
  }

  /** A box in the middle of the active view, for whoever has no mouse. */
  addMiddle() {
    const view = this.wall.active;
    if (!view) return;
    const { rows, cols } = view.image, [, , width, height] = view.rect;
    const ends = [view.toStored([0, 0]), view.toStored([width, height])];
    const half = view.spacing ? MIDDLE_MM / 2 / view.spacing[0] : cols / 40;
    const middle = [cols, rows].map((most, i) => { // of what is seen of the image, and all on it
      const low = Math.max(0, Math.min(ends[0][i], ends[1][i]));
      const high = Math.min(most, Math.max(ends[0][i], ends[1][i]));
      return Math.min(Math.max((low + high) / 2, half), most - half);
    });
    this.add({ image: view.image.key, shape: "box",
      points: [middle.map((v) => v - half), middle.map((v) => v + half)] });
  }

  /** Move the chosen mark by displayed pixels of its image. */
  nudge(dx, dy) {
    const mark = this.marks.find((one) => one.id === this.chosen);
    const view = mark && this.wall.views.find((one) => one.image.key === mark.image);
    if (!view) return;
    const turn = view.image.mirrored ? -1 : 1;
    const by = [turn * dx * view.pace[0], dy * view.pace[1]];
    this.change(() => (mark.points = mark.points.map(([x, y]) => [x + by[0], y + by[1]])));
  }

  stored(at) {
    const view = this.wall.viewAt(at);
    return view && { view, point: view.toStored([at[0] - view.rect[0], at[1] - view.rect[1]]) };
  }

  /** A press of the mouse; true where it is ours. */
  down(at) {
    const hit = this.stored(at);
    if (!hit) return false;
    if (this.shape) return this.begin(hit);
    return this.grip(at, hit);
  }

  begin({ view, point }) {
    if (this.draft && this.draft.shape === "polygon") {
      if (view.image.key !== this.draft.image) return true;
      const [first] = this.draft.points, [x, y] = view.fromStored(first), q = view.fromStored(point);
      const closes = Math.hypot(x - q[0], y - q[1]) < GRIP * this.wall.ratio;
      if (closes && this.draft.points.length > 3) this.finish();
      else this.draft.points.push(point);
      return true;
    }
    this.draft = { image: view.image.key, shape: this.shape,
      points: this.shape === "point" ? [point] : [point, point] };
    if (this.shape === "point") this.finish();
    return true;
  }

  /** Take hold of a mark: its corner is moved, its inside moves all of it. */
  grip(at, { view, point }) {
    const near = (p) => {
      const q = view.fromStored(p);
      return Math.hypot(q[0] + view.rect[0] - at[0], q[1] + view.rect[1] - at[1])
        < GRIP * this.wall.ratio;
    };
    for (const mark of [...this.marks].reverse()) {
      if (mark.image !== view.image.key) continue;
      const corner = mark.shape === "ellipse" ? -1 : mark.points.findIndex(near);
      if (corner < 0 && !inside(point, outline(mark))) continue;
      this.chosen = mark.id;
      this.moving = { mark, corner, from: point, points: mark.points.map((p) => [...p]),
        before: JSON.stringify(this.marks) };
      this.onChange();
      return true;
    }
    if (this.chosen) {
      this.chosen = null;
      this.onChange();
      this.wall.draw();
    }
    return false;
  }

  move(at) {
    const hit = this.stored(at);
    if (!hit) return;
    const { point, view } = hit;
    if (this.draft && view.image.key === this.draft.image)
      this.draft.points[this.draft.points.length - 1] = point;
    else if (this.moving && view.image.key === this.moving.mark.image) {
      const { mark, corner, from, points } = this.moving;
      const by = [point[0] - from[0], point[1] - from[1]];
      mark.points = points.map((p, i) =>
        (corner < 0 || corner === i ? [p[0] + by[0], p[1] + by[1]] : p));
    }
    this.wall.draw(true);
  }

  hover(at) {
    if (this.draft && this.draft.shape === "polygon") this.move(at);
  }

  up() {
    if (this.moving) {
      const { before, mark, points } = this.moving;
      const moved = JSON.stringify(mark.points) !== JSON.stringify(points);
      this.moving = null;
      if (moved) {
        tidy(mark);
        this.past.push(before);
        this.saved = this.save(this.marks);
      }
      this.onChange();
      this.wall.rest();
    } else if (this.draft && this.draft.shape !== "polygon") this.finish();
  }

  finish() {
    const { draft } = this;
    this.draft = null;
    if (draft.shape === "polygon") draft.points.pop();
    const [x, y] = [0, 1].map((i) => draft.points.map((p) => p[i]));
    const wide = Math.max(...x) - Math.min(...x), high = Math.max(...y) - Math.min(...y);
    if (draft.shape !== "point" && (wide < 2 || high < 2)) return;
    if (draft.shape === "ellipse") draft.points = ellipse(draft.points);
    tidy(draft);
    this.shape = null;
    this.add(draft);
  }

  /** Marks as shapes to draw, with the one that is being drawn. */
  outlines() {
    const shown = this.draft
      ? [...this.marks, { ...this.draft, id: "draft", kind: "",
        points: this.draft.shape === "ellipse" ? ellipse(this.draft.points) : this.draft.points }]
      : this.marks;
    return shown.map((mark, place) => ({ kind: "mine", image: mark.image, points: outline(mark),
      shape: mark.shape === "point" ? "point" : "polygon", chosen: mark.id === this.chosen,
      label: mark.id === "draft" ? "" : String(place + 1), tip: mark.kind }));
  }

  /** The section of the panel. */
  section(title, { details = true, extra = () => null, foot = [] } = {}) {
    const shapes = this.shapes.map((shape) => el("button", { type: "button", id: `mark-${shape}`,
      "aria-pressed": String(this.shape === shape), onclick: () => this.use(shape) }, shape));
    const rows = this.marks.map((mark, place) => el("li", { class: mark.id === this.chosen
      ? "mark-row chosen" : "mark-row" },
    el("button", { type: "button", "aria-pressed": String(mark.id === this.chosen),
      "aria-label": `mark ${place + 1}`, onclick: () => {
        this.chosen = mark.id;
        this.onChange();
        this.wall.draw();
      } }, String(place + 1)),
    details ? this.kindOf(mark) : null, details ? this.natureOf(mark) : null,
    details ? this.remarkOf(mark) : null, extra(mark),
    el("button", { type: "button", title: "delete", "aria-label": `delete mark ${place + 1}`,
      onclick: () => this.remove(mark.id) }, "×")));
    return el("section", { class: "marks" }, el("h2", {}, title),
      el("div", { class: "bar" }, ...shapes,
        el("button", { type: "button", id: "mark-middle", title: "a box in the middle of the active view",
          onclick: () => this.addMiddle() }, "+ middle"),
        el("button", { type: "button", id: "mark-undo", disabled: !this.past.length,
          onclick: () => this.undo() }, "undo"), ...foot),
      el("ul", { class: "plain" }, ...rows));
  }

  kindOf(mark) {
    const select = el("select", { "aria-label": "kind",
      onchange: () => this.set(mark.id, { kind: select.value }) },
    ...KINDS.map((kind) => el("option", { selected: kind === mark.kind }, kind)));
    return select;
  }

  natureOf(mark) {
    const words = [["unknown", null], ["malignant", true], ["benign", false]];
    const select = el("select", { "aria-label": "malignant", onchange: () =>
      this.set(mark.id, { malignant: words[select.selectedIndex][1] }) },
    ...words.map(([word, value]) => el("option", { selected: value === mark.malignant }, word)));
    return select;
  }

  remarkOf(mark) {
    const field = el("input", { type: "text", "aria-label": "remark", placeholder: "remark",
      maxLength: 1000, value: mark.remark,
      onchange: () => this.set(mark.id, { remark: field.value }) });
    return field;
  }
}

/** A box's corners in order; inside of polygons by crossings. */
function tidy(mark) {
  if (mark.shape !== "box") return;
  const [[x0, y0], [x1, y1]] = mark.points;
  mark.points = [[Math.min(x0, x1), Math.min(y0, y1)], [Math.max(x0, x1), Math.max(y0, y1)]];
}

function inside([x, y], points) {
  let within = false;
  points.forEach(([x1, y1], i) => {
    const [x2, y2] = points[(i + 1) % points.length];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
  });
  return within;
}
