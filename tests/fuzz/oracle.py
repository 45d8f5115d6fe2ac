"""What may come of a hostile input: it is read, or refused with one sentence; in time, within memory, and finite.

Inputs are tried in children, since a fault may end the process. An input is named by reader, seed and number, and is
made anew from these three.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import click

from fencepost.bench.errors import FencepostError
from fencepost.cli.faults import expected, shown

LIMIT_S = 10.0
"""Of an input, in time of the CPU. Most take a millisecond."""

PATIENCE_S = 120.0
"""Of an input that waits: the machine may be busy with others."""

LIMIT_BYTES = 3 << 30
"""Of address space beyond what the process has when it begins."""

LONGEST_SENTENCE = 2000
"""Characters. A sentence may quote some hundred of them, twice."""

CHUNK = 500
"""Inputs of a child: what one leaves behind does not reach far, and what is lost with a crash is little."""


_ROOT = Path(__file__).resolve().parents[2]


class WrongError(Exception):
    """An input was read to something that is no figure, or to another figure than it should."""


class SlowError(BaseException):
    """An input took too long. No reader catches it."""


class WaitingError(SlowError):
    """An input took too long without using the CPU."""


Trial = Callable[[random.Random], None]
"""Makes one input and reads it. Raises what the reader raises, and `WrongError` for a wrong answer."""


@dataclass
class Tally:
    """What came of the inputs of one reader. `faults` are sentences: the input's name, and what went wrong."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.faults += other.faults


def sentence_fault(error: BaseException) -> str | None:
    """What is wrong with an error as the answer to a hostile input; None where it is one sentence of ours."""
    if isinstance(error, click.exceptions.Exit | click.exceptions.NoArgsIsHelpError):
        return None
    said = error.format_message() if isinstance(error, click.ClickException) else shown(error, str(error))
    if not isinstance(error, click.ClickException | FencepostError) and not (
        expected(error) and isinstance(error, ValueError)
    ):
        where = traceback.extract_tb(error.__traceback__)
        ours = next(
            (
                one
                for one in reversed(where)
                if Path(one.filename).is_relative_to(_ROOT) and ".venv" not in one.filename
            ),
            None,
        )
        place = f" at {Path(ours.filename).relative_to(_ROOT)}:{ours.lineno}" if ours else ""
        return f"{type(error).__name__}{place}: {said[:200]}"
    if not said.strip():
        return f"{type(error).__name__} without a word"
    if len(said) > LONGEST_SENTENCE:
        return f"{type(error).__name__} of {len(said)} characters: {said[:100]}"
    if "\n" in said.strip() and type(error).__module__ != "click.exceptions":  # these list what can be chosen
        return f"{type(error).__name__} of several lines: {said[:200]!r}"
    return None


@contextlib.contextmanager
def limited_time() -> Iterator[None]:
    """Raise `SlowError` in what takes longer than `LIMIT_S`, `WaitingError` in what waits for `PATIENCE_S`."""

    def late(number: int, _frame: object) -> NoReturn:
        if number == signal.SIGALRM:
            raise WaitingError(f"waited for {PATIENCE_S:g} s")
        raise SlowError(f"took more than {LIMIT_S:g} s of the CPU")

    clocks = ((signal.ITIMER_PROF, signal.SIGPROF, LIMIT_S), (signal.ITIMER_REAL, signal.SIGALRM, PATIENCE_S))
    before = [signal.signal(number, late) for _, number, _ in clocks]
    for clock, _, seconds in clocks:
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for (clock, number, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def try_one(trial: Trial, name: str, seed: int, number: int, tally: Tally) -> None:
    """Try one input and count what comes of it."""
    tally.inputs += 1
    try:
        try:
            with limited_time():
                trial(random.Random(f"{name}:{seed}:{number}"))
        except WaitingError:  # other work may have kept the CPU, and what waits for ever does so again
            with limited_time():
                trial(random.Random(f"{name}:{seed}:{number}"))
    except (Exception, SlowError) as error:
        fault = sentence_fault(error)
        if fault is None:
            tally.refused += 1
        else:
            tally.faults.append(f"{name}:{seed}:{number}: {fault}")
        return
    tally.accepted += 1


def try_chunk(make: Callable[[Path], Trial], name: str, seed: int, numbers: range) -> Tally:
    """Try the inputs of a chunk in a child, with a folder of its own. One that ends the child is a fault, and the next
    child goes on behind it.
    """
    tally = Tally()
    at = numbers.start
    while at < numbers.stop:
        with tempfile.TemporaryDirectory(prefix="fencepost-fuzz-", dir=_fast_folder()) as scratch:
            done, ended, found = _in_child(make, Path(scratch), name, seed, range(at, numbers.stop))
        tally.add(found)
        if done == at and not found.inputs and "exit status" in ended:
            raise RuntimeError(f"{name}: the reader could not be prepared ({ended})")
        if ended:
            tally.inputs += 1
            tally.faults.append(f"{name}:{seed}:{done}: {ended}")
            done += 1
        at = done
    return tally


def _fast_folder() -> str | None:
    """A folder in memory: an input is a file or some, and lives for a millisecond."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


_COUNTS = struct.Struct("4q")


def _in_child(
    make: Callable[[Path], Trial], scratch: Path, name: str, seed: int, numbers: range
) -> tuple[int, str, Tally]:
    """Number that comes next, how the child ended if not of itself, and its tally up to there."""
    shared = mmap.mmap(-1, _COUNTS.size)
    shared[:] = _COUNTS.pack(numbers.start, 0, 0, 0)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told:
        child = os.fork()
        if child == 0:
            _work(make, scratch, name, seed, numbers, shared, told.fileno())
        _, status = os.waitpid(child, 0)
        told.seek(0)
        lines = told.read().splitlines()
    at, inputs, accepted, refused = _COUNTS.unpack(shared[:])
    faults = [line for line in lines if line.startswith(f"{name}:")]
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    last = next((line for line in reversed(lines) if not line.startswith(f"{name}:")), "")
    return (
        at,
        f"ends the process by {how} {last[:200]}".strip() if code else "",
        Tally(inputs, accepted, refused, faults),
    )


def _work(
    make: Callable[[Path], Trial], scratch: Path, name: str, seed: int, numbers: range, shared: mmap.mmap, told: int
) -> NoReturn:
    status = 1
    try:
        for number in (1, 2):
            os.dup2(told, number)
        sys.stdout = sys.stderr = open(os.dup(told), "w", buffering=1, encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115
        trial = make(scratch)
        _limit_memory()
        tally = Tally()
        for number in numbers:
            known = len(tally.faults)
            try_one(trial, name, seed, number, tally)
            for fault in tally.faults[known:]:
                os.write(told, (fault.replace("\n", " ") + "\n").encode("utf-8", "replace"))
            shared[:] = _COUNTS.pack(number + 1, tally.inputs, tally.accepted, tally.refused)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
