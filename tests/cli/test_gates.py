"""Gates of `ab` and `compare`: what stops a build, and how a forge is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from runs.measure import fencepost_inside
from runs.write import plain_cases, write_run

from fencepost.analysis.compare.comparison import ComparedRow, RunComparison
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision
from fencepost.analysis.text.numbers import nanoseconds
from fencepost.cli import verdicts
from fencepost.cli.gates import MOST_ANNOTATIONS, Gates, Judged, as_annotations, as_junit


def row(case: str, ratio: float, verdict: ChangeVerdict, more: int | None = 0, reason: str = "") -> ComparedRow:
    decision = Decision(ratio, ratio - 0.01, ratio + 0.01, verdict, 36, 0.01, more, reason)
    return ComparedRow(case, "step", 10.0, 10.0 * ratio, decision)


ROWS = (
    row("own/slow@cpu1", 1.2, ChangeVerdict.CHANGED),
    row("own/fast@cpu1", 0.8, ChangeVerdict.CHANGED),
    row("own/same@cpu1", 1.0, ChangeVerdict.SAME),
    row("own/open[size=4KiB]@cpu1", 1.005, ChangeVerdict.UNDECIDED, more=204),
)
FOUND = RunComparison(0.01, 0.001, ROWS, round_s=0.0375)
JUDGED = Judged("HEAD^1:a.c against a.c", FOUND, Path("src/a.c"), {"own/lost@cpu1": "a wrong sum & <more>"})


def test_an_undecided_row_says_what_would_decide_it() -> None:
    assert verdicts.words(ROWS[3], FOUND.round_s) == "undecided: needs 240 rounds, 9 s"
    assert verdicts.words(ROWS[3]) == "undecided: needs 240 rounds"
    assert "| undecided: needs 240 rounds, 9 s |" in verdicts.as_markdown(FOUND, "a")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.00004, "0.00 %"),
        (0.99996, "0.00 %"),
        (1.0, "0.00 %"),
        (0.9999, "-0.01 %"),
        (1.0001, "+0.01 %"),
        (2, "x 2.000"),
    ],
)
def test_no_change_has_no_sign(value: float, text: str) -> None:
    assert verdicts.ratio(row("own/x", value, ChangeVerdict.SAME).decision) == text


@pytest.mark.parametrize(
    ("fail_on", "outcomes"),
    [
        ((), ["failure", "system-out", "system-out", "skipped", "error"]),
        (("slower",), ["failure", "system-out", "system-out", "skipped", "error"]),
        (("changed",), ["failure", "failure", "system-out", "skipped", "error"]),
        (("undecided",), ["failure", "system-out", "system-out", "failure", "error"]),
    ],
)
def test_junit_has_a_case_for_each_row(fail_on: tuple[str, ...], outcomes: list[str]) -> None:
    (suite,) = ElementTree.fromstring(as_junit([JUDGED], fail_on))
    cases = suite.findall("testcase")
    assert [case[0].tag for case in cases] == outcomes
    for counted, tag in {"failures": "failure", "skipped": "skipped", "errors": "error"}.items():
        assert suite.get(counted) == str(outcomes.count(tag))
    assert suite.get("tests") == "5" and suite.get("name") == JUDGED.title
    assert (cases[3].get("classname"), cases[3].get("name")) == ("own.open", "own/open[size=4KiB]@cpu1")
    assert (cases[3][0].get("message") or "").startswith("undecided: needs 240 rounds, 9 s.")
    assert cases[4][0].get("message") == "a wrong sum & <more>"


def test_annotations_name_the_file_and_the_verdict() -> None:
    lines = as_annotations([JUDGED], ("slower",))
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::warning", "::notice", "::notice"]
    assert lines[1] == (
        "::error file=src/a.c,title=own/slow@cpu1::own/slow@cpu1: changed: slower. "
        f"{nanoseconds(10.0)} → {nanoseconds(12.0)}, "
        "+20.00 %25 [+19.00 %25, +21.00 %25]"
    )
    assert "undecided: needs 240 rounds, 9 s" in lines[2]
    assert lines[-1].startswith("::notice file=src/a.c,title=HEAD^1%3Aa.c against a.c::")


def test_annotations_are_text_and_no_more_than_github_shows() -> None:
    many = tuple(row(f"own/a,b\n::error::{number}", 1.2, ChangeVerdict.CHANGED) for number in range(30))
    lines = as_annotations([replace(JUDGED, found=replace(FOUND, rows=many), faults={}, file=None)], ())
    assert len(lines) == MOST_ANNOTATIONS + 1 and not any("\n" in line for line in lines)
    assert lines[0].startswith("::error title=own/a%2Cb%0A%3A%3Aerror%3A%3A0::own/a,b%0A::error::0: changed")
    assert "21 more rows" in lines[MOST_ANNOTATIONS - 1]


def test_a_gate_decides_and_tells_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = replace(JUDGED, found=replace(FOUND, rows=ROWS[1:]))
    assert Gates(("slower",)).close([same, JUDGED]) and not Gates(("slower",)).close([same])
    assert Gates(("undecided",)).close([same]) and not Gates().close([JUDGED])
    assert capsys.readouterr() == ("", "")


def test_compare_tells_the_forge(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, plain_cases(2), rounds=6, batches=8) for name in ("a", "b")]
    options = ("--junit", "rows.xml", "--annotations", "github", "--markdown")
    done = fencepost_inside("compare", *map(str, runs), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    suite = ElementTree.parse(tmp_path / "rows.xml").getroot()[0]
    assert suite.get("tests") == str(len(suite.findall("testcase"))) != "0"
    assert "::notice title=" in done.stderr and "::" not in done.stdout
    done = fencepost_inside("compare", *map(str, runs), "--junit", "no/rows.xml", cwd=tmp_path)
    assert done.returncode == 2 and "--junit no/rows.xml: there is no folder no; make it first" in done.stderr
