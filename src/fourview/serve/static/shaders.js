/** The programs that run on the graphics card. Frames are those of `fourview.geometry`. */

const HEAD = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D; precision highp sampler2D;
`;

export const CORNERS = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const PLACE = `
uniform vec4 view;            // x, y from below, width and height of the viewport, device pixels
uniform vec2 origin, pace;    // in stored pixels of the displayed frame: of its corner, of a pixel
uniform vec2 whole;           // stored columns and rows
uniform bool mirrored;
uniform float coarse;         // device pixels along a sample: 1, or 2 while something moves
bool inside;
vec2 stored() {
  vec2 r = (gl_FragCoord.xy - floor(view.xy / coarse)) * coarse;
  vec2 q = vec2(r.x, view.w - r.y);
  vec2 at = origin + pace * q;
  inside = all(greaterThanEqual(at, vec2(0.0))) && all(lessThan(at, whole));
  if (mirrored) at.x = whole.x - at.x;
  return at;
}`;

/** Stored pixels to one index per device pixel: exact, mean over a square, or between centres. */
export const SAMPLE = `${HEAD}${PLACE}
uniform usampler2D image;
uniform float side;           // stored pixels along a texel of this level
uniform bool nearest;
out uvec2 result;             // index, and whether the pixel lies on the image
float texel(ivec2 p) {
  return float(texelFetch(image, clamp(p, ivec2(0), textureSize(image, 0) - 1), 0).r);
}
void main() {
  vec2 p = stored() / side, s = pace * coarse / side;
  if (!inside) { result = uvec2(0u); return; }
  float value;
  if (s == vec2(1.0) || (nearest && s.x < 1.0)) {
    value = texel(ivec2(floor(p)));
  } else if (max(s.x, s.y) > 1.0) {
    vec2 size = vec2(textureSize(image, 0));
    vec2 low = max(p - max(s, 1.0) / 2.0, 0.0), high = min(p + max(s, 1.0) / 2.0, size);
    ivec2 first = ivec2(floor(low)), last = ivec2(ceil(high)) - 1;
    float total = 0.0, weight = 0.0;
    for (int y = first.y; y <= last.y; y++) {
      float tall = min(high.y, float(y + 1)) - max(low.y, float(y));
      for (int x = first.x; x <= last.x; x++) {
        float w = tall * (min(high.x, float(x + 1)) - max(low.x, float(x)));
        total += w * float(texelFetch(image, ivec2(x, y), 0).r);
        weight += w;
      }
    }
    value = total / weight;
  } else {
    vec2 f = p - 0.5;
    ivec2 i = ivec2(floor(f));
    vec2 w = f - floor(f);
    float above = mix(texel(i), texel(i + ivec2(1, 0)), w.x);
    float below = mix(texel(i + ivec2(0, 1)), texel(i + ivec2(1, 1)), w.x);
    value = mix(above, below, w.y);
  }
  result = uvec2(uint(floor(value + 0.5)), 1u);
}`;

/** The same while something moves: one texel that is no smaller than a sample, so none is missed. */
export const MOVE = `${HEAD}${PLACE}
uniform usampler2D image;
uniform float side;
out uvec2 result;
void main() {
  ivec2 p = ivec2(floor(stored() / side));
  result = inside ? uvec2(texelFetch(image, min(p, textureSize(image, 0) - 1), 0).r, 1u) : uvec2(0u);
}`;

/** Index to grey by the image's table; outside the image black. */
export const GREY = `${HEAD}
uniform usampler2D values, table;
uniform vec4 view;
uniform float coarse;
out vec4 colour;
void main() {
  vec2 at = floor(view.xy / coarse) + floor((gl_FragCoord.xy - view.xy) / coarse);
  uvec2 v = texelFetch(values, ivec2(at), 0).rg;
  float grey = 0.0;
  if (v.g == 1u) grey = float(texelFetch(table, ivec2(v.r & 255u, v.r >> 8u), 0).r) / 255.0;
  colour = vec4(vec3(grey), 1.0);
}`;

/** A heatmap over it: between the centres of its cells, nothing where a cell is unknown (-1). */
export const HEAT = `${HEAD}${PLACE}
uniform sampler2D grid, ramp;
uniform mat3x2 toGrid;        // stored pixels to cells
uniform float opacity;
out vec4 colour;
float cell(ivec2 p) { return texelFetch(grid, clamp(p, ivec2(0), textureSize(grid, 0) - 1), 0).r; }
void main() {
  vec2 u = toGrid * vec3(stored(), 1.0);
  vec2 size = vec2(textureSize(grid, 0));
  if (!inside || any(lessThan(u, vec2(0.0))) || any(greaterThanEqual(u, size))) discard;
  vec2 f = u - 0.5;
  ivec2 i = ivec2(floor(f));
  vec2 w = f - floor(f);
  float a = cell(i), b = cell(i + ivec2(1, 0)), c = cell(i + ivec2(0, 1)), d = cell(i + ivec2(1, 1));
  if (min(min(a, b), min(c, d)) < 0.0) discard;
  float value = clamp(mix(mix(a, b, w.x), mix(c, d, w.x), w.y), 0.0, 1.0);
  vec4 shade = texelFetch(ramp, ivec2(int(floor(value * 255.0 + 0.5)), 0), 0);
  colour = vec4(shade.rgb, shade.a * opacity);
}`;

/** A level of half the size: floor(mean + .5) of blocks of 2 x 2, cut at the edge. */
export const HALVE = `${HEAD}
uniform usampler2D image;
out uint result;
void main() {
  ivec2 size = textureSize(image, 0), first = 2 * ivec2(gl_FragCoord.xy);
  uint total = 0u, number = 0u;
  for (int y = first.y; y < min(first.y + 2, size.y); y++)
    for (int x = first.x; x < min(first.x + 2, size.x); x++) {
      total += texelFetch(image, ivec2(x, y), 0).r;
      number++;
    }
  result = (2u * total + number) / (2u * number);
}`;
