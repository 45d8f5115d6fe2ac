"""What came of one worker process, and how its end is put into words."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fencepost.bench.frames import FrameReader
from fencepost.bench.interrupts import Counts
from fencepost.bench.messages import CaseFrame, EndFrame, HelloFrame
from fencepost.bench.worker import EXIT_ENGINE, EXIT_FRAMES, EXIT_ORPHAN, EXIT_OUTPUT, FRAMES_LOST

MOST_SAID_BYTES = 16 << 20
"""So much may a worker print. It lies in memory."""

_SAID_BY_WORKER = (EXIT_ORPHAN, EXIT_OUTPUT, EXIT_ENGINE)
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Attempt:
    """What came of one worker process."""

    hello: HelloFrame | None = None
    cases: dict[str, list[tuple[CaseFrame, bytes, bytes]]] = field(default_factory=dict)
    """What each visit of a case left, in their order."""
    under_way: str | None = None
    beside: str | None = None
    """The case whose batches take turns with those of the one under way."""
    end: EndFrame | None = None
    fault: str | None = None
    """Why the round is incomplete, as the end of a sentence on the worker."""
    blame: bool = False
    """Whether the case under way brought it about, and not somebody outside."""
    interrupted: Counts = field(default_factory=dict)
    """The interrupts of the run's CPUs meanwhile."""

    @property
    def visits(self) -> int:
        """How many visits have been reported."""
        return sum(map(len, self.cases.values()))

    def take(self, reader: FrameReader, expected: Mapping[str, Sequence[int]]) -> int:
        """Sort new frames in, until something comes that is not a frame: then that is the fault.

        Returns
        -------
        int
            the expected time of those visits among them that were planned, in ns. `expected` has it for each planned
            visit of a case. Further visits of a case, for quiet batches, come after these.
        """
        done_ns = 0
        try:
            for record, samples, buckets in reader.read():
                if record["kind"] == "hello":
                    self.hello = record
                elif record["kind"] == "begin":
                    self.under_way, self.beside = record["case"], record.get("beside")
                elif record["kind"] == "case":
                    self.under_way = None
                    visits = self.cases.setdefault(record["case"], [])
                    visits.append((record, samples, buckets))
                    done_ns += sum(expected.get(record["case"], ())[len(visits) - 1 : len(visits)])
                elif record["kind"] == "end":
                    self.end = record
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.fault, self.blame = f"wrote something that is not a frame ({error})", True
        return done_ns

    def judge(self, status: int, said: str, stopped: str | None, *, own: bool) -> None:
        """Find the fault by how the worker ended, unless there is none or its frames have one.

        Parameters
        ----------
        status
            the exit status, negative for a signal.
        said
            the last line that the worker printed.
        stopped
            why the runner ended it, as the end of a sentence; None where it ended by itself.
        own
            whether the case under way is of an object of the user's.
        """
        if self.fault is not None or (self.hello and self.end and status == 0):
            return
        if stopped is not None:
            self.fault, self.blame = stopped, True
        elif status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
            self.fault = f"was killed by {name}"
            self.blame = -status not in _FROM_OUTSIDE
        elif (status, said) == (EXIT_FRAMES, FRAMES_LOST):
            self.fault, self.blame = FRAMES_LOST, True
        else:
            self.fault = f"ended with status {status}" + (f" ({said:.300})" if said else "")
            self.blame = True
            if said and not (own and status not in _SAID_BY_WORKER):
                # A worker that says why it stops names a fault of the machine (no memory, no space), not of the case.
                self.under_way = None
