"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const box = byId("all");
  const listed = [...box.children];
  const root = document.body;

  // Numbers by value, words by name; what is unknown comes last, whichever way.
  function compare(a, b, key, way) {
    const [x, y] = [a.dataset[key], b.dataset[key]];
    if (x === "" || y === "") return (x === "") - (y === "");
    const [p, q] = [Number(x), Number(y)];
    const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return way * order;
  }

  function apply() {
    const key = byId("sort").value;
    const way = (key === "rank" ? 1 : -1) * (byId("down").checked ? 1 : -1);
    const order = key ? [...listed].sort((a, b) => compare(a, b, key, way)) : listed;
    box.append(...order);
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const split = byId("split") ? byId("split").value : "";
    let shown = 0;
    for (const tile of listed) {
      const text = tile.dataset.text.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      tile.hidden = !fits || (split && tile.dataset.split !== split);
      shown += tile.hidden ? 0 : 1;
    }
    byId("count").textContent = shown < listed.length ? `${shown} of ${listed.length}` : "";
    root.classList.toggle("no-outline", !byId("outline").checked);
    root.classList.toggle("no-boxes", !byId("boxes").checked);
    root.style.setProperty("--tile", `${byId("size").value}px`);
  }
  for (const control of document.querySelectorAll(".bar input, .bar select")) {
    control.addEventListener("input", apply);
  }
  apply();
})();
