"""The gallery: runs as published folders, and the pages over all of them.

A published folder, ``results/<date>-<machine key>/``, holds what was measured (``run.json``, ``machine.json``,
``rows.parquet``) and what follows from it (``summary.csv``, ``README.md``, ``report.html``). The pages over all folders
(``results/README.md``, ``index.html``, ``compare.html``) are made of the summaries, so that two hundred machines take
seconds; that the summaries follow from the rows is for `fencepost.analysis.gallery.check`.

Whatever is read here may have come by a pull request of anybody: it is text, never markup
(`fencepost.analysis.text.escape`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from fencepost.analysis.exchange.table import csv_row
from fencepost.analysis.gallery.labels import Named
from fencepost.analysis.gallery.matrix import one_way_times
from fencepost.analysis.gallery.summary import (
    HEADLINE,
    SUMMARY_COLUMNS,
    by_kind,
    modes_of,
    read_summary,
    summary_lines,
)
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.report.trust import trust_verdict
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import NO_MACHINE, MachineIdentity, called, identity_of, label_of, without_host
from fencepost.analysis.runs.named import processor
from fencepost.analysis.runs.row import CSV_COLUMNS
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.escape import cell, markdown, one_line
from fencepost.analysis.text.numbers import counted
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import headlines, rungs
from fencepost.bench import schema
from fencepost.bench.documents import MachineJson, RunJson
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE, RunFolderError

README, REPORT, SUMMARY = "README.md", "report.html", "summary.csv"


LARGEST = {
    README: 1 << 20,
    REPORT: 4 << 20,
    RUN_FILE: 4 << 20,
    MACHINE_FILE: 1 << 20,
    SUMMARY: 8 << 20,
    ROWS_FILE: 16 << 20,
}
"""The files of a published folder, and how many bytes each may have: some four times what a standard run writes."""


NAME = re.compile(r"\d{4}-\d{2}-\d{2}-[a-z0-9]+(-[a-z0-9]+)*")
"""What a published folder may be called: nothing that a path, a page or a shell could take for something else."""


PUBLISHED: Final = "published"

STAMP = "fencepost-rows"


MOST_MACHINES = 1000


class GalleryError(ValueError):
    """A run cannot be published, or the gallery not be built: one sentence."""


# ---- one run ----


def folder_name(run: RunJson, machine: MachineJson) -> str:
    """``<date>-<machine key>`` of a run, and its label if it has one: two machines of one make may have equal keys."""
    key = re.sub(r"[^a-z0-9]+", "-", f"{machine['key']}-{label_of(run)}".lower()).strip("-")
    return f"{str(run['created_utc'])[:10]}-{key}"


def refusals(analysis: Analysis, private: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Why a run cannot be published: one sentence each, beginning with file and field; nothing where it can.

    Parameters
    ----------
    analysis
        the run.
    private
        words that must not stand in it, each with what it is: ``("alice", "the name of a user")``.
    """
    run = analysis.run
    if schema.IMPORTED in run:
        return [
            f"{RUN_FILE}: field {schema.IMPORTED}: nobody can check how another tool measured; publish a run of ours"
        ]
    found = []
    try:
        datetime.strptime(str(run["created_utc"]), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        found.append(f"{RUN_FILE}: field created_utc: {one_line(run['created_utc'], 40)!r} is not a time in UTC")
    if not NAME.fullmatch(folder_name(run, analysis.machine)):
        found.append(f"{MACHINE_FILE}: field key: {one_line(analysis.machine['key'], 60)!r} gives no name of a folder")
    if run["machine_key"] != analysis.machine["key"]:
        found.append(f"{RUN_FILE}: field machine_key: not the key in {MACHINE_FILE}; the two files are of two machines")
    planned = analysis.planned_rounds
    if analysis.rounds < planned:
        found.append(
            f"{RUN_FILE}: field plan.rounds: {analysis.rounds} of {planned} rounds are complete; "
            "`fencepost run --resume` measures the others"
        )
    if planned < FEWEST_PROCESSES:
        found.append(
            f"{RUN_FILE}: field plan.rounds: {planned} rounds give no interval; run at least {FEWEST_PROCESSES}, "
            "as every profile does"
        )
    for row in analysis.rows:
        flags = set(row.flags)
        if "failed" in flags:
            found.append(f"{ROWS_FILE}: case {one_line(row.case)}: {one_line(row.reason or '')}; mend that first")
        elif flags & {"incomplete", "not_measured"} and analysis.rounds == planned:
            found.append(f"{ROWS_FILE}: case {one_line(row.case)}: not in every round; run the plan again as a whole")
    if not analysis.measured():
        found.append(f"{ROWS_FILE}: no case was measured, so there is nothing to show")
    return [*found, *_private(analysis, private)]


# Absolute paths other than those that every machine has; the file name of an option counts too (-I/home/…).
_PATH = re.compile(
    r"(?<![\w.:/\]])(?:-[A-Za-z])?"
    r"(~/|/(?!(?:sys|proc|dev|usr|build)\b|etc/default/grub(?![\w./-]))[\w.+-]+/[\w.+~-]|/root\b)[^\s\"',;]*"
)


_PERSONAL = {
    *(
        "pid",
        "ppid",
        "comm",
        "cmdline",
        "host",
        "hostname",
        "host_name",
        "node",
        "nodename",
        "user",
        "username",
        "login",
    ),
    *("home", "cwd", "serial", "serial_number", "uuid", "machine_id", "board_serial", "mac", "ip", "mhz", "bogomips"),
}


_PROSE = {
    RUN_FILE: re.compile(
        r"doctor\..*|plan\.unmeasurable\[.*|plan\.profile|plan\.cases\[.*|published\.trust|launcher|id|machine_key"
    ),
    MACHINE_FILE: re.compile(
        r"key|cpu_(model|vendor|flags)\b.*|arch|mitigations\..*|governor|turbo|smt|thp.*|aslr|clocksource.*|libc|"
        r"(frequency|idle)_driver|energy_performance_preference|hypervisor\.kind|capabilities\..*|topology_source"
    ),
    ROWS_FILE: re.compile(r"reason.*"),
}
"""Fields that hold words of fencepost, of Linux or of a maker of processors, whoever runs it. A user may be called mark
or turbo. Paths are looked for in these fields too."""


def _theirs(file: str, place: str, own_cases: set[str]) -> bool:
    """Whether a user or host can have put a word into this field; `own_cases` are places of kernels of the user."""
    return place.partition("].")[0] + "]" in own_cases or not _PROSE[file].fullmatch(place)


def _private(analysis: Analysis, private: Sequence[tuple[str, str]]) -> list[str]:
    words = [(re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"), word, what) for word, what in private]
    reasons = sorted({str(text) for text in analysis.processes["reason"].dropna()})
    cases = analysis.run["plan"]["cases"]
    own_cases = {f"plan.cases[{place}]" for place, case in enumerate(cases) if case.get("object")}
    found = []
    for file, document in (
        (RUN_FILE, analysis.run),
        (MACHINE_FILE, analysis.machine),
        (ROWS_FILE, {"reason": reasons}),
    ):
        for place, name, text in _texts(document):
            if name in _PERSONAL:
                found.append(
                    f"{file}: field {place}: tells of the person or the host rather than of the kind of machine"
                )
            path = _PATH.search(text)
            if path is not None:
                found.append(f"{file}: field {place}: has the path {one_line(path[0], 60)}; a run is published without")
            found += [
                f"{file}: field {place}: has {one_line(word, 40)!r}, {what}; a run is published without it"
                for pattern, word, what in words
                # What a key is called is said above: a word is looked for in values.
                if not name and _theirs(file, place, own_cases) and pattern.search(text)
            ]
    return found


def _texts(value: object, place: str = "") -> Iterable[tuple[str, str, str]]:
    """Every text of a document with its place and the key it stands under; other values have an empty text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            inside = one_line(f"{place}.{key}" if place else str(key), 120)
            yield inside, str(key).lower(), str(key)
            if isinstance(inner, str):
                yield inside, "", inner
            else:
                yield from _texts(inner, inside)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, str):
                yield f"{place}[{index}]", "", inner
            else:
                yield from _texts(inner, f"{place}[{index}]")


def published_run(analysis: Analysis, version: str) -> RunJson:
    """run.json as it is published: without the host, paths of the command shortened to their last part, and how far to
    trust the run.
    """
    verdict = trust_verdict(analysis)
    bare = without_host(analysis.run)
    run: RunJson = {
        **bare,
        "command": [_PATH.sub(_last_part, word) for word in bare["command"]],
        PUBLISHED: {
            "fencepost": version,
            "trust": verdict.word,
            "noise_floor_pct": _or_none(analysis.noise_floor_pct),
            "noise_reach_pct": _or_none(analysis.noise_reach_pct),
        },
    }
    return {**run, "sha256": schema.hash_of(run)}


def _last_part(match: re.Match[str]) -> str:
    return match[0].rstrip("/").rpartition("/")[2]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def run_file(analysis: Analysis, version: str) -> bytes:
    """The bytes of the published run.json."""
    return _json_file(published_run(analysis, version))


def data_files(analysis: Analysis, version: str) -> dict[str, bytes]:
    """run.json, machine.json and rows.parquet of a run to be published."""
    bare = replace(analysis.reduced, run=without_host(analysis.run))
    return {
        RUN_FILE: run_file(analysis, version),
        MACHINE_FILE: _json_file(analysis.machine),
        ROWS_FILE: encode_rows(bare),
    }


def derived_files(analysis: Analysis) -> dict[str, bytes]:
    """README.md and summary.csv of a published folder, which follow from its data and from the headlines of now."""
    found = [rung for _, rung in headlines(analysis)]
    return {README: readme(analysis, found).encode(), SUMMARY: summary(analysis, found).encode()}


def stored_headlines(folder: Path, analysis: Analysis) -> list[Rung]:
    """The headlines that a published folder was given, as its rows have them now, in the order of its summary.csv.

    A rung that came later changes none of its files. Raises `RunFolderError` where summary.csv names a headline twice,
    none at all, or one that is no rung of this fencepost.
    """
    known = {cell(rung.label): rung for _, rung in rungs(analysis)}
    path = folder / SUMMARY
    labels = [line[HEADLINE] for line in summary_lines(path) if line[HEADLINE]]
    for label in labels:
        if label not in known or labels.count(label) > 1:
            fault = "twice" if label in known else "no number of the report's ladder"
            raise RunFolderError(f"{path}: field {HEADLINE}: {one_line(label, 80)!r}: {fault}; publish the run again")
    if known and not labels:
        raise RunFolderError(f"{path}: field {HEADLINE}: no headline at all; publish the run again")
    return [known[label] for label in labels]


def report_file(analysis: Analysis, rows: bytes) -> bytes:
    """report.html of a published folder; it names the SHA-256 of the rows that it was made of."""
    page = as_html(build_document(analysis))
    stamp = f'<meta name="{STAMP}" content="{hashlib.sha256(rows).hexdigest()}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{stamp}', 1).encode()


def _json_file(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()


def summary(analysis: Analysis, chosen: Sequence[Rung]) -> str:
    """summary.csv: the headlines first (their label in the first column), then one row a case."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(SUMMARY_COLUMNS)
    blank = dict.fromkeys(CSV_COLUMNS, "")
    for rung in chosen:
        numbers = dict(zip(("ns", "ns_low", "ns_high"), rung.ns[:3], strict=True))
        numbers |= dict(zip(("cycles", "cycles_low", "cycles_high"), rung.cycles[:3], strict=True))
        cells = {**blank, "case": cell(rung.measured_as), "flags": "modes" if rung.modes else ""}
        cells["basis"] = rung.basis or ""
        cells |= {name: repr(float(value)) for name, value in numbers.items() if math.isfinite(value)}
        writer.writerow([cell(rung.label), *cells.values()])
    writer.writerows(["", *csv_row(row)] for row in analysis.rows)
    return sink.getvalue()


def readme(analysis: Analysis, chosen: Sequence[Rung]) -> str:
    """README.md of a published folder: what it is, how far to trust it, the headlines, how to get them again.

    Of a run with witnesses it says which figure each headline is.
    """
    run, machine, plan = analysis.run, analysis.machine, analysis.run["plan"]
    verdict = trust_verdict(analysis)
    facts = (
        ("measured", f"{run['created_utc']}, profile {plan['profile']}, {analysis.rounds} processes"),
        ("processor", f"{machine['cpu_model']}, {counted(cpu_count(machine), 'CPU')}, {machine['arch']}"),
        ("hypervisor", under(machine)),
        ("kernel", str(machine["kernel"])),
        ("engine", f"{run['engine']['compiler']}; SHA-256 {run['engine']['sha256']}"),
        ("fencepost", str(run["versions"].get("fencepost", "unknown"))),
        ("machine's key", str(machine["key"])),
        *((("label", label_of(run)),) if label_of(run) else ()),
    )
    told = any(rung.basis for rung in chosen)
    header = ("what it charges", "time [95 % interval]", "core cycles", *(("figure",) if told else ()), "measured as")
    lines = [
        f"# {markdown(called(run, one_line(machine['cpu_model'])))}",
        "",
        f"**Can it be trusted? {markdown(verdict.word)}.** {markdown(verdict.sentence)}",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {what} | {markdown(one_line(value, 400))} |" for what, value in facts),
        "",
        f"| {' | '.join(header)} |",
        "|" + " --- |" * len(header),
    ]
    for rung in chosen:
        basis = (rung.basis or "",) if told else ()
        cells = (rung.label, rung.text(), rung.cycles.text(), *basis, rung.measured_as)
        lines.append("| " + " | ".join(markdown(text) for text in cells) + " |")
    command = " ".join(one_line(word) for word in run["command"])
    lines += [
        "",
        f"Measured with: {markdown(command)}",
        "",
        (
            f"[{REPORT}]({REPORT}) is the whole report, [{SUMMARY}]({SUMMARY}) every row, [{ROWS_FILE}]({ROWS_FILE}) "
            f"every row of every process, [{RUN_FILE}]({RUN_FILE}) and [{MACHINE_FILE}]({MACHINE_FILE}) what was run "
            "and on what. The folder is a run folder: `fencepost report`, `compare` and `export` read it. "
            "[All machines](../README.md)"
        ),
        "",
    ]
    return "\n".join(lines)


def cpu_count(machine: MachineJson) -> int:
    """CPUs of a machine that are present, as far as it is known."""
    present = machine.get("cpus_present") or machine["topology"].get("cpus") or []
    return len(present)


def under(machine: MachineJson) -> str:
    """The hypervisor: its name, ``unnamed``, ``none seen``, or ``not known``."""
    told = machine.get("hypervisor")
    if isinstance(told, Mapping):
        if told.get("guest"):
            return str(told.get("kind") or "unnamed")
        return "not known" if told.get("guest") is None else "none seen"
    return str(told) if told else "not known"


# ---- all machines ----


@dataclass(frozen=True)
class Entry:
    """A published folder as the pages show it. `headlines` has of one with `regimes` the one that held longest.

    `modes` has those of each headline whose processes fall into groups.
    """

    name: str
    title: str
    short: str
    date: str
    cpus: int
    arch: str
    under: str
    key: str
    trust: str
    noise: float
    headlines: dict[str, Interval]
    cases: dict[str, Interval]
    regimes: dict[str, tuple[Named, ...]] = field(default_factory=dict)
    modes: dict[str, tuple[Mode, ...]] = field(default_factory=dict)
    matrix: npt.NDArray[np.float64] | None = None
    matrix_cpus: list[int] = field(default_factory=list)
    identity: MachineIdentity = NO_MACHINE

    @property
    def href(self) -> str:
        """The folder, from the pages beside it."""
        return quote(self.name)

    @property
    def pair_range(self) -> tuple[float, float, float]:
        """Nearest, median and farthest pair, one way in ns."""
        assert self.matrix is not None
        known = self.matrix[np.isfinite(self.matrix)]
        return float(known.min()), float(np.median(known)), float(known.max())


def published_folders(results: Path) -> list[Path]:
    """Folders below `results` that are called like published ones: newest first, those of one day by name."""
    found = [
        path for path in results.iterdir() if NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
    found.sort(key=lambda path: path.name)
    return sorted(found, key=lambda path: path.name[:10], reverse=True)


def read_entry(folder: Path) -> Entry:
    """A published folder by its summary.

    Raises
    ------
    RunFolderError
        naming file and field, where something is missing or damaged.
    """
    for name, most in LARGEST.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise RunFolderError(f"{path}: missing, or no ordinary file; publish the run again")
        if path.stat().st_size > most:
            raise RunFolderError(f"{path}: {path.stat().st_size >> 20} MiB, more than the {most >> 20} MiB it may have")
    run, machine = schema.read_run(folder), schema.read_machine(folder)
    published = run.get(PUBLISHED)
    if not isinstance(published, dict) or not isinstance(published.get("trust"), str):
        raise RunFolderError(
            f"{folder / RUN_FILE}: field {PUBLISHED}: missing; publish the run with `fencepost publish`"
        )
    noise = published.get("noise_reach_pct")
    told = read_summary(folder / SUMMARY)
    matrix, cpus = one_way_times(told.rows)
    return Entry(
        name=folder.name,
        title=called(run, processor(machine)),
        short=label_of(run) or processor(machine),
        date=folder.name[:10],
        cpus=cpu_count(machine),
        arch=one_line(machine["arch"], 20),
        under=one_line(under(machine), 60),
        key=folder.name[11:],
        trust=one_line(published["trust"], 40),
        noise=float(noise) if isinstance(noise, int | float) else math.nan,
        headlines=told.headlines,
        cases=by_kind(told.rows),
        regimes=told.regimes,
        modes=modes_of((folder / README).read_text(encoding="utf-8", errors="replace"), told),
        matrix=matrix,
        matrix_cpus=cpus,
        identity=identity_of(run),
    )
