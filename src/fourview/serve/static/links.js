/** What goes beyond pictures: curve, AP link, marks, sentences, agreement. Parts of looking around. */
import { Annotator } from "./annotate.js";
import { ApLink } from "./aplink.js";
import { CurveBox, judge } from "./curve.js";
import { el } from "./dom.js";
import { Agreement, CUT_OUT } from "./glam.js";

const SAVE_WAIT = 250; // ms without a change until marks are sent

export class Links {
  /** @param {import("./look.js").Look} look */
  constructor(look) {
    this.look = look;
    this.api = look.api;
    const { viewer } = look;
    this.curve = new CurveBox();
    this.ap = new ApLink(look.api);
    this.agreement = new Agreement(look.api, viewer.images);
    this.marks = new Annotator(viewer.wall, (marks) => this.save(marks));
    this.marks.onChange = () => look.fresh();
    viewer.input.tool = this.marks;
    viewer.links = () => (this.ap.on ? this.ap.links : []);
    viewer.wall.onClick = (view, point) => this.click(view, point);
    this.said = [];
    this.asked = "";
    look.sections = [(state) => this.curve.section(state),
      (state) => (state.features.maps ? this.askSection() : null),
      () => this.marks.section("Marks", { foot: [el("button", { type: "button", id: "mark-export",
        title: "the file that fourview read --findings takes",
        onclick: () => this.exportMarks() }, "CSV")] })];
    Object.assign(viewer.input.keys, { l: () => this.toggleAp(), u: () => this.marks.undo(),
      Delete: () => this.marks.remove(), Backspace: () => this.marks.remove(),
      v: () => this.nextView() });
    this.apButton = viewer.addTool("L", "same depth in the other view (key L)", () => this.toggleAp());
    this.apButton.setAttribute("aria-pressed", "false");
  }

  /** Curves of the session, once. */
  async start() {
    if (!this.look.features.curve) return;
    this.curve.curve = await this.api.json("/api/curve?source=0");
    const { cuts, kind } = this.curve.curve;
    if (kind !== "none" && cuts.length)
      this.look.range = [Math.min(0, cuts[cuts.length - 1]), Math.max(1, cuts[0])];
  }

  /** A new exam is open. */
  open(json) {
    this.ap.links = [];
    this.marks.load(json.annotations || []);
    this.said = [];
    this.key = json.key;
    if (this.look.features.model) this.predict(json);
  }

  /** What the model says of the exam; the page does not wait for it. */
  async predict(json) {
    const { look } = this;
    try {
      const answer = await this.api.send("POST", `/api/exams/${json.key}/predict`, {});
      if (look.exam.json !== json) return;
      json.predictions.push({ ...answer.prediction, maps: answer.heatmaps });
      look.choosePrediction(json.predictions.length - 1);
    } catch (error) {
      if (look.exam.json !== json) return;
      json.notes.push(`the model gives nothing: ${error.message}`);
      look.fresh();
    }
  }

  judged(finding, threshold) {
    const { spoken } = this.look;
    return judge(finding, spoken && spoken.outcomes, threshold);
  }

  async toggleAp() {
    if (!this.look.exam) return;
    this.apButton.setAttribute("aria-pressed", String(!this.ap.on));
    await this.ap.toggle(this.look.exam);
    this.look.wall.draw();
  }

  async click(view, point) {
    const { look } = this, exam = look.exam;
    if (this.agreement.on) {
      try {
        if (await this.agreement.pick(exam, view.image, point)) look.chooseHeat(CUT_OUT);
        this.asked = "";
      } catch (error) {
        this.asked = error.message;
      }
      look.fresh();
    }
    if (!this.ap.on) {
      const finding = this.agreement.on ? null : look.viewer.findingAt(view.image, point);
      if (finding) look.centre(finding);
      return;
    }
    await this.ap.pick(exam, view.image, point);
    look.wall.draw();
  }

  /** The next view of the wall becomes the active one. */
  nextView() {
    const { wall } = this.look, at = wall.views.indexOf(wall.active);
    wall.active = wall.views[(at + 1) % wall.views.length] || null;
    document.querySelectorAll(".view").forEach((box, i) =>
      box.classList.toggle("active", wall.views[i] === wall.active));
  }

  save(marks) {
    clearTimeout(this.saving);
    const key = this.key;
    const send = () => this.api.send("PUT", `/api/exams/${key}/annotations`,
      { annotations: marks }, Infinity).catch((error) => {
      document.getElementById("banner").textContent = `not saved: ${error.message}`;
    });
    return new Promise((done) => {
      this.saving = setTimeout(() => send().then(done), SAVE_WAIT);
    });
  }

  async exportMarks() {
    const text = await (await this.api.request("/api/annotations.csv")).text();
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })),
      download: "findings.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  askSection() {
    const field = el("input", { type: "text", id: "sentence", maxLength: 200,
      placeholder: "a spiculated mass", "aria-label": "sentence to look for" });
    const ask = () => this.say(field.value);
    field.addEventListener("keydown", (event) => event.key === "Enter" && ask());
    const history = this.said.map((sentence) => el("li", {}, el("button", { type: "button",
      class: "plain", onclick: () => {
        this.look.chooseHeat(sentence);
        this.look.fresh();
      } }, sentence)));
    return el("section", {}, el("h2", {}, "Ask"),
      el("div", { class: "row" }, field, el("button", { type: "button", onclick: ask }, "where?"),
        el("button", { type: "button", id: "agreement", "aria-pressed": String(this.agreement.on),
          title: "a click in a CC shows what agrees with it in the MLO", onclick: () => {
            this.agreement.on = !this.agreement.on;
            this.look.fresh();
          } }, "CC to MLO")),
      el("p", { class: "quiet", role: "status" }, this.asked
        || "heatmaps lie between each image's own extremes: where, not how likely"),
      history.length ? el("ul", { class: "plain" }, ...history) : null);
  }

  /** Where a sentence is. */
  async say(sentence) {
    const { look } = this, exam = look.exam;
    this.asked = "looking …";
    look.fresh();
    try {
      const answer = await this.api.send("POST", `/api/exams/${exam.key}/say`, { sentence });
      if (look.exam !== exam) return;
      answer.heatmaps.forEach((heat) => look.viewer.images.addHeat(heat));
      const name = answer.heatmaps.length ? answer.heatmaps[0].class : null;
      if (name && !this.said.includes(name)) this.said.unshift(name);
      look.chooseHeat(name);
      this.asked = "";
    } catch (error) {
      this.asked = error.message;
    }
    look.fresh();
  }
}
