"""The overwriting ring in the report: its two claims, its two pictures, and kernels whose checks notice a fault."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from compile import CSRC
from engine.build import Engine
from kernels.measure import ALONE, CPUS, SHARING, TEAMS, built_engine, first_that
from kernels.plant import engine_of
from runs import write as synthetic
from runs.write import Case
from topics.analysed import verdict_of

from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.topics.claim import Outcome, Verdict
from fencepost.analysis.topics.ring.overwriting import burst_figure, burst_loss, steady_figure, steady_loss

pytestmark = pytest.mark.usefixtures("undrawn")

EARLY, PRINTK = "ring/early_boot", "ring/printk"


def analysed(folder: Path, cases: list[Case]) -> Analysis:
    return analyse(synthetic.write_run(folder / "run", cases, rounds=8))


def verdict(folder: Path, name: str, cases: list[Case]) -> Verdict:
    return verdict_of(analysed(folder, cases), name)


def burst(percent: int, lost: float | None = None, capacity: int = 100) -> Case:
    length = -(-capacity * percent // 100)
    due = max(0, length - capacity)
    lost = due if lost is None else lost
    found = {"lost": lost, "expected": due, "lost_pct": 100 * lost / length}
    parameters = {"capacity": capacity, "burst_pct": percent}
    return Case("ring/overwrite_burst", parameters, ns=2000, unit="burst", metrics=found, metric_noise=0)


def writers(design: str, threads: int = 2, ns: float = 100, meanwhile: float = 2000) -> Case:
    found = {"torn": 0, "dropped_share": 0, "read": 6096, "read_meanwhile": meanwhile}
    cpus = tuple(range(threads))
    return Case("ring/printk", {"design": design}, ns=ns, cpus=cpus, unit="record", metrics=found, metric_noise=0)


def test_a_burst_loses_what_does_not_fit(tmp_path: Path) -> None:
    said = verdict(tmp_path, EARLY, [burst(50), burst(150), burst(400)])
    assert said.outcome is Outcome.CONFIRMED
    assert "burst of 400 % of 100: 300 lost" in said.figure


@pytest.mark.parametrize("lost", [49, 51])
def test_one_record_more_or_less_refutes(tmp_path: Path, lost: int) -> None:
    said = verdict(tmp_path, EARLY, [burst(50), burst(150, lost)])
    assert said.outcome is Outcome.REFUTED
    assert "150 % of 100" in said.because and "50 % of 100," not in said.because


def test_bursts_that_all_fit_show_nothing(tmp_path: Path) -> None:
    assert verdict(tmp_path, EARLY, [burst(50), burst(100)]).outcome is Outcome.NOT_MEASURABLE


def test_whole_records_without_a_lock_refute(tmp_path: Path) -> None:
    said = verdict(tmp_path, PRINTK, [writers("lock"), writers("lockless", ns=60)])
    assert said.outcome is Outcome.REFUTED
    assert said.figure.startswith("2 writers") and "lockless: 60" in said.figure


@pytest.mark.parametrize(
    "cases",
    [
        [writers("lock", threads=1), writers("lockless", threads=1)],
        [writers("lockless")],
        [writers("lock", threads=1), writers("lockless")],
    ],
    ids=["one writer", "one design", "not the same team"],
)
def test_too_little_to_say_anything_of_locks(tmp_path: Path, cases: list[Case]) -> None:
    said = verdict(tmp_path, PRINTK, cases)
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert said.because.startswith("needs two writers")


def test_the_largest_team_decides(tmp_path: Path) -> None:
    """Two threads read enough meanwhile, four do not."""
    cases = [
        writers(design, threads, meanwhile=2000 * (threads == 2))
        for design in ("lock", "lockless")
        for threads in (2, 4)
    ]
    said = verdict(tmp_path, PRINTK, cases)
    assert said.outcome is Outcome.UNDECIDED and said.figure.startswith("4 writers")


# ---- pictures ----


def steady(percent: int, lost: float | None = None) -> Case:
    due = 100 - percent if percent < 100 else 0
    found = {
        "lost_pct": due if lost is None else lost,
        "model_pct": due,
        "writes_per_us": 2.0,
        "reads_per_us": percent / 50,
        "write_ns": 40.0,
        "read_ns": 60.0,
    }
    parameters = {"capacity": 64, "period_ns": 500, "read_pct": percent}
    return Case("ring/overwrite", parameters, ns=40, cpus=(0, 1), kind="events", metrics=found, metric_noise=0)


def test_models_are_what_is_left_over() -> None:
    for capacity in (1, 3, 100):
        for length in (1, capacity, capacity + 1, 8 * capacity):
            lost = float(burst_loss(np.array([length / capacity]))[0])
            assert lost == pytest.approx(100 * max(0, length - capacity) / length)
    assert steady_loss(np.array([0, 0.25, 1, 2])).tolist() == [100, 75, 0, 0]


@pytest.mark.drawn
def test_pictures_show_counts_beside_their_model(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, [burst(50), burst(200), burst(400), steady(25), steady(90, lost=14), steady(110)])
    lost, rates = burst_figure(analysis), steady_figure(analysis)
    assert lost is not None and rates is not None
    for figure in (lost, rates):
        texts = [element.text for element in ElementTree.fromstring(figure.svg).iter()]
        assert "counted" in texts and "model" in texts
    assert [row[2] for row in lost.table.rows] == ["0", "100", "300"]
    assert [row[0] for row in rates.table.rows] == ["25 %", "90 %", "110 %"]
    assert "further than 4.0 percentage points" in rates.description


@pytest.mark.parametrize(
    "cases", [[burst(150)], [steady(25)], [Case("ring/overwrite", {"read_pct": "x"}, ns=1)]], ids=str
)
def test_too_few_points_are_no_picture(tmp_path: Path, cases: list[Case]) -> None:
    analysis = analysed(tmp_path, cases)
    assert burst_figure(analysis) is None and steady_figure(analysis) is None


# ---- kernels ----

STEADY, BURST, LOG = "ring/overwrite.c", "ring/overwrite_burst.c", "ring/printk.c"
CAPACITY, PERIOD_NS = 16, 500


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("cpus", [team for team in TEAMS if len(team) == 2], ids=str)
@pytest.mark.parametrize("percent", [10, 90, 200])
def test_reader_accounts_for_every_record(engine: Engine, percent: int, cpus: list[int]) -> None:
    measured = engine.trial("ring/overwrite", (CAPACITY, PERIOD_NS, percent), cpus)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert 0 <= found["lost_pct"] <= 100 and 0 <= found["model_pct"] <= 100
    assert 0 < found["writes_per_us"] <= 1000 / PERIOD_NS * 1.01
    assert found["reads_per_us"] <= 10 * percent / PERIOD_NS * 1.01


@pytest.mark.parametrize("op", [0, 1])
def test_what_is_timed_alone_is_accounted_for_too(engine: Engine, op: int) -> None:
    measured = engine.trial("ring/overwrite_cost", (op,), ALONE)
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((0, 500, 50), "capacity"),
        ((64, 199, 50), "period_ns"),
        ((64, 500, 0), "read_pct"),
        ((64, 500, 201), "read_pct"),
    ],
)
def test_impossible_rates_are_refused(engine: Engine, values: tuple[int, ...], word: str) -> None:
    measured = engine.trial("ring/overwrite", values, SHARING)
    assert measured.status < 0 and word in measured.reason


@pytest.fixture(scope="module")
def log_engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
@pytest.mark.parametrize("design", [0, 1], ids=["lock", "lockless"])
def test_the_log_is_read_while_it_is_written(log_engine: Engine, design: int, cpus: list[int]) -> None:
    # Thousands of records a batch, where the others go on until the first thread has ended.
    measure = functools.partial(log_engine.trial, "ring/printk", (design,), cpus, batch_ns=1_000_000)
    # Two threads that share a CPU may take their turns batch by batch.
    measured = first_that(lambda trial: trial.metrics["read_meanwhile"] > 1000 or len(cpus) == 1, measure)
    assert measured.status == 0, measured.reason
    assert (measured.metrics["read_meanwhile"] > 1000) == (len(cpus) > 1)
    assert measured.metrics["read"] >= measured.metrics["read_meanwhile"]
    assert {sample.thread for sample in measured.samples} == {0}


def test_the_log_is_full_from_the_beginning(log_engine: Engine) -> None:
    """Else the first trials would measure a ring that overwrites nothing."""
    measured = log_engine.trial("ring/printk", (1,), ALONE, batches=1, batch_ns=5000)
    assert measured.samples[0].operations < 4096 and measured.metrics["read"] == 4096


LOSSES_UNTOLD = ("*lost = (ring_index)(reader->next - first);", "*lost = 0;")
ONE_TOO_MANY = (
    "*lost = (ring_index)(reader->next - first);",
    "*lost = (ring_index)(reader->next - first) + (reader->next != first);",
)
A_WORD_LEFT_OUT = (
    "__atomic_store_n(to, word, __ATOMIC_RELEASE);",
    "if (bytes > 8 || number % 37) __atomic_store_n(to, word, __ATOMIC_RELEASE);",
)
NO_SECOND_LOOK = (
    "return __atomic_load_n(&slot->state, __ATOMIC_RELAXED) == ring_overwrite_complete(number);",
    "return true;",
)
RING_FAULTS: Mapping[str, tuple[str, str]] = {
    "losses untold": LOSSES_UNTOLD,
    "one loss too many": ONE_TOO_MANY,
    "a word left out": A_WORD_LEFT_OUT,
}
CASES = {
    "ring/overwrite": (STEADY, (CAPACITY, PERIOD_NS, 50), SHARING),
    "ring/overwrite_cost": (STEADY, (0,), ALONE),
    "ring/overwrite_burst": (BURST, (100, 400), ALONE),
    "ring/printk": (LOG, (1,), ALONE),
}


def broken_ring(folder: Path, source: str, fault: tuple[str, str]) -> Engine:
    """An engine with one kernel file, on a ring with a fault in it."""
    header = (CSRC / "lib" / "ring" / "overwrite.h").read_text(encoding="utf-8")
    whole, broken = fault
    assert header.count(whole) == 1, f"overwrite.h no longer has once what this test breaks: {whole}"
    header = header.replace('#include "ring.h"', '#include "lib/ring/ring.h"')
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the kernel, where the hash of what is compiled sees it.
    (folder / "broken.h").write_text(header.replace(whole, broken), encoding="utf-8")
    return engine_of(folder, source, ('#include "lib/ring/overwrite.h"', '#include "broken.h"'))


@pytest.mark.parametrize("fault", RING_FAULTS)
def test_kernels_notice_a_ring_with_a_fault(fault: str, tmp_path: Path) -> None:
    """One engine a fault, with all kernels of the overwriting ring in it."""
    for name, (source, values, cpus) in CASES.items():
        kernel = broken_ring(tmp_path / source, source, RING_FAULTS[fault])
        # Where nothing is lost nothing can be told wrongly, and threads that are kept from their CPU may lose nothing.
        measured = first_that(lambda trial: trial.status < 0, functools.partial(kernel.trial, name, values, cpus))
        assert measured.status < 0, f"{name} has not noticed: {fault}"
        assert any(word in measured.reason for word in ("lost", "torn", "wrong")), measured.reason


@pytest.mark.skipif(len(CPUS) < 2, reason="records are torn where two threads run at once")
def test_the_log_notices_a_reader_that_does_not_look_again(tmp_path: Path) -> None:
    """A record that is written over while it is read can only be seen by a reader beside the writers."""
    kernel = broken_ring(tmp_path, LOG, NO_SECOND_LOOK)
    measure = functools.partial(kernel.trial, "ring/printk", (1,), CPUS[:2], batches=20)
    measured = first_that(lambda trial: trial.status < 0, measure)
    assert " torn or in disorder" in measured.reason and ", 0 torn" not in measured.reason


@pytest.mark.parametrize(
    "planted",
    [("++me->number;", "(++me->number ^ 1);"), ("(uint64_t)who << NUMBER_BITS", "(uint64_t)(who + 1) << NUMBER_BITS")],
    ids=["disorder", "a writer that is none"],
)
def test_the_log_notices_records_that_nobody_wrote_so(planted: tuple[str, str], tmp_path: Path) -> None:
    measured = engine_of(tmp_path, LOG, planted).trial("ring/printk", (0,), ALONE)
    assert measured.status < 0 and ", 0 torn" not in measured.reason


def test_the_log_counts_what_is_given_up(tmp_path: Path) -> None:
    refused = ("status = ring_overwrite_write(", "status = !ring_overwrite_write(")
    measured = engine_of(tmp_path, LOG, refused).trial("ring/printk", (1,), ALONE)
    assert measured.status == 0 and measured.metrics["dropped_share"] == 1


DROPPED_AT_THE_END = """    {
        const ring_index number = __atomic_fetch_add(&log->ring->head, 1, __ATOMIC_ACQ_REL);

        ring_overwrite_drop(ring_overwrite_find(log->ring, number), number);
        written++;
    }
    while (read_record("""


def test_the_log_counts_losses_behind_the_last_record(tmp_path: Path) -> None:
    """The reader finds nothing more, and is told all the same that something was lost."""
    planted = ("    while (read_record(", DROPPED_AT_THE_END)
    measured = engine_of(tmp_path, LOG, planted).trial("ring/printk", (1,), ALONE)
    assert measured.status == 0, measured.reason
