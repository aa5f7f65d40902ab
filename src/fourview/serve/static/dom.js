/** Elements, made without markup: a text from a file is never read as HTML. */

/** @param {string} tag @param {object} given properties; on* are listeners, data-* and aria-* attributes */
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name.includes("-") || name === "role" || name === "for")
      made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The name of SVG's elements, as the parser knows it: nothing is written out or fetched. */
const SPACE = new DOMParser().parseFromString("<svg/>", "text/html").querySelector("svg").namespaceURI;

export function svg(tag, given = {}) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  return made;
}

export function number(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function fromBase64(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

export function toBase64(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 32768)
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
  return btoa(parts.join(""));
}

export function floats(text) {
  return new Float32Array(fromBase64(text).buffer);
}

/** YYYYMMDD as a date that people read. */
export function day(date) {
  return /^\d{8}$/.test(date || "") ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`
    : date || "";
}
