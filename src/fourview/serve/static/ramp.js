/** The colours of heatmaps: those of `fourview.report.overlay`, which the server gives. */
let given = null;

/** @param {number[]} colours 256 of red, green, blue, opacity */
export function setColours(colours) {
  given = new Uint8Array(colours);
}

export function colours() {
  return given || new Uint8Array(1024);
}

/** A strip of the ramp, for the legend. */
export function legend() {
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 1;
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d"), line = context.createImageData(256, 1);
  colours().forEach((value, i) => (line.data[i] = i % 4 === 3 ? 255 : value));
  context.putImageData(line, 0, 0);
  return canvas;
}
