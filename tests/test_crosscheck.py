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
    ],
)
def test_what_a_tool_prints_is_read_in_our_unit(read: object, text: str, value: float) -> None:
    assert callable(read) and read(text) == pytest.approx(value)


@pytest.mark.parametrize("name", ["perf_ns", "perf_gb_per_s", "cyclictest_ns", "stress_ns"])
@pytest.mark.parametrize("text", ["", "usage: tool\n"])
def test_an_answer_without_a_figure_is_told(name: str, text: str) -> None:
    with pytest.raises(CannotError, match="no figure in its answer"):
        getattr(crosscheck, name)(text)


def test_our_figure_is_that_of_the_row_and_not_of_its_twin() -> None:
    row = {"kernel": "a/b", "twin_of": None, "found_ns": 5.0, "metrics": {"m": {"value": 7.0}}}
    said = json.dumps({"rows": [{**row, "twin_of": "a/b", "found_ns": 9.0}, {**row, "kernel": "c"}, row]})
    assert our_figure(said, "a/b", "") == 5.0 and our_figure(said, "a/b", "m") == 7.0
    for kernel, metric in (("x", ""), ("a/b", "none")):
        with pytest.raises(CannotError, match="cannot be measured here"):
            our_figure(said, kernel, metric)


def test_ratios_are_ours_by_theirs_once_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    one = pair()
    monkeypatch.setattr(crosscheck, "ours", lambda *_: 1900.0)
    monkeypatch.setattr(crosscheck, "theirs", lambda one, _cpu: one.read("2.0 usecs/op"))
    assert measured([one], 3, 0) == {}
    assert one.ratios == [0.95] * 3
    assert "| 2000 ns | 0.95 [0.95, 0.95] | 0.8 to 1.1 | It calls" in line_of(one, None)
    assert "**not explained.**" in line_of(pair(ratios=[0.5], theirs=[1.0]), None)


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


def test_the_table_takes_the_place_of_the_old_one() -> None:
    page = f"words\n{crosscheck.BEGIN}\nformer\n{crosscheck.END}\nmore\n"
    new = updated(page, ["| a |"], "told")
    assert new.startswith("words\n") and new.endswith("more\n") and "former" not in new and "| a |\n\ntold" in new
    assert updated(new, ["| a |"], "told") == new


def test_a_table_says_what_ran_beside_it() -> None:
    assert crosscheck.beside(0.2) == "Nothing else ran."
    assert "average was 8 when" in crosscheck.beside(8.1)


def test_the_page_has_a_place_for_the_table() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "crosscheck.md").read_text(encoding="utf-8")
    assert page.count(crosscheck.BEGIN) == page.count(crosscheck.END) == 1
    assert all(one.name in page for one in PAIRS)
