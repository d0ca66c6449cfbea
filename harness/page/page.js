"use strict";
// Sorts tables by a column and filters their rows. The page says everything without it.
(function () {
  function key(cell) {
    var v = cell.getAttribute("data-v");
    if (v !== null) return Number(v);
    return cell.classList.contains("na") ? null : cell.textContent.trim().toLowerCase();
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(table, column, head) {
    var body = table.tBodies[0], down = head.getAttribute("aria-sort") === "ascending";
    var rows = Array.prototype.map.call(body.rows, function (row, i) {
      return { row: row, key: key(row.cells[column]), i: i };
    });
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) return compare(a.key, b.key) || a.i - b.i;
      return (down ? -1 : 1) * compare(a.key, b.key) || a.i - b.i;
    });
    rows.forEach(function (r) { body.appendChild(r.row); });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (c) {
      c.removeAttribute("aria-sort");
    });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function makeSortable(table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", function () { sort(table, column, head); });
      head.textContent = "";
      head.appendChild(button);
    });
  }

  function makeFilter(table) {
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    var line = document.createElement("p"), label = document.createElement("label");
    var input = document.createElement("input"), count = document.createElement("output");
    line.className = "filter";
    input.type = "search";
    input.autocomplete = "off";
    input.spellcheck = false;
    input.placeholder = "words, all of which a row has";
    label.textContent = "Filter ";
    label.appendChild(input);
    count.textContent = rows.length + " rows";
    line.appendChild(label);
    line.appendChild(count);
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/), shown = 0;
      rows.forEach(function (row) {
        var text = Array.prototype.map.call(row.cells, function (c) { return c.textContent; })
          .join(" ").toLowerCase();
        row.hidden = !words.every(function (w) { return text.indexOf(w) >= 0; });
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = shown === rows.length ? shown + " rows"
        : shown + " of " + rows.length + " rows";
    });
    table.parentNode.parentNode.insertBefore(line, table.parentNode);
  }

  document.querySelectorAll("table").forEach(function (table) {
    if (table.tBodies[0].rows.length > 1) makeSortable(table);
    if (table.tBodies[0].rows.length > 5) makeFilter(table);
  });
})();
