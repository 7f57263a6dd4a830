// Tables of results: the head of each column becomes a button that sorts, and boxes above the first
// table of the page show and hide kinds of rows. Without this script the tables are whole, and sorted
// as they were written.
"use strict";
(() => {
  const KINDS = { published: "as published", tuned: "tuned", package: "published packages" };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // 0.123, ∞, −0.2 with a true minus; NaN for words and for a dash, which stands for no number.
  function numeric(text) {
    const plain = text.trim().replace("\u2212", "-");
    return plain === "∞" ? Infinity : parseFloat(plain);
  }

  // Words stand in their order; numbers too, and where there is none the row comes last both ways.
  function order(column, up, isText) {
    const sign = up ? 1 : -1;
    const text = (row) => row.cells[column].textContent.trim();
    if (isText) return (a, b) => sign * text(a).localeCompare(text(b), "en", { numeric: true });
    return (a, b) => {
      const [x, y] = [numeric(text(a)), numeric(text(b))];
      const lack = Number.isNaN(x) - Number.isNaN(y);
      return lack || (x === y ? 0 : sign * (x < y ? -1 : 1));
    };
  }

  function sort(table, column) {
    const heads = all("thead th", table);
    const head = heads[column];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const isText = rows.every((row) => Number.isNaN(numeric(row.cells[column].textContent)));
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows.sort(order(column, up, isText)));
  }

  function sortable(table) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });
  }

  // One box for each kind of which there are rows; it acts on all tables of the page.
  function filter(tables) {
    const rows = (kind) => tables.flatMap((table) => all(`tbody tr.${kind}`, table));
    const kinds = Object.keys(KINDS).filter((kind) => rows(kind).length);
    if (kinds.length < 2) return;
    const field = document.createElement("fieldset");
    field.className = "results-kinds";
    field.append(Object.assign(document.createElement("legend"), { textContent: "Rows to show" }));
    for (const kind of kinds) {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        for (const row of rows(kind)) row.hidden = !box.checked;
      });
      label.append(box, ` ${KINDS[kind]}`);
      field.append(label);
    }
    tables[0].parentElement.before(field);
  }

  // A link to a report opens it.
  function unfold() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let next = target; next; next = next.nextElementSibling) {
      const fold = next.matches("details.report") ? next : next.querySelector("details.report");
      if (fold) {
        fold.open = true;
        break;
      }
    }
    target.scrollIntoView();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const tables = all("table.results");
    for (const table of tables) sortable(table);
    if (tables.length) filter(tables);
    unfold();
  });
  addEventListener("hashchange", unfold);
})();
