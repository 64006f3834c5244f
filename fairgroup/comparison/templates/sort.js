"use strict";
// A click on a column's heading sorts its table; rows without a value stay last.
(function () {
  function key(row, column) {
    var cell = row.cells[column];
    var given = cell.getAttribute("data-sort");
    if (given === null) { return cell.textContent.trim().toLowerCase(); }
    return given === "" ? null : Number(given);
  }

  function compare(a, b) {
    if (typeof a === "string" && typeof b === "string") { return a.localeCompare(b); }
    return a < b ? -1 : a > b ? 1 : 0;
  }

  function sort(table, column, heading) {
    var down = heading.getAttribute("aria-sort") === "ascending";
    var body = table.tBodies[table.tBodies.length - 1];
    var rows = Array.prototype.map.call(body.rows, function (row) {
      return { row: row, key: key(row, column) };
    });
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) { return (a.key === null) - (b.key === null); }
      return down ? compare(b.key, a.key) : compare(a.key, b.key);
    });
    rows.forEach(function (entry) { body.appendChild(entry.row); });
    Array.prototype.forEach.call(heading.parentNode.cells, function (other) {
      if (other.hasAttribute("aria-sort")) { other.setAttribute("aria-sort", "none"); }
    });
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    var headings = table.tHead.rows[0].cells;
    Array.prototype.forEach.call(headings, function (heading, column) {
      var title = heading.querySelector(".title");
      if (!title) { return; }
      var button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      while (title.firstChild) { button.appendChild(title.firstChild); }
      title.appendChild(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () { sort(table, column, heading); });
    });
  });
})();
