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
      for (const row of head.closest("table").tBodies[0].rows) row.cells[head.cellIndex].className = head.className.split(" ")[0];
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
      const button = make("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(tables, column, head.getAttribute("aria-sort") === "ascending"));
    });
  }

  // ---- permalinks, and what can be copied ----

  const status = make("div");
  status.setAttribute("role", "status");
  status.className = "unseen";
  document.body.append(status);
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    status.textContent = `Copied: ${what}`;
  };
  const tools = (label, ways) => {
    const group = make("span");
    group.className = "tools";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Copy from ${label}`);
    group.append("Copy ");
    for (const [name, text] of ways) {
      const button = make("button", name);
      button.type = "button";
      button.addEventListener("click", () => copy(text(), name));
      group.append(button);
    }
    return group;
  };
  const address = (hash) => location.href.split("#")[0] + hash;
  const words = (element) => element.textContent.replace(/\s+/g, " ").trim();
  const cited = (what, hash) => {
    const { run, machine, made } = document.body.dataset;
    return `${what} ${machine}, measured with fencepost on ${made}, run ${run}. ${address(hash)}`;
  };
  const quoted = (text) => `"${text.replace(/"/g, '""')}"`;
  // The text of a cell without the buttons in it, and without the line below it, which is a column of its own there.
  const nameOf = (cell) => {
    const name = cell.querySelector(":scope > a, :scope > button");
    return name || !cell.querySelector(":scope > small") ? words(name || cell) : words(cell).slice(0, -noteOf(cell).length);
  };
  const noteOf = (cell) => words(cell.querySelector(":scope > small") || make("small"));
  const csvOf = (rows) => {
    const noted = rows.some((row) => noteOf(row.cells[0]));
    const cells = (row, at) => [...[...row.cells].map(nameOf), ...(noted ? [at ? noteOf(row.cells[0]) : "remarks"] : [])];
    return rows.map((row, at) => cells(row, at).map(quoted).join(",")).join("\n") + "\n";
  };
  const csvOfTables = (tables) => csvOf([tables[0].tHead.rows[0], ...tables.flatMap((table) => [...table.tBodies[0].rows])]);
  const inShell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);
  const commandOf = (name) => {
    const [, kernel, parameters] = /^([^[@~]*)(?:\[(.*)\])?/.exec(name);
    const sets = (parameters || "").split(",").filter(Boolean).map((part) => `--set ${inShell(`${kernel}.${part}`)}`);
    return ["fencepost run", inShell(kernel), ...sets].join(" ");
  };

  // Each row of the estimates is one case, and its name is a link to itself.
  const cases = new Map([...document.querySelectorAll("tr[id^='row=']")].map((row) => [row.id.slice(4), row]));
  let shown = null;
  const showRow = (name) => {
    const row = cases.get(name);
    if (shown) {
      shown.classList.remove("here");
      shown.querySelector(".tools")?.remove();
    }
    shown = row || null;
    if (!row) return;
    row.classList.add("here");
    const hash = `#row=${encodeURIComponent(name)}`;
    const [, time, interval, per] = [...row.cells].map(words);
    row.cells[0].append(tools(name, [
      ["link", () => address(hash)],
      ["citation", () => cited(`${name}: ${time} ${interval} per ${per}, the median over processes with its 95 % interval.`, hash)],
      ["CSV", () => csvOf([row.closest("table").tHead.rows[0], row])],
      ["command", () => commandOf(name)],
    ]));
  };

  for (const figure of document.querySelectorAll("figure[id]")) {
    const section = figure.closest("section");
    const command = section.querySelector(":scope > .again code");
    const title = words(figure.querySelector("svg > title"));
    const table = (figure.nextElementSibling || section).querySelector("table");
    const ways = [
      ["link", () => address(`#${figure.id}`)],
      ["citation", () => cited(`${title}: ${words(figure.querySelector("figcaption"))}`, `#${figure.id}`)],
    ];
    if (table) ways.push(["CSV", () => csvOfTables(partsOf(table))]);
    if (command) ways.push(["command", () => words(command)]);
    figure.append(tools(title, ways));
  }
  for (const place of document.querySelectorAll("[id^=claim-]")) {
    const quote = place.querySelector("q, .english");
    if (!quote) continue;
    const said = [quote, place.querySelector(".outcome"), place.querySelector(".decided")].filter(Boolean).map(words);
    quote.closest("th, h2, h3").append(tools(words(quote), [
      ["link", () => address(`#${place.id}`)],
      ["citation", () => cited(`“${said[0]}”: ${said.slice(1).join(", ")}.`, `#${place.id}`)],
    ]));
  }

  // On a wide screen a table has room beside its picture.
  if (matchMedia("(min-width: 100rem)").matches) {
    for (const fold of document.querySelectorAll(".pictured > div > details")) fold.open = true;
  }

  // A link into a fold opens it. A link to a row shows what can be copied of it.
  const reveal = () => {
    const hash = decodeURIComponent(location.hash.slice(1));
    const name = hash.startsWith("row=") ? hash.slice(4) : null;
    showRow(name);
    const target = name === null ? hash && document.getElementById(hash) : shown;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (name !== null && target) {
      target.scrollIntoView({ block: "center" });
      target.cells[0].firstChild.focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", reveal);
  reveal();

  // ---- search over all rows ----

  const MOST_FOUND = 60;
  const search = document.getElementById("search");
  if (search && cases.size) {
    const label = make("label", "Search all rows");
    const field = make("input");
    field.type = "search";
    field.placeholder = "such as ring pause=yes";
    label.append(field);
    const said = make("p");
    said.setAttribute("role", "status");
    const list = make("ol");
    const rows = [...cases].map(([name, row]) => {
      const title = row.closest("section").querySelector("h2").textContent;
      return { name, row, text: `${title} ${name} ${words(row.cells[3])}`.toLowerCase() };
    });
    const look = () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = wanted.length ? rows.filter((item) => wanted.every((word) => item.text.includes(word))) : [];
      const count = found.length === 1 ? "1 row" : `${found.length} rows`;
      said.textContent = !wanted.length ? "" : found.length > MOST_FOUND ? `${count}. The first ${MOST_FOUND} of them:` : count;
      list.replaceChildren(...found.slice(0, MOST_FOUND).map(({ name, row }) => {
        const item = make("li");
        const link = make("a", name);
        link.href = `#row=${encodeURIComponent(name)}`;
        item.append(link, ` ${words(row.cells[1])} ${words(row.cells[2])} per ${words(row.cells[3])}`);
        return item;
      }));
    };
    field.addEventListener("input", look);
    search.append(label, said, list);
  }

  // ---- what marks of pictures say, by pointer and by keyboard ----

  const tip = make("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const say = (mark) => {
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.getAttribute("aria-label");
    const box = mark.getBoundingClientRect();
    const left = Math.min(Math.max(4, box.left + box.width / 2 - tip.offsetWidth / 2), root.clientWidth - tip.offsetWidth - 4);
    const above = box.top - tip.offsetHeight - 6;
    tip.style.transform = `translate(${left}px, ${above > 4 ? above : box.bottom + 6}px)`;
  };
  for (const picture of document.querySelectorAll("svg.figure")) {
    const marks = [...picture.querySelectorAll("* > title")].filter((title) => title.parentElement !== picture).map((title) => {
      const mark = title.parentElement;
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", title.textContent);
      mark.setAttribute("tabindex", "-1");
      title.remove();
      return mark;
    });
    if (!marks.length) continue;
    // Its marks can be reached now: it is no mere picture any more.
    picture.setAttribute("role", "group");
    marks[0].setAttribute("tabindex", "0");
    picture.addEventListener("keydown", (event) => {
      const at = marks.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: marks.length - 1 }[event.key];
      if (event.key === "Escape") say(null);
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      const next = marks[Math.min(Math.max(to, 0), marks.length - 1)];
      marks[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
    const markOf = (event) => (event.target === picture ? null : event.target.closest("[tabindex]"));
    for (const kind of ["pointerover", "focusin"]) picture.addEventListener(kind, (event) => say(markOf(event)));
    for (const kind of ["pointerleave", "focusout"]) picture.addEventListener(kind, () => say(null));
  }

  // ---- what is in the page once, compressed ----

  // Most browsers can unpack it.
  const unpacked = (link) => {
    const letters = atob(link.href.slice(link.href.indexOf(",") + 1));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
  };
  const packed = document.querySelector("#download a");
  if (packed && window.DecompressionStream) {
    const link = make("a", "All rows as JSON");
    link.id = "download-json";
    link.href = "#data";
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const file = make("a");
      file.href = URL.createObjectURL(new Blob([await unpacked(packed).blob()], { type: "application/json" }));
      file.download = packed.download.replace(/\.gz$/, "");
      file.click();
    });
    packed.before(link, " · ");
  }

  // Source and machine code of a kernel come when it is opened.
  const code = document.querySelector("#code a");
  let codes = null;
  const shownCode = (title, text) => {
    const part = make("details");
    const block = make("pre", text);
    block.tabIndex = 0;
    block.setAttribute("aria-label", title);
    part.append(make("summary", title), block);
    return part;
  };
  if (code && window.DecompressionStream) {
    for (const kernel of document.querySelectorAll("details.kernel")) {
      kernel.addEventListener("toggle", async () => {
        const where = kernel.querySelector(".where");
        if (!where || !kernel.open) return;
        where.classList.remove("where");
        codes ||= unpacked(code).json();
        const { files, loops } = await codes;
        const name = where.dataset.kernel;
        if (loops[name]) where.before(shownCode(`Machine code of ${name}`, loops[name]));
        if (files[where.dataset.file]) where.before(shownCode(`Source of ${name}`, files[where.dataset.file]));
      });
    }
  }
})();
