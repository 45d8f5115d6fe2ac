// Two machines of the embedded data, named by the fragment: compare.html#a=FOLDER&b=FOLDER. All text goes in as text.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var machines = data.machines;
  if (!machines.length) return;
  function find(id) { return document.getElementById(id); }
  var first = find("first"), second = find("second"), only = find("only");
  document.getElementById("beside").hidden = false;
  machines.forEach(function (machine) {
    [first, second].forEach(function (select) {
      var option = document.createElement("option");
      option.value = machine.name;
      option.textContent = machine.title;
      select.appendChild(option);
    });
  });
  function digits(value, most) {
    return Math.abs(value) >= 1000 ? String(Math.round(value)) : value.toPrecision(most);
  }
  function scaled(figure) {
    var size = Math.abs(figure[0]), unit = "ns", scale = 1;
    if (figure[0] === null) return ["–", ""];
    if (size >= 1e6) { unit = "ms"; scale = 1e6; } else if (size >= 1e3) { unit = "µs"; scale = 1e3; }
    function said(value) { return digits(value / scale, 4); }
    return [said(figure[0]) + "\u00a0" + unit, figure[1] === null ? "" : "[" + said(figure[1]) + ", " + said(figure[2]) + "]"];
  }
  function short(value) { return digits(value, 3); }
  function element(kind, text, parent) {
    var made = document.createElement(kind);
    if (text !== null) made.textContent = text;
    parent.appendChild(made);
    return made;
  }
  function cell(row, text, bounds) {
    var made = element("td", text, row);
    if (bounds) element("span", bounds, made).className = "bounds";
  }
  function table(caption, names, one, two, left, right) {
    var wide = document.createElement("div");
    wide.className = "wide"; wide.tabIndex = 0;
    wide.setAttribute("role", "region"); wide.setAttribute("aria-label", caption);
    var made = element("table", null, wide);
    made.className = "pair";
    element("caption", caption, made);
    var head = element("tr", null, element("thead", null, made));
    ["what", "first", "second", "ratio"].forEach(function (text) { element("th", text, head).scope = "col"; });
    var body = element("tbody", null, made), shown = 0, word = only.value.toLowerCase();
    names.forEach(function (name, index) {
      var a = left.slice(3 * index, 3 * index + 3), b = right.slice(3 * index, 3 * index + 3);
      if ((a[0] === null && b[0] === null) || name.toLowerCase().indexOf(word) < 0) return;
      shown += 1;
      var row = element("tr", null, body);
      element("th", name, row).scope = "row";
      [a, b].forEach(function (f) { var words = scaled(f); cell(row, words[0], words[1]); });
      // A figure at zero, such as the empty window, has no ratio.
      var fine = a[0] > 0 && b[0] > 0;
      var known = fine && a[1] > 0 && b[1] > 0;
      cell(row, fine ? short(b[0] / a[0]) : "–", known ? "[" + short(b[1] / a[2]) + ", " + short(b[2] / a[1]) + "]" : "");
    });
    return shown ? wide : null;
  }
  function show() {
    var one = machines[first.selectedIndex], two = machines[second.selectedIndex], place = find("tables");
    while (place.firstChild) place.removeChild(place.firstChild);
    var made = [
      table("Headline numbers: median and 95 % interval", data.headlines, one, two, one.headlines, two.headlines),
      table("All rows that more than one machine has", data.cases, one, two, one.cases, two.cases)
    ].filter(Boolean);
    made.forEach(function (part) { place.appendChild(part); });
    find("said").textContent = (made.length ? "" : "No row fits. ") + "First: " + one.title + " (" + one.facts.slice(2).join(", ") + "). Second: " + two.title + " (" + two.facts.slice(2).join(", ") + ").";
    history.replaceState(null, "", "#a=" + encodeURIComponent(one.name) + "&b=" + encodeURIComponent(two.name));
  }
  function choose() {
    var wanted = {};
    location.hash.slice(1).split("&").forEach(function (part) {
      var at = part.indexOf("=");
      try { wanted[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); } catch (error) { /* not one of ours */ }
    });
    function index(name, otherwise) {
      for (var i = 0; i < machines.length; i += 1) if (machines[i].name === name) return i;
      return otherwise;
    }
    first.selectedIndex = index(wanted.a, 0);
    second.selectedIndex = index(wanted.b, Math.min(1, machines.length - 1));
    show();
  }
  [first, second].forEach(function (select) { select.addEventListener("change", show); });
  only.addEventListener("input", show);
  window.addEventListener("hashchange", choose);
  choose();
})();
