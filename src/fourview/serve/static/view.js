/** A place on the wall that shows an image: where its corner is, and how large its pixels are. */

export class View {
  /**
   * @param {string} name of the place; the same place draws over itself
   * @param {object} image as `images.js` makes it
   * @param {number[]} rect x, y, width, height on the canvas, whole device pixels
   */
  constructor(name, image, rect) {
    this.name = name;
    this.image = image;
    this.rect = rect;
    this.origin = [0, 0];
    this.pace = [1, 1];
    this.isLens = false;
  }

  /** mm of a stored pixel, column and row; null where unknown. */
  get spacing() {
    const spacing = this.image.spacing;
    return spacing ? [spacing[1], spacing[0]] : null;
  }

  /** Which edge of the displayed image the chest wall is at, in columns. */
  get wall() {
    return this.image.side === "R" ? this.image.cols : 0;
  }

  /** @param {number} mm along a device pixel, or stored pixels where the spacing is unknown */
  scaleTo(mm) {
    const spacing = this.spacing || [1, 1];
    this.pace = [mm / spacing[0], mm / spacing[1]];
  }

  /** mm along a device pixel (stored pixels where the spacing is unknown). */
  get scale() {
    return this.pace[0] * (this.spacing || [1, 1])[0];
  }

  /** The scale at which an image fits, or that part of its height. */
  fit(part = 1) {
    const [, , width, height] = this.rect, spacing = this.spacing || [1, 1];
    const { rows, cols } = this.image;
    return Math.max((part * rows * spacing[1]) / height, (cols * spacing[0]) / width);
  }

  /** Put the wall on the inner edge; CC centred in height, others from the top or the bottom. */
  hang(where = "whole") {
    const [, , width, height] = this.rect, { rows, cols, side, position } = this.image;
    this.origin[0] = side === "R" ? cols - width * this.pace[0] : 0;
    const rest = rows - height * this.pace[1];
    if (where === "lower") this.origin[1] = rest;
    else this.origin[1] = where === "whole" && position !== "MLO" ? rest / 2 : 0;
  }

  /** Device pixel of the viewport to stored pixel. */
  toStored(q) {
    const x = this.origin[0] + this.pace[0] * q[0], y = this.origin[1] + this.pace[1] * q[1];
    return [this.image.mirrored ? this.image.cols - x : x, y];
  }

  /** Stored pixel to device pixel of the viewport. */
  fromStored([x, y]) {
    const shown = this.image.mirrored ? this.image.cols - x : x;
    return [(shown - this.origin[0]) / this.pace[0], (y - this.origin[1]) / this.pace[1]];
  }

  /** Whether a point of the canvas lies in the viewport. */
  holds([x, y]) {
    const [left, top, width, height] = this.rect;
    return x >= left && y >= top && x < left + width && y < top + height;
  }

  /** Make pixels larger (factor below 1) or smaller; what is at q stays there. */
  zoom(factor, q) {
    for (const i of [0, 1]) {
      const fixed = this.origin[i] + this.pace[i] * q[i];
      this.pace[i] *= factor;
      this.origin[i] = fixed - this.pace[i] * q[i];
    }
  }

  /** Move the picture by device pixels. */
  pan([dx, dy]) {
    this.origin[0] -= dx * this.pace[0];
    this.origin[1] -= dy * this.pace[1];
  }

  /** Bring a stored point to the middle at a scale. */
  centre(point, mm) {
    this.scaleTo(mm);
    this.origin = [0, 0];
    const [x, y] = this.fromStored(point), [, , width, height] = this.rect;
    this.origin = [(x - width / 2) * this.pace[0], (y - height / 2) * this.pace[1]];
  }

  /** The point of another view that corresponds to q of this one: as far from its wall. */
  mirroredTo(other, q) {
    const sx = other.rect[2] / this.rect[2], sy = other.rect[3] / this.rect[3];
    const x = this.image.side === other.image.side ? q[0] : this.rect[2] - q[0];
    return [x * sx, q[1] * sy];
  }
}
