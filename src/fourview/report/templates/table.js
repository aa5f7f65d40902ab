"use strict";
const only = document.getElementById("only");
if (only) {
  const rows = [...document.querySelectorAll("#cells tbody tr")];
  only.addEventListener("change", () => {
    for (const row of rows) row.hidden = only.checked && !row.classList.contains("run");
  });
}
