"""The report of a run: one self-contained HTML file, the same in Markdown, and its rows as JSON.

Whatever comes from outside (names of CPUs, labels, kernels) is text: jinja escapes it for HTML, matplotlib for SVG,
`fencepost.analysis.text` for Markdown.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fencepost.analysis import about, claims, figures, lecture, topics, trust, warnings
from fencepost.analysis.drawing import uncollected
from fencepost.analysis.estimate import Analysis, analyse, records
from fencepost.analysis.figures import Figure, Point
from fencepost.analysis.ladder import Rung
from fencepost.analysis.lecture import Sentence
from fencepost.analysis.tables import Table, count, nanoseconds, ns_with_bounds, plain, table, with_bounds
from fencepost.analysis.text import finalize, json_in_html, visible
from fencepost.analysis.text import markdown as _markdown
from fencepost.analysis.trust import Examination, Verdict, trust_table, trust_verdict
from fencepost.bench.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

FOLD_ROWS = 12
"""Tables of figures and of all rows that are longer are folded: the page is for reading, they are for looking up."""


@dataclass(frozen=True)
class Document:
    """All that HTML and Markdown say."""

    title: str
    machine_name: str
    made: str
    verdict: Verdict
    ladder: Table | None
    ladder_figures: Sequence[Figure]
    ladder_links: Sequence[str]
    trust: Table
    examination: Examination
    warnings: Sequence[warnings.RunWarning]
    machine: Table
    topology: Figure | None
    sections: Sequence[topics.Section]
    claims: Mapping[str, Sequence[tuple[claims.Claim, claims.Verdict]]]
    missing: Mapping[str, Table]
    sentences: Sequence[Sentence]
    data: Table
    twins: Table | None
    embedded: str
    packed: str
    download_name: str
    fold: int = FOLD_ROWS

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Every section: its anchor and its heading."""
        found = [("numbers", "This machine's numbers")] if self.ladder else []
        found += [("trust", "Can I trust this?"), ("machine", "The machine")]
        found += [(f"topic-{section.topic.slug}", section.topic.title) for section in self.sections]
        found += [("lecture", "The lecture notes, measured")] if self.sentences else []
        return [*found, ("data", "Data and versions")]

    @property
    def figures(self) -> list[Figure]:
        """Every picture, in the order of the page."""
        own = [self.topology] if self.topology else []
        return [*self.ladder_figures, *own, *(figure for section in self.sections for figure in section.figures)]

    @property
    def tally(self) -> str:
        """How many sentences got which verdict."""
        return lecture.tally(self.sentences)


# ---- JSON ----

_JSON_ROW = (
    "case",
    "kernel",
    "parameters",
    "cpus",
    "relation",
    "unit",
    "kind",
    "once",
    "twin_of",
    "reason",
    "ns",
    "ns_low",
    "ns_high",
    "coverage",
    "cycles",
    "cycles_low",
    "cycles_high",
    "floor_ns",
    "core_hz",
    "rounds",
    "batches",
    "disturbed_pct",
    "flags",
    "modes",
    "metrics",
    "quantiles",
)


def as_json(folder: Path | str) -> dict[str, Any]:
    """A run's estimates as plain data.

    Returns
    -------
    dict
        ``schema``, ``run``, ``machine`` (machine.json), ``rounds``, ``planned_rounds``, ``noise_floor_pct`` and
        ``twins`` (A/A rows), ``rows`` (one a case;
        ``reason`` says why where figures are null), ``warnings``, ``claims``. NaN and infinities are None throughout.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    """
    analysis = analyse(folder)
    return _json_of(analysis, _sentences(analysis))


def _sentences(analysis: Analysis) -> list[lecture.Sentence]:
    return lecture.sentences(analysis) if analysis.rounds else []


def _json_of(analysis: Analysis, said: Sequence[lecture.Sentence]) -> dict[str, Any]:
    rows = [{name: record[name] for name in _JSON_ROW} for record in records(analysis.rows)]
    for row, record in zip(rows, records(analysis.rows), strict=True):
        if record["paired"]:
            row["paired"] = True  # only where it says something: published documents stay as they are
        row["modes"] = [mode._asdict() for mode in row["modes"]]
    document = {
        "schema": SCHEMA_VERSION,
        "run": analysis.run["id"],
        "machine": analysis.machine,
        "rounds": analysis.rounds,
        "planned_rounds": analysis.planned_rounds,
        "noise_floor_pct": analysis.noise_floor_pct,
        "twins": [
            {"case": twin.case, "twin_of": twin.original, "effect_pct": twin.effect_pct._asdict()}
            for twin in analysis.twins
        ],
        "rows": rows,
        "warnings": [
            {
                "kind": str(item.kind),
                "seen": item.seen,
                "cause": item.cause,
                "next_step": item.next_step,
                "cases": list(item.cases),
            }
            for item in warnings.collect(analysis)
        ],
        "claims": lecture.as_rows(said),
    }
    clean = _plain_data(document)
    assert isinstance(clean, dict)
    return clean


EMBEDDED_DIGITS = 10
"""Of numbers within the page: enough that rounding them again gives what the tables show, and less than all 17."""


def _embedded(document: Mapping[str, Any]) -> str:
    """A document as JSON that may stand inside of a script element."""
    hoisted = _said_once(_shortened(document))
    return json_in_html(json.dumps(hoisted, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _said_once(document: dict[str, Any]) -> dict[str, Any]:
    """What a metric is and its unit stand once a kernel instead of in each row: a third of the page would say the same
    again.
    """
    once: dict[str, dict[str, dict[str, str]]] = {"summary": {}, "unit": {}}
    rows = []
    for row in document["rows"]:
        metrics = {}
        for name, metric in row["metrics"].items():
            for key, found in once.items():
                found.setdefault(row["kernel"], {})[name] = metric[key]
            metrics[name] = {key: value for key, value in metric.items() if key not in once}
        rows.append(row | {"metrics": metrics})
    return document | {"metric_summaries": once["summary"], "metric_units": once["unit"], "rows": rows}


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        short = float(f"{value:.{EMBEDDED_DIGITS}g}")
        return int(short) if short.is_integer() else short  # 0 for 0.0: the same number
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _plain_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain_data(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ---- the document ----


def write_report(folder: Path | str, html: Path | str | None = None, markdown: Path | str | None = None) -> list[Path]:
    """Write the report of a run folder; returns the files written.

    Parameters
    ----------
    folder
        a run folder, complete or not.
    html
        file to write: one HTML file with everything in it.
    markdown
        file to write; its pictures go into a folder beside it, named like the file with ``_figures`` at the end.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    OSError
        where a file cannot be written.
    """
    with uncollected():
        document = build_document(analyse(folder))
    written = []
    if html is not None:
        path = Path(html)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_html(document), encoding="utf-8")
        written.append(path)
    if markdown is not None:
        path = Path(markdown)
        pictures = path.with_name(f"{path.stem}_figures")
        path.parent.mkdir(parents=True, exist_ok=True)
        if document.figures:
            pictures.mkdir(exist_ok=True)
        for figure in document.figures:
            target = pictures / f"{figure.name}.svg"
            target.write_text(figure.standalone(), encoding="utf-8")
            written.append(target)
        path.write_text(as_markdown(document, pictures.name), encoding="utf-8")
        written.append(path)
    return written


def build_document(analysis: Analysis) -> Document:
    """Everything that a report says about a run."""
    with topics.sections_begun(analysis) as complete:
        # All but the sections, while a second process draws for them.
        name = str(analysis.machine["cpu_model"])
        said = _sentences(analysis)
        by_topic: dict[str, list[tuple[claims.Claim, claims.Verdict]]] = {}
        for item in said:
            by_topic.setdefault(item.claim.topic, []).append((item.claim, item.verdict))
        found = rungs(analysis)
        embedded = _embedded(_json_of(analysis, said))
        document = Document(
            title=f"What {name} really charges",
            machine_name=name,
            made=str(analysis.run["created_utc"])[:10],
            verdict=trust_verdict(analysis),
            ladder=_ladder_table([rung for rung, _ in found]),
            ladder_figures=ladder_figures(found),
            ladder_links=[link for _, link in found],
            trust=trust_table(analysis),
            examination=trust.examination(analysis.run),
            warnings=warnings.collect(analysis),
            machine=about.machine_table(analysis.machine, analysis.run["engine"]),
            topology=about.topology_figure(analysis.machine, analysis.run["plan"]["cpus"]),
            sections=(),
            claims=by_topic,
            missing={},
            sentences=said,
            data=about.data_table(analysis),
            twins=trust.twins_table(analysis),
            embedded=embedded,
            packed=base64.b64encode(gzip.compress(embedded.encode(), mtime=0)).decode(),
            download_name=re.sub(r"[^A-Za-z0-9._-]+", "-", str(analysis.run["id"])),
        )
        sections = complete() if analysis.rounds else []
    missing = {section.topic.name: trust.unmeasurable(analysis, section.topic.name) for section in sections}
    return replace(
        document, sections=sections, missing={name: item for name, item in missing.items() if item is not None}
    )


def rungs(analysis: Analysis) -> list[tuple[Rung, str]]:
    """The machine's headline numbers, cheapest first, each with a link to its section; the topics name them."""
    if not analysis.rounds:
        return []
    found = ((step(analysis), f"#topic-{topic.slug}") for topic in topics.known_topics() for step in topic.ladder)
    return sorted(((rung, link) for rung, link in found if rung is not None), key=lambda pair: pair[0].ns[0])


def ladder(analysis: Analysis) -> Table | None:
    """The machine's headline numbers as a table; None where none of them was measured."""
    return _ladder_table([rung for rung, _ in rungs(analysis)])


def _ladder_table(found: Sequence[Rung]) -> Table | None:
    cells = [
        (
            rung.label,
            ns_with_bounds(*rung.ns) + (f" ({rung.modes} modes)" if rung.modes else ""),
            with_bounds(*rung.cycles),
            rung.measured_as,
        )
        for rung in found
    ]
    caption = "What things cost here: median over processes [95 % interval]"
    return table(caption, ("what", "time", "core cycles", "measured as"), cells) if cells else None


def ladder_figures(found: Sequence[tuple[Rung, str]]) -> list[Figure]:
    """The ladder drawn twice, by time and by cycles of the core; nothing where nothing is to be drawn."""
    drawn = []
    timed = [pair for pair in found if pair[0].ns[0] > 0]
    if timed:
        drawn.append(
            _ladder_figure(
                "ladder",
                "What things cost here, by time",
                timed,
                [Point(rung.label, *rung.ns) for rung, _ in timed],
                [
                    nanoseconds(rung.ns[0], 3)
                    + (f" · {plain(rung.cycles[0], 3)} cycles" if math.isfinite(rung.cycles[0]) else "")
                    for rung, _ in timed
                ],
                lambda value: nanoseconds(value, 1),
                "",
            )
        )
    counted = sorted((pair for pair in found if pair[0].cycles[0] > 0), key=lambda pair: pair[0].cycles[0])
    if counted:
        without = len(found) - len(counted)
        drawn.append(
            _ladder_figure(
                "ladder-cycles",
                "What things cost here, in cycles of the core",
                counted,
                [Point(rung.label, *rung.cycles) for rung, _ in counted],
                [f"{plain(rung.cycles[0], 3)} cycles · {nanoseconds(rung.ns[0], 3)}" for rung, _ in counted],
                lambda value: plain(value, 1),
                f" Not drawn: {without} whose time is not spent in cycles of one core." if without else "",
            )
        )
    return drawn


def _ladder_figure(
    name: str,
    title: str,
    found: Sequence[tuple[Rung, str]],
    points: Sequence[Point],
    said: Sequence[str],
    axis: Any,
    remark: str,
) -> Figure:
    first, last = points[0], points[-1]
    times = f", {count(float(f'{last.value / first.value:.2g}'))} times as much" if len(points) > 1 else ""
    return figures.ladder(
        name,
        title,
        f"From {first.label} ({said[0]}) to {last.label} ({said[-1]}){times}; each line of the scale is ten times the "
        f"one before. Thick lines are 95 % intervals, where they are wide enough to be seen.{remark}",
        table(title, ("what", "cost"), [(point.label, text) for point, text in zip(points, said, strict=True)]),
        points,
        said,
        [link for _, link in found],
        axis=axis,
    )


# ---- HTML ----


def as_html(document: Document) -> str:
    """One self-contained page: no network; a script sorts tables and switches units, and nothing depends on it."""
    return environment().get_template("report.html.j2").render(document=document, **_script())


def claims_page(analysis: Analysis, page: str = "") -> str:
    """The lecture notes, measured, as a page of their own; `page` is where a report with the sections is."""
    said = lecture.sentences(analysis)
    return (
        environment()
        .get_template("claims.html.j2")
        .render(
            sentences=said,
            tally=lecture.tally(said),
            machine_name=str(analysis.machine["cpu_model"]),
            run_id=analysis.run["id"],
            page=page,
            **_script(),
        )
    )


def _script() -> dict[str, str]:
    """The script, and its hash, by which alone the page allows a script: nothing else on it is ever executed."""
    text = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}


@functools.cache
def environment() -> Environment:
    """The templates, in which every text is escaped and every hidden character replaced."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["svg"] = Markup  # made by figures.py, or JSON of ours, which escape
    made.filters["code"] = _code_spans
    made.filters["columns"] = column_kinds
    return made


def column_kinds(item: Table) -> tuple[str, ...]:
    """For each column of a table that has both times and cycles, which of the two it is, as a class of the page; the
    interval belongs to what stands before it.
    """
    kinds: list[str] = []
    for name in item.header:
        if re.search(r"\bcycles\b", name):
            kinds.append("in-cycles")
        elif re.match(r"time\b|floor$", name) or re.search(r"\bns$", name):
            kinds.append("in-ns")
        else:
            kinds.append(kinds[-1] if name == "interval" and kinds else "")
    both = {"in-cycles", "in-ns"} <= set(kinds)
    return tuple(kinds) if both else ("",) * len(kinds)


def _code_spans(text: str) -> str:
    """`like this` in a sentence as <code>, everything escaped."""
    from markupsafe import Markup, escape

    parts = _COMMAND.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


# ---- Markdown ----

# Only what our own sentences put between backticks: a name from outside may hold backticks too.
_COMMAND = re.compile(r"`([\w ./'*-]+)`")


def _spans(text: str) -> str:
    parts = _COMMAND.split(text)
    return "".join(f"`{part}`" if index % 2 else _markdown(part) for index, part in enumerate(parts))


def _markdown_table(item: Table, fold: int | None = None, links: Sequence[str] = ()) -> list[str]:
    if fold is not None and len(item.rows) > fold:
        # Inside of <summary> a page's renderer takes HTML; a caption may hold names from outside.
        caption = escape(visible(" ".join(item.caption.split())))
        opening = ["<details>", f"<summary>{caption}: {len(item.rows)} rows</summary>", ""]
        return [*opening, *_markdown_table(item)[2:], "</details>", ""]
    lines = [
        f"*{_markdown(item.caption)}*",
        "",
        "| " + " | ".join(map(_markdown, item.header)) + " |",
        "|" + " --- |" * len(item.header),
    ]
    for place, row in enumerate(item.rows):
        cells = [_markdown(cell) or " " for cell in row]
        if links:
            cells[0] = f"[{cells[0]}]({links[place]})"
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _markdown_picture(figure: Figure, folder: str) -> str:
    return f"![{_markdown(figure.title)}. {_markdown(figure.description)}]({folder}/{figure.name}.svg)"


def _markdown_figure(figure: Figure, folder: str, fold: int) -> list[str]:
    return [
        _markdown_picture(figure, folder),
        "",
        _markdown(figure.description),
        "",
        *_markdown_table(figure.table, fold),
    ]


def as_markdown(document: Document, pictures: str) -> str:
    """The same as `as_html` for a repository's page; pictures are looked for in the folder `pictures` beside it."""
    lines: list[str] = [f"# {_markdown(document.title)}", ""]
    if document.ladder:
        lines += _heading("numbers", "This machine's numbers")
        for figure in document.ladder_figures:
            lines += [_markdown_picture(figure, pictures), ""]
        lines += _markdown_table(document.ladder, links=document.ladder_links)
    lines += [
        *_heading("trust", "Can I trust this?"),
        f"**{_markdown(document.verdict.word)}.** {_spans(document.verdict.sentence)}",
        "",
        _spans(document.examination.sentence)
        + (
            f" **What would help most:** {_markdown(document.examination.best_change)}."
            if document.examination.best_change
            else ""
        ),
        "",
        *_markdown_table(document.trust),
    ]
    if document.warnings:
        lines += [
            "### What to know before reading on",
            "",
            *(f"- {_spans(item.sentence)}" for item in document.warnings),
            "",
        ]
    if document.examination.findings:
        lines += ["### What the doctor found", "", *_markdown_table(document.examination.findings, 6)]
    if document.twins:
        lines += ["### The same code twice", "", *_markdown_table(document.twins, document.fold)]
    lines += _heading("machine", "The machine")
    if document.topology:
        lines += [f"### {document.topology.title}", ""]
        lines += [*_markdown_figure(document.topology, pictures, document.fold), "### What it says about itself", ""]
    lines += _markdown_table(document.machine)
    for section in document.sections:
        topic = section.topic
        lines += [*_heading(f"topic-{topic.slug}", topic.title), _markdown(topic.question), ""]
        for figure in section.figures:
            lines += [f"### {_markdown(figure.title)}", "", *_markdown_figure(figure, pictures, document.fold)]
        lines += [
            "### How to read this",
            "",
            _spans(topic.how_to_read),
            "",
            f"**What it does not show:** {_spans(topic.not_shown)}",
            "",
        ]
        lines += _claims_markdown(document.claims.get(topic.name, ()))
        if topic.name in document.missing:
            lines += ["### Not measurable here", "", *_markdown_table(document.missing[topic.name], document.fold)]
        if section.tables:
            lines += ["### All rows", ""]
            for item in section.tables:
                lines += _markdown_table(item, document.fold)
        lines += ["Again, only this: " + _spans(f"`{topic.command}`"), ""]
    if document.sentences:
        lines += [*_heading("lecture", "The lecture notes, measured"), document.tally, ""]
        lines += _lecture_markdown(document.sentences)
    lines += [*_heading("data", "Data and versions"), *_markdown_table(document.data)]
    return "\n".join(lines).rstrip() + "\n"


def claims_markdown(analysis: Analysis, page: str = "") -> str:
    """The lecture notes, measured, as a Markdown page; `page` is where a report with the sections is."""
    said = lecture.sentences(analysis)
    title = f"# The lecture notes, measured on {_markdown(str(analysis.machine['cpu_model']))}"
    return "\n".join([title, "", lecture.tally(said), "", *_lecture_markdown(said, page, page != "")]).rstrip() + "\n"


def _heading(anchor: str, title: str) -> list[str]:
    """A heading with an anchor that does not depend on how a page's renderer makes one of the title."""
    return [f'<a id="{anchor}"></a>', "", f"## {_markdown(title)}", ""]


def _lecture_markdown(said: Sequence[Sentence], page: str = "", linked: bool = True) -> list[str]:
    lines = [
        "| sentence | verdict | figure [95 % interval] | why, and what it depends on | shown in |",
        "|" + " --- |" * 5,
    ]
    for item in said:
        words = [f"“{_markdown(item.claim.quote)}”" if item.claim.quote else "", _markdown(item.claim.english)]
        words += [f"tested: {_markdown(item.claim.tested_as)}" if item.claim.tested_as else ""]
        cells = (
            "<br>".join(word for word in words if word),
            f"**{item.verdict.outcome}**",
            _markdown(item.verdict.figure) or " ",
            _spans(item.verdict.because) or " ",
            f"[{_markdown(item.section_title)}]({page}#{item.section})"
            if item.section and linked
            else _markdown(item.section_title),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _claims_markdown(said: Iterable[tuple[claims.Claim, claims.Verdict]]) -> list[str]:
    lines: list[str] = []
    for item, verdict in said:
        said_as = f"“{_markdown(item.quote)}”" if item.quote else ""
        words = [item.english] if item.english else []
        words += [f"tested: {item.tested_as}"] if item.tested_as else []
        lines += [
            f"- {said_as} ({_markdown('; '.join(words))}): **{verdict.outcome}**".replace("-  (", "- ("),
            f"  {_markdown(verdict.figure)} {_spans(verdict.because)}".rstrip(),
        ]
    return ["### What the lecture said", "", *lines, ""] if lines else []


__all__ = [
    "Document",
    "Verdict",
    "as_html",
    "as_json",
    "as_markdown",
    "build_document",
    "claims_markdown",
    "claims_page",
    "ladder",
    "rungs",
    "trust_table",
    "trust_verdict",
    "write_report",
]
