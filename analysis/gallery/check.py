"""Whether published folders are what they say: one sentence a fault, with folder, file, field and what to do.

Anybody may send a folder. So nothing of it is believed: names and sizes are looked at before contents, figures are made
again from ``rows.parquet``, and so is the page of a report. No page is believed because nothing bad was found in it:
what a browser makes of a page cannot be told by looking for what is known to be bad.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fencepost.analysis.draw.figure import undrawn
from fencepost.analysis.draw.svg import INERT
from fencepost.analysis.gallery.entry import (
    LARGEST,
    NAME,
    PUBLISHED,
    README,
    REPORT,
    SUMMARY,
    folder_name,
    published_folders,
    readme,
    refusals,
    report_file,
    stored_headlines,
    summary,
)
from fencepost.analysis.gallery.imported import FOLDER, imported_entries
from fencepost.analysis.gallery.pages import PAGES, build
from fencepost.analysis.gallery.summary import HEADLINE
from fencepost.analysis.report.trust import trust_verdict
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.medians import map_runs
from fencepost.analysis.runs.row import CSV_FIGURES
from fencepost.analysis.text.escape import HIDDEN, one_line
from fencepost.bench.documents import MachineFactsJson
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE, RunFolderError

AGAIN = "write the folder again with `fencepost publish`"
REWRITE = "it was edited, or another version wrote it. Write it again with `fencepost publish --rewrite`"


NOT_PUBLISHED = ("runs", "ab", "selfcheck", ".gitkeep", ".gitignore")
"""What commands write below results by default, none of it under version control."""


TOLERANCE = 1e-9
"""Relative: sums may be taken in another order by another version of a library, and nothing else may differ."""


KeyOf = Callable[[MachineFactsJson], str]


def check_gallery(
    results: Path, key_of: KeyOf, private: Sequence[tuple[str, str]] = (), *, reports: bool = False
) -> list[str]:
    """All faults of the gallery in `results`: one sentence each, nothing where it is sound.

    Parameters
    ----------
    results
        the folder that holds the published ones.
    key_of
        from machine.json to the machine's key (`fencepost.bench.machine.machine_key`).
    private
        words that must not stand in a run, as in `fencepost.analysis.gallery.entry.refusals`.
    reports
        whether to draw the pictures of every report again and compare them too.
    """
    if not results.is_dir():
        return [f"{results}: no such folder; the gallery is the folder results of the project"]
    faults: list[str] = []
    folders: list[Path] = []
    for path in sorted(results.iterdir()):
        if path.name in NOT_PUBLISHED:
            continue
        if path.name == FOLDER:
            faults += imported_entries(results)[1]
            continue
        if path.name.startswith(".tmp-"):
            faults.append(f"{_shown(path)}: left behind by a command that was ended; remove it")
            continue
        if path.is_symlink():
            faults.append(f"{_shown(path)}: a symbolic link; put the folder itself there")
        elif path.is_dir():
            if NAME.fullmatch(path.name):
                folders.append(path)
            else:
                faults.append(f"{_shown(path)}: not the name of a published folder (<date>-<machine's key>); {AGAIN}")
        elif path.name not in PAGES:
            faults.append(f"{_shown(path)}: a file that is not a page of the gallery; remove it")
    work = _Work(key_of, tuple(private), reports)
    for found in map_runs(work, folders):
        faults += found
    return faults or _check_pages(results)


class _Work:
    """`check_folder` with its other arguments, so that other processes can be given it."""

    def __init__(self, key_of: KeyOf, private: tuple[tuple[str, str], ...], reports: bool) -> None:
        self.arguments = key_of, private, reports

    def __call__(self, folder: Path) -> list[str]:
        return check_folder(folder, *self.arguments)


def _check_pages(results: Path) -> list[str]:
    pages, left_out = build(results)
    faults = list(left_out)
    if not published_folders(results):
        return [
            f"{_shown(results / name)}: a page without any machine; remove it"
            for name in PAGES
            if (results / name).exists()
        ]
    for name, wanted in pages.items():
        path = results / name
        if not path.is_file() or path.is_symlink():
            faults.append(f"{_shown(path)}: missing; write it with `fencepost publish --rebuild`")
        elif path.read_bytes() != wanted:
            faults.append(
                f"{_shown(path)}: not what the folders give; write it again with `fencepost publish --rebuild`"
            )
    return faults


def check_folder(
    folder: Path, key_of: KeyOf, private: Sequence[tuple[str, str]] = (), reports: bool = False
) -> list[str]:
    """All faults of one published folder; see `check_gallery`."""
    faults = _check_files(folder)
    if faults:
        return faults
    try:
        analysis = analyse(folder)
    except RunFolderError as error:
        sentence = one_line(str(error), 400)
        return [f"{sentence}; {AGAIN}" if "publish" not in sentence else sentence]
    except Exception as error:
        # Types and ranges that the schemas let through and the estimates do not bear.
        return [f"{_shown(folder)}: cannot be estimated ({type(error).__name__}: {one_line(str(error), 99)}); {AGAIN}"]
    faults = [f"{_shown(folder)}/{sentence}" for sentence in refusals(analysis, private)]
    faults += _check_identity(folder, analysis, key_of)
    if not faults:
        faults += _check_derived(folder, analysis)
    if not faults:
        faults += _check_report(folder, analysis, pictures=reports)
    return faults


def _shown(path: Path) -> str:
    return one_line(str(path), 200)


def _check_files(folder: Path) -> list[str]:
    faults = []
    there = {path.name: path for path in folder.iterdir()}
    for name, path in sorted(there.items()):
        if name == kept.FOLDER:
            # Its answers would be shown in place of the figures that `rows.parquet` gives.
            faults.append(f"{_shown(path)}: answers kept by commands, which are not published; remove it")
        elif path.is_symlink() or not path.is_file():
            faults.append(f"{_shown(path)}: a link or a folder; a published folder has files only, remove it")
        elif name not in LARGEST:
            faults.append(f"{_shown(path)}: a file that does not belong there; remove it")
        elif path.stat().st_size > LARGEST[name]:
            size = path.stat().st_size / (1 << 20)
            faults.append(
                f"{_shown(path)}: {size:.1f} MiB, more than the {LARGEST[name] >> 20} MiB it may have; {AGAIN}"
            )
    faults += [f"{_shown(folder / name)}: missing; {AGAIN}" for name in LARGEST if name not in there]
    if faults:
        return faults
    for name in (README, REPORT, SUMMARY):
        try:
            text = there[name].read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            faults.append(f"{_shown(there[name])}: byte {error.start} is not UTF-8; {AGAIN}")
            continue
        hidden = HIDDEN.search(text)
        if hidden is not None:
            line = text.count("\n", 0, hidden.start()) + 1
            faults.append(f"{_shown(there[name])}: line {line}: the hidden character U+{ord(hidden[0]):04X}; {AGAIN}")
    return faults


def _check_identity(folder: Path, analysis: Analysis, key_of: KeyOf) -> list[str]:
    faults = []
    machine, run = analysis.machine, analysis.run
    try:
        key = key_of(machine)
    except (KeyError, TypeError, AttributeError, ValueError):
        return [
            f"{_shown(folder / MACHINE_FILE)}: the facts that make the machine's key are missing or damaged; {AGAIN}"
        ]
    if machine["key"] != key:
        faults.append(
            f"{_shown(folder / MACHINE_FILE)}: field key: {one_line(machine['key'], 60)!r}, its facts give {key!r}; "
            "the file was edited by hand, publish the run again"
        )
    name = folder_name(run, machine)
    if folder.name != name:
        faults.append(f"{_shown(folder)}: the name of the folder, but its run gives {one_line(name, 80)!r}; rename it")
    published = run.get(PUBLISHED)
    if not isinstance(published, dict):
        return [*faults, f"{_shown(folder / RUN_FILE)}: field {PUBLISHED}: missing; {AGAIN}"]
    verdict = trust_verdict(analysis).word
    if published.get("trust") != verdict:
        faults.append(
            f"{_shown(folder / RUN_FILE)}: field {PUBLISHED}.trust: {one_line(str(published.get('trust')), 40)!r}, but "
            f"{ROWS_FILE} gives {verdict!r}; {AGAIN}"
        )
    for field, value in (("noise_floor_pct", analysis.noise_floor_pct), ("noise_reach_pct", analysis.noise_reach_pct)):
        if not _same(published.get(field), value):
            faults.append(
                f"{_shown(folder / RUN_FILE)}: field {PUBLISHED}.{field}: {one_line(str(published.get(field)), 40)}, "
                f"but {ROWS_FILE} gives {value:.6g}; {AGAIN}"
            )
    return faults


def _same(told: object, value: float) -> bool:
    if not math.isfinite(value):
        return told in (None, "")
    try:
        number = float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return math.isclose(number, value, rel_tol=TOLERANCE, abs_tol=1e-12)


def _check_derived(folder: Path, analysis: Analysis) -> list[str]:
    try:
        headlines = stored_headlines(folder, analysis)
    except RunFolderError as error:
        return [str(error)]
    faults = []
    fault = _first_difference(folder / SUMMARY, summary(analysis, headlines))
    if fault is not None:
        faults.append(fault)
    if (folder / README).read_text(encoding="utf-8") != readme(analysis, headlines):
        faults.append(
            f"{_shown(folder / README)}: not what {ROWS_FILE} gives; write it again with `fencepost publish --rewrite`"
        )
    return faults


def _first_difference(path: Path, wanted: str) -> str | None:
    again = "write it again with `fencepost publish --rewrite`"
    expected = list(csv.reader(io.StringIO(wanted)))
    try:
        told = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except csv.Error as error:
        return f"{_shown(path)}: no CSV ({one_line(str(error), 80)}); {again}"
    header = expected[0]
    for line, (left, right) in enumerate(zip(told, expected, strict=False), 1):
        if len(left) != len(header):
            return f"{_shown(path)}: line {line}: {len(left)} cells in {len(header)} columns; {again}"
        for name, a, b in zip(header, left, right, strict=True):
            figure = name in CSV_FIGURES and line > 1
            if a != b and not (figure and a and b and _same(a, float(b))):
                what = f"{right[header.index(HEADLINE)] or right[header.index('case')]}"
                return (
                    f"{_shown(path)}: line {line}, {one_line(what, 80)}: field {name}: {one_line(a, 40) or 'empty'}, "
                    f"but {ROWS_FILE} gives {one_line(b, 40) or 'nothing'}; {again}"
                )
    if len(told) != len(expected):
        return f"{_shown(path)}: {len(told)} lines, but {ROWS_FILE} gives {len(expected)}; {again}"
    return None


# ---- the report ----

_PICTURE = re.compile(r"<svg [^<>]*>.*?</svg>", re.DOTALL)
"""A picture of a page: there are none inside of another."""


def _check_report(folder: Path, analysis: Analysis, *, pictures: bool) -> list[str]:
    """Whether the page is the one that its rows give, to the byte.

    Parameters
    ----------
    pictures
        whether to draw them as well, which takes most of the time. Otherwise each is only held against what a picture
        is made of.
    """
    path = folder / REPORT
    rows = (folder / ROWS_FILE).read_bytes()
    told = path.read_bytes().decode("utf-8")
    if pictures:
        wanted = report_file(analysis, rows).decode()
    else:
        with undrawn():
            wanted = report_file(analysis, rows).decode()
        acting = next((part for part in _PICTURE.finditer(told) if not INERT.fullmatch(part[0])), None)
        if acting is not None:
            line = told.count("\n", 0, acting.start()) + 1
            return [f"{_shown(path)}: line {line}: a picture that has more than shapes and words; {REWRITE}"]
        told, wanted = (_PICTURE.sub("<svg></svg>", text) for text in (told, wanted))
    if told == wanted:
        return []
    for line, (left, right) in enumerate(zip(told.splitlines(), wanted.splitlines(), strict=False), 1):
        if left != right:
            at = next((k for k, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
            said = f"line {line}: {one_line(left[max(0, at - 20) :], 80)!r} where its rows give"
            return [f"{_shown(path)}: {said} {one_line(right[max(0, at - 20) :], 80)!r}; {REWRITE}"]
    return [f"{_shown(path)}: shorter or longer than what its rows give; {REWRITE}"]


def json_of(faults: Sequence[str]) -> dict[str, object]:
    """The faults as plain data."""
    return {"sound": not faults, "faults": list(faults)}
