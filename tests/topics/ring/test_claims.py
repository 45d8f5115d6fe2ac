"""The rings between two threads in the report: pictures, the words for a regime, the claim with its condition."""

from __future__ import annotations

import pytest
from runs.analysed import analysed
from runs.write import Case, pair_case
from topics.analysed import verdict_of

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.claim import Outcome, Verdict
from fencepost.analysis.topics.ring.figures import DESIGNS, SLOWED, TOPIC

pytestmark = pytest.mark.usefixtures("undrawn")

USUAL = {"capacity": 1024, "bytes": 8, "batch": 1}


def throughput(name: str, ns: float, pause: str = "yes", full: float = 0.0, empty: float = 0.0) -> Case:
    regime = (full - empty) / (full + empty) if full + empty else 0.0
    found = {"full_per_item": full, "empty_per_item": empty, "regime": regime}
    return pair_case(f"ring/{name}", USUAL | {"pause": pause}, ns, metrics=found, metric_noise=0.0, raw_ns=80.0)


def one_cpu(design: str, ns: float, suffix: str = "") -> Case:
    parameters = USUAL | {"pause": "yes", "design": design}
    return Case(f"ring/one_cpu{suffix}", parameters, ns=ns, cpus=(1, 1), relation="oversubscribed")


def analysis_of(cases: list[Case]) -> Analysis:
    return analysed(cases, rounds=12)


def verdict(cases: list[Case]) -> Verdict:
    return verdict_of(analysis_of(cases), "ring/lockless")


def rings(spsc: float = 5, naive: float = 50, seq_cst: float = 90, mutex: float = 100) -> list[Case]:
    named = {"spsc": spsc, "naive": naive, "seq_cst": seq_cst, "mutex_spin": mutex}
    return [throughput(name, ns) for name, ns in named.items()]


def test_lockless_is_confirmed_where_every_ring_is_faster() -> None:
    assert verdict(rings()).outcome is Outcome.CONFIRMED


def test_lockless_depends_and_names_the_ring_that_is_not_faster() -> None:
    said = verdict(rings(seq_cst=150))
    assert said.outcome is Outcome.DEPENDS
    assert "ring/seq_cst" in said.because and "ring/naive" not in said.because


def test_lockless_depends_on_a_cpu_for_each_thread() -> None:
    shared = [one_cpu("spsc", 5), one_cpu("mutex_condvar", 20), one_cpu("spsc", 5000, "_spin")]
    said = verdict([*rings(), *shared])
    assert said.outcome is Outcome.DEPENDS
    assert "spsc on one CPU, spinning" in said.because and "giving way" not in said.because
    assert "giving way" in said.figure and said.figure.count("×") == 5


def test_lockless_is_refuted_where_none_is_faster() -> None:
    assert verdict(rings(200, 200, 200)).outcome is Outcome.REFUTED


def test_lockless_needs_the_mutex() -> None:
    assert verdict([throughput("spsc", 5)]).outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(
    ("full", "empty", "word"),
    [(0, 0, "no refusals"), (1, 0.1, "mostly full"), (0.1, 1, "mostly empty"), (1, 1.2, "balanced")],
)
def test_regime_in_words(full: float, empty: float, word: str) -> None:
    cases = [throughput("spsc", 5, full=full, empty=empty), throughput("naive", 50)]
    figure = DESIGNS(analysis_of(cases))
    assert figure is not None
    assert [row[-1] for row in figure.table.rows] == [word, "no refusals"]


@pytest.mark.drawn
def test_pictures() -> None:
    trips = [
        pair_case(f"ring/{name}_round_trip", USUAL | {"pause": "no"}, 80.0 * factor, raw_ns=80.0)
        for name, factor in {"spsc": 2, "naive": 4, "pipe": 300}.items()
    ]
    late = {"p50_ticks": 250.0, "late_pct": 1.5}
    latency = [
        pair_case("ring/latency", {"design": name, "gap_ns": 1000}, ns, kind="events", metrics=late, raw_ns=80.0)
        for name, ns in {"spsc": 100, "naive": 200}.items()
    ]
    beyond = {"beyond_ticks": 50.0, "work_ticks": 500.0, "regime": -1.0, "full_per_item": 0.0, "empty_per_item": 2.0}
    regime = [pair_case("ring/regime", {"design": "spsc", "slowed": slowed}, 220, metrics=beyond) for slowed in SLOWED]
    found = analysis_of([*rings(), *trips, *latency, *regime])
    figures = [draw(found) for draw in TOPIC.figures]
    drawn = {figure.name: figure for figure in figures if figure is not None}
    assert {"ring-designs", "ring-round-trip", "ring-latency", "ring-regime"} <= set(drawn)
    assert "2 raw round trips" in drawn["ring-round-trip"].svg
    assert [row[0] for row in drawn["ring-round-trip"].table.rows] == ["spsc", "naive", "pipe"]
    assert [row[0] for row in drawn["ring-latency"].table.rows] == ["spsc", "naive"]
    assert drawn["ring-latency"].table.rows[0][-1].startswith("1.5")
    assert {row[4] for row in drawn["ring-regime"].table.rows} == {"mostly empty"}


def test_nothing_is_drawn_of_what_was_not_measured() -> None:
    found = analysis_of([throughput("spsc", 5)])
    assert [draw(found) for draw in TOPIC.figures] == [None] * len(TOPIC.figures)
