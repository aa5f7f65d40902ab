/** What lies over the pictures: names of views, regions, lines. One SVG a view, in CSS pixels. */
import { day, el, number, svg } from "./dom.js";

const COLOURS = { model: "model", truth: "truth", mine: "mine" };

/** The corners of a box or polygon, stored pixels. */
export function corners(region) {
  if (region.polygon) return region.polygon;
  const [x0, y0, x1, y1] = region.box;
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/** Width and height in mm of stored points; null where the spacing is unknown. */
export function sizeOf(points, spacing) {
  if (!spacing) return null;
  const span = (i) => Math.max(...points.map((p) => p[i])) - Math.min(...points.map((p) => p[i]));
  return [span(0) * spacing[1], span(1) * spacing[0]];
}

export class Overlay {
  /** @param {HTMLElement} stage */
  constructor(stage) {
    this.stage = stage;
    this.panes = [];
    this.tip = el("div", { class: "tip", hidden: true });
    stage.append(this.tip);
  }

  /** New places: one pane per view, and words where there is no picture. */
  hang(views, empty, ratio, banners) {
    for (const pane of this.panes) pane.box.remove();
    this.panes = views.map((view) => {
      const picture = svg("svg", { class: "over", "aria-hidden": "true" });
      const box = el("div", { class: `view ${view.image.side === "R" ? "right" : "left"}` },
        picture, caption(view, banners));
      place(box, view.rect, ratio);
      this.stage.append(box);
      return { view, box, picture };
    });
    for (const { name, rect, reason } of empty) {
      const box = el("div", { class: "view empty" }, el("p", {}, el("b", {}, name), el("br"),
        el("span", {}, reason)));
      place(box, rect, ratio);
      this.stage.append(box);
      this.panes.push({ box });
    }
  }

  /**
   * Draw what belongs to each view's image.
   * @param {{kind: string, image: string, points: number[][], label: string, tip: string,
   *   shape: string, finding: object}[]} shapes
   * @param {{image: string, strip: number[][], line: number[][], text: string}[]} links
   */
  draw(shapes, links, ratio) {
    for (const { view, picture } of this.panes) {
      if (!view) continue;
      picture.replaceChildren();
      const to = (point) => view.fromStored(point).map((value) => value / ratio);
      for (const link of links.filter((one) => one.image === view.image.key))
        this.drawLink(picture, link, to, view, ratio);
      for (const shape of shapes.filter((one) => one.image === view.image.key))
        this.drawShape(picture, shape, shape.points.map(to), view);
    }
  }

  drawShape(picture, shape, points, view) {
    const kind = COLOURS[shape.kind] || shape.kind;
    const chosen = shape.chosen ? " chosen" : "";
    const text = points.map((p) => p.map((v) => v.toFixed(2)).join(",")).join(" ");
    const made = shape.shape === "point"
      ? svg("circle", { cx: points[0][0], cy: points[0][1], r: 6 }) : svg("polygon", { points: text });
    made.setAttribute("class", `region ${kind}${chosen}`);
    const under = made.cloneNode();
    under.setAttribute("class", "region under");
    made.addEventListener("pointerenter", (event) => this.show(shape, view, event));
    made.addEventListener("pointermove", (event) => this.show(shape, view, event));
    made.addEventListener("pointerleave", () => (this.tip.hidden = true));
    picture.append(under, made);
    if (!shape.label) return;
    const x = Math.min(...points.map((p) => p[0])), y = points.map((p) => p[1]);
    const above = Math.min(...y) - 5, below = Math.max(...y) + 14; // truth above, the model below
    const label = svg("text", { x, y: (kind === "model" || above < 14) ? below : above,
      class: `label ${kind}` });
    label.textContent = shape.label;
    picture.append(label);
  }

  drawLink(picture, link, to, view, ratio) {
    const flat = (points) => points.map(to).map((p) => p.map((v) => v.toFixed(2)).join(",")).join(" ");
    if (link.strip) picture.append(svg("polygon", { points: flat(link.strip), class: "strip" }));
    if (link.line) picture.append(svg("polyline", { points: flat(link.line), class: "axis" }));
    if (link.point) {
      const [x, y] = to(link.point);
      picture.append(svg("circle", { cx: x, cy: y, r: 7, class: "axis" }));
    }
    if (!link.text) return;
    const note = svg("text", { x: view.rect[2] / ratio / 2, y: view.rect[3] / ratio - 34,
      class: "label axis middle" });
    note.textContent = link.text;
    picture.append(note);
  }

  show(shape, view, event) {
    const size = sizeOf(shape.points, view.image.spacing);
    const parts = [shape.tip || shape.label];
    if (size && shape.shape !== "point")
      parts.push(`${number(size[0], 1)} x ${number(size[1], 1)} mm`);
    this.tip.textContent = parts.filter(Boolean).join(", ");
    const box = this.stage.getBoundingClientRect();
    this.tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - 230)}px`;
    this.tip.style.top = `${event.clientY - box.top + 14}px`;
    this.tip.hidden = false;
  }
}

function place(box, [x, y, width, height], ratio) {
  Object.assign(box.style, { left: `${x / ratio}px`, top: `${y / ratio}px`,
    width: `${width / ratio}px`, height: `${height / ratio}px` });
}

function caption(view, banners) {
  const { image } = view, words = [];
  if (image.mirrored) words.push("mirrored for display");
  if (!image.spacing) words.push("size not known");
  if (image.base === 1) words.push(`reduced: this screen takes at most ${banners.largest} pixels`);
  if (image.modifiers && image.modifiers.length) words.push(image.modifiers.join(", "));
  if (!image.wall) words.push("chest wall not found");
  return el("p", { class: "caption" }, el("b", {}, image.name),
    image.date ? el("span", { class: "date" }, day(image.date)) : null,
    ...words.map((word) => el("span", { class: "warning" }, word)));
}
