/** Images of the server on the card: first a quarter of the size, the whole in the background. */
import { floats } from "./dom.js";
import { changedTable } from "./window.js";

const MOST_BYTES = 300 * 1024 * 1024; // of textures; the least recently shown go first

export class Images {
  /** @param {import("./api.js").Api} api @param {import("./gl.js").Screen} screen */
  constructor(api, screen) {
    this.api = api;
    this.screen = screen;
    this.known = new Map();
    this.change = { scale: 1, shift: 0, inverted: false };
  }

  /** The record of an image as the server lists it. */
  record(listed) {
    if (!this.known.has(listed.key))
      this.known.set(listed.key, { ...listed, name: listed.view, rows: 0, cols: 0,
        levels: new Map(), data: null, greys: null, table: null, heat: null, heats: [],
        error: null, notes: [], shownAt: 0, mirrored: false });
    return this.known.get(listed.key);
  }

  /** Facts, table and the quarter-size level; once. */
  prepare(image) {
    if (!image.preparing) image.preparing = this.fetchSmall(image);
    return image.preparing;
  }

  async fetchSmall(image) {
    const base = `/api/images/${image.key}`;
    try {
      const [facts, table, small] = await Promise.all([
        this.api.json(`${base}/display`), this.api.bytes(`${base}/table`),
        this.api.bytes(`${base}/pixels?level=2`)]);
      const largest = Math.max(facts.rows, facts.cols);
      Object.assign(image, facts, { greys: new Uint8Array(table.data),
        base: largest > this.screen.largest ? 1 : 0 });
      image.small = { data: new Uint16Array(small.data), rows: small.rows, cols: small.cols };
      this.upload(image);
    } catch (error) {
      image.error = error.message;
    }
    return image;
  }

  /** The finest level that the screen takes; once. */
  complete(image) {
    if (!image.completing) {
      image.completing = this.fetchWhole(image).catch((error) => {
        image.error = error.message;
        image.completing = null;
      });
    }
    return image.completing;
  }

  async fetchWhole(image) {
    await this.prepare(image);
    if (image.error) return;
    const pixels = await this.api.bytes(`/api/images/${image.key}/pixels?level=${image.base}`);
    image.data = new Uint16Array(pixels.data);
    image.dataRows = pixels.rows;
    image.dataCols = pixels.cols;
    this.uploadWhole(image);
    this.makeRoom();
  }

  upload(image) {
    const { data, rows, cols } = image.small;
    image.levels.set(2, this.screen.level(data, rows, cols));
    for (const k of [3, 4]) image.levels.set(k, this.screen.halved(image.levels.get(k - 1)));
    image.table = this.screen.table(changedTable(image, this.change));
    if (image.data) this.uploadWhole(image);
    for (const heat of image.heats) this.uploadHeat(heat);
  }

  uploadWhole(image) {
    const whole = this.screen.level(image.data, image.dataRows, image.dataCols);
    image.levels.set(image.base, whole);
    if (image.base === 0) image.levels.set(1, this.screen.halved(whole));
  }

  /** All windows after a change. */
  setWindow(change, shown) {
    this.change = change;
    for (const image of this.known.values()) {
      if (!image.table) continue;
      image.stale = true;
      if (shown.includes(image)) this.freshen(image);
    }
  }

  /** The table of an image that comes on the wall. */
  freshen(image) {
    if (!image.stale || !image.table) return;
    this.screen.setTable(image.table, changedTable(image, this.change));
    image.stale = false;
  }

  /** Heatmaps of a prediction, as the server sends them. */
  setHeats(listed) {
    for (const image of this.known.values()) {
      image.heats.forEach((heat) => this.screen.free(heat.texture));
      image.heats = [];
      image.heat = null;
    }
    for (const one of listed) this.addHeat(one);
  }

  addHeat(one) {
    const image = this.known.get(one.image);
    if (!image) return;
    const values = typeof one.values === "string" ? floats(one.values) : one.values;
    const [a, b, c, d, e, f] = one.matrix;
    const heat = { name: one.class, values, rows: one.rows, cols: one.cols,
      matrix: [a, d, b, e, c, f] }; // a column after the other
    this.uploadHeat(heat);
    image.heats = image.heats.filter((other) => other.name !== heat.name);
    image.heats.push(heat);
  }

  uploadHeat(heat) {
    heat.texture = this.screen.grid(heat.values, heat.rows, heat.cols);
  }

  /** Forget the whole images that were shown least recently, down to the limit. */
  makeRoom() {
    const whole = [...this.known.values()].filter((image) => image.data);
    whole.sort((a, b) => b.shownAt - a.shownAt);
    let total = 0;
    for (const image of whole) {
      const bytes = [...image.levels.values()].reduce((sum, level) => sum + level.bytes, 0);
      total += bytes;
      if (total <= MOST_BYTES || performance.now() - image.shownAt < 1000) continue;
      for (const k of [0, 1]) {
        if (!image.levels.has(k)) continue;
        this.screen.free(image.levels.get(k).texture);
        image.levels.delete(k);
      }
      Object.assign(image, { data: null, completing: null });
      total -= bytes;
    }
  }

  /** Everything again, after the card lost it. */
  restore() {
    for (const image of this.known.values()) {
      if (!image.small) continue;
      image.levels.clear();
      this.upload(image);
    }
  }

  /** The modality value of a stored pixel; null where it is not here. */
  valueAt(image, [x, y]) {
    if (!image.data || image.base !== 0) return null;
    const col = Math.floor(x), row = Math.floor(y);
    if (col < 0 || row < 0 || col >= image.cols || row >= image.rows) return null;
    return image.low + image.step * image.data[row * image.cols + col];
  }
}
