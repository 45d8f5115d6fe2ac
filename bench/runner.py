"""Rounds: one fresh, pinned process after the other, until the run folder holds all that its plan asks for.

While a worker measures, this process sleeps: the worker writes into a file in memory, and nobody is woken by that. It
wakes a few times a second at most (progress), on a signal, and when the worker ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from fencepost.bench import schema
from fencepost.bench.attempt import MOST_SAID_BYTES, Attempt
from fencepost.bench.caches import most_turn_bytes
from fencepost.bench.case import Case
from fencepost.bench.documents import CaseRecord, HistogramRecord, RoundRecord
from fencepost.bench.energy import find_energy
from fencepost.bench.engine import Engine, backend_path
from fencepost.bench.errors import MeasureError, RunInterruptedError
from fencepost.bench.files import words_of
from fencepost.bench.frames import FrameReader, decode_buckets, decode_samples
from fencepost.bench.interrupts import added, read_counts
from fencepost.bench.launch import MARK, affinity, end_marked, find_taskset, kill_group, memory_file, usable_cpus
from fencepost.bench.messages import CaseFrame, Spec
from fencepost.bench.moments import batches_of_visit
from fencepost.bench.plan import taking_turns
from fencepost.bench.progress import Progress
from fencepost.bench.record import failed, record_of, worker_of
from fencepost.bench.runfolder import CaseRows, RunFolder, read_round_record
from fencepost.bench.so_far import SoFar
from fencepost.bench.sysfs import Tree

WORKER = Path(__file__).resolve().with_name("worker.py")


WAKE_MS = 500


MOST_LINE_BYTES = 1 << 16
"""Of what a worker printed, so much of the end is looked at for its last line."""


PATIENCE_S = 30.0
"""Beyond ten times its expected duration, how long a case may take before its worker is taken for hung."""


OWN_PATIENCE_S = 10.0
"""The same for a kernel of a user's own, at most: nobody wants to wait for several hangs."""


STRIKES = 2
"""So many cases of a kernel may cost a worker its life; after that its other cases are left out as well."""


OUTSIDE = 2
"""How often a round is started again because somebody outside killed its worker, before a case is blamed."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Runner:
    """Completes the run in `folder`.

    Parameters
    ----------
    usable
        tells which CPUs may be used now; asked before and after each round.
    patience_s
        see `PATIENCE_S`.
    root
        where the energy of a package is looked for.
    go_on
        the command that completes an interrupted run, for its last sentence.
    """

    def __init__(
        self,
        engine: Engine,
        folder: RunFolder,
        progress: Progress | None = None,
        *,
        usable: Callable[[], set[int]] = usable_cpus,
        patience_s: float = PATIENCE_S,
        root: Path = Path("/"),
        go_on: str = "fencepost run --resume",
    ) -> None:
        self.engine = engine
        self.go_on = go_on
        self.folder = folder
        self.plan = folder.plan
        self.progress = progress or Progress()
        self._usable = usable
        self._patience_s = patience_s
        self._taskset = find_taskset()
        self._backend = str(backend_path())
        self._energy = find_energy(Tree(root), self.plan.cpus[0])
        self._signal = 0
        self._traced = False
        self._wakeup: int | None = None
        # Cases that killed their worker: left out of the rounds that follow, with the reason.
        self._left_out: dict[str, str] = {}
        self._strikes: Counter[tuple[str, str]] = Counter()
        self._apart: set[str] = set()  # cases that take turns with no other, since their worker died while two did
        self._most_turn_bytes = most_turn_bytes(schema.read_machine(folder.path), self.plan.cpus)
        self._so_far = SoFar(engine.arch, self.plan.quiet_batches, self.plan.again_ns)

    def run(self) -> None:
        """Measure every missing round.

        Raises
        ------
        RunInterruptedError
            after SIGINT, SIGTERM or SIGHUP.
        MeasureError
            when rounds cannot go on (CPUs gone, worker does not start, disk full). Complete rounds are kept.
        """
        missing = self.folder.missing_rounds()
        there = schema.round_files(self.folder.path).values()
        self._so_far.add_floors(read_round_record(path)["worker"].get("width_floor") for path in there)
        end_marked(self.folder.id)  # what a run that was killed has left
        self.progress.begin(self.plan, missing)
        try:
            with self._signals():
                for number in missing:
                    self._one_round(number)
                    self.progress.round_done(number)
        finally:
            self.progress.end()

    def _one_round(self, number: int) -> None:
        order = self.plan.order(number)
        self._check_cpus(number)
        self._check_engine()
        started = datetime.now(UTC)
        outside = 0
        self._so_far.begin_round()
        # Ends: each time round, there is one case less to blame, two more that are measured apart, or one death less to
        # put down to somebody outside.
        while True:
            attempt = self._attempt(number, [case for case in order if case.case not in self._left_out])
            if self._signal:
                raise RunInterruptedError(self._kept(f"interrupted by {signal.Signals(self._signal).name}"))
            self._check_cpus(number)
            if attempt.fault is None:
                break
            # Somebody outside (the OOM killer, an operator) may have killed it: try again before a case is blamed.
            if not attempt.blame and outside < OUTSIDE:
                outside += 1
                self.progress.note(f"round {number}: the worker {attempt.fault}; trying again")
                continue
            if attempt.under_way is None:
                raise MeasureError(self._kept(f"the worker of round {number} {attempt.fault}"))
            if attempt.beside is not None:
                # Which of the two it was will show when each is measured by itself.
                self._apart |= {attempt.under_way, attempt.beside}
                continue
            self._leave_out(number, attempt.under_way, str(attempt.fault))
        assert attempt.end is not None  # or there would be a fault
        self._so_far.end_round(attempt.end["again_ns"])
        if not self._traced and (attempt.end["traced"] or (attempt.hello and attempt.hello["traced"])):
            self._traced = True  # said once a run; each round's record says it again
            self.progress.note(f"round {number}: the worker is traced (strace, a debugger), which slows it")
        record, rows = self._round(number, started, order, attempt, self._left_out)
        self._so_far.add_floors([record["worker"]["width_floor"]])
        try:
            self.folder.write_round(record, rows)
        except MeasureError as error:
            raise MeasureError(self._kept(str(error))) from error

    def _leave_out(self, number: int, name: str, fault: str) -> None:
        """Measure the case `name` no more, and after `STRIKES` cases of its kernel none of that kernel."""
        culprit = next(case for case in self.plan.cases if case.case == name)
        kernel = (culprit.object, culprit.kernel)
        self._left_out[name] = f"the worker {fault} while measuring this case in round {number}"
        self._strikes[kernel] += 1
        whole = ""
        if self._strikes[kernel] >= STRIKES:
            others = [case.case for case in self.plan.cases if (case.object, case.kernel) == kernel]
            others = [case for case in others if case not in self._left_out]
            for case in others:
                self._left_out[case] = (
                    f"left out: {STRIKES} cases of this kernel killed their worker ({fault} in {name})"
                )
            whole = f" and the {len(others)} other cases of {culprit.kernel}" if others else ""
        self.progress.note(f"round {number}: the worker {fault} in {name}; leaving it out{whole}")

    def _limit_s(self, cases: Mapping[str, Case], under_way: str | None) -> float:
        """How long the case under way may take; before the first, what a worker does until then."""
        if under_way is None or under_way not in cases:
            return max(self._patience_s, PATIENCE_S)
        case = cases[under_way]
        patience = min(self._patience_s, OWN_PATIENCE_S) if case.object else self._patience_s
        return 10 * case.expected_ns / 1e9 + patience

    def _attempt(self, number: int, cases: list[Case]) -> Attempt:
        attempt = Attempt()
        expected: dict[str, list[int]] = {}
        for case in cases:
            expected.setdefault(case.case, []).append(case.expected_ns // case.visits)
        by_name = {case.case: case for case in cases}
        with memory_file("spec") as spec, memory_file("frames") as output, memory_file("errors") as errors:
            counted = read_counts(self.plan.cpus)
            process = self._launch(number, cases, spec, output, errors)
            reader = FrameReader(output.fileno())
            done_ns = 0
            stopped = None
            try:
                since = time.monotonic()
                while not self._signal and not self._ended(process):
                    before = attempt.under_way, attempt.visits
                    done_ns += attempt.take(reader, expected)
                    self.progress.update(number, done_ns)
                    limit_s = self._limit_s(by_name, attempt.under_way)
                    if before != (attempt.under_way, attempt.visits):
                        since = time.monotonic()
                    elif time.monotonic() - since > limit_s:
                        stopped = f"took longer than {limit_s:.0f} s"
                    if os.fstat(errors.fileno()).st_size > MOST_SAID_BYTES:
                        stopped = f"printed more than {MOST_SAID_BYTES >> 20} MiB"
                    if stopped or attempt.fault:
                        break
            finally:
                kill_group(process)
                end_marked(self.folder.id)
            attempt.interrupted = added(counted, read_counts(self.plan.cpus))
            if attempt.fault is None:
                attempt.take(reader, expected)
            errors.seek(-min(MOST_LINE_BYTES, errors.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = errors.read().decode("utf-8", "replace").split("\n")
            said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        culprit = by_name.get(attempt.under_way or "")
        attempt.judge(process.returncode, said, stopped, own=culprit is not None and bool(culprit.object))
        return attempt

    def _launch(
        self, number: int, cases: list[Case], spec: IO[bytes], output: IO[bytes], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", "-B", str(WORKER)]
        if self._taskset:
            command = [self._taskset, "-c", ",".join(map(str, self.plan.cpus)), *command]
        document: Spec = {
            "parent": os.getpid(),
            "spawn_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
            "engine": str(self.engine.path),
            "backend": self._backend,
            "settings": {
                **self.plan.settings,
                "width_limit": self._so_far.width_limit,
                "counter_turn": number,
                "most_turn_bytes": self._most_turn_bytes,
            },
            # Of a stored plan, made when there were other MOMENTS, too.
            "part_batches": batches_of_visit(self.plan.batches, max(case.visits for case in self.plan.cases)),
            "again_ns": self._so_far.again_ns,
            "energy": self._energy,
            "objects": [{"label": label, "path": str(item.path)} for label, item in self.engine.objects.items()],
            "cases": [
                {
                    "case": case.case,
                    "kernel": case.kernel,
                    "object": case.object,
                    "values": list(case.values),
                    "cpus": list(case.cpus),
                    "metrics": len(case.metrics),
                    "counts": len(case.counts),
                    "quiet_rounds": self._so_far.quiet_rounds[case.case],
                    "in_turns": in_turns,
                    "visits": case.visits,
                }
                for case, in_turns in zip(cases, taking_turns(cases, self._apart), strict=True)
            ],
        }
        try:
            spec.write(json.dumps(document).encode())
            spec.seek(0)
            with contextlib.nullcontext() if self._taskset else affinity(self.plan.cpus):
                # A session of its own, so that Ctrl-C reaches this process only.
                # The mark is for what kernels start.
                return subprocess.Popen(
                    command,
                    stdin=spec,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                    env={**os.environ, MARK: self.folder.id},
                )
        except OSError as error:
            raise MeasureError(
                self._kept(f"the worker of round {number} did not start ({words_of(error, named=True)})")
            ) from error

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Sleep until the worker ends, a signal comes, or it is time to show progress; whether it ended."""
        if process.poll() is not None:
            return True
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            # An old kernel or a strict sandbox: subprocess looks at it twenty times a second instead.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WAKE_MS / 1000)
            return process.poll() is not None
        try:
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            if self._wakeup is not None:
                poller.register(self._wakeup, select.POLLIN)
            poller.poll(WAKE_MS)
        finally:
            os.close(pidfd)
        return process.poll() is not None

    def _round(
        self, number: int, started: datetime, order: list[Case], attempt: Attempt, excluded: Mapping[str, str]
    ) -> tuple[RoundRecord, list[CaseRows]]:
        """The record of a complete round, and its rows."""
        cases: dict[str, CaseRecord] = {}
        rows: list[CaseRows] = []
        visits_of = Counter(case.case for case in order)
        for case in self.plan.cases:
            if case.case not in visits_of:
                continue
            if case.case in excluded:
                cases[case.case] = failed(excluded[case.case])
                continue
            visits = attempt.cases.get(case.case, [])
            if len(visits) < visits_of[case.case]:
                cases[case.case] = failed("the worker did not report it")
                continue
            cases[case.case], left = self._visited(case, visits, visits_of[case.case])
            rows += left
            self._so_far.add_visits(case.case, [record for record, _, _ in visits])
        assert attempt.hello is not None and attempt.end is not None  # or the attempt would have a fault
        launcher = "taskset" if self._taskset else "sched_setaffinity"
        record: RoundRecord = {
            "schema": schema.SCHEMA_VERSION,
            "run": self.folder.id,
            "round": number,
            "started_utc": f"{started:%Y-%m-%dT%H:%M:%SZ}",
            "order": [case.case for case in order],
            "worker": worker_of(attempt.hello, attempt.end, launcher, attempt.interrupted, rows),
            "cases": cases,
        }
        return record, rows

    def _visited(
        self, case: Case, visits: list[tuple[CaseFrame, bytes, bytes]], planned: int
    ) -> tuple[CaseRecord, list[CaseRows]]:
        """The entry of a case in the round's record, by its first `planned` visits, and the rows of all."""
        records = [record for record, _, _ in visits]
        bad = next((record for record in records if record["status"] != "ok"), None)
        rows: list[CaseRows] = []
        histogram: HistogramRecord | None = None
        if bad is None:
            batches = 0
            for record, data, _ in visits:
                samples = decode_samples(self.engine, data)
                if batches and len(samples):
                    # Batches count on from visit to visit, so that no two of a round have one number.
                    samples = samples.raised("batch", batches)
                batches = max(samples["batch"], default=batches - 1) + 1
                rows.append(CaseRows(case.case, record.get("overhead_ticks") or 0.0, record.get("core_hz"), samples))
            if case.kind == "events":
                histogram = decode_buckets(self.engine, b"".join(buckets for _, _, buckets in visits))
        # One that failed speaks for all: its figures, and no rows. Visits that looked for quiet batches add rows only.
        entry = record_of(case, records[:planned] if bad is None else [bad], histogram)
        if len(visits) > 1 and bad is None:
            entry["visits"] = [len(row.samples) for row in rows]
            entry["visits_hz"] = [row.core_hz for row in rows]
        return entry, rows

    def _check_cpus(self, number: int) -> None:
        gone = sorted(set(self.plan.cpus) - (usable := self._usable()))
        if gone:
            raise MeasureError(
                self._kept(
                    f"round {number} needs CPU {_list(gone)}, which went offline or is no longer allowed here "
                    f"(usable now: {_list(usable) or 'none'})"
                )
            )

    def _check_engine(self) -> None:
        """Workers load the engine from its file: one built anew during a run must not get into it."""
        wanted = {"": ("the engine", self.folder.run["engine"]["sha256"])}
        for record in self.folder.run.get("objects", ()):
            wanted[record["label"]] = (f"the object of {record['label']}", record["sha256"])
        for label, (what, sha256) in wanted.items():
            path = self.engine.file_of(label)
            try:
                now = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise MeasureError(self._kept(f"{path}: {what} cannot be read any more ({words_of(error)})")) from error
            if now != sha256:
                there = len(schema.round_files(self.folder.path))
                raise MeasureError(
                    f"{path}: {what} was rebuilt during the run. Its {there} complete rounds are kept. More "
                    "rounds would measure different code, so start a new run"
                )

    def _kept(self, sentence: str) -> str:
        there = len(schema.round_files(self.folder.path))
        return (
            f"{sentence}. {there} of {self.plan.rounds} rounds are complete and kept. "
            f"Continue with: {self.go_on} {self.folder.path}"
        )

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into a flag that is looked at between two steps, and that ends the wait for a worker."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGCHLD)}
        wakeup_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._wakeup = reading
        try:
            for number in _SIGNALS:
                # A signal that was ignored from the start (nohup) stays ignored.
                if before[number] != signal.SIG_IGN:
                    signal.signal(number, self._remember)
            # Ignored (some parents do), it would take away how a worker ended.
            if before[signal.SIGCHLD] == signal.SIG_IGN:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            yield
            if self._signal and self.folder.missing_rounds():
                raise RunInterruptedError(self._kept(f"interrupted by {signal.Signals(self._signal).name}"))
        finally:
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_before)
            self._wakeup = None
            os.close(reading)
            os.close(writing)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number


def _list(cpus: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))
