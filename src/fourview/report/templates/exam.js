"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.body;
  const sliders = { opacity: "--heat", brightness: "--brightness", contrast: "--contrast" };

  function apply() {
    root.classList.toggle("no-marks", !byId("regions").checked);
    if (byId("heatmap")) root.classList.toggle("no-heat", !byId("heatmap").checked);
    root.style.setProperty("--invert", byId("invert").checked ? 1 : 0);
    for (const [id, name] of Object.entries(sliders)) {
      if (byId(id)) root.style.setProperty(name, byId(id).value);
    }
    const wanted = byId("class") && byId("class").value;
    for (const heat of document.querySelectorAll(".heat")) {
      heat.classList.toggle("other", Boolean(wanted) && heat.dataset.class !== wanted);
    }
  }

  const controls = document.querySelectorAll(".controls input, .controls select");
  controls.forEach((control) => control.addEventListener("input", apply));
  byId("reset").addEventListener("click", () => {
    for (const control of controls) {
      if (control.type === "checkbox") control.checked = control.defaultChecked;
      else if (control.type === "range") control.value = control.defaultValue;
      else control.selectedIndex = 0;
    }
    apply();
  });

  const switches = { r: "regions", h: "heatmap", i: "invert" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const box = byId(switches[event.key.toLowerCase()] || "");
    if (!box) return;
    box.checked = !box.checked;
    apply();
  });

  // Labels keep one size on the screen, however large the image is shown, and none hides another.
  function label(layers) {
    const scale = Math.max(
      layers.dataset.cols / layers.clientWidth, layers.dataset.rows / layers.clientHeight);
    const placed = [];
    for (const text of layers.querySelectorAll("text")) {
      text.style.fontSize = `${15 * scale}px`;
      text.setAttribute("y", text.dataset.y);
      placed.push(moveBelow(text, placed));
    }
  }
  function moveBelow(text, placed) {
    let box = text.getBBox();
    const meets = (other) => box.x < other.x + other.width && other.x < box.x + box.width &&
      box.y < other.y + other.height && other.y < box.y + box.height;
    for (let other = placed.find(meets); other; other = placed.find(meets)) {
      const below = other.y + other.height - box.y;
      text.setAttribute("y", Number(text.getAttribute("y")) + below + 0.01 * box.height);
      box = text.getBBox();
    }
    return box;
  }
  function labelAll() {
    for (const layers of document.querySelectorAll(".panel .layers")) label(layers);
  }
  window.addEventListener("resize", labelAll);

  // A finding's row lights its boxes up.
  function light(name, on) {
    for (const mark of document.querySelectorAll(".marks g")) {
      if (mark.dataset.finding === name) mark.classList.toggle("lit", on);
    }
  }
  for (const row of document.querySelectorAll("tr[data-finding]")) {
    for (const type of ["mouseenter", "focus"]) row.addEventListener(type, () => light(row.dataset.finding, true));
    for (const type of ["mouseleave", "blur"]) row.addEventListener(type, () => light(row.dataset.finding, false));
  }

  // One view alone: fitted first, a click goes in where it was and out again.
  const dialog = byId("zoom");
  const near = byId("near");
  let copy = null;
  let zoom = 1;

  function place(newZoom, event) {
    const before = copy.getBoundingClientRect();
    const x = event ? (event.clientX - before.left) / before.width : 0.5;
    const y = event ? (event.clientY - before.top) / before.height : 0.5;
    zoom = newZoom;
    copy.style.setProperty("--zoom", zoom);
    label(copy);
    copy.style.cursor = zoom > 1 ? "zoom-out" : "zoom-in";
    near.scrollLeft = x * copy.offsetWidth - near.clientWidth / 2;
    near.scrollTop = y * copy.offsetHeight - near.clientHeight / 2;
  }

  function enlarge(layers) {
    const rows = Number(layers.dataset.rows);
    const cols = Number(layers.dataset.cols);
    const fit = Math.min(window.innerWidth / cols, window.innerHeight / rows);
    copy = layers.cloneNode(true);
    copy.querySelector(".marks").setAttribute("preserveAspectRatio", "none");
    copy.style.setProperty("--wide", `${cols * fit}px`);
    copy.style.setProperty("--high", `${rows * fit}px`);
    copy.setAttribute("aria-label", "Zoom in or out");
    copy.addEventListener("click", (event) => place(zoom > 1 ? 1 : 2.5, event.detail ? event : null));
    near.replaceChildren(copy);
    byId("zoomname").textContent = layers.parentElement.querySelector("figcaption b").textContent;
    dialog.showModal();
    place(1, null);
    near.focus();
  }
  for (const layers of document.querySelectorAll(".panel .layers")) {
    layers.addEventListener("click", () => enlarge(layers));
  }
  byId("closer").addEventListener("click", () => dialog.close());
  near.tabIndex = 0;
  apply();
  labelAll();
})();
