"""Rounds in fresh processes: what a run leaves behind when cases, workers, CPUs or the parent fail."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from runs import measure as runtime
from runs.measure import MACHINE, any_cpu, children, run_record, tiny_plan

from fencepost.bench import profiles, runfolder, runner, schema
from fencepost.bench.ab_plan import AbSide, Pair, make_ab_plan
from fencepost.bench.case import Case
from fencepost.bench.catalog import read_catalog
from fencepost.bench.documents import RoundRecord
from fencepost.bench.engine import load_from
from fencepost.bench.errors import MeasureError, RunInterruptedError
from fencepost.bench.launch import launcher_name
from fencepost.bench.progress import Progress
from fencepost.bench.runner import PATIENCE_S, Runner

CPU = any_cpu()


@pytest.fixture(autouse=True)
def _wakes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WAKE_MS", 10)


@pytest.fixture(autouse=True)
def _heeds_signals() -> Iterator[None]:
    with runtime.heeding_signals():
        yield


class Recorder(Progress):
    """Keeps what a run tells, and calls `on_update` whenever it is awake."""

    def __init__(self, on_update: Callable[[], None] = lambda: None) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []
        self._on_update = on_update

    def update(self, round_number: int, done_ns: int) -> None:
        self._on_update()

    def round_done(self, round_number: int) -> None:
        self.done.append(round_number)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def make(tmp_path: Path, patterns: list[str], **options: Any) -> runfolder.RunFolder:
    plan = tiny_plan(patterns, **options)
    return runfolder.create(tmp_path, MACHINE, run_record(plan))


def record(folder: runfolder.RunFolder, number: int) -> RoundRecord:
    return runfolder.read_round_record(schema.round_file(folder.path, number))


def run(folder: runfolder.RunFolder, progress: Progress | None = None, **options: Any) -> None:
    Runner(runtime.fault_engine(), folder, progress, **options).run()


def workers() -> list[int]:
    """Worker processes of this process; other tests may have left children of their own (a fork server, say)."""
    return [child for child in children(os.getpid()) if b"worker.py" in command_line(child)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def test_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "good/events", "good/once"]) as folder:
        progress = Recorder()
        run(folder, progress)
        assert progress.done == [1, 2]
        assert folder.missing_rounds() == []
        first, second = record(folder, 1), record(folder, 2)
    once = f"good/once@cpu{CPU}"
    assert once in first["cases"]
    assert once not in second["cases"]
    assert all(case["status"] == "ok" for case in first["cases"].values())
    assert first["worker"]["cpus"] == [CPU]
    assert first["worker"]["startup_ms"] > 0
    assert first["worker"]["elapsed_ms"] > first["worker"]["startup_ms"]
    assert first["worker"]["pid"] != second["worker"]["pid"]
    steady = first["cases"][f"good/steady[size=4KiB,mode=plain]@cpu{CPU}"]
    assert steady["metrics"] == {"echo_bytes": 4096}
    assert steady["histogram"] is None
    events = first["cases"][f"good/events@cpu{CPU}"]
    assert events["histogram"] is not None and events["histogram"]["ticks"] == [100, 101, 102]
    table = pq.read_table(schema.round_file(folder.path, 1))
    assert set(table["case"].to_pylist()) == set(first["order"])
    assert set(table["cpu_begin"].to_pylist()) == {CPU}
    # The rows of one case follow each other.
    names = table["case"].to_pylist()
    assert sum(a != b for a, b in itertools.pairwise(names)) == len(set(names)) - 1


def test_visits_that_look_for_quiet_batches_add_rows_only(tmp_path: Path) -> None:
    lacking = replace(runtime.TINY, quiet_batches=10**6, most_batches=2)
    with make(tmp_path, ["good/steady"], profile=lacking) as folder:
        run(folder)
        got = record(folder, 1)
        table = pq.read_table(schema.round_file(folder.path, 1))
    again = {name: case["visits"] for name, case in got["cases"].items() if "visits" in case}
    if not again:
        pytest.skip("this architecture has no witness, or knows no floor before the first round")
    rows = Counter(table["case"].to_pylist())
    for name, visits in again.items():
        assert len(visits) > 1 and sum(visits) == rows[name]
        assert visits[0] == runtime.TINY.batches
        assert len(got["cases"][name]["visits_hz"]) == len(visits)
        assert got["cases"][name]["core_hz"] == got["cases"][name]["visits_hz"][0]
    assert got["order"] == [case.case for case in folder.plan.order(1)]


def test_failing_and_unsupported_cases_lose_their_own_rows_only(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/wrong", "bad/lacking"]) as folder:
        run(folder)
        cases = record(folder, 1)["cases"]
    assert cases[f"bad/wrong@cpu{CPU}"]["status"] == "failed"
    assert cases[f"bad/lacking@cpu{CPU}"]["status"] == "unsupported"
    assert "unicorn" in str(cases[f"bad/lacking@cpu{CPU}"]["reason"])
    assert {
        name.partition("/")[0] for name in pq.read_table(schema.round_file(folder.path, 1))["case"].to_pylist()
    } == {"good"}


def test_a_crash_names_its_case_and_costs_only_that(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/crash"]) as folder:
        progress = Recorder()
        run(folder, progress)
        first, second = record(folder, 1)["cases"], record(folder, 2)["cases"]
    crash = f"bad/crash@cpu{CPU}"
    for cases in (first, second):
        assert cases[crash]["status"] == "failed"
        assert "SIGABRT" in str(cases[crash]["reason"])
        assert "round 1" in str(cases[crash]["reason"])
        assert all(case["status"] == "ok" for name, case in cases.items() if name != crash)
    # Once is enough: the second round leaves it out from the start.
    assert len(progress.notes) == 1
    assert crash in progress.notes[0]


def test_a_crash_in_turns_is_blamed_on_the_side_that_crashes(tmp_path: Path) -> None:
    engine = runtime.fault_engine()
    kernels = read_catalog(engine)
    old, new = AbSide(kernels.get("good/steady"), (4096, 0)), AbSide(kernels.get("bad/crash"), ())
    plan = make_ab_plan(engine, [Pair(old, new)], runtime.TINY, runtime.one_cpu, rounds=2, seed=1, twins=())
    progress = Recorder()
    with runfolder.create(tmp_path, MACHINE, run_record(plan)) as folder:
        run(folder, progress)
        rounds = [record(folder, number)["cases"] for number in (1, 2)]
    good, bad = (case.case for case in plan.cases)
    for cases in rounds:
        assert cases[good]["status"] == "ok"
        assert cases[bad]["status"] == "failed"
        assert "SIGABRT" in str(cases[bad]["reason"])
    assert len(progress.notes) == 1


def test_the_record_says_how_long_a_turn_was(tmp_path: Path) -> None:
    engine = runtime.fault_engine()
    side = AbSide(read_catalog(engine).get("good/steady"), (4096, 0))
    plan = make_ab_plan(engine, [Pair(side, side)], runtime.TINY, runtime.one_cpu, rounds=1, seed=1, twins=())
    with runfolder.create(tmp_path, MACHINE, run_record(plan)) as folder:
        run(folder)
        cases = record(folder, 1)["cases"]
    assert [case["turn_batches"] for case in cases.values()] == [2, 2]
    assert [case["visits"] for case in cases.values()] == [[2, 2], [2, 2]]


def test_how_a_worker_ended_is_known_where_sigchld_was_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with make(tmp_path, ["bad/crash"]) as folder:
            run(folder)
            (case,) = record(folder, 1)["cases"].values()
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN, "what was found is put back"
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "SIGABRT" in str(case["reason"])


def test_a_hanging_case_is_left_out_after_the_watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.impatient(monkeypatch, "bad/hang")
    with make(tmp_path, ["good/steady", "bad/hang"]) as folder:
        run(folder)
        cases = record(folder, 2)["cases"]
    assert "took longer than" in str(cases[f"bad/hang@cpu{CPU}"]["reason"])
    assert cases[f"good/steady[size=4KiB,mode=plain]@cpu{CPU}"]["status"] == "ok"
    assert workers() == []


def test_a_case_has_ten_times_what_it_is_expected_to_take_and_some_patience(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "good/once"]) as folder:
        first, second = folder.plan.cases[:2]
        own = replace(second, object="mine.c")
        cases = {case.case: case for case in (first, own)}
        for given, suite, mine in ((30.0, 30.0, 10.0), (0.5, 0.5, 0.5)):
            runs = Runner(runtime.fault_engine(), folder, patience_s=given)
            assert runs._limit_s(cases, first.case) == 10 * first.expected_ns / 1e9 + suite
            assert runs._limit_s(cases, own.case) == 10 * own.expected_ns / 1e9 + mine
            assert runs._limit_s(cases, None) == PATIENCE_S  # it has yet to start


class Killer(Runner):
    """Kills the worker from outside while the case `victim` is under way, `times` times."""

    def __init__(self, folder: runfolder.RunFolder, progress: Recorder, victim: str, times: int) -> None:
        super().__init__(runtime.fault_engine(), folder, progress)
        self._victim, self._times = victim, times

    def _limit_s(self, cases: Mapping[str, Case], under_way: str | None) -> float:
        if under_way == self._victim and self._times:
            for worker in workers():
                os.kill(worker, signal.SIGKILL)
                self._times -= 1
        return super()._limit_s(cases, under_way)


def test_a_worker_killed_from_outside_is_started_again(tmp_path: Path) -> None:
    # Long enough to be caught at work, and not to blame for it.
    profile = profiles.Profile("quick", rounds=1, batches=40, warmup_batches=1, batch_ns=2_000_000)
    for number in itertools.count():  # whoever is off the CPU for a second comes too late: once more
        with make(tmp_path / str(number), ["good/steady"], profile=profile) as folder:
            progress = Recorder()
            Killer(folder, progress, folder.plan.cases[0].case, 1).run()
            assert all(case["status"] == "ok" for case in record(folder, 1)["cases"].values())
        if progress.notes:
            break
    assert progress.notes == ["round 1: the worker was killed by SIGKILL; trying again"]


def test_a_case_in_which_every_worker_is_killed_is_given_up(tmp_path: Path) -> None:
    hang = f"bad/hang@cpu{CPU}"
    with make(tmp_path, ["good/steady", "bad/hang"], rounds=1) as folder:
        progress = Recorder()
        Killer(folder, progress, hang, 99).run()
        cases = record(folder, 1)["cases"]
    assert "SIGKILL" in str(cases[hang]["reason"])
    assert all(case["status"] == "ok" for name, case in cases.items() if name != hang)
    assert [note.partition("; ")[2] for note in progress.notes] == ["trying again"] * 2 + ["leaving it out"]


def test_a_worker_that_does_not_start_ends_the_run_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKER", tmp_path / "absent.py")
    with (
        make(tmp_path, ["good/once"]) as folder,
        pytest.raises(MeasureError, match="worker of round 1 ended with status"),
    ):
        run(folder)


def test_a_worker_that_talks_nonsense_ends_the_run_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nonsense.py").write_text("print('hello')")
    monkeypatch.setattr(runner, "WORKER", tmp_path / "nonsense.py")
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError, match="not a frame"):
        run(folder)


def test_without_taskset_the_mask_is_set_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher_name() == "sched_setaffinity"
    before = os.sched_getaffinity(0)
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        worker = record(folder, 1)["worker"]
    assert worker["cpus"] == [CPU]
    assert worker["launcher"] == "sched_setaffinity"
    assert os.sched_getaffinity(0) == before


def test_a_taskset_that_does_not_work_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taskset").write_text("#!/bin/sh\necho 'invalid option -- c' >&2\nexit 1\n")
    (tmp_path / "taskset").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher_name() == "sched_setaffinity"
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        assert record(folder, 1)["worker"]["launcher"] == "sched_setaffinity"


def test_the_worker_is_launched_by_taskset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "taskset").write_text(f'#!/bin/sh\necho "$@" > {log}\nshift 2\nexec "$@"\n')
    (tools / "taskset").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        assert record(folder, 1)["worker"]["launcher"] == "taskset"
    assert log.read_text().startswith(f"-c {CPU} ")


def test_a_mask_narrowed_before_a_round_stops_with_one_sentence(tmp_path: Path) -> None:
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError) as caught:
        run(folder, usable=set)
    assert f"round 1 needs CPU {CPU}" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert folder.complete_rounds() == []


def test_a_mask_narrowed_during_a_round_discards_that_round(tmp_path: Path) -> None:
    answers = [{CPU}, {CPU}, {CPU}, {CPU + 1}]
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError, match="round 2 needs CPU"):
        run(folder, usable=lambda: answers.pop(0))
    assert folder.complete_rounds() == [1]


def test_an_engine_built_anew_during_a_run_stops_it(tmp_path: Path) -> None:
    other = tmp_path / "_kernels.abi3.so"
    other.write_bytes(runtime.engine_path().read_bytes())
    engine = load_from(other)

    class Builder(Recorder):
        def round_done(self, round_number: int) -> None:
            # As a linker does: a new file under the old name.
            other.unlink()
            other.write_bytes(runtime.engine_path().read_bytes() + b"\0")

    with make(tmp_path, ["good/once"]) as folder:
        with pytest.raises(MeasureError, match=r"rebuilt during the run\. Its 1 complete rounds are kept"):
            Runner(engine, folder, Builder()).run()
        other.unlink()
        with pytest.raises(MeasureError, match="the engine cannot be read any more"):
            Runner(engine, folder).run()


def test_a_full_disk_keeps_complete_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make(tmp_path, ["good/once", "good/steady"]) as folder:
        write = runfolder.RunFolder.write_round

        def full(self: runfolder.RunFolder, record: RoundRecord, rows: list[runfolder.CaseRows]) -> Path:
            if record["round"] == 2:
                raise runfolder.storage_fault(self.path, OSError(28, "No space left on device"))
            return write(self, record, rows)

        monkeypatch.setattr(runfolder.RunFolder, "write_round", full)
        with pytest.raises(MeasureError, match=r"no space left.*1 of 2 rounds are complete and kept.*--resume"):
            run(folder)
        monkeypatch.undo()
        run(folder)
        assert folder.missing_rounds() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_keeps_complete_rounds(tmp_path: Path, number: signal.Signals) -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with make(tmp_path, ["good/once", "good/steady"], rounds=50) as folder:

        class Stopper(Recorder):
            def round_done(self, round_number: int) -> None:
                super().round_done(round_number)
                if round_number == 2:
                    os.kill(os.getpid(), number)

        with pytest.raises(RunInterruptedError, match=rf"interrupted by {number.name}\. 2 of 50 rounds are complete"):
            run(folder, Stopper())
        assert folder.complete_rounds() == [1, 2]
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    assert workers() == []


def test_a_signal_interrupts_a_worker_at_work(tmp_path: Path) -> None:
    with make(tmp_path, ["bad/hang"]) as folder:
        progress = Recorder(lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunInterruptedError, match=r"SIGTERM\. 0 of 2"):
            run(folder, progress)
    assert workers() == []
