/** The same depth behind the nipple in the other view of a breast. Geometry as in `serve/axes.py`. */

const HALF_STRIP = 10; // mm to either side of the line
const FAR = 400; // mm along it

function oriented(axis, cols, [x, y]) {
  return [axis.turned ? cols - x : x, y];
}

function direction(axis) {
  const t = (axis.degrees * Math.PI) / 180;
  return [Math.cos(t), Math.sin(t)];
}

/** mm behind the nipple, along the axis, of a stored point. */
export function depthOf(axis, cols, point) {
  const [x, y] = oriented(axis, cols, point), a = direction(axis);
  return ((axis.nipple[0] - x) * a[0] + (axis.nipple[1] - y) * a[1]) * axis.spacing;
}

/** The line of all points at a depth, and the strip around it, in stored pixels. */
export function lineAt(axis, cols, depth) {
  const a = direction(axis), far = FAR / axis.spacing;
  const at = (mm, along) => {
    const d = mm / axis.spacing;
    const x = axis.nipple[0] - d * a[0] - along * a[1];
    const y = axis.nipple[1] - d * a[1] + along * a[0];
    return [axis.turned ? cols - x : x, y];
  };
  const low = depth - HALF_STRIP, high = depth + HALF_STRIP;
  return { line: [at(depth, -far), at(depth, far)],
    strip: [at(low, -far), at(low, far), at(high, far), at(high, -far)] };
}

export class ApLink {
  constructor(api) {
    this.api = api;
    this.on = false;
    this.axes = new Map(); // by exam
    this.links = [];
  }

  async toggle(exam) {
    this.on = !this.on;
    this.links = [];
    if (this.on && !this.axes.has(exam.key))
      this.axes.set(exam.key, await this.api.json(`/api/exams/${exam.key}/axes`));
  }

  /** Draw the depth of a stored point of one image in the other views of its breast. */
  async pick(exam, image, point) {
    if (!this.axes.has(exam.key))
      this.axes.set(exam.key, await this.api.json(`/api/exams/${exam.key}/axes`));
    const axes = this.axes.get(exam.key), own = axes[image.key];
    if (!own || own.reason) {
      this.links = [{ image: image.key, text: `no AP link: ${own ? own.reason : "not of this exam"}` }];
      return;
    }
    const depth = depthOf(own, image.cols, point);
    this.links = [{ image: image.key, point, line: lineAt(own, image.cols, depth).line,
      text: `${depth.toFixed(0)} mm behind the nipple` }];
    for (const other of exam.images) {
      if (other === image || other.side !== image.side || !other.cols) continue;
      const axis = axes[other.key];
      if (axis && !axis.reason)
        this.links.push({ image: other.key, ...lineAt(axis, other.cols, depth),
          text: `${depth.toFixed(0)} mm, ± ${HALF_STRIP} mm` });
      else if (axis) this.links.push({ image: other.key, text: `no AP link: ${axis.reason}` });
    }
  }
}
