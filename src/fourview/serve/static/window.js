/** Windows, in the same arithmetic as `fourview.preprocess.window`: DICOM PS3.3 C.11.2. */

export const ENTRIES = 65536;
const TO_GREY = Math.fround(255 / 65535);

/** To the nearest whole number, halves to the even one, as numpy's rint. */
export function rint(x) {
  const low = Math.floor(x), part = x - low;
  if (part < 0.5) return low;
  if (part > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** A modality value in [0, 1]. */
export function shown(x, { function: name, center, width }) {
  if (name === "SIGMOID") {
    const z = Math.min(Math.max((-4 * (x - center)) / width, -700), 700);
    return 1 / (1 + Math.exp(z));
  }
  let y;
  if (name === "LINEAR") {
    if (width === 1) return x > center - 0.5 ? 1 : 0;
    y = (x - (center - 0.5)) / (width - 1) + 0.5;
  } else {
    y = (x - center) / width + 0.5; // LINEAR_EXACT, and a plain ramp
  }
  return Math.min(Math.max(y, 0), 1);
}

/** The smallest width that a function can have. */
export function leastWidth(name) {
  return name === "LINEAR" ? 1 : 1e-6;
}

/**
 * The grey of every index for a window.
 * @param {{low: number, step: number, count: number, invert: boolean}} scale of the image
 * @param {{function: string, center: number, width: number}} window
 * @returns {Uint8Array} 65,536 greys; beyond the last value its grey
 */
export function windowTable(scale, window) {
  const greys = new Uint8Array(ENTRIES);
  for (let index = 0; index < scale.count; index++) {
    let y = shown(scale.low + index * scale.step, window);
    if (scale.invert) y = 1 - y;
    greys[index] = rint(Math.fround(rint(65535 * y) * TO_GREY));
  }
  return greys.fill(greys[scale.count - 1], scale.count);
}

/**
 * A file's own table under another window: its axis is moved and stretched, its shape is kept.
 * @param {Uint8Array} greys of the file
 */
export function stretchedTable(scale, greys, own, window) {
  const made = new Uint8Array(ENTRIES), ratio = own.width / window.width;
  for (let index = 0; index < scale.count; index++) {
    const value = scale.low + index * scale.step;
    const from = rint((((value - window.center) * ratio + own.center) - scale.low) / scale.step);
    made[index] = greys[Math.min(Math.max(from, 0), scale.count - 1)];
  }
  return made.fill(made[scale.count - 1], scale.count);
}

/**
 * The greys of an image after a drag.
 * @param {{scale: number, shift: number, inverted: boolean}} change width as a factor, centre as a
 *     part of the image's own width
 */
export function changedTable(image, change) {
  const own = image.window;
  let greys = image.greys;
  if (change.scale !== 1 || change.shift !== 0) {
    const width = Math.max(own.width * change.scale, leastWidth(own.function));
    const window = { ...own, width, center: own.center + change.shift * own.width };
    greys = own.function === "TABLE"
      ? stretchedTable(image, image.greys, own, window) : windowTable(image, window);
  }
  return change.inverted ? greys.map((grey) => 255 - grey) : greys;
}
