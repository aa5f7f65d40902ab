"use strict";
const find = document.getElementById("find");
if (find) {
  const rows = [...document.querySelectorAll("#published tbody tr")];
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
