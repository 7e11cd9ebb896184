"use strict";
// Tables sort by what a cell says of itself (data-v) or shows; the order of equals stays.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((head, at) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const text = head.classList.contains("text");
      const way = was === "descending" || (was === null && text) ? 1 : -1;
      table.tHead.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const rows = Array.from(body.rows, (row) => {
        const cell = row.cells[at];
        const value = text ? cell.textContent : Number.parseFloat(cell.dataset.v);
        return { row, value };
      });
      const missing = (one) => one.value === "" || Number.isNaN(one.value);
      rows.sort((a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        if (text) return way * a.value.localeCompare(b.value, "en", { numeric: true });
        return way * (a.value - b.value);
      });
      body.append(...rows.map((one) => one.row));
    });
  });
}
// Charts: expressions are interpreted, for the page's policy allows no code from text.
const charts = JSON.parse(document.getElementById("charts").textContent);
const drawn = Object.entries(charts).map(([id, spec]) =>
  vegaEmbed(document.getElementById(id), spec, {
    actions: false, ast: true, defaultStyle: false, renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  }).then((made) => made.view.runAsync().then(() => made.view)));
Promise.all(drawn).then((views) => {
  document.documentElement.dataset.charts = String(views.length);
  const fit = () => { for (const view of views) view.resize().runAsync(); };
  addEventListener("beforeprint", fit);
  addEventListener("afterprint", fit);
}, (error) => {
  document.documentElement.dataset.charts = "failed";
  throw error;
});
