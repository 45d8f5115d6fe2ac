"""Faults that are planted in a host of a fleet while it is measured.

A planting is a generator. It yields what it waits for, and does its harm, or mends it, when that is true. What it does
after `Stage.ended` is done between two calls of the same command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.hosts import Fleet, Host

ROUNDS = 12
Steps = Iterator[Callable[[], bool]]


@dataclass
class Stage:
    """A host while it is measured.

    Attributes
    ----------
    before
        digests of the rounds that were complete when the fault was planted, by their names.
    over
        whether the first command has ended.
    """

    fleet: Fleet
    host: Host
    before: dict[str, str] = field(default_factory=dict)
    over: bool = False

    def rounds(self, number: int) -> Callable[[], bool]:
        """So many rounds are complete on the host."""
        return lambda: len(self.host.rounds()) >= number

    def ended(self) -> bool:
        """The first command has ended."""
        return self.over

    def note(self) -> None:
        """Remember the rounds that must not be lost, nor measured again."""
        self.before |= self.host.digests()


@dataclass(frozen=True)
class Planting:
    """One fault.

    Attributes
    ----------
    steps
        what is done to the host, and when.
    told
        what the first command says of it, without regard to line ends.
    whole
        whether the first command completes the run of this host all the same.
    """

    steps: Callable[[Stage], Steps]
    told: str = ""
    whole: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    small_disk: str = ""
    own_name: str = ""


def third(stage: Stage) -> Steps:
    """Wait until a third of the rounds is complete, and remember them."""
    yield stage.rounds(ROUNDS // 3)
    stage.note()


# ---- the link ----


def cut_before(stage: Stage) -> Steps:
    stage.host.cut()
    yield stage.ended
    stage.host.mend()


def cut(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.cut()
    yield stage.ended
    yield stage.rounds(ROUNDS)  # the target goes on
    stage.note()
    stage.host.mend()


def cut_for_a_moment(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.cut()
    yield stage.rounds(ROUNDS * 2 // 3)
    stage.host.mend()


def cut_at_the_end(stage: Stage) -> Steps:
    yield lambda: (stage.host.series() / "runs.tar").exists() or len(stage.host.rounds()) == ROUNDS
    stage.note()
    stage.host.cut()
    yield stage.ended
    stage.host.mend()


def sessions_killed(stage: Stage) -> Steps:
    """All processes that serve a connection, and not the one that listens."""
    yield from third(stage)
    stage.host.kill("-KILL", "sshd-session", "sshd: root")


# ---- processes ----


def kill_all(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.kill("-KILL", "measure.sh job", "fencepost run", "worker")


def kill_run(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.kill("-KILL", "fencepost run")


def kill_job(stage: Stage) -> Steps:
    """The shell alone: what measures goes on, and holds the lock."""
    yield from third(stage)
    stage.host.kill("-KILL", "measure.sh job")


def terminate_run(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.kill("-TERM", "fencepost run")


def stop_for_a_moment(stage: Stage) -> Steps:
    """As a machine that sleeps: all that measures stands still for three seconds."""
    yield from third(stage)
    found = ("measure.sh job", "fencepost run", "worker")
    stage.host.kill("-STOP", *found)
    end = time.monotonic() + 3
    yield lambda: time.monotonic() > end
    stage.host.kill("-CONT", *found)


# ---- machines ----


def reboot_before_the_first_round(stage: Stage) -> Steps:
    yield (stage.host.series() / "started").exists
    stage.host.reboot()


def reboot(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.reboot()


def reboot_twice(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.reboot()
    yield stage.rounds(ROUNDS * 2 // 3)
    stage.note()
    stage.host.reboot()


def reboot_at_the_end(stage: Stage) -> Steps:
    yield stage.rounds(ROUNDS)
    stage.note()
    stage.host.reboot()


def power_off(stage: Stage) -> Steps:
    yield from third(stage)
    stage.host.stop()
    yield stage.ended
    stage.host.start()


# ---- disks ----


def fill(host: Host) -> None:
    host.inside("dd", "if=/dev/zero", f"of={host.home}/filler", "bs=4k")


def full_at_the_start(stage: Stage) -> Steps:
    fill(stage.host)
    yield stage.ended
    stage.host.inside("rm", f"{stage.host.home}/filler")


def full(stage: Stage) -> Steps:
    yield stage.rounds(2)
    stage.note()
    fill(stage.host)
    yield stage.ended
    stage.host.inside("rm", f"{stage.host.home}/filler")


def full_at_the_end(stage: Stage) -> Steps:
    yield stage.rounds(ROUNDS)
    stage.note()
    fill(stage.host)
    yield stage.ended
    stage.host.inside("rm", f"{stage.host.home}/filler")


def without_inodes(stage: Stage) -> Steps:
    """A disk that has space, and takes no further file."""
    yield from third(stage)
    used = stage.host.inside("df", "--output=iused", str(stage.host.home)).stdout.split()[-1]
    assert stage.host.inside("mount", "-o", f"remount,nr_inodes={used}", str(stage.host.home)).returncode == 0
    yield stage.ended
    assert stage.host.inside("mount", "-o", "remount,nr_inodes=100000", str(stage.host.home)).returncode == 0


# ---- clocks and names ----


def at_ease(stage: Stage) -> Steps:
    """The fault is there from the start."""
    yield stage.rounds(1)


FAKED = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}


def clock(offset: str) -> dict[str, str]:
    """A clock that is wrong from the start."""
    return {**FAKED, "FAKETIME": offset}


CLOCK_OF_A_FILE = {**FAKED, "FAKETIME_TIMESTAMP_FILE": "{home}/clock"}


def jump(offset: str) -> Callable[[Stage], Steps]:
    """A clock that is set anew in mid-run."""

    def steps(stage: Stage) -> Steps:
        (stage.host.home / "clock").write_text("+0\n")
        yield from third(stage)
        (stage.host.home / "clock").write_text(f"{offset}\n")

    return steps


SINCE_1970 = f"-{int(time.time()) // 86400 - 1}d"
"""The clock of a board without a battery."""

NETWORK = {
    "cut before": Planting(cut_before),
    "cut": Planting(cut),
    "cut for a moment": Planting(cut_for_a_moment, whole=True),
    "cut at the end": Planting(cut_at_the_end),
    "sessions killed": Planting(sessions_killed, whole=True),
}
PROCESSES = {
    "all killed": Planting(kill_all, whole=True),
    "run killed": Planting(kill_run, whole=True),
    "job killed": Planting(kill_job, whole=True),
    "run terminated": Planting(terminate_run, whole=True),
    "stopped for a moment": Planting(stop_for_a_moment, whole=True),
}
MACHINES = {
    "reboot before the first round": Planting(reboot_before_the_first_round, whole=True),
    "reboot": Planting(reboot, whole=True),
    "two reboots": Planting(reboot_twice, whole=True),
    "reboot at the end": Planting(reboot_at_the_end, whole=True),
    "power off": Planting(power_off),
}
DISKS = {
    "full at the start": Planting(full_at_the_start, "o space left on", small_disk="8m"),
    "full": Planting(full, "no space left on its disk", small_disk="8m"),
    "full at the end": Planting(full_at_the_end, "o space left on", small_disk="8m"),
    "no inodes": Planting(without_inodes, "no space left on its disk", small_disk="8m"),
}
CLOCKS = {
    "five hours ahead": Planting(at_ease, "its clock is 5 h ahead", True, clock("+5h")),
    "in 1970": Planting(at_ease, "h behind of the one here", True, clock(SINCE_1970)),
    "jump ahead": Planting(jump("+2d"), "", True, CLOCK_OF_A_FILE),
    "jump back": Planting(jump("-2d"), "", True, CLOCK_OF_A_FILE),
    "name of another": Planting(at_ease, "call themselves host1", True, own_name="host1"),
}
