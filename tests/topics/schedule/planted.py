"""What has to be planted in stored rows for each verdict on scheduling."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

MOVED = 1 << 18
DUE = {"equal": 1.0, "nice1": 1.249, "nice5": 3.057, "nice10": 9.309}
SLEEPERS = {"other": 1.0, "idle": 100.0}


def shares(**times: Change) -> Plant:
    """Shares by weight, but for these pairs, which have other ones."""

    def plant(run: Stored) -> Stored:
        for pair, due in DUE.items():
            run.put("ratio", times.get(pair, due), "schedule/share", pair=pair)
        return run

    return plant


def later(**times: Change) -> Plant:
    """Sleepers wake so many times as late beside a spinner as alone."""

    def plant(run: Stored) -> Stored:
        for policy, usual in SLEEPERS.items():
            run.add_to({"policy": policy, "beside": "nobody"}, 0.0, "schedule/wakeup", policy=policy, beside="spinner")
            run.scale(times.get(policy, usual), "schedule/wakeup", policy=policy, beside="spinner")
        return run

    return plant


def differs(name: str) -> Plant:
    """A count of `schedule/range` comes out otherwise."""
    return lambda run: run.fail(f"count {name}: 0 instead of 1", "schedule/range")


def missed(rule: str, use: int, share: Change) -> Plant:
    """A rule misses this share of the sets at this utilisation."""
    return lambda run: run.put(f"{rule}_missed_pct", share, "schedule/realtime", utilisation_pct=use)


def deadlines(alone: Change, beside: Change, early: Change = 0.0) -> Plant:
    """So many deadlines are missed."""
    return lambda run: (
        run.put("missed", alone, "schedule/wakeup", policy="deadline", beside="nobody")
        .put("missed", beside, "schedule/wakeup", policy="deadline", beside="spinner")
        .put("missed", early, "schedule/wakeup", policy="deadline_early", beside="nobody")
    )


def few(run: Stored) -> Stored:
    """Three processes."""
    return run.rounds(3)


def loads(times: Change) -> Plant:
    """Loads after a move take so many times as long as without."""

    def plant(run: Stored) -> Stored:
        run.put("loads_stay_ns", 1e4, "schedule/migrate", to="other", touched=MOVED)
        after = (lambda number: 1e4 * times(number)) if callable(times) else 1e4 * times
        return run.put("loads_hop_ns", after, "schedule/migrate", to="other", touched=MOVED)

    return plant


def shared(three: Change, pinned: Change) -> Plant:
    """The most that one of three spinners had, over the least."""
    return lambda run: run.put("fair", three, "schedule/rebalance", spinners="three").put(
        "fair", pinned, "schedule/rebalance", spinners="pinned"
    )


def delayed(**times: Change) -> Plant:
    """Over each victim a thread wakes as late as over a loop in user mode, but for these: so many times as late."""

    def plant(run: Stored) -> Stored:
        for victim in ("getppid", "read", "munmap", "fork", "fsync"):
            run.add_to({"victim": "user"}, 0.0, "schedule/preempt", victim=victim)
            run.scale(times.get(victim, 1.0), "schedule/preempt", victim=victim)
        return run

    return plant


PLANTED: Planted = {
    "schedule/taskset": {
        Outcome.CONFIRMED: loads(2.0),
        Outcome.UNDECIDED: loads(in_turn(1.0, 2.0)),
        Outcome.REFUTED: loads(1.0),
    },
    "schedule/rebalance": {
        Outcome.CONFIRMED: shared(1.1, 2.0),
        Outcome.UNDECIDED: shared(1.1, 1.1),
        Outcome.REFUTED: shared(2.0, 2.0),
    },
    "schedule/preemption": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale(in_turn(1.0, 1e4), "schedule/preempt", victim="read"),
        Outcome.REFUTED: lambda run: run.scale(1e4, "schedule/preempt", victim="read"),
    },
    "schedule/long_calls": {
        Outcome.CONFIRMED: delayed(),
        Outcome.DEPENDS: delayed(fsync=5.0),
        Outcome.UNDECIDED: delayed(read=in_turn(1.0, 5.0)),
        Outcome.REFUTED: delayed(read=50.0),
    },
    "schedule/nice": {
        Outcome.CONFIRMED: shares(),
        Outcome.DEPENDS: shares(nice5=2.0),
        Outcome.UNDECIDED: shares(equal=in_turn(0.8, 1.2)),
        Outcome.REFUTED: shares(nice5=0.5),
    },
    "schedule/nice_range": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: few,
        Outcome.REFUTED: differs("nice_least"),
    },
    "schedule/priorities": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: few,
        Outcome.REFUTED: differs("priority_most"),
    },
    "schedule/virtual_clock": {
        Outcome.CONFIRMED: lambda run: run.put("rate_times_n", 1.0, "schedule/virtual_clock"),
        Outcome.UNDECIDED: lambda run: run.put("rate_times_n", in_turn(0.9, 1.1), "schedule/virtual_clock"),
        Outcome.REFUTED: lambda run: run.put("rate_times_n", 2.0, "schedule/virtual_clock", spinners=4),
    },
    "schedule/boost": {
        Outcome.CONFIRMED: later(),
        Outcome.DEPENDS: later(idle=1.0),
        Outcome.UNDECIDED: later(other=in_turn(1.0, 5.0)),
        Outcome.REFUTED: later(other=50.0),
    },
    "schedule/deadline": {
        Outcome.CONFIRMED: deadlines(0.0, 0.0),
        Outcome.DEPENDS: deadlines(0.0, 0.0, early=8.0),
        Outcome.UNDECIDED: deadlines(0.0, in_turn(0.0, 2.0)),
        Outcome.REFUTED: deadlines(0.0, 9.0),
    },
    "schedule/edf": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: missed("edf", 100, in_turn(0.0, 1.0)),
        Outcome.REFUTED: missed("edf", 100, 5.0),
    },
    "schedule/rms": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: missed("rms", 100, in_turn(0.0, 1.0)),
        Outcome.REFUTED: missed("rms", 70, 5.0),
    },
}
