"""Machines beside each other as a page: what it says, in which order, without network and script."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs.measure import fencepost_inside
from runs.pages import pictures
from runs.publish import edit
from runs.write import Case, write_run

from fencepost.analysis.compare.comparison import (
    FASTEST,
    NO_SPAN,
    TIED,
    ComparedRow,
    RunComparison,
    Span,
    marks_of_times,
    ratio_of,
    reach_of,
    side_of,
)
from fencepost.analysis.compare.machines import compare_machines
from fencepost.analysis.compare.runs import read_runs
from fencepost.analysis.compare.told import fastest_sentences, machine_sentences
from fencepost.analysis.report.compared import (
    SAME,
    SLOWER,
    ComparedLine,
    Machine,
    Page,
    as_page,
    bar_of,
    ladder_of,
    machines_page,
    runs_page,
)
from fencepost.analysis.runs.machine import fact_word
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision
from fencepost.analysis.text.numbers import natural
from fencepost.analysis.text.table import DASH
from fencepost.bench.schema import RUN_FILE

SIZES = ("4KiB", "64KiB", "512KiB", "1MiB", "16MiB")
CASES = [
    Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27, process_noise=0.001),
    *(Case("memory/chase", {"size": size}, ns=1.0 + n, process_noise=0.001) for n, size in enumerate(SIZES)),
]
HOSTILE = "<script>alert(1)</script>"


class Read(HTMLParser):
    """Text, addresses and rows of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.addresses, self.tags = "", [""][:0], [""][:0]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def machine(folder: Path, label: str, factor: float, seed: int) -> Path:
    cases = [Case(case.kernel, case.parameters, ns=case.ns * factor, process_noise=0.001) for case in CASES]
    path = write_run(folder / f"run{seed}", cases, rounds=12, seed=seed, unmeasurable=[])
    edit(path / RUN_FILE, lambda run: run.update(labels={"name": label}))
    return path


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    kinds = ((HOSTILE, 1.0), ("m7a", 2.0), ("c7a", 0.5))
    return [machine(folder, label, factor, seed) for seed, (label, factor) in enumerate(kinds, 1)]


def test_the_page_of_two_says_all_without_its_script(three: list[Path], tmp_path: Path) -> None:
    names = [str(path) for path in three[:2]]
    done = fencepost_inside("compare", *names, "--html", "page.html", "--json", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "page: page.html\n"
    document = json.loads(done.stdout)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Read(text)
    assert page.addresses == [] and "default-src 'none'" in text, "no request"
    assert "<script>alert" not in text and HOSTILE in page.text
    for sentence in document["sentences"]:
        assert sentence in page.text
    assert "m7a is faster in 0 of" in page.text and "× 2.00" in page.text
    for name, texts in document["differences"].items():
        assert fact_word(name) in page.text and all(fact in page.text for fact in texts)
    rows = re.findall(r'<th role="rowheader"[^>]*>(memory/chase[^<]*)</th>', text)
    sizes = [re.search(r"size=(\w+)", row) for row in rows]
    assert [size[1] for size in sizes if size] == list(SIZES), "in their natural order"
    assert len(pictures(text)) == 1
    assert '<circle class="one"' in text and "var(--" not in text.partition("<svg")[2].partition("</svg>")[0]
    printed = text.rpartition("@media print {")[2].partition("</style>")[0]
    assert ".lookup { display: none; }" in printed and 'class="lookup"' in text.partition('id="rows"')[0]
    assert "<select" not in text.partition('id="filter"')[0], "nothing to choose"


def test_the_page_of_more_marks_the_fastest_and_lets_choose(three: list[Path]) -> None:
    found = compare_machines(read_runs(three))
    page = machines_page(found)
    text = as_page(page)
    body = text.partition('class="best"')[2].partition("</table>")[0]
    assert body.count(f">{FASTEST}<") == len(page.headlines) >= 1
    assert f"c7a is the fastest in {len(page.headlines)} of {len(page.headlines)} headlines." in Read(text).text
    assert f"All {len(page.rows)} rows of all machines" in text
    embedded = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    assert set(data["said"]) == {f"{a},{b}" for a in range(3) for b in range(3) if a != b}
    assert "c7a is faster in" in data["said"]["1,2"][0]
    for place, one in enumerate(data["machines"]):
        assert one["cases"][0::3] == pytest.approx([line.times[place].value for line in page.rows], rel=1e-3)
    # The script's ratio of two machines, from their times alone, is that of the comparison, bounds and all.
    for row in found.rows:
        assert ratio_of(row.times[0], row.times[1]) == pytest.approx(
            (row.ratios[0].ratio, row.ratios[0].low, row.ratios[0].high)
        )


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs of one machine. In the last, loads from 64 KiB are slower, and 1 MiB was not measured."""
    folder = tmp_path_factory.mktemp("hours")
    slower = [
        replace(case, ns=case.ns * 1.5) if case.parameters.get("size") == "64KiB" else case
        for case in CASES
        if case.parameters.get("size") != "1MiB"
    ]
    runs = enumerate((CASES, CASES, slower), 1)
    return [write_run(folder / f"hour{n}", cases, rounds=12, seed=n) for n, cases in runs]


def test_two_runs_of_one_machine_have_verdicts(hours: list[Path], tmp_path: Path) -> None:
    runs = [str(path) for path in hours[:2]]
    done = fencepost_inside("compare", *runs, "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Read(text)
    assert "Two runs of one machine" in page.text and "verdict" in page.text and "same" in page.text
    assert "<select" not in text.partition('id="filter"')[0] and "All runs" not in page.text, "nothing to choose"
    nowhere = fencepost_inside("compare", *runs, "--html", "no/such/page.html", cwd=tmp_path)
    assert nowhere.returncode != 0 and "no/such/page.html" in nowhere.stderr and not (tmp_path / "no").exists()


def test_three_runs_of_one_machine_are_columns_with_verdicts(hours: list[Path], tmp_path: Path) -> None:
    done = fencepost_inside("compare", *map(str, hours), "--html", "page.html", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "page: page.html\n")
    pairs = json.loads(done.stdout)["comparisons"]
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Read(text)
    assert "3 runs of one machine" in page.text and "All runs" in page.text
    assert "machines" not in Read(text.partition("<main>")[2].partition("<script")[0]).text
    for pair in pairs:
        assert f"{pair['new']}: {' '.join(pair['sentences']) or 'Nothing changed.'}" in page.text
    every = text.partition("All rows. ")[2].partition("</table>")[0]
    cells = {
        line.partition("<")[0]: re.sub("<[^>]*>", " ", line).split() for line in every.split('<th scope="row">')[1:]
    }
    (moved,) = [words for name, words in cells.items() if "size=64KiB" in name]
    assert moved[-1] == SLOWER and moved.count(SAME) == 1, "the first run has no mark"
    (absent,) = [words for name, words in cells.items() if "size=1MiB" in name]
    assert absent[-1] == DASH
    assert 'id="first"' not in text and 'id="second"' in text, "all are compared with the first"
    embedded = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    for machine_of, pair in zip(data["machines"][1:], pairs, strict=True):
        for row in (*pair["rows"], *pair["controls"]):
            place = data["cases"].index(row["case"])
            spans = machine_of["ratios"]["cases"][3 * place : 3 * place + 3]
            assert spans == pytest.approx([row["ratio"], row["low"], row["high"]], rel=1e-3)
            assert data["words"][machine_of["verdicts"]["cases"][place]].startswith(row["verdict"])


def test_figures_of_another_kind_are_not_put_beside_each_other() -> None:
    def pair(basis: str, note: str) -> RunComparison:
        decision = Decision(1.0, 0.99, 1.01, ChangeVerdict.SAME, 20, 0.025)
        return RunComparison(0.02, 0.01, (ComparedRow("a/b", "op", 3.0, 3.1, decision, basis=basis),), notes=(note,))

    pairs = [pair("as found", "old"), pair("alone", "old"), pair("as found", "new")]
    page = runs_page(pairs, ("r0", "r1", "r2", "r3"), lambda row: str(row.decision.verdict))
    (line,) = page.rows
    assert [time.value for time in line.times] == pytest.approx([3.0, 3.1, math.nan, 3.1], nan_ok=True)
    assert line.verdicts == ("", "same", "", "same") and line.marks == ("", SAME, "", SAME)
    assert page.notes == ("r1, r2: old", "r3: new")


def test_five_machines_are_one_table_on_the_terminal(three: list[Path], tmp_path: Path) -> None:
    more = [machine(tmp_path, f"x{seed}", 3.0, seed) for seed in (4, 5)]
    said = fencepost_inside("compare", *map(str, (*three, *more)), cwd=tmp_path).stdout
    (line,) = [line for line in said.splitlines() if line.startswith(" add, waiting")]
    assert line.count(FASTEST) == 1 and line.count("ns") == 5
    assert "c7a is the fastest in" in said and "(second) against" not in said and "add --all" in said
    every = fencepost_inside("compare", *map(str, (*three, *more)), "--all", cwd=tmp_path).stdout
    assert all(f"size={size}" in every for size in SIZES)


# ---- the parts ----


def test_facts_are_called_by_words() -> None:
    assert fact_word("cpu_model_number") == "model" and fact_word("boot_parameters") == "boot parameters"
    assert fact_word("memory_bytes") == "memory"


def test_marks_say_which_time_is_the_shortest() -> None:
    near, far = Span(1.0, 0.9, 1.1), Span(2.0, 1.9, 2.1)
    assert marks_of_times([far, near, near._replace(value=1.05)]) == ("", FASTEST, TIED)
    assert marks_of_times([near, NO_SPAN]) == ("", ""), "alone it is no winner"
    assert marks_of_times([near, NO_SPAN, far]) == (FASTEST, "", "")
    assert fastest_sentences(("a", "b"), [[near, far], [far, near], [near, far]], "rows") == [
        "a is the fastest in 2 of 3 rows.",
        "b is the fastest in 1 of 3 rows.",
    ]


def test_many_topics_that_are_not_decided_are_counted() -> None:
    topics = ("alloc", "branch", "clock", "fence", "line", "lock", "memory")
    open_ = {f"{topic}/x": Span(1.0, 0.9, 1.1) for topic in topics}
    assert machine_sentences("b", [], open_) == [
        "b: none of 7 rows is decided.",
        "Mixed or not decided: all 7 topics.",
    ]
    told = machine_sentences("b", [], {**open_, "signal/x": Span(0.5, 0.4, 0.6)})
    assert told[1:] == ["Faster: Signals (2 times as fast).", "Mixed or not decided: the other 7 topics."]
    few = dict(list(open_.items())[:2])
    assert machine_sentences("b", [], few)[1] == "Mixed or not decided: Allocators, Branch prediction."


def test_a_ratio_has_a_side_where_its_whole_interval_has() -> None:
    assert side_of(Span(0.9, 0.8, 0.99)) == "faster" and side_of(Span(1.2, 1.01, 2)) == "slower"
    assert side_of(Span(0.9, 0.8, 1.01)) == "open" and side_of(Span(0.5, math.nan, math.nan)) == "open"
    assert ratio_of(Span(0, 0, 0), Span(1, 1, 1)) == NO_SPAN or math.isnan(ratio_of(Span(0, 0, 0), Span(1, 1, 1)).value)


@given(st.floats(0.01, 100), st.floats(1, 4), st.floats(1, 4), st.floats(1.1, 4))
def test_a_bar_stays_within_its_track(ratio: float, below: float, above: float, reach: float) -> None:
    bar = bar_of(Span(ratio, ratio / below, ratio * above), reach)
    assert bar is not None
    assert 0 <= bar.left <= bar.point + 0.1 <= bar.left + bar.width + 0.2 <= 100.3
    assert (bar.point > 50) == (ratio > 1) or abs(bar.point - 50) < 0.1


def test_without_a_ratio_there_is_no_bar() -> None:
    assert bar_of(NO_SPAN, 2.0) is None
    assert bar_of(Span(1.5, 0.0, math.inf), 2.0) is not None
    assert reach_of([Span(9.0, 8.0, 10.0)]) == 4.0 and reach_of([NO_SPAN]) == 1.1


def test_sizes_and_numbers_are_in_their_natural_order() -> None:
    names = ["chase[size=8KiB]", "chase[size=32KiB]", "chase[size=1MiB]", "chase[size=256MiB]", "chase[size=1GiB]"]
    mixed = names[::-1]
    assert sorted(mixed, key=natural) == names
    assert sorted(["team[threads=10]", "team[threads=9]"], key=natural)[0] == "team[threads=9]"
    assert sorted(["sleep[time=2ms]", "sleep[time=50us]", "sleep[time=1s]"], key=natural)[0] == "sleep[time=50us]"
    assert sorted(["a@cpu0", "a", "b[read=rdtscp]"], key=natural) == ["a", "a@cpu0", "b[read=rdtscp]"]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    ordered = sorted(names, key=natural)
    assert sorted(ordered, key=natural) == ordered


def page_of(*times: Span) -> Page:
    line = ComparedLine("a/b", times, NO_SPAN)
    machines = tuple(Machine(f"m{place}", "t", "w") for place in range(len(times)))
    return Page("t", machines, (line,), (line,), (), (), None, "interval")


def test_a_page_of_one_machine_or_of_no_times_is_a_page() -> None:
    assert "Two of them" not in as_page(page_of(Span(1.0, 0.9, 1.1)))
    assert ladder_of(page_of(NO_SPAN, NO_SPAN)) is None
    assert "Both ladders" not in as_page(page_of(NO_SPAN, NO_SPAN))
    ladder = ladder_of(page_of(Span(0.27, 0, 1), Span(1840.0, 0, 1)))
    assert ladder is not None and ladder.ticks()[0][1] == "0.1\u00a0ns"
