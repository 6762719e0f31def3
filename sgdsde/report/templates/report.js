(() => {
  "use strict";
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const filter = document.getElementById("filter");
  const verdict = document.getElementById("verdict");
  const shown = document.getElementById("shown");
  const cards = [...document.querySelectorAll("details.card")];
  document.querySelector(".tools").hidden = false;

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numeric = head.dataset.sort === "number";
      const rows = [...body.rows].sort((a, b) => {
        const x = valueOf(a, column), y = valueOf(b, column);
        return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
      });
      body.append(...rows);
    });
  });

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of body.rows) {
      const card = document.getElementById(row.dataset.claim);
      const text = (row.textContent + " " + card.querySelector(".statement").textContent).toLowerCase();
      const visible = words.every((word) => text.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value);
      row.hidden = card.hidden = !visible;
      count += visible;
    }
    shown.textContent = count === cards.length ? "" : `${count} of ${cards.length} claims`;
  };
  filter.addEventListener("input", apply);
  verdict.addEventListener("change", apply);

  const setAll = (open) => cards.forEach((card) => { card.open = open; });
  document.getElementById("open-all").addEventListener("click", () => setAll(true));
  document.getElementById("close-all").addEventListener("click", () => setAll(false));
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));

  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();
})();
