/** The cohort's curve beside the threshold. All numbers are the server's; this looks them up. */
import { el, number, svg } from "./dom.js";

const WIDE = 280, HIGH = 130, LEFT = 30, BELOW = 22;

/** Where a threshold lies on a curve: the last cut that it does not exceed. */
export function pointAt(curve, threshold) {
  let low = 0, high = curve.cuts.length; // the number of cuts at or above the threshold
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.cuts[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return low ? { x: curve.x[low - 1], y: curve.y[low - 1] } : { x: 0, y: 0 };
}

/** A finding or mark of the server's outcomes that is this region. */
function same(row, regions) {
  return regions.some((region) => region.image === row.image && region.box
    && region.box.every((value, i) => Math.abs(value - row.box[i]) < 1e-6));
}

/** What the protocol's rule says of one finding at a threshold. */
export function judge(finding, outcomes, threshold) {
  if (!outcomes) return finding;
  if (finding.truth) {
    const rows = outcomes.findings.filter((row) => same(row, finding.regions));
    if (!rows.length) return finding;
    const isHit = rows.some((row) => row.score !== null && row.score >= threshold);
    return { ...finding, outcome: isHit ? "found" : "missed", mark: isHit ? "" : "missed" };
  }
  const mark = outcomes.marks.find((row) => same(row, finding.regions));
  return mark ? { ...finding, outcome: mark.outcome } : finding;
}

export class CurveBox {
  constructor() {
    this.curve = null;
  }

  /** The section of the panel, or null where there is no curve. */
  section(state) {
    const { curve } = this;
    if (!curve || curve.kind === "none") return null;
    this.right = Math.max(...curve.x, curve.kind === "roc" ? 1 : 0.1);
    const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "curve", role: "img",
      "aria-label": `${curve.y_label} against ${curve.x_label}` });
    const place = (x, y) => [LEFT + (x / this.right) * (WIDE - LEFT - 8),
      HIGH - BELOW - y * (HIGH - BELOW - 8)];
    this.place = place;
    const line = (points, name) => svg("polyline", { class: name,
      points: points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ") });
    picture.append(line([place(0, 1), place(0, 0), place(this.right, 0)], "frame"));
    const steps = [[0, 0], ...curve.x.map((x, i) => [x, curve.y[i]])];
    picture.append(line(steps.map(([x, y]) => place(x, y)), "line"));
    for (const [x, y, text, anchor] of [[0, 1, "1", "end"], [0, 0, "0", "end"]]) {
      const [px, py] = place(x, y), label = svg("text", { x: px - 5, y: py + 4, "text-anchor": anchor });
      label.textContent = text;
      picture.append(label);
    }
    const below = svg("text", { x: WIDE - 8, y: HIGH - 6, "text-anchor": "end" });
    below.textContent = curve.kind === "roc" ? curve.x_label
      : `${curve.x_label}, to ${number(this.right, 2)}`;
    this.dot = svg("circle", { r: 4.5, class: "dot" });
    picture.append(below, this.dot);
    this.words = el("p", { class: "num", id: "curve-words" });
    this.own = el("p", { class: "quiet" });
    this.move(state);
    return el("section", {}, el("h2", {}, "Whole cohort"),
      el("p", { class: "quiet" }, curve.protocol), picture, this.words, this.own);
  }

  /** The threshold moved. */
  move(state) {
    if (!this.curve || !this.dot) return;
    const point = pointAt(this.curve, state.threshold), [x, y] = this.place(point.x, point.y);
    this.dot.setAttribute("cx", x);
    this.dot.setAttribute("cy", y);
    this.point = point;
    this.words.textContent = this.curve.kind === "froc"
      ? `sensitivity ${number(point.y)} at ${number(point.x)} false marks per image`
      : `sensitivity ${number(point.y)}, specificity ${number(1 - point.x)}`;
    const { outcomes } = state.spoken || {};
    if (!outcomes || this.curve.kind !== "froc") {
      this.own.textContent = "";
      return;
    }
    const marks = outcomes.marks.filter((row) => row.score >= state.threshold);
    const hits = outcomes.findings.filter((row) => row.score !== null && row.score >= state.threshold);
    const falses = marks.filter((row) => row.outcome === "false");
    this.own.textContent = `this exam: ${hits.length} of ${outcomes.findings.length} found, `
      + `${falses.length} false`;
  }
}
