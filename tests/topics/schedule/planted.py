"""What has to be planted in stored rows for each verdict on scheduling."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

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


def deadlines(alone: Change, beside: Change) -> Plant:
    """So many deadlines are missed."""
    return lambda run: run.put("missed", alone, "schedule/wakeup", policy="deadline", beside="nobody").put(
        "missed", beside, "schedule/wakeup", policy="deadline", beside="spinner"
    )


def few(run: Stored) -> Stored:
    """Three processes."""
    return run.rounds(3)


PLANTED: Planted = {
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
    "schedule/capability": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: few,
        Outcome.REFUTED: differs("without"),
    },
    "schedule/virtual_clock": {
        Outcome.CONFIRMED: lambda run: run.put("rate_times_n", 1.0, "schedule/virtual_clock"),
        Outcome.UNDECIDED: lambda run: run.put("rate_times_n", in_turn(0.9, 1.1), "schedule/virtual_clock"),
        Outcome.REFUTED: lambda run: run.put("rate_times_n", 2.0, "schedule/virtual_clock"),
    },
    "schedule/boost": {
        Outcome.CONFIRMED: later(),
        Outcome.DEPENDS: later(idle=1.0),
        Outcome.UNDECIDED: later(other=in_turn(1.0, 5.0)),
        Outcome.REFUTED: later(other=50.0),
    },
    "schedule/deadline": {
        Outcome.CONFIRMED: deadlines(0.0, 0.0),
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
