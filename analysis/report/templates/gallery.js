// Sorting the table of machines. Without this the table is complete and in order of time.
(function () {
  "use strict";
  var table = document.getElementById("machines");
  var body = table.tBodies[0];
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
  function key(row, index) {
    var cell = row.cells[index];
    var text = cell.hasAttribute("data-value") ? cell.getAttribute("data-value") : cell.textContent;
    return text === "" ? NaN : cell.classList.contains("figure") ? Number(text) : text;
  }
  heads.forEach(function (head, index) {
    var button = document.createElement("button");
    button.type = "button";
    while (head.firstChild) button.appendChild(head.firstChild);
    head.appendChild(button);
    button.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      Array.prototype.slice.call(body.rows).map(function (row) { return [key(row, index), row]; }).sort(function (a, b) {
        // What was not measured stands last, whichever way.
        var left = a[0], right = b[0], order;
        if (left !== left || right !== right) return (left !== left) - (right !== right);
        order = typeof left === "number" ? left - right : left.localeCompare(right);
        return down ? -order : order;
      }).forEach(function (pair) { body.appendChild(pair[1]); });
    });
  });
})();
