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
    if (!Number.isFinite(scale)) return;
    const placed = [];
    for (const text of layers.querySelectorAll("text")) {
      text.style.fontSize = `${15 * scale}px`;
      text.setAttribute("y", text.dataset.y);
      text.setAttribute("x", text.dataset.x);
      const beyond = text.getBBox().x + text.getBBox().width - layers.dataset.cols;
      if (beyond > 0) text.setAttribute("x", Math.max(0, text.dataset.x - beyond));
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

  // Views enlarged: one alone or several side by side. What is looked at is kept in millimetres, as
  // depth from the chest wall and height from the middle, so that linked views move together.
  const dialog = byId("zoom");
  const holder = byId("panes");
  const controlsBox = document.querySelector(".controls");
  const all = [...document.querySelectorAll(".panel .layers")];
  const MOST = 16; // screen pixels for one of the picture
  let panes = [];
  let active = null;
  let chosen = null;

  const unit = (layers) => Number(layers.dataset.mm) || 1 / Number(layers.dataset.part);
  const known = () => panes.every((pane) => pane.layers.dataset.mm);

  class Pane {
    constructor(layers) {
      this.layers = layers;
      this.rows = Number(layers.dataset.rows);
      this.cols = Number(layers.dataset.cols);
      this.right = layers.dataset.wall === "right";
      this.element = document.createElement("div");
      this.element.className = this.right ? "pane" : "pane left";
      this.sheet = layers.cloneNode(true);
      this.sheet.tabIndex = -1;
      this.sheet.removeAttribute("data-full");
      this.sheet.querySelector(".marks").setAttribute("preserveAspectRatio", "none");
      if (layers.dataset.full) this.sheet.querySelector(".base").src = layers.dataset.full;
      this.name = document.createElement("div");
      this.name.className = "panename";
      this.element.append(this.sheet, this.name);
      this.held = new Map();
      this.listen();
    }

    // Screen pixels for one of the picture so that all of it is seen.
    get whole() {
      return Math.min(this.element.clientWidth / this.cols, this.element.clientHeight / this.rows);
    }

    fit() {
      this.scale = this.whole;
      this.x = this.cols / 2;
      this.y = this.rows / 2;
      const slack = this.element.clientWidth / this.scale - this.cols;
      if (slack > 0) this.x += (this.right ? -1 : 1) * slack / 2; // chest walls meet in the middle
    }

    // (x, y) of the picture at a place of the pane.
    at(left, top) {
      const box = this.element;
      return [this.x + (left - box.clientWidth / 2) / this.scale,
        this.y + (top - box.clientHeight / 2) / this.scale];
    }

    zoomTo(scale, left, top) {
      const [x, y] = this.at(left, top);
      this.scale = Math.min(MOST, Math.max(this.whole / 2, scale));
      this.x = x - (left - this.element.clientWidth / 2) / this.scale;
      this.y = y - (top - this.element.clientHeight / 2) / this.scale;
      this.done();
    }

    moveBy(left, top) {
      this.x -= left / this.scale;
      this.y -= top / this.scale;
      this.done();
    }

    done() {
      this.x = Math.min(this.cols * 1.25, Math.max(-this.cols * 0.25, this.x));
      this.y = Math.min(this.rows, Math.max(0, this.y));
      if (byId("linked").checked) for (const other of panes) if (other !== this) other.follow(this);
      panes.forEach((pane) => pane.draw());
    }

    follow(leader) {
      const mine = known() ? unit(this.layers) : leader.rows / this.rows;
      const theirs = known() ? unit(leader.layers) : 1;
      this.scale = leader.scale * mine / theirs;
      const depth = (leader.right ? leader.cols - leader.x : leader.x) * theirs / mine;
      this.x = this.right ? this.cols - depth : depth;
      this.y = this.rows / 2 + (leader.y - leader.rows / 2) * theirs / mine;
    }

    // One pixel of the file on one of the screen.
    get oneToOne() {
      return 1 / (Number(this.layers.dataset.part) * window.devicePixelRatio);
    }

    draw() {
      const style = this.sheet.style;
      style.width = `${this.cols * this.scale}px`;
      style.height = `${this.rows * this.scale}px`;
      style.transform = `translate(${this.element.clientWidth / 2 - this.x * this.scale}px, ${
        this.element.clientHeight / 2 - this.y * this.scale}px)`;
      label(this.sheet);
      const percent = 100 * this.scale / this.oneToOne;
      const held = 100 * Number(this.layers.dataset.held);
      const name = document.createElement("b");
      name.textContent = this.layers.dataset.name;
      const score = document.createElement("span");
      score.textContent = this.layers.dataset.score;
      const size = document.createElement("span");
      size.textContent = percent > held * 1.02 && held < 99.5
        ? `enlarged: the page holds ${held.toFixed(0)} % of the file's pixels`
        : `shown at ${percent.toFixed(0)} % of the file's pixels`;
      this.name.replaceChildren(name, score, size);
    }

    listen() {
      const place = (event) => {
        const box = this.element.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      this.element.addEventListener("wheel", (event) => {
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : 1;
        const speed = event.ctrlKey ? 0.01 : 0.0015;
        this.zoomTo(this.scale * Math.exp(-event.deltaY * lines * speed), ...place(event));
      }, { passive: false });
      this.element.addEventListener("pointerdown", (event) => {
        active = this;
        this.element.setPointerCapture(event.pointerId);
        this.held.set(event.pointerId, place(event));
        this.element.classList.add("held");
      });
      this.element.addEventListener("pointermove", (event) => {
        if (!this.held.has(event.pointerId)) return;
        const before = [...this.held.values()];
        const from = this.held.get(event.pointerId);
        const to = place(event);
        this.held.set(event.pointerId, to);
        if (before.length === 1) this.moveBy(to[0] - from[0], to[1] - from[1]);
        else if (before.length === 2) this.pinch(before, [...this.held.values()]);
      });
      for (const type of ["pointerup", "pointercancel"]) {
        this.element.addEventListener(type, (event) => {
          this.held.delete(event.pointerId);
          this.element.classList.toggle("held", this.held.size > 0);
        });
      }
      this.element.addEventListener("dblclick", (event) => {
        const near = Math.abs(this.scale / this.oneToOne - 1) < 0.01;
        if (near) fitAll();
        else this.zoomTo(this.oneToOne, ...place(event));
      });
    }

    pinch(before, after) {
      const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
      const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      const [old, now] = [middle(before), middle(after)];
      this.x -= (now[0] - old[0]) / this.scale;
      this.y -= (now[1] - old[1]) / this.scale;
      this.zoomTo(this.scale * apart(after) / Math.max(apart(before), 1), ...now);
    }
  }

  function fitAll() {
    panes.forEach((pane) => pane.fit());
    if (byId("linked").checked && panes.length > 1) { // the smallest fit, so that each is whole
      const leader = panes.reduce((a, b) =>
        a.whole / unit(a.layers) <= b.whole / unit(b.layers) ? a : b);
      if (known()) for (const pane of panes) {
        const scale = leader.whole * unit(pane.layers) / unit(leader.layers);
        pane.scale = scale;
        const slack = pane.element.clientWidth / scale - pane.cols;
        pane.x = pane.cols / 2 + (pane.right ? -1 : 1) * slack / 2;
      }
    }
    panes.forEach((pane) => pane.draw());
  }

  function partners(layers, which) {
    const { side, position } = layers.dataset;
    const first = (test) => all.find((other) => other !== layers && test(other.dataset));
    if (which === "breast") return [layers, first((d) => d.side === side && d.position !== position)];
    if (which === "other") return [layers, first((d) => d.side !== side && d.position === position)];
    if (which === "all") return all.slice(0, 4);
    return [layers];
  }

  function hangPanes() {
    const wanted = partners(chosen, byId("beside").value).filter(Boolean);
    wanted.sort((a, b) => all.indexOf(a) - all.indexOf(b)); // as they hang: R before L, CC before MLO
    panes = wanted.map((layers) => new Pane(layers));
    active = panes.find((pane) => pane.layers === chosen) || panes[0];
    holder.classList.toggle("four", panes.length > 2);
    holder.replaceChildren(...panes.map((pane) => pane.element));
    byId("linker").hidden = panes.length < 2;
    fitAll();
  }

  function openTray(open) {
    const tray = byId("tray");
    tray.hidden = !open;
    byId("drawer").setAttribute("aria-expanded", open);
    if (open) tray.append(controlsBox);
    else byId("home").before(controlsBox);
    if (dialog.open) fitAll();
  }

  function enlarge(layers) {
    chosen = layers;
    dialog.showModal();
    hangPanes();
    if (window.innerWidth > 1000) openTray(true);
    holder.focus({ preventScroll: true });
  }
  for (const layers of all) layers.addEventListener("click", () => enlarge(layers));

  function zoomBy(factor) {
    active.zoomTo(active.scale * factor, active.element.clientWidth / 2, active.element.clientHeight / 2);
  }
  function toOne() {
    active.zoomTo(active.oneToOne, active.element.clientWidth / 2, active.element.clientHeight / 2);
  }
  byId("larger").addEventListener("click", () => zoomBy(1.25));
  byId("smaller").addEventListener("click", () => zoomBy(0.8));
  byId("fit").addEventListener("click", fitAll);
  byId("one").addEventListener("click", toOne);
  byId("beside").addEventListener("change", hangPanes);
  byId("linked").addEventListener("change", () => active.done());
  byId("drawer").addEventListener("click", () => openTray(byId("tray").hidden));
  byId("closer").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    openTray(false);
    panes = [];
    holder.replaceChildren();
    apply();
  });
  window.addEventListener("resize", () => { if (dialog.open) fitAll(); });

  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  const does = { "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8),
    0: fitAll, 1: toOne, l: () => byId("linked").click() };
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
    const move = moves[event.key];
    const act = does[event.key.toLowerCase()];
    if (move) active.moveBy(...move);
    else if (act) act();
    else return;
    event.preventDefault();
  });
  apply();
  labelAll();
})();
