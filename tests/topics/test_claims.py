"""Claims: the sentences stand as they were said, and each verdict follows from its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import CORE_HZ, TICK_HZ, Case
from topics.analysed import verdict_of
from topics.clock.cases import core_case
from topics.lock.cases import owner_cases

from fencepost.analysis.report.lecture import as_rows, sentences
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.topics import claim as claims
from fencepost.analysis.topics.claim import Claim, Outcome, Verdict
from fencepost.analysis.topics.clock.measures import bias, core_series
from fencepost.analysis.topics.pipeline.measures import windows

QUOTES = sorted(Path(__file__).resolve().parent.glob("*/quotes.txt"))
CYCLE = 1e9 / CORE_HZ


def verdict(tmp_path: Path, name: str, cases: Sequence[Case], rounds: int = 12) -> Verdict:
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=rounds)
    return verdict_of(analyse(folder), name)


def core(state: str, ghz: float) -> Case:
    return core_case("clock/core", ghz * 1e9 / CORE_HZ, parameters={"state": state}, process_noise=0.0)


def chains(op: str, latency: float, throughput: float) -> list[Case]:
    return [
        Case("pipeline/chain", {"op": op, "chains": n}, ns=max(latency / n, throughput) * CYCLE) for n in (1, 2, 4, 8)
    ]


def quotes() -> list[str]:
    """The sentences of the notes that are quoted, as they stand there."""
    lines = [line for path in QUOTES for line in path.read_text(encoding="utf-8").splitlines()]
    return [line.partition("\t")[2] for line in lines if not line.startswith("#")]


def test_every_sentence_kept_of_the_notes_is_quoted() -> None:
    assert sorted(quotes()) == sorted({claim.quote for claim in claims.claims() if claim.quote})


@pytest.mark.parametrize("claim", claims.claims(), ids=lambda claim: claim.id)
def test_quotes_are_the_words_of_the_notes(claim: Claim) -> None:
    assert claim.quote in ("", *quotes())
    assert claim.kernels and claim.topic == claim.id.partition("/")[0]
    assert claim.english or claim.language == "en"


def test_a_claim_is_registered_once() -> None:
    with pytest.raises(ValueError, match="clock/turbo is there twice"):
        claims.claim("clock/turbo", "q", "e", [], "t", control=claims.claims()[0].control)(
            lambda analysis: Verdict(Outcome.REFUTED, "", "")
        )


def test_turbo_is_confirmed_by_a_clock_that_moves(tmp_path: Path) -> None:
    said = verdict(tmp_path, "clock/turbo", [core("cold", 3.0), core("warm", 3.7)])
    assert said.outcome is Outcome.CONFIRMED
    assert "cold 3.00 GHz" in said.because and "warm 3.70 GHz" in said.because
    assert "core clock / tick rate = 1.4" in said.figure and "[" in said.figure
    assert said.figure.startswith("fastest / slowest core clock = 1.")


def test_turbo_depends_where_the_clock_is_steady_but_not_the_counters(tmp_path: Path) -> None:
    assert verdict(tmp_path, "clock/turbo", [core("cold", 3.7), core("warm", 3.7)]).outcome is Outcome.DEPENDS


def test_turbo_is_refuted_where_the_core_runs_at_the_counters_rate(tmp_path: Path) -> None:
    ghz = TICK_HZ / 1e9
    assert verdict(tmp_path, "clock/turbo", [core("cold", ghz), core("warm", ghz)]).outcome is Outcome.REFUTED


@pytest.mark.parametrize(("asleep", "outcome"), [(TICK_HZ, Outcome.CONFIRMED), (TICK_HZ * 0.9, Outcome.REFUTED)])
def test_rdtsc_counts_time(tmp_path: Path, asleep: float, outcome: Outcome) -> None:
    cases = [Case("clock/read", {"read": "rdtsc"}, ns=6)]
    for during, hz in {"sleep": asleep, "spin": TICK_HZ}.items():
        cases.append(
            Case("clock/rate", {"during": during}, ns=1e6, kind="events", metrics={"tick_hz": hz}, metric_noise=1e-6)
        )
    said = verdict(tmp_path, "clock/rdtsc", cases)
    assert said.outcome is outcome
    assert "6.0" in said.figure and "[" in said.figure


@pytest.mark.parametrize(
    ("neighbours", "basis"),
    [((0.0, 0.0), "alone"), ((1.0, 1.0), "as found"), ((0.0, 1.0), "4 rows alone, 4 as found"), ((None, None), None)],
)
def test_a_claim_says_which_figures_it_uses(neighbours: tuple[float | None, float | None], basis: str | None) -> None:
    rows = [
        replace(case, neighbour=neighbour, batches=20)
        for op, neighbour in zip(("imul", "add"), neighbours, strict=True)
        for case in chains(op, 3, 1)
    ]
    free = Case("plain/loop", ns=3, neighbour=None if neighbours[0] is None else 0.0)
    said = sentences(analysed([*rows, free]))
    found = next(item for item in as_rows(said) if item["id"] == "pipeline/dependence")
    if basis is None:  # as found throughout: without a witness the word would say nothing
        assert found["basis"] == "as found" and "as found" not in found["figure"]
    else:
        assert found["basis"] == basis and found["figure"].endswith(f" ({basis})")


def test_a_claim_that_counts_has_no_such_figure() -> None:
    cases = [replace(case, neighbour=0.0) for case in owner_cases(True, False)]
    said = as_rows(sentences(analysed(cases)))
    found = next(item for item in said if item["id"] == "lock/owner")
    assert found["basis"] is None and "alone" not in found["figure"]


def test_rdtsc_elsewhere_is_not_measurable(tmp_path: Path) -> None:
    cases = [Case("clock/read", {"read": "cntvct"}, ns=6), Case("clock/rate", {"during": "spin"}, ns=6, kind="events")]
    assert verdict(tmp_path, "clock/rdtsc", cases).outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(
    ("latencies", "outcome"),
    [((50e3, 20e3), Outcome.CONFIRMED), ((3.9e6, 20e3), Outcome.DEPENDS), ((3.9e6, 3.5e6), Outcome.REFUTED)],
)
def test_wake_ups_against_the_tick(tmp_path: Path, latencies: tuple[float, float], outcome: Outcome) -> None:
    cases = [
        Case("clock/wakeup", {"policy": policy, "period_us": 1000}, ns=ns, kind="events")
        for policy, ns in zip(("other", "fifo"), latencies, strict=True)
    ]
    cases.append(Case("clock/resolution", {"clock": "monotonic_coarse"}, ns=4e6, kind="events"))
    said = verdict(tmp_path, "clock/hrtimer", cases)
    assert said.outcome is outcome
    assert "other" in said.because and "fifo" in said.because


def test_wake_ups_without_the_tick_to_compare_with(tmp_path: Path) -> None:
    case = Case("clock/wakeup", {"policy": "other"}, ns=50e3, kind="events")
    assert verdict(tmp_path, "clock/hrtimer", [case]).outcome is Outcome.NOT_MEASURABLE


def test_dependence_is_confirmed_with_its_factor(tmp_path: Path) -> None:
    said = verdict(tmp_path, "pipeline/dependence", [*chains("imul", 3, 1), *chains("add", 1, 0.25)])
    assert said.outcome is Outcome.CONFIRMED
    assert "imul ×3.0" in said.figure.replace("2.99", "3.0") and "[" in said.figure


def test_dependence_depends_on_the_instruction(tmp_path: Path) -> None:
    said = verdict(tmp_path, "pipeline/dependence", [*chains("imul", 3, 1), *chains("div", 20, 20)])
    assert said.outcome is Outcome.DEPENDS
    assert "costs for imul, not for div" in said.because


def test_dependence_is_refuted_where_nothing_overlaps(tmp_path: Path) -> None:
    assert verdict(tmp_path, "pipeline/dependence", chains("imul", 3, 3)).outcome is Outcome.REFUTED


def test_a_chain_without_its_number_is_not_measurable(tmp_path: Path) -> None:
    said = verdict(tmp_path, "pipeline/dependence", [Case("pipeline/chain", {"op": "add"})])
    assert said.outcome is Outcome.NOT_MEASURABLE and "several of the same" in said.because


def test_what_was_not_run_says_how_to_run_it(tmp_path: Path) -> None:
    said = verdict(tmp_path, "pipeline/dependence", [Case("plain/loop")])
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "fencepost run 'pipeline/chain'" in said.because


def test_what_failed_says_why(tmp_path: Path) -> None:
    case = Case("pipeline/chain", {"op": "imul", "chains": 1}, status="unsupported", reason="needs a core")
    said = verdict(tmp_path, "pipeline/dependence", [case])
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "needs a core" in said.because


# ---- what claims and figures are computed from ----


@pytest.mark.parametrize("hidden", [0, 12])
def test_bias_recovers_slope_intercept_and_what_floats_out(hidden: int) -> None:
    cycle = TICK_HZ / CORE_HZ
    distances = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
    metrics = {f"k{k}_mean_ticks": 40 + 3 * max(0, k - hidden) * cycle for k in distances}
    case = Case("clock/bias", {"pair": "a_to_b"}, kind="events", ns=20, metrics=metrics, metric_noise=1e-4)
    (found,) = bias(analysed([case], rounds=12))
    intercept = 40 - 3 * hidden * cycle
    assert found.pair == "a_to_b"
    assert found.slope_cycles.value == pytest.approx(3, rel=0.005)
    assert found.slope_cycles.low <= found.slope_cycles.value <= found.slope_cycles.high
    assert found.intercept_ticks.value == pytest.approx(intercept, rel=0.01)
    assert found.intercept_ns.value == pytest.approx(intercept / TICK_HZ * 1e9, rel=0.01)
    assert found.hidden.value == pytest.approx(hidden, abs=0.1)


@pytest.mark.parametrize("knee", [192, 320, 512])
def test_the_window_is_where_the_second_miss_shows(knee: int) -> None:
    metrics = {f"k{k}_ns": 90 + 0.02 * k + (90 if k >= knee else 0) for k in range(32, 800, 32)}
    case = Case("pipeline/window", {"fill": "nop"}, kind="events", ns=90, metrics=metrics)
    (found,) = windows(analysed([case], rounds=12))
    assert (found.last_fit, found.first_miss) == (knee - 32, knee)
    assert knee - 32 <= found.knee.low <= found.knee.high <= knee


def test_no_knee_is_no_number() -> None:
    case = Case(
        "pipeline/window", {"fill": "nop"}, kind="events", ns=90, metrics={f"k{k}_ns": 90.0 for k in range(32, 800, 32)}
    )
    (found,) = windows(analysed([case], rounds=6))
    assert found.knee.n == 0


def test_a_knee_that_few_processes_show_is_none(tmp_path: Path) -> None:
    flat = {f"k{k}_ns": 90.0 for k in range(32, 800, 32)}
    case = Case("pipeline/window", {"fill": "nop"}, kind="events", ns=90, metrics=flat)
    folder = synthetic.write_run(tmp_path / "run", [case], rounds=6)
    analysis = analyse(folder)
    for metrics in analysis.processes["metrics"].iloc[:2]:
        metrics.update({name: 200.0 for name in metrics if int(name[1:-3]) >= 320})
    (found,) = windows(analysis)
    assert found.knee.n == 0


def test_core_series_is_in_ghz() -> None:
    case = core_case("clock/core_series", 1.0, once=True, batches=200, noise=0.01, gap_share=0.0)
    (found,) = core_series(analysed([case], rounds=6))
    assert float(sorted(found.ghz)[100]) == pytest.approx(CORE_HZ / 1e9, rel=0.01)
    assert (found.seconds[1:] > found.seconds[:-1]).all()
