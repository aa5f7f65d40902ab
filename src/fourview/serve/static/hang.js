/** How an exam hangs: R on the left, L on the right, CC over MLO, one scale for all. */
import { View } from "./view.js";

export const SLOTS = ["R-CC", "L-CC", "R-MLO", "L-MLO"];

/** Steps by their key; a cell is [slot, column, row], and of priors [slot, column, row, "prior"]. */
export const STEPS = [
  { name: "four views", cells: [[0, 0, 0], [1, 1, 0], [2, 0, 1], [3, 1, 1]] },
  { name: "CC", cells: [[0, 0, 0], [1, 1, 0]] },
  { name: "MLO", cells: [[2, 0, 0], [3, 1, 0]] },
  { name: "right breast", cells: [[0, 0, 0], [2, 1, 0]] },
  { name: "left breast", cells: [[1, 0, 0], [3, 1, 0]] },
  { name: "MLO, upper half", cells: [[2, 0, 0], [3, 1, 0]], where: "upper" },
  { name: "MLO, lower half", cells: [[2, 0, 0], [3, 1, 0]], where: "lower" },
  { name: "CC with priors",
    cells: [[0, 0, 0], [1, 1, 0], [0, 0, 1, "prior"], [1, 1, 1, "prior"]] },
  { name: "MLO with priors",
    cells: [[2, 0, 0], [3, 1, 0], [2, 0, 1, "prior"], [3, 1, 1, "prior"]] },
];

/** The steps that an exam has: those with priors only where there are any. */
export function stepsOf(exam) {
  const has = (cell) => (cell[3] === "prior" ? exam.priorSlots : exam.slots)[cell[0]];
  return STEPS.map((step, place) => ({ ...step, place })).filter((step) => {
    const priors = step.cells.filter((cell) => cell[3] === "prior");
    return !priors.length || priors.some(has);
  });
}

/**
 * The views of a step, placed on the canvas.
 * @param {object} exam with `slots` and `priorSlots`: images by slot, null where there is none
 * @param {number[]} size of the canvas, device pixels
 * @returns {{views: View[], empty: {name: string, rect: number[]}[], noSize: boolean}}
 */
export function hangStep(exam, step, size, alone = null) {
  const gap = 2;
  const cells = alone ? [[alone, 0, 0]] : step.cells;
  const across = 1 + Math.max(...cells.map((cell) => cell[1]));
  const down = 1 + Math.max(...cells.map((cell) => cell[2]));
  const width = Math.floor((size[0] - gap * (across - 1)) / across);
  const height = Math.floor((size[1] - gap * (down - 1)) / down);
  const views = [], empty = [];
  for (const [slot, column, row, when] of cells) {
    const rect = [column * (width + gap), row * (height + gap), width, height];
    const image = alone || (when === "prior" ? exam.priorSlots : exam.slots)[slot];
    const name = `${column} ${row}`;
    const what = (when === "prior" ? "prior " : "") + (alone ? image.name : SLOTS[slot]);
    if (image && image.rows && !image.error) views.push(new View(name, image, rect));
    else empty.push({ name: what, rect, reason: image ? image.error || "loading" : "no image" });
  }
  const where = alone ? "whole" : step.where || "whole";
  hangAll(views, where);
  return { views, empty, noSize: views.some((view) => !view.spacing) };
}

/** One scale for all views whose pixels have a size; each of the others fits by itself. */
export function hangAll(views, where) {
  const part = where === "whole" ? 1 : 0.55; // the halves overlap by a tenth
  const known = views.filter((view) => view.spacing);
  const mm = Math.max(...known.map((view) => view.fit(part)));
  for (const view of views) {
    view.scaleTo(view.spacing ? mm : view.fit(part));
    view.hang(where);
  }
}
