// Tables are sorted and filtered. Of three machines or more, two are chosen, named by the fragment: #a=FOLDER&b=FOLDER.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const tables = [...document.querySelectorAll("table.pair")];
  const rowsOf = (table) => [...table.tBodies[0].rows];

  // A heading sorts by the numbers of its column, the first one into the order of the page. No number comes last.
  const value = (cell) => (cell.dataset.value ? Number(cell.dataset.value) : NaN);
  for (const table of tables) {
    const heads = [...table.tHead.rows[0].cells].slice(0, 4);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const pairs = rowsOf(table).map((row) => [value(row.cells[column]), row]);
        pairs.sort(([a], [b]) => Number.isNaN(a) - Number.isNaN(b) || (down ? b - a : a - b));
        table.tBodies[0].append(...pairs.map((one) => one[1]));
      });
    });
  }

  const rows = find("rows"), only = find("only"), side = find("side");
  const filter = () => {
    const word = only.value.toLowerCase();
    let shown = 0;
    for (const row of rowsOf(rows)) {
      row.hidden = "empty" in row.dataset || !row.cells[0].textContent.toLowerCase().includes(word)
        || (side.value !== "" && row.dataset.side !== side.value);
      shown += !row.hidden;
    }
    find("count").textContent = `${shown} ${shown === 1 ? "row" : "rows"}`;
  };
  if (rows) {
    find("filter").hidden = false;
    only.addEventListener("input", filter);
    side.addEventListener("change", filter);
    filter();
  }

  const embedded = find("data");
  if (!embedded) return;
  const data = JSON.parse(embedded.textContent), machines = data.machines;
  const first = find("first"), second = find("second");
  const reach = Math.log(Number(document.body.dataset.reach));
  const digits = (number, most) => (Math.abs(number) >= 1000 ? String(Math.round(number)) : number.toPrecision(most));
  const figure = (cell, words, bounds, number) => {
    cell.dataset.value = number === null ? "" : number;
    cell.firstChild.data = words;
    cell.lastChild.textContent = bounds;
  };
  const showTime = (cell, [number, low, high]) => {
    const [unit, scale] = number >= 1e9 ? ["s", 1e9] : number >= 1e6 ? ["ms", 1e6] : number >= 1e3 ? ["µs", 1e3] : ["ns", 1];
    const said = (one) => digits(one / scale, 4);
    if (number === null) figure(cell, "–", "", null);
    else figure(cell, `${said(number)}\u00a0${unit}`, low === null || high === null ? "" : `[${said(low)}, ${said(high)}]`, number);
  };
  const across = (ratio) => Math.min(Math.max(50 * (1 + Math.log(ratio) / reach), 0), 100);
  const ratioOf = (a, b) => {
    const ratio = a[0] > 0 && b[0] > 0 ? b[0] / a[0] : null;
    const known = ratio !== null && a[1] > 0 && b[1] > 0 && a[2] !== null && b[2] !== null;
    return known ? [ratio, b[1] / a[2], b[2] / a[1]] : [ratio, null, null];
  };
  const showRatio = (row, [ratio, lowest, highest]) => {
    const known = lowest !== null && highest !== null, [low, high] = known ? [lowest, highest] : [ratio, ratio];
    const bounds = known ? `[${digits(low, 3)}, ${digits(high, 3)}]` : "";
    figure(row.cells[3], ratio === null ? "–" : `× ${digits(ratio, 3)}`, bounds, ratio);
    row.dataset.side = ratio === null ? "" : known && high < 1 ? "faster" : known && low > 1 ? "slower" : "open";
    const [line, point] = row.cells[4].firstElementChild.children;
    point.hidden = ratio === null;
    line.style.left = `${ratio === null ? 50 : across(low)}%`;
    line.style.width = `${ratio === null ? 0 : across(high) - across(low)}%`;
    point.style.left = `${ratio === null ? 50 : across(ratio)}%`;
  };
  const at = (flat, place) => flat.slice(3 * place, 3 * place + 3);
  // Runs of one machine are compared with the first of them: the page has these ratios and their verdicts.
  const fill = (table, [first, second], kind) => {
    if (!table) return;
    const one = first[kind], two = second[kind], { ratios, verdicts } = second;
    for (const row of rowsOf(table)) {
      const place = Number(row.cells[0].dataset.value), a = at(one, place), b = at(two, place);
      showTime(row.cells[1], a);
      showTime(row.cells[2], b);
      showRatio(row, ratios ? at(ratios[kind], place) : ratioOf(a, b));
      if (verdicts) row.cells[5].textContent = data.words[verdicts[kind][place]];
      if (a[0] === null && b[0] === null) row.dataset.empty = "";
      else delete row.dataset.empty;
      row.hidden = "empty" in row.dataset;
    }
  };
  const draw = (one, two) => {
    const picture = find("ladders");
    if (!picture) return;
    const { low, decades, left, width } = picture.dataset;
    const x = (ns) => Number(left) + (width * (Math.log10(ns) - low)) / decades;
    picture.querySelectorAll("g").forEach((rung, place) => {
      const a = one[3 * place], b = two[3 * place];
      rung.setAttribute("visibility", a > 0 && b > 0 ? "visible" : "hidden");
      if (!(a > 0 && b > 0)) return;
      const line = rung.querySelector("line"), mark = rung.querySelector("path");
      line.setAttribute("x1", x(a));
      line.setAttribute("x2", x(b));
      rung.querySelector("circle").setAttribute("cx", x(a));
      mark.setAttribute("transform", `translate(${x(b)} ${line.getAttribute("y1")})`);
    });
  };
  const show = () => {
    const places = [first ? Number(first.value) : 0, Number(second.value)];
    const chosen = places.map((place) => machines[place]), [one, two] = chosen;
    fill(find("headlines"), chosen, "headlines");
    fill(rows, chosen, "cases");
    draw(one.headlines, two.headlines);
    chosen.forEach((machine, place) => {
      document.querySelector(`[data-title="${place}"]`).textContent = machine.title;
      for (const head of document.querySelectorAll(`th[data-side="${place}"] button, [data-name="${place}"]`)) head.textContent = machine.heading;
    });
    const said = data.said[places.join()] || [];
    find("said").replaceChildren(...said.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })));
    filter();
    history.replaceState(null, "", `#a=${encodeURIComponent(one.name)}&b=${encodeURIComponent(two.name)}`);
  };
  const choose = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const index = (name, otherwise) => {
      const found = machines.findIndex((machine) => machine.name === name);
      return found < 0 ? otherwise : found;
    };
    if (first) first.value = index(wanted.get("a"), 0);
    second.value = index(wanted.get("b"), 1);
    if (second.value === "") second.value = 1;
    show();
  };
  for (const select of first ? [first, second] : [second]) {
    machines.forEach((machine, place) => {
      if (first || place) select.add(new Option(machine.title, place));
    });
    select.addEventListener("change", show);
  }
  addEventListener("hashchange", choose);
  choose();
})();
