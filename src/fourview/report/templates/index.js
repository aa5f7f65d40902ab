"use strict";
(() => {
  const body = document.querySelector("tbody");
  const headings = [...document.querySelectorAll("th")];
  const rows = [...body.rows].filter((row) => row.cells.length > 1);
  const NUMBERS_FROM = 2; // columns before it hold text

  function value(row, column) {
    const text = row.cells[column].dataset.value;
    if (column < NUMBERS_FROM) return text;
    return text === "" ? null : Number(text);
  }

  function compare(a, b, column, sign) {
    const x = value(a, column);
    const y = value(b, column);
    if (x === null || y === null) return (x === null) - (y === null); // unknown last, both ways
    if (column < NUMBERS_FROM) return sign * x.localeCompare(y, undefined, { numeric: true });
    return sign * (x - y);
  }

  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const first = column < NUMBERS_FROM ? "ascending" : "descending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = before === first ? second : first;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      rows.sort((a, b) => compare(a, b, column, order === "ascending" ? 1 : -1));
      body.append(...rows);
    });
  });

  const find = document.getElementById("find");
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const text = `${row.cells[0].dataset.value} ${row.cells[1].dataset.value}`.toLowerCase();
      row.hidden = !text.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    document.getElementById("count").textContent = wanted ? `${shown} of ${rows.length}` : "";
  });
})();
