/** The questions of a study as a form; what is not answered is not sent. */
import { el, number } from "./dom.js";

const SIDES = { R: "right", L: "left" };

export class Form {
  /** @param {object} questions of the study @param {() => void} onChange */
  constructor(questions, onChange) {
    this.questions = questions;
    this.onChange = onChange;
  }

  begin(sides, before) {
    this.sides = sides;
    const kept = before || {};
    this.answers = { recall: { ...kept.recall }, birads: { ...kept.birads },
      suspicion: { ...kept.suspicion }, density: kept.density || null,
      confidence: kept.confidence ?? null };
  }

  /** What is still to be answered, in words. */
  missing() {
    const { questions, answers } = this, names = [];
    for (const name of ["recall", "birads", "suspicion"]) {
      if (!questions[name]) continue;
      for (const side of this.sides)
        if (answers[name][side] === undefined)
          names.push(`${name === "birads" ? "BI-RADS" : name} ${side}`);
    }
    for (const name of ["density", "confidence"])
      if (questions[name] && answers[name] === null) names.push(name);
    return names;
  }

  /** The answers as the server takes them. */
  value(marks) {
    const { questions, answers } = this, told = {};
    for (const name of ["recall", "birads", "suspicion", "density", "confidence"])
      if (questions[name]) told[name] = answers[name];
    if (questions.marks) {
      told.marks = marks.map((mark) => ({ image: mark.image, suspicion: mark.suspicion,
        box: [...mark.points[0], ...mark.points[1]] }));
    }
    return told;
  }

  set(name, side, value) {
    if (side) this.answers[name][side] = value;
    else this.answers[name] = value;
    this.onChange();
  }

  section() {
    const { questions } = this, parts = [];
    for (const side of this.sides) {
      const own = [];
      if (questions.recall)
        own.push(this.choice("recall", side, [["yes", true], ["no", false]]));
      if (questions.birads) {
        const values = questions.birads_zero ? [0, 1, 2, 3, 4, 5] : [1, 2, 3, 4, 5];
        own.push(this.choice("birads", side, values.map((v) => [String(v), v]), "BI-RADS"));
      }
      if (questions.suspicion) own.push(this.slider("suspicion", side));
      if (own.length)
        parts.push(el("fieldset", {}, el("legend", {}, `${SIDES[side]} breast`), ...own));
    }
    const whole = [];
    if (questions.density)
      whole.push(this.choice("density", null, ["A", "B", "C", "D"].map((v) => [v, v])));
    if (questions.confidence) whole.push(this.slider("confidence", null));
    if (whole.length) parts.push(el("fieldset", {}, el("legend", {}, "exam"), ...whole));
    return el("section", { class: "form" }, ...parts);
  }

  choice(name, side, values, words = name) {
    const group = `${name}-${side || "exam"}`;
    const now = side ? this.answers[name][side] : this.answers[name];
    return el("div", { class: "choice", role: "radiogroup", "aria-label": `${words} ${side || ""}` },
      el("span", {}, words), ...values.map(([text, value]) => {
        const id = `${group}-${text}`;
        const button = el("input", { type: "radio", name: group, id, checked: now === value,
          onchange: () => this.set(name, side, value) });
        return el("label", { for: id }, button, text);
      }));
  }

  slider(name, side) {
    const now = side ? this.answers[name][side] : this.answers[name];
    return slider(`${name}-${side || "exam"}`, name, now ?? null,
      (value) => this.set(name, side, value));
  }
}

/** A slider without a position until somebody moves it. */
export function slider(id, words, value, onValue) {
  const shown = el("output", { class: "num" }, value === null ? "–" : number(value, 0));
  const made = el("input", { type: "range", id, min: "0", max: "100", step: "1",
    "aria-label": `${words}, 0 to 100`, class: value === null ? "untouched" : "" });
  made.value = String(value === null ? 50 : value);
  const take = () => {
    made.className = "";
    shown.textContent = made.value;
    onValue(Number(made.value));
  };
  made.addEventListener("input", take);
  made.addEventListener("pointerup", take); // a click on the place where it already stands
  made.addEventListener("keydown", (event) => event.key === "Enter" && take());
  return el("div", { class: "tool" }, el("label", { for: id }, words), made, shown);
}
