"""The pages of the gallery: index, comparison and README."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fencepost.analysis.compare.comparison import NO_SPAN, Span, ratio_of
from fencepost.analysis.draw.grids import FEWEST_ROWS
from fencepost.analysis.gallery.entry import MOST_MACHINES, README, Entry, published_folders, read_entry
from fencepost.analysis.gallery.imported import imported_entries
from fencepost.analysis.report import html
from fencepost.analysis.report.compared import (
    ComparedLine,
    Machine,
    Page,
    as_page,
    fastest_of,
    in_order,
    pair_sentences,
)
from fencepost.analysis.report.html import TEMPLATES
from fencepost.analysis.runs.labels import machine_ids, relation_text
from fencepost.analysis.runs.row import cost_text
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.text.escape import markdown
from fencepost.analysis.text.numbers import counted, nanoseconds, plain
from fencepost.analysis.text.table import DASH
from fencepost.analysis.topics.rungs import MOST_HEADLINES
from fencepost.bench.files import words_of
from fencepost.bench.schema import RunFolderError

INDEX, COMPARE = "index.html", "compare.html"


PAGES = (README, INDEX, COMPARE)

# Colours of the wall: one scale for all machines, so that they can be compared. From SMT siblings to another package.
NEAREST_NS, FARTHEST_NS = 5.0, 500.0


def heat_map(ns: npt.NDArray[np.float64]) -> str:
    """A matrix as a PNG of one pixel a pair, in a data URI; pairs that were not measured are transparent."""
    import matplotlib
    from matplotlib.image import imsave

    scale = np.log(np.clip(np.where(np.isfinite(ns), ns, 1.0), NEAREST_NS, FARTHEST_NS) / NEAREST_NS)
    shade = scale / math.log(FARTHEST_NS / NEAREST_NS)
    # cividis reads the same with every kind of colour blindness (Nunez et al., PLoS ONE 13(7), 2018); near is light.
    pixels = (matplotlib.colormaps["cividis"](1 - shade) * 255).astype(np.uint8)
    pixels[..., 3] = np.where(np.isfinite(ns), 255, 0)
    sink = io.BytesIO()
    imsave(sink, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()


@dataclass(frozen=True)
class Column:
    """A headline number as a column: its heading, and the unit that suits all machines."""

    name: str
    unit: str
    scale: float

    def said(self, entry: Entry) -> str:
        """The figure of a machine in the column's unit, that of each regime or mode by itself, or a dash."""
        regimes, modes = entry.regimes.get(self.name, ()), entry.modes.get(self.name, ())
        if regimes:
            return ", ".join(f"{one.name} {plain(one.ns.value / self.scale, 3)} ({one.share_pct}%)" for one in regimes)
        if modes:
            return " or ".join(f"{plain(mode.ns / self.scale, 3)} ({mode.share:.0%})" for mode in modes)
        found = entry.headlines.get(self.name)
        return DASH if found is None else plain(found.value / self.scale, 3)

    def value(self, entry: Entry) -> str:
        """The same in ns, to sort by; empty where there is none."""
        found = entry.headlines.get(self.name)
        return "" if found is None else repr(found.value)

    def whole(self, entry: Entry) -> str:
        """The figure with its interval, that of each regime or mode by itself."""
        regimes = entry.regimes.get(self.name, ())
        if regimes:
            return ", ".join(f"{one.name} {one.ns.ns_text()} ({one.share_pct}%)" for one in regimes)
        found = entry.headlines.get(self.name)
        return "not measured" if found is None else cost_text(found, (), entry.modes.get(self.name, ()))


def columns(entries: Sequence[Entry]) -> list[Column]:
    """The headlines that the folders hold, cheapest first, each in one unit for all. Where folders of several versions
    hold more than one table can show, those that the most folders have, the newest first.
    """
    values: dict[str, list[float]] = {}
    for entry in entries:
        for name, figure in entry.headlines.items():
            values.setdefault(name, []).append(figure.value)
    middle = {name: statistics.median(found) for name, found in values.items()}
    units = {1.0: "ns", 1e3: "µs", 1e6: "ms"}
    chosen = []
    most = sorted(values, key=lambda name: -len(values[name]))[:MOST_HEADLINES]
    for name in sorted(most, key=lambda name: (middle[name], name)):
        scale = max((size for size in units if middle[name] >= size * 10), default=1.0)
        chosen.append(Column(name, units[scale], scale))
    return chosen


def build(results: Path) -> tuple[dict[str, bytes], list[str]]:
    """The pages over all published folders, and one sentence for each folder that was left out.

    Returns
    -------
    tuple
        contents by file name (`PAGES`), and sentences.
    """
    entries, left_out = [], []
    for folder in published_folders(results)[:MOST_MACHINES]:
        try:
            entries.append(read_entry(folder))
        except (RunFolderError, OSError) as error:
            left_out.append(f"{words_of(error, named=True)}; left out of the gallery")
    imported, faults = imported_entries(results)
    left_out += [f"{fault}; left out of the gallery" for fault in faults]
    shown = columns(entries)
    machines = _machines(entries)
    common = {
        "entries": entries,
        "columns": shown,
        "count": len(set(machines.values())),
        "nearest": nanoseconds(NEAREST_NS, 1),
        "farthest": nanoseconds(FARTHEST_NS, 1),
        "scale": heat_map(np.geomspace(NEAREST_NS, FARTHEST_NS, 64)[None, :]),
    }
    walls = {}
    newest: dict[str, Entry] = {}
    for entry in entries:  # newest first: of a machine that was published twice the wall shows the last
        # Two CPUs are a square of two equal colours.
        if entry.matrix is not None and len(entry.matrix) >= FEWEST_ROWS:
            newest.setdefault(machines[entry.name], entry)
    for entry in newest.values():
        assert entry.matrix is not None
        walls[entry.name] = heat_map(entry.matrix)
    pages = {
        INDEX: _render(
            "gallery.html.j2",
            "gallery.js",
            **common,
            walls=walls,
            imported=[(entry, heat_map(entry.matrix)) for entry in imported],
        ),
        COMPARE: as_page(beside(entries)),
        README: _readme(entries, shown),
    }
    return {name: text.encode() for name, text in pages.items()}, left_out


def _machines(entries: Sequence[Entry]) -> dict[str, str]:
    """The machine of each published folder."""
    ids = machine_ids(entry.identity for entry in entries)
    return {entry.name: one for entry, one in zip(entries, ids, strict=True)}


def beside(entries: Sequence[Entry]) -> Page:
    """The published folders as the page of `fencepost compare` shows machines, by their summaries."""
    # Near is set beside near. A figure of a machine with one distance has a line of its own.
    heads = []
    for column in columns(entries):
        regimes = [one.name for entry in entries for one in entry.regimes.get(column.name, ())]
        heads += [column.name, *(f"{column.name}: {name}" for name in dict.fromkeys(regimes))]
    # A row that one machine alone has cannot be set beside anything.
    count = Counter(name for entry in entries for name in entry.cases)
    headlines = _lines([_told_apart(entry) for entry in entries], heads)
    rows = in_order(_lines([entry.cases for entry in entries], [name for name in count if count[name] > 1]))
    titles = Counter(entry.short for entry in entries)
    names = [entry.short if titles[entry.short] == 1 else f"{entry.short} ({entry.date})" for entry in entries]
    said = pair_sentences(names, headlines, rows)
    return Page(
        title="Machines beside each other",
        machines=tuple(
            Machine(
                name,
                f"{entry.title}, {counted(entry.cpus, 'CPU')}, {entry.date}, {entry.arch}, hypervisor {entry.under}, "
                f"trust: {entry.trust}",
                entry.name,
                f"{entry.href}/report.html",
            )
            for name, entry in zip(names, entries, strict=True)
        ),
        headlines=headlines,
        rows=rows,
        sentences=tuple(said.get("0,1", ())),
        notes=(
            f"The runs are of {relation_text(entry.identity for entry in entries)}.",
            "The machines were measured at different hours. They differ in more than their CPUs.",
            "Several pairs of CPUs of one relation count as their median, which has no interval.",
        ),
        facts=None,
        fastest=fastest_of(names, headlines),
        bounds="interval, which contains all that two 95 % intervals allow",
        home=INDEX,
        said=said,
    )


def _lines(figures: Sequence[Mapping[str, Interval]], names: Sequence[str]) -> tuple[ComparedLine, ...]:
    lines = []
    for name in names:
        times = tuple(Span(*one[name][:3]) if name in one else NO_SPAN for one in figures)
        lines.append(ComparedLine(name, times, ratio_of(*times[:2]) if len(times) > 1 else NO_SPAN))
    return tuple(lines)


def _told_apart(entry: Entry) -> dict[str, Interval]:
    """The headlines of a machine, each regime by itself."""
    found = {name: figure for name, figure in entry.headlines.items() if name not in entry.regimes}
    return found | {f"{name}: {one.name}": one.ns for name, regimes in entry.regimes.items() for one in regimes}


def _render(template: str, script: str, **values: Any) -> str:
    """A page with its script, the only one that its policy lets a browser run."""
    text = (TEMPLATES / script).read_text(encoding="utf-8")
    values |= {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}
    environment = html.environment()
    environment.globals["trusted"] = _trusted
    return environment.get_template(template).render(**values)


def _trusted(text: str) -> Any:
    """JSON that `json_in_html` made harmless, and scripts and data URIs of our own."""
    from markupsafe import Markup

    return Markup(text)


README_COLUMNS = {
    "load from the first-level cache": "load from the L1 cache",
    "a cache line to another CPU, one way": "line to another CPU",
    "enter the kernel and come back": "system call",
}
"""Headlines in results/README.md, and what its table calls them. On a page of GitHub a table with more columns scrolls
sideways. These are the core, its neighbour and the kernel.
"""


def _readme(entries: Sequence[Entry], shown: Sequence[Column]) -> str:
    shown = [column for name in README_COLUMNS for column in shown if column.name == name]
    machines = len(set(_machines(entries).values()))
    lines = [
        "# Machines, measured",
        "",
        (
            f"{len(entries)} {'run' if len(entries) == 1 else 'runs'} of {machines} "
            f"{'machine' if machines == 1 else 'machines'}, newest first. Each figure is a median over processes. Its "
            "interval and all other figures are in the machine's own page. The page [index.html](index.html) has all "
            "headlines in a table to be sorted, and the core-to-core maps side by side. The page "
            "[compare.html](compare.html) has any two machines beside each other. Open them from a clone. They "
            "need no network."
        ),
        "",
        "| machine | CPUs | measured | trust | "
        + " | ".join(f"{README_COLUMNS[c.name]}, {c.unit}" for c in shown)
        + " |",
        "|" + " --- |" * 4 + " ---: |" * len(shown),
    ]
    for entry in entries:
        cells = [
            f"[{markdown(entry.title)}]({entry.href}/README.md)",
            str(entry.cpus),
            entry.date,
            markdown(entry.trust),
            *(markdown(column.said(entry)) for column in shown),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        (
            "Add yours: `make bench`, then `fencepost publish latest`, and send what is new in this folder as a pull "
            "request. [docs/gallery.md](../docs/gallery.md) says what is checked. `fencepost publish` writes this page."
        ),
        "",
    ]
    return "\n".join(lines)
