/** Where a GLAM run sees a patch of the CC in the MLO; `predict.language_maps.slice_map`. */
import { floats } from "./dom.js";

const TINY = 1.1754943508222875e-38; // the smallest normal float32

/**
 * One super-patch's map over the MLO: agreement between its extremes, times attention, over the
 * largest product.
 * @param {Float32Array} agreement of the patch with each column
 * @param {Float32Array} attention over each column's rows, column by column
 * @returns {Float32Array} row by row
 */
export function sliceMap(agreement, attention, rows) {
  const columns = agreement.length, out = new Float32Array(rows * columns);
  const low = Math.min(...agreement), spread = Math.max(Math.max(...agreement) - low, TINY);
  let most = TINY;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const value = ((agreement[column] - low) / spread) * attention[column * rows + row];
      out[row * columns + column] = value;
      most = Math.max(most, value);
    }
  return out.map((value) => value / most);
}

export const CUT_OUT = "patch of the CC view";

export class Agreement {
  constructor(api, images) {
    this.api = api;
    this.images = images;
    this.on = false;
    this.known = new Map();
  }

  async of(exam, side) {
    const key = `${exam.key} ${side}`;
    if (!this.known.has(key)) {
      const answer = await this.api.json(`/api/exams/${exam.key}/agreement?side=${side}`, 1);
      this.known.set(key, { ...answer, cosines: floats(answer.cosines),
        attention: floats(answer.attention) });
    }
    return this.known.get(key);
  }

  /** Light up the patch at a stored point of a CC, and what agrees with it in the MLO. */
  async pick(exam, image, [x, y]) {
    if (image.position !== "CC") return false;
    const maps = await this.of(exam, image.side), cc = maps.CC, mlo = maps.MLO;
    if (cc.image !== image.key) return false;
    const [a, b, c, d, e, f] = cc.matrix;
    const col = Math.min(Math.max(Math.floor(a * x + b * y + c), 0), cc.cols - 1);
    const row = Math.min(Math.max(Math.floor(d * x + e * y + f), 0), cc.rows - 1);
    const place = row * cc.cols + col, columns = mlo.cols, rows = mlo.rows;
    const agreement = maps.cosines.subarray(place * columns, (place + 1) * columns);
    const size = columns * rows;
    const attention = maps.attention.subarray(place * size, (place + 1) * size);
    const one = new Float32Array(cc.rows * cc.cols);
    one[place] = 1;
    this.images.addHeat({ ...cc, class: CUT_OUT, values: one });
    this.images.addHeat({ ...mlo, class: CUT_OUT, values: sliceMap(agreement, attention, rows) });
    return true;
  }
}
