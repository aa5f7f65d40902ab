"use strict";
const only = document.getElementById("only");
if (only) {
  const rows = [...document.querySelectorAll("#cells tbody tr")];
  only.addEventListener("change", () => {
    for (const row of rows) row.hidden = only.checked && !row.classList.contains("run");
  });
}
{
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
}
