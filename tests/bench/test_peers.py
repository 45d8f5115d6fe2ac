"""Rings beside peers: the files, the plan, and what is made of a run."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from runs import measure as runtime

from fencepost.analysis.compare.peers import Goal, compare_peers
from fencepost.analysis.compare.peers_json import as_json
from fencepost.analysis.compare.peers_latency import latency_rows
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.regimes import InPlace
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval
from fencepost.bench import engine as engines
from fencepost.bench import objects
from fencepost.bench.catalog import read_catalog
from fencepost.bench.errors import MeasureError
from fencepost.bench.peers_plan import TEAM, find_peers, peers_plan
from fencepost.bench.placement import Placement, Placements
from fencepost.bench.plan import Placer

FOLDER = runtime.ROOT / "examples" / "peers"
ROUNDS = 20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_every_peer_says_what_it_needs() -> None:
    found = find_peers(FOLDER)
    assert len(found.files) + len(found.missing) == len([*FOLDER.glob("*.c"), *FOLDER.glob("*.cc")]) == 9


def test_a_missing_header_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text("/* peer: header no_such_ring.h package libno-such-dev */\n")
    (tmp_path / "third.c").write_text("/* peer: header far/ring.h from forge.example/far */\n")
    answer = runtime.fencepost_inside("peers", str(tmp_path), cwd=tmp_path)
    assert answer.returncode == 3
    assert "third.c: left out, far/ring.h is not installed (forge.example/far, then --include DIR)" in answer.stderr
    assert "other.c: left out, no_such_ring.h is not installed (Debian: apt install libno-such-dev)" in answer.stderr
    assert "nothing to compare with" in answer.stderr
    assert runtime.fencepost_inside("peers", str(tmp_path / "none"), cwd=tmp_path).returncode == 2


def two_cpus(_cpus: Any) -> Placer:
    """Places rings on CPUs 0 and 1, whatever there is: nothing is measured."""

    def place(kernel: Any) -> Placements:
        teams = ((0, 1), (0, 1, 0, 1)) if kernel.oversubscribe else ((0, 1),)
        return Placements(tuple(Placement(team, None) for team in teams), False, len(teams))

    return place


@pytest.mark.slow  # compiles a peer with all options
def test_the_plan_has_every_ring_in_every_use() -> None:
    present = [file for file in find_peers(FOLDER).files if file.name == "ck.c"]
    if not present:
        assert not os.environ.get("CI"), "CI has libck-dev"
        pytest.skip("needs a peer to compare with: libck-dev")
    engine = engines.load_from(engines.load().path)
    built = objects.build(present[0], "ck.c")
    assert built.warnings == ""
    engine.load_object("ck.c", built.path)
    plan = peers_plan(engine, read_catalog(engine, ["ck.c"]), two_cpus, (0, 1), rounds=None, seed=1)
    count = {name: sum(case.kernel == name for case in plan.cases) for name in {case.kernel for case in plan.cases}}
    assert count == {
        "ring/spsc_round_trip": 2,
        "peer/ck_spsc_round_trip": 2,
        "ring/spsc": 10,
        "ring/spsc_lazy_round_trip": 2,
        "ring/spsc_lazy": 10,
        "peer/ck_spsc": 10,
        "ring/mpmc_oversubscribed": 2,
        "peer/ck_mpmc": 2,
        "ring/latency": 3,
        "peer/ck_spsc_latency": 3,
    }
    assert {len(case.cpus) for case in plan.cases if "mpmc" in case.kernel} == {TEAM}
    with pytest.raises(MeasureError, match="none of the peers is installed"):
        peers_plan(engine, read_catalog(engine), two_cpus, (0, 1), rounds=None, seed=1)


def run_of(times: dict[tuple[str, str], float], drifted: frozenset[int] = frozenset()) -> Analysis:
    """An analysis in which each (kernel, pause) takes so many xraw, and ns, give or take 1 % by the round."""
    rows, processes = [], []
    for (kernel, pause), value in times.items():
        case = f"{kernel}[pause={pause}]"
        given: dict[str, Any] = {"capacity": 1024, "bytes": 8, "batch": 1, "pause": pause}
        if "mpmc" in kernel:
            given["roles"] = "mixed"
        rows.append(Row(case, kernel, given, (0, 1), "item"))
        for number in range(1, ROUNDS + 1):
            factor = 1 + 0.01 * math.sin(number) + (9 if number in drifted else 0)
            metrics = {"xraw": value * factor, "full_per_item": 0.25, "empty_per_item": 0.5}
            shared = {"case": case, "round": number, "status": "ok", "reason": None, "ns": value * factor}
            shared |= {"kernel": kernel, "places": (), "free": 0.25}
            processes.append({**shared, "metrics": metrics, "hand_over_drift": float(number in drifted)})
    fake = SimpleNamespace(rows=tuple(rows), processes=pd.DataFrame(processes))
    return cast(Analysis, fake)


def test_ratios_are_against_the_best_peer_and_the_worst_cells() -> None:
    times = {("ring/spsc", "yes"): 0.1, ("ring/spsc", "no"): 0.2}
    times |= {("peer/a_spsc", "yes"): 0.3, ("peer/a_spsc", "no"): 0.9}
    times |= {("peer/b_spsc", "yes"): 0.4, ("peer/b_spsc", "no"): 0.7}
    found = compare_peers(run_of(times))
    assert [cell.best.name for cell in found.cells if cell.best] == ["peer/b_spsc", "peer/a_spsc"]  # no PAUSE first
    assert [cell.ratio.value for cell in found.cells] == pytest.approx([3.5, 3.0])
    bar, lead = found.bars
    assert bar.against == "b_spsc" and bar.seen.value == pytest.approx(3.5) and bar.verdict == "met"
    assert (lead.against, lead.limit, lead.verdict) == ("a_spsc, 1024, PAUSE", 1.0, "met")
    assert lead.seen.value == pytest.approx(3.0)
    assert found.cells[0].rings[0].refused_empty == 0.5 and found.cells[0].rings[0].refused_full == 0.25
    assert json.loads(json.dumps(as_json(found)))["bars"][0]["verdict"] == "met"


def test_each_form_of_the_ring_has_bars_of_its_own() -> None:
    times = {("ring/spsc_lazy", "yes"): 0.15, ("ring/spsc", "yes"): 0.2, ("peer/a_spsc", "yes"): 0.42}
    found = compare_peers(run_of(times))
    assert found.cells[0].own is not None and found.cells[0].own.name == "ring/spsc"
    assert found.cells[0].ratio.value == pytest.approx(2.1)
    assert [(bar.what.endswith("(lazy, with flush)"), bar.limit, bar.verdict) for bar in found.bars] == [
        (False, 2.0, "met"),
        (False, 1.0, "met"),
        (True, 3.0, "missed"),
        (True, 1.0, "met"),
    ]


def test_a_ring_that_one_peer_beats_in_one_cell_is_not_ahead_in_each() -> None:
    times = {("ring/spsc", "yes"): 0.1, ("ring/spsc", "no"): 0.1}
    times |= {("peer/a_spsc", "yes"): 0.3, ("peer/a_spsc", "no"): 0.3}
    times |= {("peer/b_spsc", "yes"): 0.9, ("peer/b_spsc", "no"): 0.05}
    worst, lead = compare_peers(run_of(times)).bars
    assert (worst.against, worst.verdict) == ("a_spsc", "met")
    assert (lead.against, lead.verdict) == ("b_spsc, 1024", "missed")
    assert lead.seen.value == pytest.approx(0.5)


def test_worst_cells_are_compared_as_the_tables_show_them() -> None:
    """A peer that is fast in some rounds of its worst cell: the ratio is that of the printed figures, end by end."""
    times = {("ring/spsc", "yes"): 0.1, ("ring/spsc", "no"): 0.08}
    times |= {("peer/a_spsc", "yes"): 0.3, ("peer/a_spsc", "no"): 0.25}
    analysis = run_of(times)
    columns = (analysis.processes[name] for name in ("kernel", "round", "metrics"))
    for kernel, number, metrics in zip(*columns, strict=True):
        if kernel == "peer/a_spsc" and metrics["xraw"] > 0.28 and number % 4 == 0:
            metrics["xraw"] = 0.01
    found = compare_peers(analysis)
    rings = {(ring.name, cell.parameters["pause"]): ring.value for cell in found.cells for ring in cell.rings}
    own, slow, other = rings["ring/spsc", "yes"], rings["peer/a_spsc", "yes"], rings["peer/a_spsc", "no"]
    bar = found.bars[0]
    assert bar.seen.value == pytest.approx(slow.value / own.value)
    assert bar.seen.low == pytest.approx(max(slow.low, other.low) / own.high)
    assert bar.seen.high == pytest.approx(slow.high / own.low)
    assert bar.seen.coverage == pytest.approx(0.9)


def test_drifted_rounds_are_set_aside_and_counted() -> None:
    times = {("ring/spsc_round_trip", "yes"): 2.0, ("peer/a_spsc_round_trip", "yes"): 3.0}
    found = compare_peers(run_of(times, frozenset(range(1, 12))))
    assert (found.measured, found.set_aside) == (2 * ROUNDS, 22)
    assert found.cells[0].rings[0].value.value == pytest.approx(2.0, rel=0.02)
    assert found.cells[0].rings[0].value.n == ROUNDS - 11


def test_rings_on_shared_cpus_are_compared_in_ns_with_the_fastest_mode_of_rte_ring() -> None:
    times = {("ring/mpmc_oversubscribed", "yes"): 10.0, ("peer/rte_mpmc", "yes"): 40.0}
    times |= {("peer/rte_hts_mpmc", "yes"): 30.0, ("peer/ck_mpmc", "yes"): 20.0}
    found = compare_peers(run_of(times))
    assert found.cells[0].unit == "ns" and found.cells[0].ratio.value == pytest.approx(2.0)
    assert found.bars[0].against == "rte_hts_mpmc" and found.bars[0].seen.value == pytest.approx(3.0)


def test_a_peer_that_fails_in_most_rounds_is_not_the_best() -> None:
    times = {("ring/mpmc_oversubscribed", "yes"): 10.0}
    times |= {("peer/rte_mpmc", "yes"): 11.0, ("peer/rte_hts_mpmc", "yes"): 30.0}
    analysis = run_of(times)
    frame = analysis.processes
    frame.loc[frame["case"].str.startswith("peer/rte_mpmc") & (frame["round"] > 3), "status"] = "failed"
    found = compare_peers(analysis)
    assert found.cells[0].best is not None and found.cells[0].best.name == "peer/rte_hts_mpmc"
    assert found.bars[0].against == "rte_hts_mpmc"


@pytest.mark.parametrize(
    ("low", "high", "at_least", "verdict"),
    [
        (1.5, 1.7, True, "met"),
        (1.3, 1.7, True, "open"),
        (1.1, 1.3, True, "missed"),
        (1.1, 1.3, False, "met"),
        (1.5, 1.7, False, "missed"),
        (math.nan, math.nan, True, "open: needs 2 more rounds"),
    ],
)
def test_a_bar_is_judged_by_the_whole_interval(low: float, high: float, at_least: bool, verdict: str) -> None:
    middle, rounds = (1.4, 4) if math.isnan(low) else (float(np.mean([low, high])), 20)
    assert Goal("x", 1.4, at_least, Interval(middle, low, high, 0.95, rounds)).verdict == verdict
    if not math.isnan(low):
        few = Goal("x", 1.4, at_least, Interval(middle, low, high, 0.95, 8), rounds_wanted=15)
        assert few.verdict == "open: needs 7 more rounds"


def test_an_open_bar_says_how_many_rounds_are_missing() -> None:
    """The ratio is above the limit of 2 in twelve rounds of twenty."""
    cells = {("ring/spsc", pause): 0.1 for pause in ("yes", "no")}
    peers = {("peer/a_spsc", pause): 0.2 for pause in ("yes", "no")}
    analysis = run_of(cells | peers)
    frame = analysis.processes
    for kernel, number, metrics in zip(frame["kernel"], frame["round"], frame["metrics"], strict=True):
        if kernel.startswith("peer/"):
            metrics["xraw"] *= 1.05 if number % 5 < 3 else 0.95
    bar = compare_peers(analysis).bars[0]
    assert bar.more is not None and bar.more > 0
    assert bar.verdict == f"open: needs {bar.more} more rounds"


NEAR, FAR, PASSING = 100.0, 400.0, 250.0


def test_each_place_of_the_cpus_has_cells_and_bars_of_its_own() -> None:
    times = {("ring/spsc", "yes"): 0.1, ("peer/a_spsc", "yes"): 0.3, ("ring/mpmc_oversubscribed", "yes"): 10.0}
    analysis = run_of(times)
    frame = analysis.processes
    near = {"ring/spsc": 10.0, "peer/a_spsc": 40.0}
    far = {"ring/spsc": 40.0, "peer/a_spsc": 60.0}

    def places(case: str, number: int) -> tuple[InPlace, ...]:
        kernel = case.partition("[")[0]
        if kernel not in near:
            return ()
        passing = (InPlace(PASSING, 77.0, 1),) if number == 1 else ()
        here = InPlace(NEAR, near[kernel], 10) if number <= ROUNDS // 2 else InPlace(FAR, far[kernel], 10)
        return (*passing, here)

    found_in = [places(case, number) for case, number in zip(frame["case"], frame["round"], strict=True)]
    frame["places"] = pd.Series(found_in, index=frame.index, dtype=object)
    found = compare_peers(analysis)
    assert [(place.name, place.distance_ns) for place in found.places] == [("near", NEAR), ("far", FAR)]
    assert sum(place.share for place in found.places) == pytest.approx(1, abs=0.02)
    titles = [cell.title.rpartition(", ")[2] for cell in found.cells]
    assert titles == ["near", "yielding", "far"]  # threads that share CPUs have no distance, and stand once
    first, _, last = found.cells
    assert first.ratio.value == pytest.approx(4.0) and first.rings[0].value.value == pytest.approx(0.1)
    assert last.ratio.value == pytest.approx(1.5) and last.rings[0].ns.value == pytest.approx(40.0)
    assert [bar.verdict for bar in found.bars if "worst" in bar.what] == ["met", "missed"]
    assert json.loads(json.dumps(as_json(found)))["cells"][0]["place"] == "near"


def test_latency_is_shown_by_rate_beside_the_ring() -> None:
    analysis = run_of({("ring/spsc", "yes"): 0.1, ("peer/a_spsc", "yes"): 0.3})
    rows, processes = list(analysis.rows), [analysis.processes]
    for kernel, p50_ticks in (("ring/latency", 200.0), ("peer/a_spsc_latency", 500.0)):
        for gap_ns in (300, 1000):
            case = f"{kernel}[gap_ns={gap_ns}]"
            rows.append(Row(case, kernel, {"gap_ns": gap_ns, "capacity": 1024}, (0, 1), "item"))
            metrics = {"p50_ticks": p50_ticks, "p99_ticks": 10 * p50_ticks, "p99_9_ticks": 100 * p50_ticks}
            one: dict[str, Any] = {
                "case": case,
                "status": "ok",
                "reason": None,
                "tick_hz": 2e9,
                "places": (),
                "free": 0.25,
            }
            one["metrics"] = metrics | {"late_pct": 1.5}
            processes.append(pd.DataFrame([{**one, "round": number} for number in range(1, ROUNDS + 1)]))
    processes[-1].loc[3, ["status", "reason"]] = ["failed", "3 items that were pushed never came out"]
    fake = cast(Analysis, SimpleNamespace(rows=tuple(rows), processes=pd.concat(processes, ignore_index=True)))
    latency = latency_rows(fake)
    assert [(row.gap_ns, row.name) for row in latency] == [
        (300, "ring/latency"),
        (300, "peer/a_spsc_latency"),
        (1000, "ring/latency"),
        (1000, "peer/a_spsc_latency"),
    ]
    last = latency[-1]
    assert [of.value for of in (last.p50, last.p99, last.p99_9)] == [250.0, 2500.0, 25000.0]  # 2 ticks a nanosecond
    assert last.ratio.value == pytest.approx(2.5) and last.late_pct == 1.5 and last.p50.n == ROUNDS - 1
    assert last.reason == "3 items that were pushed never came out" and latency[0].reason is None
    assert len(compare_peers(fake).cells) == 1  # what it takes to send many has cells; a single item has rows
