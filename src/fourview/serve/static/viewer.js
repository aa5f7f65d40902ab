/** Shows one exam: loads its images, hangs them, draws what lies over them. Used by all modes. */
import { el, number } from "./dom.js";
import { Screen } from "./gl.js";
import { STEPS } from "./hang.js";
import { Images } from "./images.js";
import { Input } from "./input.js";
import { Overlay, corners } from "./overlay.js";
import { colours, legend } from "./ramp.js";
import { Wall } from "./wall.js";

const SLOW = 60; // ms of a draw of stored pixels from which a moving wall is drawn half as fine

/** An exam as the wall takes it: image records by slot, and those of the exam before. */
export class Exam {
  constructor(json, images) {
    this.json = json;
    this.key = json.key;
    this.images = json.images.map((listed) => images.record(listed));
    this.slots = bySlot(this.images);
    const prior = (json.priors || [])[0];
    this.priorImages = prior ? prior.images.map((listed) => images.record(listed)) : [];
    this.priorImages.forEach((image) => (image.date = prior.date));
    this.priorSlots = bySlot(this.priorImages);
    this.others = this.images.filter((image) => !this.slots.includes(image));
  }

  imageNotes() {
    return this.images.flatMap((image) => (image.error ? [image.error] : image.notes)
      .map((note) => `${image.name}: ${note}`));
  }
}

function bySlot(images) {
  return [0, 1, 2, 3].map((slot) => images.find((image) => image.slot === slot) || null);
}

export class Viewer {
  constructor(api) {
    this.api = api;
    const find = (id) => document.getElementById(id);
    this.stage = find("stage");
    this.screen = new Screen(find("screen"));
    this.images = new Images(api, this.screen);
    this.overlay = new Overlay(this.stage);
    this.wall = new Wall(this.stage, this.screen, this.images, this.overlay);
    this.wall.ramp = this.screen.ramp(colours());
    this.wall.onRestored = () => (this.wall.ramp = this.screen.ramp(colours()));
    this.legend = legend();
    this.exam = null;
    this.shapes = () => [];
    this.links = () => [];
    this.onImage = () => {};
    this.onComplete = () => {};
    this.strip = el("div", { class: "strips" });
    this.stage.append(this.strip);
    this.wall.onDrawn = (moving) => {
      if (moving) this.overlay.tip.hidden = true;
      this.overlay.draw(this.shapes(), this.links(), this.wall.ratio);
    };
    this.input = new Input(this.stage, this.wall, this.keys());
    this.makeBars(find("steps"), find("tools"));
  }

  /** What the keys do everywhere; modes add theirs. */
  keys() {
    const wall = this.wall, keys = {
      ArrowRight: () => wall.go(wall.step + 1), ArrowLeft: () => wall.go(wall.step - 1),
      Home: () => wall.go(0), f: () => wall.alone(), d: () => this.oneToOne(),
      t: () => this.trueSize(), i: () => this.invert(), r: () => this.resetWindow(),
      n: () => this.toggleNearest(), c: () => this.toggleSquares(),
      "?": () => document.getElementById("help").showModal(),
    };
    STEPS.forEach((_, place) => {
      keys[String(place + 1)] = () => {
        const at = wall.steps.findIndex((step) => step.place === place);
        if (at >= 0) wall.go(at);
      };
    });
    return keys;
  }

  makeBars(steps, tools) {
    steps.replaceChildren(...STEPS.map((step, place) => el("button", { type: "button",
      title: `${step.name} (key ${place + 1})`, "aria-label": step.name,
      onclick: () => this.input.keys[String(place + 1)]() }, String(place + 1))));
    this.stepButtons = [...steps.children];
    this.tools = tools;
    this.addTool("F", "one view", () => this.wall.alone());
    this.addTool("1:1", "one image pixel a screen pixel (key D)", () => this.oneToOne());
    this.addTool("I", "invert", () => this.invert());
  }

  /** A button for a finger; its letter is its key. */
  addTool(text, title, act, id = null) {
    const made = el("button", { type: "button", title, "aria-label": title, onclick: act }, text);
    if (id) made.id = id;
    this.tools.append(made);
    return made;
  }

  /** Load and hang an exam; what is shown of it grows as it comes. */
  async show(json, step = 0) {
    performance.mark("open");
    this.exam = new Exam(json, this.images);
    const exam = this.exam;
    this.wall.onPoint(null);
    this.wall.show(exam, step);
    this.makeStrip();
    let first = true;
    const hung = exam.slots.filter(Boolean), rest = [...exam.others, ...exam.priorImages];
    const small = async (image) => {
      await this.images.prepare(image);
      if (this.exam !== exam) return;
      this.wall.arrived(image);
      this.onImage(image);
      if (first && !image.error) {
        first = false;
        this.drawAll("first");
      }
    };
    await Promise.all(hung.map(small));
    if (this.exam !== exam) return;
    this.stepButtons.forEach((button, place) => {
      button.disabled = !this.wall.steps.some((one) => one.place === place);
    });
    await this.whole(hung, exam);
    if (this.exam !== exam) return;
    this.drawAll("full");
    this.onComplete(exam);
    for (const image of rest) {
      if (this.exam !== exam) return;
      await small(image);
      await this.whole([image], exam);
    }
  }

  /** Whole images, two requests at a time. */
  async whole(images, exam) {
    const queue = [...images];
    const next = async () => {
      for (let image = queue.shift(); image; image = queue.shift()) {
        if (this.exam !== exam) return;
        await this.images.complete(image);
        if (this.exam === exam) this.wall.arrived(image);
      }
    };
    await Promise.all([next(), next()]);
  }

  drawAll(mark) {
    const start = performance.now();
    this.wall.drawNow();
    this.screen.finish();
    performance.measure(mark, "open");
    if (mark === "full") this.screen.coarse = performance.now() - start > SLOW ? 2 : 1;
  }

  /** Views that have no slot: a button each. */
  makeStrip() {
    this.strip.replaceChildren(...this.exam.others.map((image) => el("button", { type: "button",
      title: "show this image", onclick: () => {
        this.wall.single = this.wall.single === image ? null : image;
        this.wall.hang();
      } }, [image.name, ...(image.modifiers || [])].join(" "))));
  }

  oneToOne() {
    if (this.exam.images.some((image) => image.base === 1)) return;
    this.wall.scaleAt(this.input.at || this.wall.middle(), null);
  }

  trueSize() {
    if (this.wall.screenScale)
      this.wall.scaleAt(this.input.at || this.wall.middle(), this.wall.screenScale);
  }

  invert() {
    const { change } = this.images;
    this.wall.setWindow({ ...change, inverted: !change.inverted });
  }

  resetWindow() {
    this.wall.setWindow({ scale: 1, shift: 0, inverted: false });
  }

  toggleNearest() {
    this.wall.nearest = !this.wall.nearest;
    this.wall.draw();
  }

  /** Squares of 0, 5, 95 and 100 %: their middles are seen where the screen does not clip. */
  toggleSquares() {
    const there = this.stage.querySelector(".squares");
    if (there) there.remove();
    else this.stage.append(el("div", { class: "squares", role: "img",
      "aria-label": "squares of 0, 5, 95 and 100 percent: each has a smaller one in its middle" },
    ...["g0", "g5", "g95", "g100"].map((name) => el("i", { class: name }))));
  }

  /** What the pointer is over, in words. */
  pointed(spot) {
    if (!spot) return "";
    const [x, y] = spot.stored, { image } = spot.view;
    if (x < 0 || y < 0 || x >= image.cols || y >= image.rows) return "";
    const value = this.images.valueAt(image, spot.stored);
    return `${image.name}  x ${Math.floor(x)}  y ${Math.floor(y)}`
      + (value === null ? "" : `  value ${number(value, Number.isInteger(value) ? 0 : 2)}`);
  }

  /** The finding whose smallest region lies under a stored point; null where none does. */
  findingAt(image, [x, y]) {
    const span = (shape, i) => {
      const values = shape.points.map((p) => p[i]);
      return [Math.min(...values), Math.max(...values)];
    };
    const area = (shape) => [0, 1].reduce((size, i) =>
      size * (span(shape, i)[1] - span(shape, i)[0]), 1);
    const under = this.shapes().filter((shape) => shape.finding && shape.image === image.key
      && [x, y].every((v, i) => v >= span(shape, i)[0] && v <= span(shape, i)[1]));
    under.sort((a, b) => area(a) - area(b));
    return under.length ? under[0].finding : null;
  }

  /** Regions of findings as shapes to draw. */
  static shapesOf(findings, kind, extra = {}) {
    return findings.flatMap((finding) => finding.regions.map((region) => ({
      kind, image: region.image, points: corners(region), shape: "polygon", finding,
      label: [finding.name, finding.score === null || finding.score === undefined ? null
        : number(finding.score, 2), finding.mark].filter(Boolean).join(" "),
      tip: [finding.kind, finding.outcome, finding.score === null || finding.score === undefined
        ? null : `score ${number(finding.score)}`].filter(Boolean).join(", "), ...extra })));
  }
}
