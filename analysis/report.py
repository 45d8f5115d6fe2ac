"""The report of a run: one self-contained HTML file, the same in Markdown, and its rows as JSON.

Whatever comes from outside (names of CPUs, labels, kernels) is text: jinja escapes it for HTML, matplotlib for SVG,
`fencepost.analysis.text` for Markdown.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fencepost.analysis import claims, topics, warnings
from fencepost.analysis.derive import core_clock_of_rounds, tick_hz
from fencepost.analysis.estimate import FEWEST_PROCESSES, Analysis, analyse, records
from fencepost.analysis.figures import Figure
from fencepost.analysis.tables import (
    Table,
    bounds,
    count,
    ns_with_bounds,
    plain,
    size,
    table,
    with_bounds,
)
from fencepost.analysis.text import finalize, visible
from fencepost.analysis.text import markdown as _markdown
from fencepost.analysis.topics.memory import caches
from fencepost.bench.schema import SCHEMA_VERSION

TEMPLATES = Path(__file__).parent / "templates"
TRUSTED_FLOOR_PCT = 1.0
DOUBTFUL_FLOOR_PCT = 5.0
GAPS_PCT = 10.0
"""A CPU that loses more than this to other work is no quiet place, whatever the medians say."""


FOLD_ROWS = 12
"""Tables of figures and of all rows that are longer are folded: the page is for reading, they are for looking up."""


@dataclass(frozen=True)
class Verdict:
    """The trust panel's one verdict: a word and a sentence."""

    word: str
    sentence: str


@dataclass(frozen=True)
class Document:
    """All that HTML and Markdown say."""

    title: str
    machine_name: str
    verdict: Verdict
    ladder: Table | None
    trust: Table
    warnings: Sequence[warnings.RunWarning]
    unmeasurable: Table | None
    machine: Table
    sections: Sequence[topics.Section]
    claims: Mapping[str, Sequence[tuple[claims.Claim, claims.Verdict]]]
    data: Table
    twins: Table | None
    fold: int = FOLD_ROWS


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
    rows = [{name: record[name] for name in _JSON_ROW} for record in records(analysis.rows)]
    for row in rows:
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
        "claims": [
            {
                "id": item.id,
                "quote": item.quote,
                "english": item.english,
                "tested_as": item.tested_as,
                "verdict": str(said.outcome),
                "figure": said.figure,
                "because": said.because,
            }
            for item, said in claims.verdicts(analysis)
        ],
    }
    clean = _plain_data(document)
    assert isinstance(clean, dict)
    return clean


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
    document = build_document(analyse(folder))
    written = []
    if html is not None:
        path = Path(html)
        path.write_text(as_html(document), encoding="utf-8")
        written.append(path)
    if markdown is not None:
        path = Path(markdown)
        pictures = path.with_name(f"{path.stem}_figures")
        figures = [figure for section in document.sections for figure in section.figures]
        if figures:
            pictures.mkdir(exist_ok=True)
        for figure in figures:
            target = pictures / f"{figure.name}.svg"
            target.write_text(figure.standalone(), encoding="utf-8")
            written.append(target)
        path.write_text(as_markdown(document, pictures.name), encoding="utf-8")
        written.append(path)
    return written


def build_document(analysis: Analysis) -> Document:
    """Everything that a report says about a run."""
    name = str(analysis.machine["cpu_model"])
    said = claims.verdicts(analysis) if analysis.rounds else []
    by_topic: dict[str, list[tuple[claims.Claim, claims.Verdict]]] = {}
    for item, verdict in said:
        by_topic.setdefault(item.topic, []).append((item, verdict))
    return Document(
        title=f"What {name} really charges",
        machine_name=name,
        verdict=trust_verdict(analysis),
        ladder=ladder(analysis),
        trust=trust_table(analysis),
        warnings=warnings.collect(analysis),
        unmeasurable=_unmeasurable(analysis),
        machine=machine_table(analysis.machine),
        sections=topics.sections(analysis) if analysis.rounds else [],
        claims=by_topic,
        data=_data_table(analysis),
        twins=_twins_table(analysis),
    )


def trust_verdict(analysis: Analysis) -> Verdict:
    """One verdict in words on how far the figures of a run can be trusted."""
    rounds, planned, floor = analysis.rounds, analysis.planned_rounds, analysis.noise_floor_pct
    if rounds == 0:
        return Verdict(
            "Nothing to trust yet",
            f"No round of this run is complete ({planned} are planned), so there are no figures; `fencepost run "
            "--resume` goes on.",
        )
    if rounds < FEWEST_PROCESSES:
        return Verdict(
            "Not yet",
            f"{_count(rounds, 'round')} of {planned} {'is' if rounds == 1 else 'are'} complete, and fewer than "
            f"{FEWEST_PROCESSES} give no interval: take the figures as first impressions.",
        )
    measured = analysis.rows[analysis.rows["ns"].notna()]
    noisy = sum("noisy" in flags for flags in measured["flags"])
    share = noisy / len(measured) if len(measured) else 0.0
    so_many = f"{_count(noisy, 'row')} of {len(measured)} noisy"
    if math.isnan(floor):
        return Verdict(
            "In part",
            f"Intervals are there ({so_many}), but no A/A row was run: how far equal code differs on this machine "
            "is not known.",
        )
    # The median effect alone would flatter a run whose rounds scatter: what counts is what its interval still allows.
    reach = max(floor, analysis.noise_reach_pct)
    said = (
        f"the same code run twice differs by {plain(floor, 2)} %, with 95 % confidence by at most {plain(reach, 2)} %"
    )
    lost = max(_lost_pct(analysis), default=0.0)
    said += f"; {so_many}" + (f"; a CPU loses {plain(lost, 2)} % of its time" if lost > GAPS_PCT else "")
    if reach <= TRUSTED_FLOOR_PCT and share <= 0.2 and lost <= GAPS_PCT:
        return Verdict(
            "Yes", f"Differences of more than {plain(max(reach, 0.1), 2)} % between rows mean something: {said}."
        )
    if reach <= DOUBTFUL_FLOOR_PCT:
        return Verdict("With care", f"Believe differences of more than {plain(reach, 2)} % only: {said}.")
    return Verdict("Hardly", f"Orders of magnitude hold, small differences do not: {said}.")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def ladder(analysis: Analysis) -> Table | None:
    """The machine's headline numbers, cheapest first; None where none of them was measured."""
    if not analysis.rounds:
        return None
    found = (step(analysis) for topic in topics.known_topics() for step in topic.ladder)
    rungs = sorted((rung for rung in found if rung is not None), key=lambda rung: rung.ns[0])
    cells = [
        (
            rung.label,
            ns_with_bounds(*rung.ns) + (f" ({rung.modes} modes)" if rung.modes else ""),
            with_bounds(*rung.cycles),
            rung.measured_as,
        )
        for rung in rungs
    ]
    caption = "What things cost here: median over processes [95 % interval]"
    return table(caption, ("what", "time", "core cycles", "measured as"), cells) if cells else None


def trust_table(analysis: Analysis) -> Table:
    """The facts behind the verdict."""
    run, plan, machine = analysis.run, analysis.run["plan"], analysis.machine
    rows = analysis.rows
    facts: list[tuple[str, str]] = [
        ("complete rounds", f"{analysis.rounds} of {analysis.planned_rounds} planned; each is a fresh process")
    ]
    if analysis.rounds:
        floor = analysis.noise_floor_pct
        facts.append(
            (
                "noise floor (A/A)",
                "not measured: no A/A row in this run"
                if math.isnan(floor)
                else f"{plain(floor, 2)} %: the largest effect among {_count(len(analysis.twins), 'pair')} of the "
                "same code under two names",
            )
        )
        lost = [
            f"CPU {row['cpus'][0]}: {_with_percent(row['metrics']['lost_pct'])}"
            for row in records(analysis.kernel("noise/gaps"))
            if "lost_pct" in row["metrics"]
        ]
        facts.append(("time lost in gaps", "; ".join(lost) or "not measured: no noise/gaps in this run"))
        middle, low, high = core_clock_of_rounds(analysis)
        facts.append(
            (
                "core clock over the run",
                f"{plain(middle.value)} GHz, from {plain(low)} to {plain(high)} over rounds"
                if middle.n
                else "not known: the chains that show it were not believable",
            )
        )
        ticks = tick_hz(analysis)
        worker = analysis.reduced.workers
        facts.append(
            (
                "tick counter",
                (
                    f"{worker['tick_source'].iloc[0]} at {plain(ticks.value / 1e6, 7)} MHz, in steps of "
                    f"{count(float(worker['quantum_ticks'].median()))} ticks"
                ),
            )
        )
        measured = rows[rows["ns"].notna()]
        flagged = sum(bool(set(flags) - {"once"}) for flags in measured["flags"])
        facts.append(("rows with a remark", f"{flagged} of {len(measured)}"))
    facts.append(("pinning", f"{run['launcher']}, CPU {', '.join(map(str, plan['cpus']))}"))
    facts.append(("virtualisation", _virtual(machine.get("hypervisor"))))
    missing = int(rows["reason"].notna().sum())
    facts.append(
        (
            "not measurable here",
            f"{_count(missing, 'row')}, each with its reason below"
            if missing
            else "nothing: every row of the plan was measured",
        )
    )
    return table("The facts behind the verdict", ("what", "seen"), facts)


def _lost_pct(analysis: Analysis) -> list[float]:
    rows = analysis.kernel("noise/gaps")["metrics"]
    return [float(metrics["lost_pct"]["value"]) for metrics in rows if "lost_pct" in metrics]


def _with_percent(item: Mapping[str, float]) -> str:
    return with_bounds(item["value"], item["low"], item["high"], "%")


def _virtual(value: object) -> str:
    if isinstance(value, Mapping):
        guest, kind = value.get("guest"), value.get("kind")
        if guest:
            return f"guest of {kind or 'an unnamed hypervisor'}: the hypervisor can take the CPU away unseen"
        return "not known" if guest is None else "none seen"
    return f"guest of {value}" if value else "not known"


def _unmeasurable(analysis: Analysis) -> Table | None:
    rows = analysis.rows[analysis.rows["reason"].notna()] if analysis.rounds else analysis.rows[:0]
    by_reason: dict[str, list[str]] = {}
    for row in records(rows):
        by_reason.setdefault(row["reason"], []).append(row["case"])
    cells = [(reason, str(len(cases)), ", ".join(cases)) for reason, cases in by_reason.items()]
    return table("What could not be measured here, and why", ("reason", "rows", "cases"), cells) if cells else None


def _twins_table(analysis: Analysis) -> Table | None:
    cells = [
        (twin.original, with_bounds(*twin.effect_pct[:3], "%"), str(twin.effect_pct.n))
        for twin in analysis.twins
        if twin.effect_pct.n
    ]
    return (
        table(
            "A/A rows: the same code under two names, and how far they differ",
            ("case", "difference [95 % interval]", "rounds"),
            cells,
        )
        if cells
        else None
    )


_MACHINE_FACTS: tuple[tuple[str, str], ...] = (
    ("cpu_model", "processor"),
    ("arch", "architecture"),
    ("cpu_vendor", "vendor"),
    ("cpu_family", "family"),
    ("cpu_model_number", "model"),
    ("stepping", "stepping"),
    ("microcode", "microcode"),
    ("kernel", "kernel"),
    ("kernel_version", "kernel build"),
    ("libc", "C library"),
    ("clocksource", "clock source"),
    ("frequency_driver", "frequency driver"),
    ("governor", "governor"),
    ("turbo", "turbo"),
    ("smt", "sibling threads (SMT)"),
    ("thp", "transparent huge pages"),
    ("aslr", "address-space randomisation"),
)


def machine_table(machine: Mapping[str, Any]) -> Table:
    """What machine.json says, in words; what it does not know is said to be not known."""
    facts = [(word, _fact(machine[name])) for name, word in _MACHINE_FACTS if name in machine]
    topology = machine["topology"]
    if isinstance(topology, Mapping):
        counts = [
            (len(topology.get(name) or ()), one, several)
            for name, one, several in (
                ("cpus", "CPU", "CPUs"),
                ("cores", "core", "cores"),
                ("packages", "package", "packages"),
                ("numa", "NUMA node", "NUMA nodes"),
            )
        ]
        facts.append(
            (
                "topology",
                ", ".join(f"{count} {one if count == 1 else several}" for count, one, several in counts if count)
                or "not known",
            )
        )
    known = caches(machine)
    if known:
        facts.append(("caches", ", ".join(f"{name} {size(value)}" for name, value in known)))
    memory = machine.get("memory_bytes")
    if isinstance(memory, int | float):
        facts.append(("memory", size(memory)))
    facts.append(("virtualisation", _virtual(machine.get("hypervisor"))))
    mitigations = machine.get("mitigations")
    if isinstance(mitigations, Mapping):
        active = [f"{name}: {text}" for name, text in mitigations.items() if text != "Not affected"]
        facts.append(("mitigations", "; ".join(active) or "not affected by any that the kernel knows"))
    return table("What the machine says about itself", ("what", "value"), facts)


def _fact(value: object) -> str:
    if value is None or value == "" or value == []:
        return "not known"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _data_table(analysis: Analysis) -> Table:
    run, plan = analysis.run, analysis.run["plan"]
    engine = run["engine"]
    facts = [
        ("run", run["id"]),
        ("made", run["created_utc"]),
        ("command", shlex.join(run["command"])),
        (
            "profile",
            (
                f"{plan['profile']}: {plan['rounds']} rounds, {plan['batches']} batches of {plan['batch_ns'] // 1000} "
                f"µs a case, seed {plan['seed']}"
            ),
        ),
        ("launcher", run["launcher"]),
        ("engine", f"{engine['arch']}, {engine['compiler']}, {engine['flags']}"),
        ("sha256 of the engine", engine["sha256"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items())),
        ("batches", count(float(analysis.rows["batches"].sum()))),
    ]
    return table("What was run, and with what", ("what", "value"), facts)


# ---- HTML ----


def as_html(document: Document) -> str:
    """One self-contained page: no network, no script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup  # made by figures.py, which escapes
    environment.filters["code"] = _code_spans
    return environment.get_template("report.html.j2").render(document=document)


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


def _markdown_table(item: Table, fold: int | None = None) -> list[str]:
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
    lines += ["| " + " | ".join(_markdown(cell) or " " for cell in row) + " |" for row in item.rows]
    return [*lines, ""]


def _markdown_figure(figure: Figure, folder: str, fold: int) -> list[str]:
    return [
        f"![{_markdown(figure.title)}. {_markdown(figure.description)}]({folder}/{figure.name}.svg)",
        "",
        _markdown(figure.description),
        "",
        *_markdown_table(figure.table, fold),
    ]


def as_markdown(document: Document, pictures: str) -> str:
    """The same as `as_html` for a repository's page; pictures are looked for in the folder `pictures` beside it."""
    lines: list[str] = [f"# {_markdown(document.title)}", ""]
    if document.ladder:
        lines += _markdown_table(document.ladder)
    lines += [
        "## Can I trust this?",
        "",
        f"**{_markdown(document.verdict.word)}.** {_spans(document.verdict.sentence)}",
        "",
        *_markdown_table(document.trust),
    ]
    if document.twins:
        lines += _markdown_table(document.twins)
    if document.warnings:
        lines += [
            "### What to know before reading on",
            "",
            *(f"- {_spans(item.sentence)}" for item in document.warnings),
            "",
        ]
    if document.unmeasurable:
        lines += ["### Not measurable here", "", *_markdown_table(document.unmeasurable)]
    lines += ["## The machine", "", *_markdown_table(document.machine)]
    for section in document.sections:
        topic = section.topic
        lines += [f"## {_markdown(topic.title)}", "", _markdown(topic.question), ""]
        lines += _claims_markdown(document.claims.get(topic.name, ()))
        for figure in section.figures:
            lines += [f"### {_markdown(figure.title)}", "", *_markdown_figure(figure, pictures, document.fold)]
        lines += [
            "### How to read this",
            "",
            _spans(topic.how_to_read),
            "",
        ]
        lines += [
            "### What it does not show",
            "",
            _spans(topic.not_shown),
            "",
            "Again, only this: " + _spans(f"`{topic.command}`"),
            "",
        ]
        if section.tables:
            lines += ["### All rows", ""]
            for item in section.tables:
                lines += _markdown_table(item, document.fold)
    lines += ["## Data and versions", "", *_markdown_table(document.data)]
    return "\n".join(lines).rstrip() + "\n"


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
    "bounds",
    "build_document",
    "ladder",
    "machine_table",
    "trust_table",
    "trust_verdict",
    "write_report",
]
