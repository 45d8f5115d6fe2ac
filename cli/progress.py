"""Progress of a run on standard error: a bar with the time left on a terminal, a plain line a round elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from fencepost.bench.progress import Progress
from fencepost.cli import display
from fencepost.cli.expected import expected

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from fencepost.bench.plan import Plan


OFF = 1.15
"""A first round that takes more or less by this factor is worth a line."""


class PlainProgress(Progress):
    """One line a round."""

    def __init__(self) -> None:
        self._rounds = 0
        self._left: list[int] = []
        self._expected_ns: dict[int, int] = {}
        self._began = 0.0

    def begin(self, plan: Plan, missing: list[int]) -> None:
        """Say what is about to be measured."""
        self._rounds, self._left = plan.rounds, list(missing)
        self._expected_ns = {number: plan.round_ns(number) for number in missing}
        self._began = time.monotonic()
        for sentence in plan.notes:
            self.say(sentence)
        if len(missing) < plan.rounds:
            self.say(f"{plan.rounds - len(missing)} of {plan.rounds} rounds are complete already")
        rounds = "1 round" if len(missing) == 1 else f"{len(missing)} rounds"
        cases = "1 case" if len(plan.cases) == 1 else f"{len(plan.cases)} cases"
        self.say(f"{cases}, {rounds}, seed {plan.seed}: about {expected(plan, missing).text}")

    @property
    def expected_total_ns(self) -> int:
        """Expected time of all rounds that were missing at the start."""
        return sum(self._expected_ns.values())

    def left_ns(self, done_ns: int = 0) -> float:
        """Time left: what the plan expects, corrected by how long it has really taken so far."""
        over = sum(self._expected_ns[n] for n in self._expected_ns if n not in self._left) + done_ns
        left = max(0, self.expected_total_ns - over)
        # Until some of it is over, the plan's expectation is the better guess.
        some = len(self._left) < len(self._expected_ns) or over > 0.05 * self.expected_total_ns
        return left * (self._pace(over) if some else 1.0)

    def _pace(self, over_ns: float) -> float:
        """How long the rounds take, in units of what the plan expects; `over_ns` of the expected time is over."""
        return (time.monotonic() - self._began) * 1e9 / over_ns

    def _end_round(self, round_number: int) -> None:
        """Count the round as done. After the first one, say so if the plan was wrong about it."""
        self._left.remove(round_number)
        if self._left and len(self._left) == len(self._expected_ns) - 1:
            pace = self._pace(self._expected_ns[round_number])
            if not 1 / OFF <= pace <= OFF:
                took = display.duration(pace * self._expected_ns[round_number])
                planned = display.duration(self._expected_ns[round_number])
                self.say(f"round {round_number} took {took} instead of {planned}; the time left is corrected")

    def round_done(self, round_number: int) -> None:
        """Say that the round is stored, and how long the rest will take."""
        self._end_round(round_number)
        left = f", {display.duration(self.left_ns())} left" if self._left else ""
        self.say(f"round {round_number} of {self._rounds}{left}")

    def note(self, sentence: str) -> None:
        """Print it at once."""
        self.say(sentence)

    def say(self, sentence: str) -> None:
        """Print one line."""
        sys.stderr.write(f"{display.printable(sentence)}\n")
        sys.stderr.flush()


class BarProgress(PlainProgress):
    """A bar that is drawn only when the runner is awake anyway: no thread of its own beside the measurement."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def begin(self, plan: Plan, missing: list[int]) -> None:
        """Say what is about to be measured."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().begin(plan, missing)
        self._bar = RichProgress(
            TextColumn("round {task.fields[number]} of {task.fields[rounds]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[left]} left"),
            console=display.console(err=True),
            auto_refresh=False,
            transient=True,
        )
        first = missing[0] if missing else plan.rounds
        self._task = self._bar.add_task("", total=1.0, number=first, rounds=plan.rounds, left="?")
        self._bar.start()

    def update(self, round_number: int, done_ns: int) -> None:
        """Redraw the bar."""
        if self._bar is None or self._task is None:
            return
        over = self.expected_total_ns - sum(self._expected_ns[n] for n in self._left) + done_ns
        share = over / max(1, self.expected_total_ns)
        left = display.duration(self.left_ns(done_ns))
        self._bar.update(self._task, completed=share, number=round_number, left=left)
        self._bar.refresh()

    def round_done(self, round_number: int) -> None:
        """Say that the round is stored, and how long the rest will take."""
        self._end_round(round_number)
        self.update(round_number, 0)

    def say(self, sentence: str) -> None:
        """Print one line above the bar."""
        if self._bar is None:
            super().say(sentence)
        else:
            self._bar.console.print(display.printable(sentence))

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def progress_on() -> Progress:
    """The progress that suits where standard error goes."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
