/** Looking around: one exam after another, with what models say and what is known. */
import { fragment, setFragment } from "./api.js";
import { el } from "./dom.js";
import { Links } from "./links.js";
import { Panel } from "./panel.js";
import { Viewer } from "./viewer.js";
import { Worklist } from "./worklist.js";

const FINE = 0.01; // step of the threshold at a key

export class Look {
  constructor(api, session) {
    this.api = api;
    this.session = session;
    this.viewer = new Viewer(api);
    this.wall = this.viewer.wall;
    this.features = session.features;
    this.prediction = 0;
    this.threshold = 0;
    this.range = [0, 1];
    this.shown = { model: true, all: true, truth: true };
    this.heat = null;
    this.sections = [];
    this.chosen = null;
    this.next = new Map(); // exams that were fetched ahead
    this.panel = new Panel(document.getElementById("side"), this.actions());
    this.wall.screenScale = Number(localStorage.getItem("screen-scale")) || null;
    this.viewer.shapes = () => this.shapes();
    this.viewer.onImage = () => this.fresh();
    this.viewer.onComplete = () => this.onComplete();
    this.wall.onPoint = (spot) => this.point(spot);
    this.wall.onEvent = () => this.changed();
    Object.assign(this.viewer.input.keys, this.keys());
    this.makeTools();
    this.links = new Links(this);
    this.viewer.addTool("?", "keys", () => document.getElementById("help").showModal());
  }

  get screenScale() {
    return this.wall.screenScale;
  }

  get opacity() { return this.wall.opacity; }

  get window() { return this.viewer.images.change; }

  get legend() {
    return this.viewer.legend;
  }

  keys() {
    const step = (by) => () => this.setThreshold(this.threshold + by * FINE);
    return {
      h: () => this.toggleHeat(), b: () => this.toggle("model"), a: () => this.toggle("all"),
      g: () => this.toggle("truth"), "[": () => this.setOpacity(this.opacity - 0.1),
      "]": () => this.setOpacity(this.opacity + 0.1), ",": step(-1), ".": step(1),
      Escape: () => this.escape(), j: () => this.beside("next"), k: () => this.beside("previous"),
    };
  }

  makeTools() {
    for (const [letter, words] of [["H", "heatmap"], ["B", "boxes"], ["A", "all annotations"],
      ["G", "ground truth"]])
      this.viewer.addTool(letter, `${words} (key ${letter})`,
        () => this.viewer.input.keys[letter.toLowerCase()](), `tool-${letter.toLowerCase()}`);
    this.pressed();
  }

  actions() {
    return {
      choosePrediction: (place) => this.choosePrediction(place),
      setThreshold: (value) => this.setThreshold(value),
      chooseHeat: (name) => this.chooseHeat(name),
      setOpacity: (value) => this.setOpacity(value),
      resetWindow: () => this.viewer.resetWindow(),
      setScreenScale: (value) => this.setScreenScale(value),
      centre: (finding) => this.centre(finding),
    };
  }

  /** Open an exam by its key. */
  async open(key, { step = 0, ordinal = null } = {}) {
    const json = this.next.get(key) || await this.api.json(`/api/exams/${key}`);
    this.next.clear();
    this.ordinal = ordinal;
    setFragment({ n: ordinal });
    this.chosen = null;
    const best = json.predictions.findIndex((p) => p.findings.length || p.num_heatmaps);
    this.prediction = Math.max(0, best);
    this.heat = null;
    document.body.dataset.screen = "exam";
    await new Promise(requestAnimationFrame); // the stage has its size again
    const showing = this.viewer.show(json, step);
    this.panel.show(this);
    this.opened = Promise.all([showing, this.loadHeats()]);
    this.links.open(json);
    await this.opened;
  }

  /** Begin where the fragment says: an exam, or the list where there are many. */
  async start() {
    this.list = new Worklist(document.getElementById("list"), this.api,
      (row) => this.open(row.key, { ordinal: row.n }));
    if (this.list.query.threshold === null) this.list.query.threshold = this.session.threshold;
    this.makePages();
    await this.links.start();
    const { ordinal, step, zoom } = Look.begin();
    const { around, all, rows } = await this.list.ask({ around: ordinal || 1 });
    if (all > 1 && !ordinal) {
      await this.showList();
      return;
    }
    const first = around.this || rows[0];
    if (!first) {
      await this.showList();
      return;
    }
    await this.open(first.key, { step, ordinal: first.n });
    if (zoom) this.wall.scaleAt(this.wall.middle(), 1 / zoom);
  }

  makePages() {
    const button = (text, title, act) =>
      el("button", { type: "button", title, onclick: act }, text);
    document.getElementById("pages").replaceChildren(
      button("list", "all exams (Esc)", () => this.showList()),
      button("‹", "previous exam (K)", () => this.beside("previous")),
      button("›", "next exam (J)", () => this.beside("next")));
  }

  async showList() {
    document.body.dataset.screen = "list";
    setFragment({ n: null, step: null, zoom: null });
    await this.list.show();
  }

  /** The exam before or after this one, in the order and with the filters of the list. */
  async beside(which) {
    if (!this.ordinal) return;
    const { around } = await this.list.ask({ around: this.ordinal });
    const exam = around[which];
    if (exam) await this.open(exam.key, { ordinal: exam.n });
  }

  async nextKey() {
    const { around } = await this.list.ask({ around: this.ordinal });
    this.panel.place(around.place ? `${around.place} in the list` : "");
    return around.next && around.next.key;
  }

  onComplete() {
    this.ahead().catch(() => {});
  }

  /** Fetch the exam that comes next, its quarter-size images too. */
  async ahead() {
    const key = await this.nextKey();
    if (!key) return;
    const json = await this.api.json(`/api/exams/${key}`, 1);
    this.next.set(key, json);
    for (const listed of json.images.filter((image) => image.slot !== null))
      await this.viewer.images.prepare(this.viewer.images.record(listed));
  }

  get exam() {
    return this.viewer.exam;
  }

  get spoken() {
    return this.exam && this.exam.json.predictions[this.prediction];
  }

  async loadHeats() {
    const { exam, prediction } = this;
    const there = this.spoken && this.spoken.num_heatmaps;
    const maps = !there ? [] : this.spoken.maps
      || await this.api.json(`/api/exams/${exam.key}/heatmaps?prediction=${prediction}`);
    if (this.exam !== exam || this.prediction !== prediction) return;
    this.viewer.images.setHeats(maps);
    this.chooseHeat(this.heatNames()[0] || null);
    this.fresh();
  }

  heatNames() {
    return [...new Set(this.exam.images.flatMap((image) => image.heats.map((h) => h.name)))];
  }

  isWhere() {
    return Boolean(this.spoken && this.spoken.notes.some((note) => note.includes("where, not")));
  }

  chooseHeat(name) {
    this.heat = name;
    for (const image of this.exam.images)
      image.heat = image.heats.find((heat) => heat.name === name) || null;
    this.wall.draw();
  }

  choosePrediction(place) {
    this.prediction = place;
    this.loadHeats();
    this.fresh();
  }

  /** Findings to list: the model's at or above the threshold, and those of the data set. */
  findings() {
    const model = this.spoken ? this.spoken.findings : [];
    const marked = model.filter((f) => f.score === null || f.score >= this.threshold);
    const truth = this.shown.truth ? this.exam.json.truth.map((f) => ({ ...f, truth: true })) : [];
    return [...marked, ...truth].map((finding) => this.links.judged(finding, this.threshold));
  }

  shapes() {
    if (!this.exam || !this.shown.all) return [];
    const listed = this.findings().filter((f) => f.truth || this.shown.model);
    const mine = this.links.marks.outlines();
    return mine.concat(listed.flatMap((finding) => Viewer.shapesOf([finding], finding.truth ? "truth" : "model",
      { chosen: this.chosen === finding.name + finding.side })));
  }

  centre(finding) {
    this.chosen = finding.name + finding.side;
    const shapes = Viewer.shapesOf([finding], "model");
    this.wall.centreOn(shapes);
  }

  toggle(name) {
    this.shown[name] = !this.shown[name];
    this.pressed();
    if (name === "truth") this.fresh();
    this.wall.draw();
  }

  toggleHeat() {
    this.wall.heatOn = !this.wall.heatOn;
    this.pressed();
    this.wall.draw();
  }

  pressed() {
    const on = { h: this.wall.heatOn, b: this.shown.model, a: this.shown.all, g: this.shown.truth };
    for (const [letter, value] of Object.entries(on))
      document.getElementById(`tool-${letter}`)?.setAttribute("aria-pressed", String(value));
  }

  setThreshold(value) {
    this.threshold = Math.min(Math.max(value, this.range[0]), this.range[1]);
    this.panel.list();
    this.links.curve.move(this);
    this.wall.draw();
  }

  setOpacity(value) {
    this.wall.opacity = Math.min(Math.max(value, 0), 1);
    const slider = document.getElementById("opacity");
    if (slider) slider.value = String(this.opacity);
    this.wall.draw();
  }

  setScreenScale(value) {
    this.wall.screenScale = value > 0 ? value : null;
    localStorage.setItem("screen-scale", value > 0 ? String(value) : "");
  }

  point(spot) {
    this.pointer = spot && { image: spot.view.image.key, view: spot.view.image.name,
      x: spot.stored[0], y: spot.stored[1] };
    this.panel.showPointer(this.viewer.pointed(spot));
  }

  /** Something of the display changed: the panel and the permalink say it. */
  changed() {
    this.panel.showWindow(this.window);
    const { steps, step, active } = this.wall;
    if (!active) return;
    const zoom = active.scale.toFixed(4);
    setFragment({ step: steps[step] ? steps[step].place + 1 : 1, zoom });
  }

  /** The panel again, with what has come. */
  fresh() {
    this.panel.show(this);
    this.wall.draw();
  }

  escape() {
    if (this.wall.single) this.wall.alone();
    else this.showList();
  }

  /** Where the URL's fragment says to begin. */
  static begin() {
    const parts = fragment();
    return { ordinal: Number(parts.get("n")) || null, step: Math.max(0, Number(parts.get("step")) - 1),
      zoom: Number(parts.get("zoom")) || null };
  }
}
