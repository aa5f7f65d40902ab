/** One canvas for the whole wall: integer textures, one table per image, exact greys. */
import { CORNERS, GREY, HALVE, HEAT, MOVE, SAMPLE } from "./shaders.js";

const WIDEST = 15; // texels along a side of the box filter; beyond, a smaller level is read

/** @typedef {{texture: WebGLTexture, rows: number, cols: number, bytes: number}} Level */

export class Screen {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, stencil: false, preserveDrawingBuffer: true,
    });
    if (!gl) throw new Error("no WebGL2");
    this.gl = gl;
    this.lost = false;
    this.coarse = 1; // device pixels along a sample while something moves; 2 on slow screens
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.lost = true;
    });
    this.prepare();
  }

  /** Programs and the texture of indices; again after a lost context. */
  prepare() {
    const gl = this.gl;
    this.lost = false;
    this.largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.disable(gl.DITHER);
    this.programs = { sample: this.program(SAMPLE), grey: this.program(GREY),
      move: this.program(MOVE), heat: this.program(HEAT), halve: this.program(HALVE) };
    gl.bindVertexArray(gl.createVertexArray());
    this.frames = { wall: gl.createFramebuffer(), lens: gl.createFramebuffer() };
    this.values = {};
    this.drawn = new Map();
  }

  program(fragment) {
    const gl = this.gl, made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
        throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    const places = {};
    const number = gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS) || 0;
    for (let i = 0; i < number; i++) {
      const { name } = gl.getActiveUniform(made, i);
      places[name] = gl.getUniformLocation(made, name);
    }
    return { made, places };
  }

  texture(format, rows, cols, external, type, data) {
    const gl = this.gl, made = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, cols, rows, 0, external, type, data);
    return made;
  }

  /** @param {Uint16Array} data @returns {Level} */
  level(data, rows, cols) {
    const gl = this.gl;
    const texture = this.texture(gl.R16UI, rows, cols, gl.RED_INTEGER, gl.UNSIGNED_SHORT, data);
    return { texture, rows, cols, bytes: 2 * rows * cols };
  }

  /** The level of half the size, made on the card. @param {Level} level @returns {Level} */
  halved(level) {
    const gl = this.gl, rows = Math.ceil(level.rows / 2), cols = Math.ceil(level.cols / 2);
    const small = this.level(null, rows, cols);
    const frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(
      gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, small.texture, 0);
    gl.viewport(0, 0, cols, rows);
    gl.disable(gl.SCISSOR_TEST);
    this.use(this.programs.halve, { image: level.texture });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.deleteFramebuffer(frame);
    return small;
  }

  /** @param {Uint8Array} greys 65,536 of them */
  table(greys) {
    const gl = this.gl;
    return this.texture(gl.R8UI, 256, 256, gl.RED_INTEGER, gl.UNSIGNED_BYTE, greys);
  }

  setTable(texture, greys) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texSubImage2D(
      gl.TEXTURE_2D, 0, 0, 0, 256, 256, gl.RED_INTEGER, gl.UNSIGNED_BYTE, greys);
  }

  /** @param {Float32Array} values */
  grid(values, rows, cols) {
    const gl = this.gl;
    return this.texture(gl.R32F, rows, cols, gl.RED, gl.FLOAT, values);
  }

  /** @param {Uint8Array} colours 256 of red, green, blue, opacity */
  ramp(colours) {
    const gl = this.gl;
    return this.texture(gl.RGBA8, 1, 256, gl.RGBA, gl.UNSIGNED_BYTE, colours);
  }

  free(texture) {
    this.gl.deleteTexture(texture);
  }

  use({ made, places }, textures, numbers = {}) {
    const gl = this.gl;
    gl.useProgram(made);
    Object.entries(textures).forEach(([name, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(places[name], unit);
    });
    for (const [name, value] of Object.entries(numbers)) {
      const place = places[name];
      if (typeof value === "boolean") gl.uniform1i(place, value ? 1 : 0);
      else if (typeof value === "number") gl.uniform1f(place, value);
      else if (value.length === 2) gl.uniform2fv(place, value);
      else if (value.length === 4) gl.uniform4fv(place, value);
      else gl.uniformMatrix3x2fv(place, false, value);
    }
  }

  /** Take the size of the canvas, in device pixels. */
  resize(width, height) {
    const gl = this.gl;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    for (const [name, frame] of Object.entries(this.frames)) {
      if (this.values[name]) gl.deleteTexture(this.values[name]);
      this.values[name] = this.texture(
        gl.RG16UI, height, width, gl.RG_INTEGER, gl.UNSIGNED_SHORT, null);
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      gl.framebufferTexture2D(
        gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.values[name], 0);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.drawn.clear();
  }

  /**
   * Draw views; indices are sampled again only where a view moved or got a finer level.
   * @param {import("./view.js").View[]} views in order: a later one lies over an earlier one
   * @param {{moving: boolean, nearest: boolean, opacity: number, ramp: WebGLTexture}} how
   */
  draw(views, how) {
    const gl = this.gl;
    if (this.lost || !this.values.wall) return;
    gl.enable(gl.SCISSOR_TEST);
    gl.disable(gl.BLEND);
    const seen = new Map(), coarse = how.moving ? this.coarse : 1;
    for (const view of views) {
      const level = pick(view.image.levels, coarse * Math.max(...view.pace), how.moving);
      if (level === undefined) continue;
      const fast = how.moving && coarse * Math.max(...view.pace) > 1;
      const sign = [view.image.key, level, coarse, fast, how.nearest, ...view.rect,
        ...view.origin, ...view.pace].join(" ");
      seen.set(view.name, sign);
      if (this.drawn.get(view.name) !== sign) this.sample(view, level, coarse, fast, how.nearest);
    }
    this.drawn = seen;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.scissor(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    for (const view of views) {
      if (!seen.has(view.name)) continue;
      this.aim(view);
      const textures = { values: this.values[layer(view)], table: view.image.table };
      this.use(this.programs.grey, textures, { view: this.place(view).view, coarse });
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      const heat = view.image.heat;
      if (!heat || how.opacity <= 0) continue;
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      const numbers = { ...this.place(view), coarse: 1, toGrid: heat.matrix,
        opacity: how.opacity };
      this.use(this.programs.heat, { grid: heat.texture, ramp: how.ramp }, numbers);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      gl.disable(gl.BLEND);
    }
  }

  sample(view, number, coarse, fast, nearest) {
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frames[layer(view)]);
    this.aim(view, coarse);
    const level = view.image.levels.get(number);
    const numbers = { ...this.place(view), coarse, side: 2 ** number };
    if (fast) this.use(this.programs.move, { image: level.texture }, numbers);
    else this.use(this.programs.sample, { image: level.texture }, { ...numbers, nearest });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    view.image.shownAt = performance.now();
  }

  place(view) {
    const [x, y, width, height] = view.rect;
    return { view: [x, this.canvas.height - y - height, width, height], origin: view.origin,
      pace: view.pace, whole: [view.image.cols, view.image.rows], mirrored: view.image.mirrored };
  }

  aim(view, coarse = 1) {
    const [x, y, width, height] = this.place(view).view;
    for (const what of ["viewport", "scissor"])
      this.gl[what](Math.floor(x / coarse), Math.floor(y / coarse), Math.ceil(width / coarse),
        Math.ceil(height / coarse));
  }

  /** Colours of a part of the canvas, rows from above: red, green, blue, opacity. */
  read(x, y, width, height) {
    const gl = this.gl, out = new Uint8Array(4 * width * height), line = 4 * width;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(
      x, this.canvas.height - y - height, width, height, gl.RGBA, gl.UNSIGNED_BYTE, out);
    const turned = new Uint8Array(out.length);
    for (let row = 0; row < height; row++)
      turned.set(out.subarray(row * line, (row + 1) * line), (height - 1 - row) * line);
    return turned;
  }

  /** Wait until everything is on the canvas. */
  finish() {
    this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
}

function layer(view) {
  return view.isLens ? "lens" : "wall";
}

/**
 * Which level is read: at rest the stored pixels; while something moves the one whose texels are
 * as large as a sample or a little larger, so that one of them makes a sample and none is missed.
 */
function pick(levels, pace, moving) {
  const there = [...levels.keys()].sort((a, b) => a - b);
  if (moving && pace > 1) {
    const small = there.find((k) => pace / 2 ** k <= 1);
    return small === undefined ? there[there.length - 1] : small;
  }
  const fit = there.find((k) => pace / 2 ** k <= WIDEST);
  return fit === undefined ? there[there.length - 1] : fit;
}
