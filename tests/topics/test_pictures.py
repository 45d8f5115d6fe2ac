"""Pictures from parameters: what a declaration draws and tells, what it refuses, and the picture of a new kernel."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case, crowd_cases
from topics.memory.cases import fault_cases

from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.report.sections import Section, sections
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Metric, Regime, Row
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.table import DASH
from fencepost.analysis.topics.chosen import PictureError, largest_team, value_text
from fencepost.analysis.topics.crowds import crowds_by
from fencepost.analysis.topics.default import MOST_BARS, MOST_LINES, default_picture
from fencepost.analysis.topics.pictures import Picture, bars_by, heat_by, lines_by, share_by_cpu
from fencepost.analysis.topics.topic import Topic, known_topics

WORDS: dict[str, Any] = {"title": "Title", "says": "{each}.", "unit": "call"}
SPACE = "\N{NO-BREAK SPACE}"


def row(kernel: str, ns: float, parameters: dict[str, str | int] | None = None, **more: Any) -> Row:
    """A measured row whose interval is 10 % wide."""
    more = {"cpus": (1,), "unit": "call", "time": around(ns), **more}
    case = f"{kernel}{parameters or ''}@{more['cpus']}"
    return Row(case, kernel, parameters or {}, **more)


def around(value: float) -> Interval:
    """An interval of six processes."""
    return Interval(value, value - abs(value) * 0.05, value + abs(value) * 0.05, 0.97, 6)


def analysis(rows: Sequence[Row]) -> Analysis:
    """An analysis that holds these rows and nothing else."""
    return Analysis(None, tuple(rows), [])  # type: ignore[arg-type]


def drawn(picture: Picture, rows: Sequence[Row]) -> Figure:
    """The figure of these rows."""
    figure = picture(analysis(rows))
    assert figure is not None
    return figure


def texts(figure: Figure) -> list[str]:
    """Words that stand in the picture."""
    return [element.text or "" for element in ElementTree.fromstring(figure.svg).iter("text")]


def cells(figure: Figure) -> list[tuple[str, ...]]:
    """Rows of the table, with plain spaces."""
    return [tuple(cell.replace(SPACE, " ") for cell in line) for line in figure.table.rows]


# ---- bars ----


SPAWN = [
    row("process/spawn", ns, {"how": how, "touched": touched}, metrics={"waited_pct": Metric(around(50.0), "%", "")})
    for touched, ns_of in ((1 << 20, (90.0, 4.0)), (0, (30.0, 3.0)))
    for how, ns in zip(("fork", "thread"), ns_of, strict=True)
]


def test_bars_stand_by_group_with_their_table() -> None:
    picture = bars_by(
        "process/spawn",
        "how",
        title="Children",
        says="From {least} ({least_of}) to {most} ({most_of}).",
        unit="child",
        labels={"fork": "by fork"},
        groups="touched",
        group_labels=lambda touched: f"{touched} bytes",
        metrics={"waited_pct": "ended before"},
        columns={"threads": lambda item: str(len(item.cpus))},
    )
    figure = drawn(picture, SPAWN)
    assert (figure.name, figure.title) == ("process-spawn", "Children")
    said = figure.description.replace(SPACE, " ")
    assert said == "From 3.00 ns (thread, 0 bytes) to 90.0 ns (by fork, 1048576 bytes)."
    assert figure.table.header == ("how", "touched", "time", "ended before", "threads")
    assert cells(figure)[0] == ("by fork", "0 bytes", "30.00 ns [28.50, 31.50]", "50.00 [47.50, 52.50] %", "1")
    assert [line[:2] for line in cells(figure)] == [
        ("by fork", "0 bytes"),
        ("thread", "0 bytes"),
        ("by fork", "1048576 bytes"),
        ("thread", "1048576 bytes"),
    ], "groups that are numbers go up"
    assert "by fork" in texts(figure) and "1048576 bytes" in texts(figure)


@pytest.mark.parametrize(
    ("order", "labels"), [("plan", ["b", "c", "a"]), ("cheapest", ["a", "b", "c"]), ("dearest", ["c", "b", "a"])]
)
def test_bars_stand_as_planned_or_by_value(order: Any, labels: list[str]) -> None:
    rows = [row("mine/loop", ns, {"kind": kind}) for kind, ns in (("b", 2.0), ("c", 3.0), ("a", 1.0))]
    figure = drawn(bars_by("mine/loop", "kind", order=order, **WORDS), rows)
    assert [line[0] for line in cells(figure)] == labels


def test_bars_may_go_by_what_a_function_says_of_a_row() -> None:
    rows = [row("mine/loop", 1.0, {"kind": "k"}), row("mine/other", 2.0, {"form": "f"})]
    picture = bars_by(("mine/loop", "mine/other"), lambda item: item.kernel.upper(), heading="what", **WORDS)
    figure = drawn(picture, rows)
    assert figure.table.header[0] == "what"
    assert [line[0] for line in cells(figure)] == ["MINE/LOOP", "MINE/OTHER"]


def test_bars_of_a_ratio_stand_beside_known_lengths() -> None:
    ratios = [
        row("mine/loop", 99.0, {"kind": kind}, metrics={"ratio": Metric(around(value), "1", "")})
        for kind, value in (("few", 2.0), ("more", 5.0))
    ]
    words = WORDS | {"unit": "turns of a wheel", "says": "From {least} to {most}."}
    beside = Group("as built", [Bar("one turn", 1.0), Bar("a hundred turns", 100.0)])
    figure = drawn(bars_by("mine/loop", "kind", value="ratio", beside=beside, **words), ratios)
    assert figure.description == "From 2.00 to 5.00."
    assert [line[0] for line in cells(figure)] == ["few", "more"], "they are no rows of the run"
    said = texts(figure)
    assert {"as built", "one turn", "a hundred turns"} <= set(said)
    assert "turns of a wheel (log)" in said, "what stands beside them counts for the axis"


def test_groups_with_words_stand_in_the_order_of_these() -> None:
    rows = [row("mine/loop", 1.0, {"kind": "k", "side": side}) for side in ("left", "right")]
    picture = bars_by("mine/loop", "kind", groups="side", group_labels={"right": "R", "left": "L"}, **WORDS)
    assert [line[1] for line in cells(drawn(picture, rows))] == ["R", "L"]


def test_far_values_stand_on_a_logarithmic_axis_and_near_ones_do_not() -> None:
    far, near = ([row("mine/loop", ns, {"n": n}) for n, ns in enumerate(values)] for values in ((1.0, 30), (1.0, 10)))
    picture = bars_by("mine/loop", "n", **WORDS)
    assert "ns per call (log)" in texts(drawn(picture, far))
    assert "ns per call" in texts(drawn(picture, near))


def test_negative_times_of_a_paired_control_are_drawn_on_a_linear_axis() -> None:
    rows = [row("mine/paired", ns, {"n": n}, paired=True) for n, ns in enumerate((-200.0, 1.0, 900.0))]
    figure = drawn(bars_by("mine/paired", "n", **WORDS), rows)
    assert "ns per call" in texts(figure) and "ns per call (log)" not in texts(figure)
    assert "\N{MINUS SIGN}200 ns" in [text.replace(SPACE, " ") for text in texts(figure)]
    # The axis reaches to the left of 0, and the bar has a length.
    assert any(text.startswith("\N{MINUS SIGN}") and "ns" not in text for text in texts(figure))
    assert cells(figure)[0][1].startswith("\N{MINUS SIGN}200.0 ns")


def test_negative_times_make_lines_linear_too() -> None:
    rows = [row("mine/paired", ns, {"n": n}, paired=True) for n, ns in enumerate((-2.0, 1.0, 900.0, 4.0))]
    figure = drawn(lines_by("mine/paired", "n", **WORDS), rows)
    assert "ns per call" in texts(figure)


# ---- lines ----


READ = [
    row("counter/read", 3.0 * slots, {"slots": slots, "state": state})
    for state in ("idle", "written")
    for slots in (64, 2, 8)
]


def test_lines_have_a_column_each_where_there_is_no_more_to_tell() -> None:
    figure = drawn(lines_by("counter/read", "slots", groups="state", x_word="slots", **WORDS), READ)
    assert figure.description.replace(SPACE, " ") == (
        "idle: 6.00 ns at 2 slots, 192 ns at 64 slots; written: 6.00 ns at 2 slots, 192 ns at 64 slots."
    )
    assert figure.table.header == ("slots", "idle", "written")
    assert [line[0] for line in cells(figure)] == ["2", "8", "64"]
    assert {"idle", "written", "slots (log)", "ns per call (log)"} <= set(texts(figure))


def test_lines_with_metrics_have_a_row_a_point() -> None:
    figure = drawn(lines_by("counter/read", "slots", groups="state", metrics={"met": "writes met"}, **WORDS), READ)
    assert figure.table.header == ("slots", "state", "time", "writes met")
    assert len(figure.table.rows) == 6


def test_a_zero_is_in_the_table_of_a_logarithmic_axis() -> None:
    rows = [row("mine/loop", 1.0 + n, {"n": n}) for n in (0, 1, 10, 100)]
    figure = drawn(lines_by("mine/loop", "n", **WORDS), rows)
    assert [line[0] for line in cells(figure)] == ["0", "1", "10", "100"]
    assert figure.svg.count("ns per call at") == 0 and "n (log)" in texts(figure)


def test_marks_are_named_where_they_lie_in_the_picture() -> None:
    marks = ("sizes", lambda _: [("L1", 4.0), ("L2", 1e6)])
    figure = drawn(lines_by("counter/read", "slots", groups="state", marks=marks, **WORDS), READ)
    assert figure.description.endswith(" Dashed: sizes, L1 4.")


def test_one_point_makes_no_line() -> None:
    assert lines_by("counter/read", "slots", **WORDS)(analysis(READ[:1])) is None


def test_cycles_stand_in_place_of_time_where_all_rows_have_them() -> None:
    rows = [row("branch/footprint", 1.0 + n, {"jumps": n}, cycles=around(3.0 + n)) for n in (1, 2, 3)]
    picture = lines_by("branch/footprint", "jumps", cycles=True, **WORDS)
    assert "cycles per call" in texts(drawn(picture, rows))
    rows[1] = row("branch/footprint", 3.0, {"jumps": 2})
    assert "ns per call" in texts(drawn(picture, rows))


# ---- other pictures ----


def test_a_share_by_cpu_needs_no_time() -> None:
    lost = {0: 2.5, 3: 0.0}
    rows = [
        Row(f"noise/gaps@cpu{cpu}", "noise/gaps", {}, (cpu,), "gap", metrics={"lost_pct": Metric(around(pct), "%", "")})
        for cpu, pct in lost.items()
    ]
    picture = share_by_cpu("noise/gaps", "lost_pct", title="T", says="{most} ({most_of}).", unit="time lost, %")
    figure = drawn(picture, rows)
    assert figure.description.replace(SPACE, " ") == "2.50 % (CPU 0)."
    assert [line[0] for line in cells(figure)] == ["CPU 0", "CPU 3"]


def test_a_matrix_has_a_row_a_relation() -> None:
    cases = [synthetic.pair_case("mine/pass", {"how": how}, ns) for how, ns in (("pipe", 400.0), ("futex", 200.0))]
    found = analysed(cases, rounds=6, unmeasurable=[])
    picture = heat_by("mine/pass", "how", ("futex", "pipe"), share=0.5, title="T", says="{least}", unit="one way")
    figure = picture(found)
    assert figure is not None and figure.description.startswith("100")
    assert [line[1] for line in cells(figure)] == ["futex", "pipe"]
    with pytest.raises(PictureError, match="goes by hwo"):
        heat_by("mine/pass", "hwo", ("pipe",), title="T", says="", unit="one way")(found)


# ---- what does not fit ----


def test_a_wrong_parameter_is_named_with_those_that_there_are() -> None:
    for picture in (
        bars_by("process/spawn", "hwo", **WORDS),
        bars_by("process/spawn", "how", groups="hwo", **WORDS),
        bars_by("process/spawn", "how", where={"hwo": 1}, **WORDS),
        lines_by("process/spawn", "hwo", **WORDS),
    ):
        with pytest.raises(PictureError, match=r"process/spawn goes by hwo, .* these are: how, touched"):
            picture(analysis(SPAWN))


def test_a_time_of_several_regimes_is_told_for_each() -> None:
    near = Regime("near", 105.0, 0.4, Interval(52.0, 51.0, 53.0, 0.96, 20))
    far = Regime("far", 400.0, 0.6, Interval(190.0, 188.0, 193.0, 0.96, 20))
    found = row("mine/loop", 1.0, time=far.time, regimes=(near, far))
    assert value_text(found, found.time, "ns").replace("\N{NO-BREAK SPACE}", " ") == (
        "near 52.00 ns [51.00, 53.00] (40%), far 190.0 ns [188.0, 193.0] (60%)"
    )


def test_a_wrong_field_is_refused_when_it_is_declared() -> None:
    with pytest.raises(PictureError, match=r"mine/loop has no field \{lowest\}; there are least, "):
        bars_by("mine/loop", "n", title="T", says="{lowest}", unit="call")
    with pytest.raises(PictureError, match=r"mine/loop has no field \{lowest\}; there are threads, "):
        crowds_by("mine/loop", "op", title="t", says="{lowest}", unit="u", name="n", caption="c")


def test_a_crowd_is_drawn_where_several_threads_were_measured() -> None:
    says = "{threads}: {least_of} {least}, {most_of} {most}, {fairness_of} {fairness}. {each}."
    picture = crowds_by("mine/call", "how", where={"size": 8}, title="t", says=says, unit="call", name="n", caption="c")
    ns = {"cheap": {1: 2.0, 2: 10.0, 4: 20.0}, "dear": {1: 2.0, 2: 40.0, 4: 90.0}, "alone": {1: 2.0}}
    cases = [
        case
        for how, costs in ns.items()
        for size in (8, 16)
        for case in crowd_cases("mine/call", {"how": how, "size": size}, costs, fairness=0.9 if how == "cheap" else 0.5)
    ]
    exact = [replace(case, process_noise=0.0, metric_noise=0.0, noise=0.0, gap_share=0.0) for case in cases]
    figure = picture(analysed(exact, rounds=6, unmeasurable=[]))
    assert figure is not None
    assert figure.description.startswith(
        "4: cheap 20.0 ns, dear 90.0 ns, dear 0.50. cheap with 2 threads costs each of them 5"
    )
    assert [row[0] for row in figure.table.rows] == ["cheap"] * 3 + ["dear"] * 3
    one = [case for case in exact if len(case.cpus) == 1]
    assert picture(analysed(one, rounds=6, unmeasurable=[])) is None


def test_a_metric_that_a_row_lacks_is_a_dash() -> None:
    figure = drawn(bars_by("process/spawn", "how", groups="touched", metrics={"nothing": "n"}, **WORDS), SPAWN)
    assert {line[-1] for line in cells(figure)} == {DASH}


def test_rows_without_an_interval_say_so() -> None:
    modes = (Mode(1.0, 10, 0.5), Mode(3.0, 10, 0.5))
    rows = [
        row("mine/loop", 1.0, {"n": 1}, time=Interval(2.0, math.nan, math.nan, 0.0, 20), modes=modes),
        row("mine/loop", 1.0, {"n": 2}, time=Interval(2.0, math.nan, math.nan, 0.0, 3)),
    ]
    figure = drawn(bars_by("mine/loop", "n", **WORDS), rows)
    assert [line[1] for line in cells(figure)] == ["2.000 ns (2 modes)", "2.000 ns (no interval)"]


def test_one_row_and_none_are_no_picture() -> None:
    rows = [row("mine/loop", 1.0, {"n": n}) for n in (1, 2)]
    picture = bars_by("mine/loop", "n", **WORDS)
    assert [picture(analysis(some)) is None for some in ((), rows[:1], rows)] == [True, True, False]


def test_a_declared_name_is_the_name_of_a_kernel_of_its_topic() -> None:
    for topic in known_topics():
        for name in (*(kernel for picture in topic.figures for kernel in picture.kernels), *topic.tables_only):
            assert name.partition("/")[0] == topic.name


def test_the_largest_team_is_that_with_most_threads() -> None:
    rows = [row("mine/loop", 1.0, cpus=cpus) for cpus in ((0,), (0, 1), (1, 0))]
    assert largest_team(rows) == rows[1:]


# ---- a kernel that nobody declared ----


def default(rows: Sequence[Row]) -> Figure | None:
    picture = default_picture(rows)
    return None if picture is None else picture(analysis(rows))


def test_four_numbers_are_a_line_and_three_are_bars() -> None:
    rows = [row("mine/loop", 3.0 + n, {"n": n}, summary="a loop {of} mine") for n in (1, 2, 4, 8)]
    line, bars = default(rows), default(rows[:3])
    assert line is not None and bars is not None
    assert "n" in texts(line) and "n" not in texts(bars)
    assert line.title == bars.title == "mine/loop, by n"
    assert line.description.replace(SPACE, " ") == "A loop {of} mine. By n, from 4.00 ns (1) to 11.0 ns (8)."
    assert [len(figure.table.rows) for figure in (line, bars)] == [4, 3]


def test_words_are_bars_and_sizes_are_lines() -> None:
    words = [row("mine/loop", 3.0, {"how": how}) for how in "abcde"]
    sizes = [row("mine/loop", 3.0, {"size": size}) for size in ("4KiB", "8KiB", "1MiB", "1GiB")]
    bars, line = default(words), default(sizes)
    assert bars is not None and "how" not in texts(bars)
    assert line is not None and [cell[0] for cell in cells(line)] == ["4 KiB", "8 KiB", "1 MiB", "1 GiB"]


def test_other_swept_parameters_tell_lines_apart() -> None:
    rows = [
        row("mine/loop", 3.0, {"fixed": 1, "n": n, "how": how}, cpus=cpus)
        for n in (1, 2, 4, 8)
        for how in ("a", "b")
        for cpus in ((0,), (0, 1))
    ]
    figure = default(rows)
    assert figure is not None
    assert figure.table.header == ("n", *(f"how={how}, threads={threads}" for how in "ab" for threads in (1, 2)))


def test_cpus_are_swept_like_a_parameter_and_are_no_numbers() -> None:
    figure = default([row("mine/loop", 3.0 + cpu, cpus=(cpu,)) for cpu in range(5)])
    assert figure is not None and figure.title == "mine/loop, by cpus"
    assert "cpus" not in texts(figure)


def test_nothing_swept_and_too_much_have_no_picture() -> None:
    assert default([row("mine/loop", 3.0, {"n": 1})]) is None
    assert default([row("mine/loop", 3.0, {"how": f"h{n}"}) for n in range(MOST_BARS + 1)]) is None
    many = [row("mine/loop", 3.0, {"n": n, "how": f"h{i}"}) for n in range(4) for i in range(MOST_LINES + 1)]
    assert default(many) is None


def shown(cases: list[Case]) -> dict[str, Section]:
    found = analysed(cases, rounds=6, unmeasurable=[])
    return {section.topic.name: section for section in sections(found)}


def test_a_new_kernel_has_a_table_and_a_picture_without_python() -> None:
    cases = [*fault_cases(), *(Case("memory/readv", {"bytes": 1 << n}, ns=3.0**n) for n in range(1, 6))]
    cases += [Case("mine/loop", {"how": how}, ns=3.0) for how in ("one", "two")]
    found = shown(cases)
    assert [figure.name for figure in found["memory"].figures] == ["memory-fault", "memory-readv"]
    assert [line[0] for line in cells(found["memory"].figures[1])] == ["2", "4", "8", "16", "32"]
    assert [figure.name for figure in found["mine"].figures] == ["mine-loop"]
    assert [line[0] for line in cells(found["mine"].figures[0])] == ["one", "two"]
    for section in found.values():
        assert section.tables[0].rows


def test_kernels_of_an_unknown_topic_stand_beside_each_other_too() -> None:
    cases = [Case("mine/a", ns=3.0), Case("mine/b", ns=4.0), *(Case("mine/c", {"n": n}, ns=5.0) for n in (1, 2))]
    names = [figure.name for figure in shown(cases)["mine"].figures]
    assert names == ["mine-rows", "mine-c"]


def test_a_topic_may_leave_a_kernel_to_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic("mine", tables_only=("mine/l*",))
    monkeypatch.setattr("fencepost.analysis.report.sections.known_topics", lambda: (topic,))
    cases = [Case(f"mine/{name}", {"n": n}, ns=5.0) for name in ("loop", "walk") for n in (1, 2)]
    assert [figure.name for figure in shown(cases)["mine"].figures] == ["mine-rows", "mine-walk"]


def test_a_name_from_outside_is_safe_as_an_id() -> None:
    cases = [Case('mine/"><b>', {"n": n}, ns=5.0) for n in (1, 2)]
    (figure,) = shown(cases)["mine"].figures
    assert re.fullmatch("[a-z0-9-]+", figure.name)
