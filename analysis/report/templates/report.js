"use strict";
(() => {
  const root = document.documentElement;
  const make = (tag, text) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    return element;
  };

  // Nanoseconds, cycles, or both: columns and the ladder follow. Cells take the class of their column when first asked.
  const units = document.getElementById("units");
  const ladder = document.getElementById("ladder-in-cycles");
  let marked = false;
  const markCells = () => {
    if (marked) return;
    marked = true;
    for (const head of document.querySelectorAll("thead .in-ns, thead .in-cycles")) {
      for (const row of head.closest("table").tBodies[0].rows) row.cells[head.cellIndex].className = head.className;
    }
  };
  if (units) {
    const set = make("fieldset");
    set.append(make("legend", "Show"));
    for (const [value, words] of [["both", "time and cycles"], ["ns", "time only"], ["cycles", "cycles only"]]) {
      const label = make("label");
      const input = make("input");
      input.type = "radio";
      input.name = "unit";
      input.value = value;
      input.checked = value === "both";
      input.addEventListener("change", () => {
        markCells();
        root.dataset.unit = value;
        if (ladder) ladder.open = value === "cycles";
      });
      label.append(input, ` ${words}`);
      set.append(label);
    }
    units.append(set);
  }

  // Numbers with their units, so that 2 µs comes after 900 ns; everything else as text.
  const scales = {
    ns: 1, "µs": 1e3, us: 1e3, ms: 1e6, s: 1e9,
    KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, Ki: 2 ** 10, Mi: 2 ** 20, k: 1e3, M: 1e6,
  };
  const key = (cell) => {
    const text = cell.textContent.trim();
    const plain = text.replace(/[\u202f\u00a0]/g, " ").replace(/\u2212/g, "-").replace(/^[\u00d7×[]/, "");
    const match = /^(-?\d{1,3}(?: \d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)(?: ?([A-Za-zµ]+))?/.exec(plain);
    if (!match) return { number: null, text };
    return { number: parseFloat(match[1].replace(/ /g, "")) * (scales[match[2]] || 1), text };
  };
  const compare = (a, b) => {
    if (a.number !== null && b.number !== null) return a.number - b.number;
    if (a.number !== null || b.number !== null) return a.number !== null ? -1 : 1;
    return a.text.localeCompare(b.text, undefined, { numeric: true });
  };
  // Of a long table, the part that is shown and the part that is folded are one.
  const partsOf = (table) => {
    const split = table.closest(".split");
    return split ? [...split.querySelectorAll("table")] : [table];
  };
  const sort = (tables, column, down) => {
    const bodies = tables.map((table) => table.tBodies[0]);
    const sizes = bodies.map((body) => body.rows.length);
    const rows = bodies.flatMap((body) => [...body.rows]).map((row) => [key(row.cells[column]), row]);
    rows.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
    bodies.forEach((body, part) => body.append(...rows.splice(0, sizes[part]).map((pair) => pair[1])));
    for (const table of tables) {
      [...table.tHead.rows[0].cells].forEach((head, place) => {
        if (place === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const tables = partsOf(table);
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = make("button", head.textContent);
      button.type = "button";
      head.textContent = "";
      head.append(button);
      button.addEventListener("click", () => sort(tables, column, head.getAttribute("aria-sort") === "ascending"));
    });
  }

  // A link into a folded table opens it.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  // The rows are in the page once, compressed. Most browsers can unpack them.
  const packed = document.querySelector("#download a");
  if (packed && window.DecompressionStream) {
    const link = make("a", "All rows as JSON");
    link.id = "download-json";
    link.href = "#data";
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const letters = atob(packed.href.slice(packed.href.indexOf(",") + 1));
      const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const file = make("a");
      file.href = URL.createObjectURL(new Blob([await new Response(stream).blob()], { type: "application/json" }));
      file.download = packed.download.replace(/\.gz$/, "");
      file.click();
    });
    packed.before(link, " · ");
  }
})();
