/** The side panel of an exam: what is known, what models say, and how it is displayed. */
import { day, el, number } from "./dom.js";

const CLASSES = { 1: "cancer", 0: "no cancer" };

export class Panel {
  /** @param {HTMLElement} box @param {object} act what the panel's controls do */
  constructor(box, act) {
    this.box = box;
    this.act = act;
    this.state = null;
  }

  /** @param {object} state of the page: exam, prediction, threshold, shown, features ... */
  show(state) {
    this.state = state;
    const { exam } = state;
    this.findings = el("div", { class: "findings" });
    this.box.replaceChildren(...[
      this.about(exam), this.scores(exam, state),
      state.features.truth || exam.json.predictions.length ? this.regions(state) : null,
      ...state.sections.map((make) => make(state)),
      this.display(state)].filter(Boolean));
    this.list();
  }

  about(exam) {
    const { json } = exam, notes = [...json.notes, ...exam.imageNotes()];
    return el("section", {},
      el("h2", {}, json.title || json.exam),
      el("p", { class: "quiet" }, [day(json.date), json.patient && `patient ${json.patient}`]
        .filter(Boolean).join(" · "), this.placed = el("span", {})),
      notes.length ? el("details", {}, el("summary", {}, `${notes.length} notes`),
        el("ul", {}, ...notes.map((note) => el("li", {}, note)))) : null);
  }

  scores(exam, state) {
    const rows = exam.json.predictions.map((prediction, place) => {
      const of = (side) => prediction.breasts.find((b) => b.side === side);
      const name = el("button", { class: "plain", type: "button", title: prediction.model,
        "aria-pressed": String(place === state.prediction),
        onclick: () => this.act.choosePrediction(place) }, prediction.name);
      return el("tr", {}, el("th", { scope: "row" }, name),
        ...["R", "L"].map((side) => el("td", { class: "num" },
          of(side) ? number(of(side).score) : "–")));
    });
    const { labels } = exam.json;
    if (labels && state.shown.truth) {
      const told = (side) => [CLASSES[labels[side]?.cancer],
        labels[side]?.birads !== null && labels[side]?.birads !== undefined
          ? `BI-RADS ${labels[side].birads}` : null].filter(Boolean).join(", ") || "unknown";
      rows.push(el("tr", { class: "truth" }, el("th", { scope: "row" }, "truth"),
        el("td", {}, told("R")), el("td", {}, told("L"))));
    }
    if (!rows.length) return null;
    return el("section", {}, el("table", {}, el("thead", {}, el("tr", {},
      el("th", { scope: "col" }, "score of a breast"), el("th", { scope: "col" }, "R"),
      el("th", { scope: "col" }, "L"))), el("tbody", {}, ...rows)));
  }

  regions(state) {
    const { range } = state;
    const label = el("output", { class: "num" }, number(state.threshold));
    const slider = el("input", { type: "range", id: "threshold", min: String(range[0]),
      max: String(range[1]), step: "any", "aria-label": "threshold of regions",
      oninput: (event) => this.act.setThreshold(Number(event.target.value)) });
    slider.value = String(state.threshold);
    this.slider = slider;
    this.sliderLabel = label;
    return el("section", {}, el("h2", {}, "Regions"),
      el("div", { class: "tool" }, el("label", { for: "threshold" }, "score at least"), slider, label),
      this.findings);
  }

  /** The findings at or above the threshold; again when it moves. */
  list() {
    const { state } = this;
    if (!state || !this.findings) return;
    if (this.slider) this.slider.value = String(state.threshold);
    if (this.sliderLabel) this.sliderLabel.textContent = number(state.threshold);
    const findings = state.findings();
    const words = (finding) => [finding.side, finding.kind, finding.malignant === true ? "malignant"
      : finding.malignant === false ? "benign" : null, finding.outcome].filter(Boolean).join(", ");
    this.findings.replaceChildren(findings.length ? el("ul", { class: "plain" },
      ...findings.map((finding) => el("li", {}, el("button", { type: "button",
        class: `finding ${finding.truth ? "truth" : "model"}`,
        onclick: () => this.act.centre(finding) },
      el("b", {}, finding.name || "–"), ` ${words(finding)}`,
      el("span", { class: "num" }, finding.score === null ? "" : number(finding.score))))))
      : el("p", { class: "quiet" }, "no region at this threshold"));
  }

  display(state) {
    const parts = [el("h2", {}, "Display")];
    const names = state.heatNames();
    if (names.length) {
      const select = el("select", { id: "heat", onchange: () => this.act.chooseHeat(select.value) },
        ...names.map((name) => el("option", { value: name, selected: name === state.heat }, name)));
      const slider = el("input", { type: "range", id: "opacity", min: "0", max: "1", step: "0.05",
        oninput: () => this.act.setOpacity(Number(slider.value)) });
      slider.value = String(state.opacity);
      parts.push(
        el("div", { class: "tool" }, el("label", { for: "heat" }, "heatmap"), select),
        el("div", { class: "tool" }, el("label", { for: "opacity" }, "opacity"), slider),
        el("div", { class: "legend" }, el("span", {}, "0"), state.legend, el("span", {}, "1")),
        state.isWhere(state.heat)
          ? el("p", { class: "quiet" }, "where, not how likely: between each image's own extremes")
          : null);
    }
    this.window = el("span", { class: "num" });
    this.pointer = el("p", { class: "readout num", "aria-live": "off" }, " ");
    parts.push(
      el("div", { class: "tool" }, el("span", {}, "window"), this.window,
        el("button", { type: "button", class: "plain", onclick: this.act.resetWindow }, "reset")),
      this.pointer, this.scale(state));
    this.showWindow(state.window);
    return el("section", {}, ...parts.filter(Boolean));
  }

  scale(state) {
    const field = el("input", { type: "number", id: "scale", min: "0.5", max: "60", step: "any",
      placeholder: "not measured", onchange: () => this.act.setScreenScale(Number(field.value)) });
    if (state.screenScale) field.value = String(state.screenScale);
    return el("div", { class: "tool" },
      el("label", { for: "scale" }, "screen pixels per mm"), field);
  }

  showWindow({ scale, shift, inverted }) {
    if (!this.window) return;
    const parts = [`width x ${number(scale, 2)}`, `centre ${shift >= 0 ? "+" : ""}${number(shift, 2)}`];
    this.window.textContent = parts.join(", ") + (inverted ? ", inverted" : "");
  }

  /** Where the exam is in the list. */
  place(text) {
    if (this.placed && text) this.placed.textContent = ` · ${text}`;
  }

  showPointer(text) {
    if (this.pointer) this.pointer.textContent = text || " ";
  }
}
