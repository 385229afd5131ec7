// Filters the ledger's table of claims by text and verdict. Without JavaScript the whole table stands there.
document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("ledger-filter");
  const table = document.querySelector("table.claims");
  if (!place || !table) return;
  const rows = [...table.querySelectorAll("tbody tr")];
  const words = ["supported", "refuted", "undecided", "not tested"];
  place.innerHTML =
    '<input type="search" placeholder="study, claim or words" aria-label="filter claims"> ' +
    words.map((word) => `<label><input type="checkbox" value="${word}" checked> ${word}</label>`).join(" ") +
    ' <span aria-live="polite"></span>';
  const text = place.querySelector("input[type=search]");
  const show = () => {
    const wanted = [...place.querySelectorAll("input:checked")].map((box) => box.value);
    const parts = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      const word = row.querySelector(".verdict")?.textContent.trim();
      row.hidden = !(wanted.includes(word) && parts.every((part) => said.includes(part)));
      n += !row.hidden;
    }
    place.querySelector("span").textContent = `${n} of ${rows.length}`;
  };
  place.addEventListener("input", show);
  show();
});
