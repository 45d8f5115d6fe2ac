"""Our figures beside those of other tools: what they print is read, and what is missing is a row that says so."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import crosscheck
import pytest
from crosscheck import PAIRS, CannotError, Pair, line_of, measured, our_figure, updated

PERF = "# Running 'syscall/basic' benchmark:\n     Total time: 0.184 [sec]\n\n       1.842610 usecs/op\n"
STRESS = (
    "stress-ng: metrc: [635] stressor       bogo ops real time  usr time  sys time   bogo ops/s     bogo ops/s\n"
    "stress-ng: metrc: [635]                           (secs)    (secs)    (secs)   (real time) (usr+sys time)\n"
    "stress-ng: metrc: [635] fork                300      1.35      0.10      0.10       250.00        1495.92\n"
)
HISTOGRAM = "# Histogram\n000010 000001\n000011 000005\n000012 000002\n000013 000000\n# Total: 000000008\n"
COUNTS = "events: Ir Bc Bcm Bi Bim\nfl=a.c\nfn=toss\n12 5 60 10 0 0\n13 5 40 15\nfn=other\n14 5 900 900 0 0\n"
"""Of a line: its number, instructions, branches, and those that were mispredicted."""


def pair(**changes: object) -> Pair:
    """A pair whose tool is `echo`."""
    given = replace(PAIRS[0], name="echo", command=("echo", "2.0 usecs/op"), ratios=[], theirs=[])
    return replace(given, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (crosscheck.perf_ns, PERF, 1842.61),
        (crosscheck.perf_gb_per_s, "# Copying 1MB bytes ...\n\n       2.000000 GB/sec\n", 2.147483648),
        (crosscheck.perf_gb_per_s, "\n     512.000000 MB/sec\n", 0.536870912),
        (crosscheck.cyclictest_ns, HISTOGRAM, 11_500),
        (crosscheck.stress_ns, STRESS, 4e6),
        (crosscheck.futex_ns, "\nAveraged 2000000 operations/sec (+- 0.00%), total secs = 1\n", 500),
        (crosscheck.mispredicted, COUNTS, 0.25),
    ],
)
def test_what_a_tool_prints_is_read_in_our_unit(read: object, text: str, value: float) -> None:
    assert callable(read) and read(text) == pytest.approx(value)


@pytest.mark.parametrize("name", ["perf_ns", "perf_gb_per_s", "cyclictest_ns", "stress_ns", "futex_ns", "mispredicted"])
@pytest.mark.parametrize("text", ["", "usage: tool\n"])
def test_an_answer_without_a_figure_is_told(name: str, text: str) -> None:
    with pytest.raises(CannotError, match="no figure in its answer"):
        getattr(crosscheck, name)(text)


def test_our_figure_is_that_of_the_row_and_not_of_its_twin() -> None:
    row = {"kernel": "a/b", "twin_of": None, "found_ns": 5.0, "metrics": {"m": {"value": 7.0}}}
    said = json.dumps({"rows": [{**row, "twin_of": "a/b", "found_ns": 9.0}, {**row, "kernel": "c"}, row]})
    assert our_figure(said, "a/b", "") == 5.0 and our_figure(said, "a/b", "m") == 7.0
    ticks = json.dumps({"rows": [{**row, "metrics": {"m_ticks": {"value": 7.0, "ns": 3.0}}}]})
    assert our_figure(ticks, "a/b", "m_ticks") == 3.0
    for kernel, metric in (("x", ""), ("a/b", "none")):
        with pytest.raises(CannotError, match="cannot be measured here"):
            our_figure(said, kernel, metric)


def test_ratios_are_ours_by_theirs_once_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    one = pair()
    monkeypatch.setattr(crosscheck, "ours", lambda *_: 1900.0)
    monkeypatch.setattr(crosscheck, "theirs", lambda one, *_: one.read("2.0 usecs/op"))
    assert measured([one], 3, 0) == {}
    assert one.ratios == [0.95] * 3
    assert "| 2000 ns | 0.95 [0.95, 0.95] | 0.8 to 1.1 | It calls" in line_of(one, None)
    assert "**not explained.**" in line_of(pair(ratios=[0.5], theirs=[1.0]), None)
    assert "| 674400 ns |" in line_of(pair(ratios=[1.0], theirs=[674412.3]), None), "four digits, and no exponent"


@pytest.mark.parametrize(
    ("command", "why"),
    [(("no-such-tool",), "not installed"), (("false",), "exit status 1"), (("echo", "hello"), "no figure")],
)
def test_a_tool_that_cannot_run_is_skipped_with_the_reason(
    command: tuple[str, ...], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pair(command=command, package="some-package")
    monkeypatch.setattr(crosscheck, "ours", lambda *_: 1.0)
    cpu = min(os.sched_getaffinity(0))
    line = line_of(one, measured([one], 2, cpu)["echo"])
    assert f"skipped: {why}" in line and "(package some-package)" in line


def test_what_a_kernel_takes_for_granted_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts of cachegrind lie in a file, beside the program that it ran."""
    (tmp_path / "counts").write_text(COUNTS)
    monkeypatch.setattr(crosscheck, "build_coins", lambda path: path.write_text("built"))
    one = pair(command=("test", "-f", "{coins}"), read=crosscheck.mispredicted, known=0.5)
    cpu = min(os.sched_getaffinity(0))
    assert (crosscheck.theirs(one, cpu, tmp_path), crosscheck.ours(one, cpu, tmp_path)) == (0.25, 0.5)


def test_a_tool_gets_its_environment() -> None:
    assert crosscheck.answer(["printenv", "WORD"], environment=[("WORD", "here")]) == "here\n"


@pytest.mark.slow
def test_the_coins_are_a_program_of_their_own(tmp_path: Path) -> None:
    crosscheck.build_coins(tmp_path / "coins")
    assert f"ok 2 - {crosscheck.COINS}" in crosscheck.answer([str(tmp_path / "coins"), crosscheck.COINS])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), [("chases", ("1", "0")), ("vforks", ("0",)), ("touches", ("0",))])
def test_the_loops_that_leave_one_thing_out_are_compared_with_the_first(
    name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    source = Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.c"
    crosscheck.answer(["cc", "-O2", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(tmp_path / name), "-lm"])
    lines = crosscheck.answer([str(tmp_path / name), *arguments]).splitlines()
    assert lines[0] == "3 turns"
    assert "x the first 1.000 [1.000, 1.000]" in lines[1] and len(lines) > 4


def test_the_table_takes_the_place_of_the_old_one() -> None:
    page = f"words\n{crosscheck.BEGIN}\nformer\n{crosscheck.END}\nmore\n"
    new = updated(page, ["| a |"], "told")
    assert new.startswith("words\n") and new.endswith("more\n") and "former" not in new and "| a |\n\ntold" in new
    assert updated(new, ["| a |"], "told") == new


def test_a_table_says_what_ran_beside_it() -> None:
    assert crosscheck.beside(0.2) == "Nothing else ran."
    assert "average was 8 when" in crosscheck.beside(8.1)


def test_more_turns_are_surer() -> None:
    assert crosscheck.sure(6) == "The brackets contain the true ratio with 97 %."
    assert "with 75 %" in crosscheck.sure(3)


def test_the_page_has_a_place_for_the_table() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "crosscheck.md").read_text(encoding="utf-8")
    assert page.count(crosscheck.BEGIN) == page.count(crosscheck.END) == 1
    assert all(one.name in page for one in PAIRS)
