/** The cohort as a table: filters, order and numbers come from the server; this only shows them. */
import { fragment, setFragment } from "./api.js";
import { day, el, number } from "./dom.js";

const OUTCOMES = { tp: "true positive", fp: "false positive", fn: "false negative",
  tn: "true negative" };
const FACET_NAMES = { label_R: "label R", label_L: "label L", birads_R: "BI-RADS R",
  birads_L: "BI-RADS L" };

/** Columns of the table: key, words, how a cell is written. */
function columnsOf(answer) {
  const plain = (name) => (row) => (row[name] === null || row[name] === undefined ? "–" : row[name]);
  const columns = [["n", "#", plain("n")], ["exam_id", "exam", (row) => shorten(row.exam_id)],
    ["error", "error", (row) => number(row.error)],
    ["date", "date", (row) => day(row.date) || "–"], ["age", "age", (row) => number(row.age, 0)],
    ["density", "density", plain("density")], ["birads_R", "BI-RADS R", plain("birads_R")],
    ["birads_L", "BI-RADS L", plain("birads_L")], ["label_R", "label R", plain("label_R")],
    ["label_L", "label L", plain("label_L")]];
  answer.sources.forEach((name, place) => {
    for (const side of ["R", "L"]) {
      const key = `score_${place}_${side}`;
      columns.push([key, `${name} ${side}`, (row) => number(row[key])]);
    }
  });
  if (answer.sources.length > 1)
    columns.push(["difference", "difference", (row) => number(row.difference)]);
  columns.push(["regions", "regions", plain("regions")],
    ["num_images", "images", plain("num_images")], ["notes", "notes", (row) => row.notes || ""]);
  const shown = (key) => answer.rows.some((row) => row[key] !== null && row[key] !== undefined
    && row[key] !== "" && !(key === "notes" && row[key] === 0));
  const always = ["n", "exam_id", "num_images"];
  return columns.filter(([key]) => always.includes(key) || shown(key));
}

/** The end of a long identifier tells exams apart. */
function shorten(text) {
  return text.length > 24 ? `…${text.slice(-22)}` : text;
}

export class Worklist {
  /** @param {HTMLElement} box @param {(row: object) => void} open */
  constructor(box, api, open) {
    Object.assign(this, { box, api, open });
    this.query = { text: "", where: [], outcome: [], bar: "", sort: "", descending: false, page: 0,
      threshold: null };
    const kept = fragment().get("list");
    if (kept) {
      try {
        Object.assign(this.query, JSON.parse(kept));
      } catch { /* somebody else's fragment */ }
    }
  }

  /** The query as the server takes it. */
  parts(more = {}) {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...this.query, ...more })) {
      if (Array.isArray(value)) value.forEach((one) => parts.append(name, one));
      else if (value !== "" && value !== null && value !== false) parts.set(name, String(value));
    }
    return parts;
  }

  ask(more) {
    return this.api.json(`/api/exams?${this.parts(more)}`);
  }

  /** Take a change of filter or order, from its first page. */
  async change(changes) {
    Object.assign(this.query, { page: 0 }, changes);
    setFragment({ list: JSON.stringify(this.kept()) });
    await this.show();
  }

  /** What differs from the list as it opens. */
  kept() {
    const filled = (value) => (Array.isArray(value) ? value.length : value);
    return Object.fromEntries(Object.entries(this.query).filter(([, value]) => filled(value)));
  }

  async show() {
    const turn = (this.turn = (this.turn || 0) + 1);
    try {
      const answer = await this.ask();
      if (turn === this.turn) this.draw(answer);
    } catch (error) {
      this.box.replaceChildren(el("p", { class: "quiet" }, error.message),
        el("button", { type: "button", onclick: () => this.reset() }, "All exams"));
    }
  }

  reset() {
    return this.change({ text: "", where: [], outcome: [], bar: "", sort: "", descending: false });
  }

  draw(answer) {
    const focused = document.activeElement && document.activeElement.id;
    this.answer = answer;
    this.box.replaceChildren(this.filters(answer), this.table(answer), this.pages(answer));
    if (focused) document.getElementById(focused)?.focus();
  }

  filters(answer) {
    const { query } = this;
    const text = el("input", { type: "search", id: "list-text", value: query.text,
      placeholder: "part of an exam's or patient's id", "aria-label": "part of an id",
      onchange: () => this.change({ text: text.value.trim() }) });
    const facets = Object.entries(answer.facets).map(([column, values]) => {
      const chosen = query.where.find((word) => word.startsWith(`${column}:`)) || "";
      const select = el("select", { id: `list-${column}`,
        onchange: () => this.change({ where: [
          ...query.where.filter((word) => !word.startsWith(`${column}:`)),
          ...(select.value ? [`${column}:${select.value}`] : [])] }) },
      el("option", { value: "" }, "all"),
      ...values.map((value) => el("option", { value, selected: chosen === `${column}:${value}` },
        value)));
      return el("label", {}, `${FACET_NAMES[column] || column} `, select);
    });
    const told = query.threshold !== null && answer.has_errors;
    const outcomes = told ? Object.entries(OUTCOMES).map(([name, words]) => el("button", {
      type: "button", "aria-pressed": String(query.outcome.includes(name)), id: `list-${name}`,
      onclick: () => this.change({ outcome: query.outcome.includes(name)
        ? query.outcome.filter((one) => one !== name) : [...query.outcome, name] }) },
    `${words} ${answer.outcomes[name]}`)) : [];
    return el("div", { class: "filters" },
      el("div", { class: "row" }, text, ...facets,
        el("button", { type: "button", id: "list-reset", onclick: () => this.reset() }, "all exams")),
      told ? el("div", { class: "row", role: "group", "aria-label": "outcome of breasts" },
        this.thresholdField(),
        ...outcomes) : null,
      answer.histogram ? this.histogram(answer) : null);
  }

  thresholdField() {
    const field = el("input", { type: "number", id: "list-threshold", step: "any",
      value: String(Number(this.query.threshold.toFixed(4))),
      onchange: () => field.value !== "" && this.change({ threshold: Number(field.value) }) });
    return el("label", { class: "quiet" }, "breasts at a score of ", field);
  }

  /** Scores by label; a bar filters. */
  histogram(answer) {
    const { edges, counts } = answer.histogram, { query } = this;
    const highest = Math.max(1, ...Object.values(counts).flat());
    const names = { 1: "with cancer", 0: "without cancer", unknown: "label unknown" };
    const rows = Object.entries(counts).filter(([, of]) => of.some(Boolean)).map(([label, of]) =>
      el("div", { class: `bars l${label}`, role: "group", "aria-label": `breasts ${names[label]}` },
        el("span", {}, names[label]),
        ...of.map((value, i) => {
          const bar = `${edges[i]} ${edges[i + 1]} ${label}`;
          const made = el("button", { type: "button", disabled: !value,
            "aria-pressed": String(query.bar === bar), title:
              `${value} breasts ${names[label]}, score ${number(edges[i], 2)} to ${number(edges[i + 1], 2)}`,
            "aria-label": `${value} breasts from ${number(edges[i], 2)}`,
            onclick: () => this.change({ bar: query.bar === bar ? "" : bar }) }, el("i"));
          made.firstChild.style.height = `${(100 * Math.sqrt(value / highest)).toFixed(1)}%`;
          return made;
        })));
    const span = edges[edges.length - 1] - edges[0];
    const mark = el("div", { class: "mark", hidden: query.threshold === null });
    if (query.threshold !== null)
      mark.style.setProperty("--at", String((query.threshold - edges[0]) / span));
    return el("div", { class: "histogram" }, ...rows, el("div", { class: "bars axis" },
      el("span", {}, "score"), el("span", { class: "ends" }, el("span", {}, number(edges[0], 2)),
        mark, el("span", {}, number(edges[edges.length - 1], 2)))));
  }

  table(answer) {
    const columns = columnsOf(answer), { query } = this;
    const sorted = query.sort || (answer.has_errors ? "error" : "n");
    const down = query.sort ? query.descending : answer.has_errors;
    const head = columns.map(([key, words]) => el("th", { scope: "col",
      "aria-sort": key === sorted ? (down ? "descending" : "ascending") : "none" },
    el("button", { type: "button", id: `list-by-${key}`, class: "plain", onclick: () => this.change({
      sort: key, descending: key === sorted ? !down : !["n", "exam_id", "date"].includes(key) }) },
    words, key === sorted ? (down ? " ▾" : " ▴") : "")));
    const rows = answer.rows.map((row) => el("tr", { onclick: () => this.open(row) },
      ...columns.map(([key, , write], place) => {
        const cell = el("td", { class: /score|error|difference|age/.test(key) ? "num" : "" });
        if (key === "exam_id")
          cell.append(el("button", { type: "button", class: "plain", title: row.exam_id },
            write(row)));
        else cell.append(String(write(row)));
        if (place === 0) cell.classList.add("num");
        return cell;
      })));
    return el("div", { class: "wide" }, el("table", { class: "worklist" },
      el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
  }

  pages(answer) {
    const last = Math.max(0, Math.ceil(answer.total / answer.page_size) - 1), { page } = answer;
    const go = (to) => async () => {
      this.query.page = to;
      await this.show();
    };
    const count = answer.total === answer.all ? `${answer.all} exams`
      : `${answer.total} of ${answer.all} exams`;
    return el("div", { class: "row foot" }, el("span", { class: "quiet", role: "status" }, count),
      el("button", { type: "button", id: "list-back", disabled: page === 0, onclick: go(page - 1) },
        "previous page"),
      el("span", { class: "num" }, `${page + 1} of ${last + 1}`),
      el("button", { type: "button", id: "list-on", disabled: page >= last, onclick: go(page + 1) },
        "next page"));
  }
}
