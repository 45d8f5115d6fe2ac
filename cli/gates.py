"""Gates of `ab` and `compare`: which rows stop a build, and how a forge is told, by JUnit XML and by annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fencepost.cli.options import Command, OutputFile

if TYPE_CHECKING:
    from fencepost.analysis.compare.comparison import ComparedRow, RunComparison

GATES = ("slower", "changed", "undecided")
MOST_ANNOTATIONS = 10
"""GitHub shows so many of each level for a step, and drops the others."""

FAILURE, SKIPPED, PASSED = "failure", "skipped", "passed"


@dataclass(frozen=True)
class Gates:
    """What the options of `gate_options` ask for."""

    fail_on: tuple[str, ...] = ()
    junit: Path | None = None
    annotations: str | None = None

    def close(self, comparisons: Sequence[Judged]) -> bool:
        """Tell the forge, and answer whether a row fails a gate.

        Raises
        ------
        OSError
            when the file of --junit cannot be written.
        """
        if self.junit is not None:
            self.junit.write_bytes(as_junit(comparisons, self.fail_on))
        if self.annotations is not None:
            # GitHub reads both streams of a step. Standard output may be a file with the table.
            for line in as_annotations(comparisons, self.fail_on):
                click.echo(line, err=True)
        return any(one.found.fails(gate) for one in comparisons for gate in self.fail_on)


@dataclass(frozen=True)
class Judged:
    """A comparison under its title. `file`: whose lines are annotated. `faults`: cases that failed, with the reason."""

    title: str
    found: RunComparison
    file: Path | None = None
    faults: Mapping[str, str] = field(default_factory=dict)


def gate_options(command: Command) -> Command:
    """``--fail-on``, ``--junit`` and ``--annotations``, passed on as one `gates`."""
    options = (
        click.option(
            "--fail-on",
            multiple=True,
            type=click.Choice(GATES),
            help="Exit with 1 if a row is slower, has changed, or is undecided. Can be given several times.",
        ),
        click.option(
            "--junit",
            type=OutputFile(),
            metavar="FILE",
            help="Write the rows as JUnit XML: slower fails, undecided is skipped.",
        ),
        click.option(
            "--annotations",
            type=click.Choice(["github"]),
            help="Print slower, undecided and faster rows as annotations of a pull request, on standard error.",
        ),
    )
    gathered = _gathered(command)
    for option in reversed(options):
        gathered = option(gathered)
    return gathered


def _gathered(command: Command) -> Command:
    import functools

    @functools.wraps(command)
    def called(
        *arguments: Any, fail_on: tuple[str, ...], junit: Path | None, annotations: str | None, **options: Any
    ) -> Any:
        return command(*arguments, gates=Gates(fail_on, junit, annotations), **options)

    return called  # type: ignore[return-value]  # as a decorator of click does: another signature, the same command


class Fate(NamedTuple):
    """What becomes of a row: how it counts, and the sentence on it."""

    outcome: str
    sentence: str


def fate_of(row: ComparedRow, fail_on: Sequence[str], round_s: float) -> Fate:
    """A slower row is a failure, and so is one that fails another gate. Undecided rows are skipped otherwise."""
    from fencepost.analysis.stats.verdict import ChangeVerdict
    from fencepost.cli import verdicts

    _, old, new, ratio, interval, _, words = verdicts.cells(row, round_s)
    sentence = f"{words}. {old} → {new}, {ratio} {interval}"
    if row.decision.verdict is ChangeVerdict.SAME:
        return Fate(PASSED, sentence)
    if row.decision.verdict is ChangeVerdict.CHANGED:
        return Fate(FAILURE if row.decision.ratio > 1 or "changed" in fail_on else PASSED, sentence)
    return Fate(FAILURE if "undecided" in fail_on else SKIPPED, sentence)


def as_junit(comparisons: Sequence[Judged], fail_on: Sequence[str]) -> bytes:
    """JUnit XML: a suite for each comparison, a test case for each row, and an error for each case that failed."""
    from xml.etree import ElementTree

    from fencepost.analysis.text.escape import visible
    from fencepost.cli.verdicts import verdict_sentence

    root = ElementTree.Element("testsuites", name="fencepost")
    for one in comparisons:
        suite = ElementTree.SubElement(root, "testsuite", name=visible(one.title))
        counts: Counter[str] = Counter()
        for row in one.found.rows:
            fate = fate_of(row, fail_on, one.found.round_s)
            counts[fate.outcome] += 1
            case = ElementTree.SubElement(suite, "testcase", classname=_class_of(row.case), name=visible(row.case))
            if fate.outcome == PASSED:
                ElementTree.SubElement(case, "system-out").text = visible(fate.sentence)
            else:
                ElementTree.SubElement(case, fate.outcome, message=visible(fate.sentence))
        for name, reason in one.faults.items():
            case = ElementTree.SubElement(suite, "testcase", classname=_class_of(name), name=visible(name))
            ElementTree.SubElement(case, "error", message=visible(reason))
        ElementTree.SubElement(suite, "system-out").text = visible(verdict_sentence(one.found))
        suite.set("tests", str(len(one.found.rows) + len(one.faults)))
        suite.set("failures", str(counts[FAILURE]))
        suite.set("errors", str(len(one.faults)))
        suite.set("skipped", str(counts[SKIPPED]))
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _class_of(case: str) -> str:
    """``memory.chase`` of ``memory/chase[size=4KiB]@cpu1``: what tools group test cases by."""
    from fencepost.analysis.text.escape import visible

    return visible(case.partition("[")[0].partition("@")[0].replace("/", "."))


def as_annotations(comparisons: Sequence[Judged], fail_on: Sequence[str]) -> list[str]:
    """Workflow commands of GitHub Actions: an error for each failure, a warning for each undecided row, a notice for
    each faster row and for each comparison as a whole.
    """
    from fencepost.analysis.stats.verdict import ChangeVerdict
    from fencepost.cli.verdicts import verdict_sentence

    lines = []
    for one in comparisons:
        levels: dict[str, list[tuple[str, str]]] = {"error": list(one.faults.items()), "warning": [], "notice": []}
        for row in one.found.rows:
            fate = fate_of(row, fail_on, one.found.round_s)
            if row.decision.verdict is not ChangeVerdict.SAME:
                level = {FAILURE: "error", SKIPPED: "warning", PASSED: "notice"}[fate.outcome]
                levels[level].append((row.case, fate.sentence))
        for level, said in levels.items():
            # One of the notices is the comparison's own.
            most = MOST_ANNOTATIONS - (level == "notice")
            if len(said) > most:
                said[most - 1 :] = [(f"{len(said) - most + 1} more rows", "see the table")]
            lines += [_annotation(level, one.file, case, sentence) for case, sentence in said]
        lines.append(_annotation("notice", one.file, one.title, verdict_sentence(one.found)))
    return lines


def _annotation(level: str, file: Path | None, title: str, sentence: str) -> str:
    from fencepost.analysis.text.escape import visible

    def escaped(text: str, *more: str) -> str:
        for letter in ("%", "\r", "\n", *more):
            text = text.replace(letter, f"%{ord(letter):02X}")
        return visible(text)

    place = f"file={escaped(file.as_posix(), ':', ',')}," if file is not None else ""
    return f"::{level} {place}title={escaped(title, ':', ',')}::{escaped(f'{title}: {sentence}')}"
