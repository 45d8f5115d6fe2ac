"""Whether published folders are what they say: one sentence a fault, with folder, file, field and what to do.

Anybody may send a folder. So nothing of it is believed: names and sizes are looked at before contents, figures are made
again from ``rows.parquet``, and a report may hold no script but those that fencepost itself writes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from fencepost.analysis.gallery.entry import (
    LARGEST,
    NAME,
    PUBLISHED,
    README,
    REPORT,
    STAMP,
    SUMMARY,
    folder_name,
    published_folders,
    readme,
    refusals,
    report_file,
    stored_headlines,
    summary,
)
from fencepost.analysis.gallery.pages import PAGES, build
from fencepost.analysis.gallery.summary import HEADLINE
from fencepost.analysis.report.html import TEMPLATES
from fencepost.analysis.report.trust import trust_verdict
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.medians import map_runs
from fencepost.analysis.runs.row import CSV_FIGURES
from fencepost.analysis.text.escape import HIDDEN, one_line
from fencepost.bench.documents import MachineFactsJson
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE, RunFolderError

AGAIN = "write the folder again with `fencepost publish`"


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
        whether to write every report again and compare its words; only reports of the same version can be equal.
    """
    if not results.is_dir():
        return [f"{results}: no such folder; the gallery is the folder results of the project"]
    faults, folders = [], []
    for path in sorted(results.iterdir()):
        if path.name in NOT_PUBLISHED or path.name.startswith(".tmp-"):
            continue
        if path.is_symlink():
            faults.append(f"{_shown(path)}: a symbolic link; put the folder itself there")
        elif path.is_dir():
            if NAME.fullmatch(path.name):
                folders.append(path)
            else:
                faults.append(f"{_shown(path)}: not the name of a published folder (<date>-<machine's key>); {AGAIN}")
        elif path.name not in PAGES:
            faults.append(f"{_shown(path)}: a file that is no page of the gallery; remove it")
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
    except (ValueError, KeyError, TypeError, OverflowError, ArithmeticError) as error:
        # Types and ranges that the schemas let through and the estimates do not bear.
        return [f"{_shown(folder)}: cannot be estimated ({type(error).__name__}: {one_line(str(error), 99)}); {AGAIN}"]
    faults = [f"{_shown(folder)}/{sentence}" for sentence in refusals(analysis, private)]
    faults += _check_identity(folder, analysis, key_of)
    if not faults:
        faults += _check_derived(folder, analysis)
    faults += _check_report(folder)
    if reports and not faults:
        faults += _check_report_words(folder, analysis)
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
            faults.append(f"{_shown(path)}: a link or a folder; a published folder holds files only, remove it")
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

_FORBIDDEN = {
    *(
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "base",
        "form",
        "link",
        "portal",
        "template",
        "foreignobject",
    ),
    *("animate", "animatemotion", "animatetransform", "set", "audio", "video", "source", "track", "math", "slot"),
}


_ADDRESSES = {
    "href",
    "xlink:href",
    "src",
    "srcset",
    "action",
    "formaction",
    "poster",
    "data",
    "ping",
    "background",
    "cite",
}


_INERT = ("application/json", "application/ld+json")


_PICTURE = re.compile(r"data:image/(?:png|svg\+xml)[;,]|data:application/(?:json|gzip)[;,]")


_STYLE = re.compile(r"@import|expression\s*\(|url\(\s*['\"]?(?!#|data:image/png)", re.IGNORECASE)


def own_scripts() -> set[str]:
    """SHA-256 of each script that a report of this fencepost may hold."""
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.js")]
    for path in TEMPLATES.glob("*.j2"):
        inline = re.findall(r"<script>(.*?)</script>", path.read_text(encoding="utf-8"), re.DOTALL)
        texts += [text for text in inline if "{{" not in text and "{%" not in text]
    return {_digest(text) for text in texts}


def _digest(script: str) -> str:
    return hashlib.sha256(script.strip().encode()).hexdigest()


class _Page(HTMLParser):
    """What a page holds that could act: faults in words, its stamp, and its text outside of scripts and styles."""

    def __init__(self, scripts: set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts = scripts
        self.faults: list[str] = []
        self.stamp: str | None = None
        self.words: list[str] = []
        self._inside: str | None = None
        self._inert = False
        self._content: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in _FORBIDDEN:
            self._fault(f"an element <{one_line(tag, 30)}>")
        # A policy can only take rights away from the page.
        if tag == "meta" and values.get("http-equiv", "Content-Security-Policy") != "Content-Security-Policy":
            self._fault("a <meta http-equiv>")
        if tag == "meta" and values.get("name") == STAMP:
            self.stamp = values.get("content")
        for name, value in values.items():
            if name.startswith("on"):
                self._fault(f"an attribute {one_line(name, 30)} on <{tag}>")
            elif name in _ADDRESSES and not self._address(tag, unquote(value)):
                self._fault(f"the address {one_line(value, 60)!r} on <{tag}>")
            elif name == "style" and _STYLE.search(value):
                self._fault(f"a style on <{tag}> that loads something")
        if tag in ("script", "style"):
            self._inside, self._content = tag, []
            self._inert = values.get("type", "").lower() in _INERT

    def handle_endtag(self, tag: str) -> None:
        if tag != self._inside:
            return
        text = "".join(self._content)
        if tag == "script" and not self._inert and _digest(text) not in self.scripts:
            self._fault("a script that this fencepost does not write")
        if tag == "style" and _STYLE.search(text):
            self._fault("a style sheet that loads something")
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._content.append(data)
        elif data.strip():
            self.words.append(" ".join(data.split()))

    def _address(self, tag: str, value: str) -> bool:
        value = re.sub(r"[\x00-\x20]", "", value)  # as browsers do before they look at the scheme
        if value.startswith("#") or not value:
            return True
        if tag == "a" and re.match(r"https://[\w.-]+(/|$)", value):
            return True  # followed only when a reader asks for it
        return bool(_PICTURE.match(value)) and not value.startswith("data:image/svg")

    def _fault(self, words: str) -> None:
        self.faults.append(f"line {self.getpos()[0]}: {words}")


def _page(path: Path) -> _Page:
    page = _Page(own_scripts())
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    if page._inside is not None:
        page.faults.append(f"a <{page._inside}> without its end")
    return page


def _check_report(folder: Path) -> list[str]:
    path = folder / REPORT
    page = _page(path)
    faults = [f"{_shown(path)}: {fault}; {AGAIN}" for fault in page.faults[:5]]
    rows = hashlib.sha256((folder / ROWS_FILE).read_bytes()).hexdigest()
    if page.stamp != rows:
        faults.append(f"{_shown(path)}: its field {STAMP} is not the SHA-256 of {ROWS_FILE}; {AGAIN}")
    return faults


def _check_report_words(folder: Path, analysis: Analysis) -> list[str]:
    rows = (folder / ROWS_FILE).read_bytes()
    again = _Page(own_scripts())
    again.feed(report_file(analysis, rows).decode())
    told = _page(folder / REPORT).words
    for left, right in zip(told, again.words, strict=False):
        if left != right:
            said = f"says {one_line(left, 80)!r} where its rows give {one_line(right, 80)!r}"
            return [f"{_shown(folder / REPORT)}: {said}; write it again with `fencepost publish --rewrite`"]
    if len(told) != len(again.words):
        return [f"{_shown(folder / REPORT)}: is shorter or longer than what its rows give; {AGAIN}"]
    return []


def json_of(faults: Sequence[str]) -> dict[str, object]:
    """The faults as plain data."""
    return {"sound": not faults, "faults": list(faults)}
