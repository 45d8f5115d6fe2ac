"""What the notes say of scheduling."""

from __future__ import annotations

from math import nan

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid, per_process, ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, UNKNOWN, Interval, pooled
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import plain, size, size_bytes
from fencepost.analysis.topics.claim import (
    Measure,
    Outcome,
    Verdict,
    by_side,
    claim,
    first_true,
    known,
    measure,
    needs,
    refuted,
    row_of,
)
from fencepost.analysis.topics.control import (
    Control,
    count_of,
    first_row,
    metric_of,
    over,
    quotient_of,
    time_of_row,
    times_of,
)

SHARE = "schedule/share"
RANGE = "schedule/range"
WAKEUP = "schedule/wakeup"
REALTIME = "schedule/realtime"

OFF = 0.05
"""Of a share by weight: a spinner gets whole slices, so a window of a second is up to some per cent off."""

CALLS = ("getppid", "read", "munmap", "fork", "fsync")
"""Victims that are in the kernel for most of the time."""

NICER = {"nice1": "1", "nice5": "5", "nice10": "10"}
"""Pairs whose second is so much nicer. At 19 the second gets a handful of slices in a window, which says less."""

SOON = 2.0
"""So many times as late as on an idle CPU is still soon: a spinner's slice would be a hundred times as much."""

MOVES = "schedule/migrate"
BALANCE = "schedule/rebalance"
PREEMPT = "schedule/preempt"

DEARER = 1.1
"""So many times as long loads from another CPU's caches take at least: more than two walks of one CPU differ by."""

IN_PRIVATE_CACHE = 2**18
"""Bytes that a core's own caches hold, as the smallest second cache of recent cores does. Of more a part is in a shared
cache or in memory, as far from each CPU."""

EVEN = 1.5
"""Halfway between three spinners that share two CPUs evenly (1), and two of them that share one (2)."""

EARLY_PART = 0.25
"""Of a call: a thread that could not interrupt it would wait for half of it, on average."""

AS_SOON = 2.0
"""Times the delay over a victim in user mode: the interrupt and the switch are most of either."""

FULL_PCT = 100.0
"""Utilisation up to which earliest deadline first meets all deadlines."""

NEEDS_FULL = "needs schedule/realtime with utilisation_pct=100 for the fewest tasks of the run."


def _missed(analysis: Analysis, name: str) -> dict[float, Interval]:
    """By utilisation in per cent, of the fewest tasks that were measured."""
    rows = analysis.decided(REALTIME)
    fewest = min((row.number("tasks") for row in rows), default=0)
    return {row.number("utilisation_pct"): row.metric(name) for row in rows if row.number("tasks") == fewest}


def _most_used(analysis: Analysis, name: str) -> Interval:
    """What is missed at the highest utilisation above 100 %."""
    missed = _missed(analysis, name)
    most = max(missed, default=0.0)
    return missed[most] if most > FULL_PCT else UNKNOWN


@claim(
    "schedule/nice",
    "19最nice，最容易被欺負，霸佔資源",
    "19 is the nicest, the one that is bullied most easily when it comes to resources",
    [SHARE],
    f"of two spinners the nicer has less, as the weights say within {OFF:.0%}, and equal ones have the same",
    control=Control(
        f"two spinners of one nice value have the same, within {OFF:.0%}",
        over(metric_of(SHARE, "ratio", pair="equal"), metric_of(SHARE, "expected_ratio", pair="equal")),
        "times",
        1 - OFF,
        1 + OFF,
    ),
)
@needs(SHARE, pair="equal")
def nice(analysis: Analysis) -> Verdict:
    """Shares over those by weight, of each pair that was measured. The pair furthest off decides."""
    rows = {str(row.parameter("pair")): row for row in analysis.decided(SHARE)}
    pairs = known([pair for pair in NICER if pair in rows], f"needs {SHARE} with one of {', '.join(NICER)}.")
    shares = {pair: rows[pair].metric("ratio") for pair in ("equal", *pairs)}
    by_weight = {pair: shares[pair].over(rows[pair].metric("expected_ratio").value) for pair in shares}
    furthest = max(pairs, key=lambda pair: abs(by_weight[pair].value - 1))
    figure = "nicer by " + ", ".join(f"{NICER[pair]}: {shares[pair].text()} times as much" for pair in pairs)
    due = ", ".join(plain(rows[pair].metric("expected_ratio").value, 3) for pair in pairs)
    said = f"By weight it would be {due}. Of two equal ones the first had {shares['equal'].text()} times as much."
    number = measure(by_weight[furthest], "1", 1 - OFF, 1 + OFF)
    sides = {(side(found, 1 - OFF), side(found, 1 + OFF)) for found in by_weight.values()}
    off = any(low is Side.BELOW or high is Side.ABOVE for low, high in sides)
    more = any(side(shares[pair], 1.0) is Side.BELOW for pair in pairs)
    return first_true(
        figure,
        number,
        said,
        (more, Outcome.REFUTED, "The nicer one had more."),
        (off, Outcome.DEPENDS, "The nicer one has less, and not by its weight."),
        (sides == {(Side.ABOVE, Side.BELOW)}, Outcome.CONFIRMED, "The nicer one has less, by its weight."),
        (True, Outcome.UNDECIDED, "Within its interval a share may not be by weight."),
    )


@claim(
    "schedule/nice_range",
    "-20 ~ 19",
    "Nice values go from -20 to 19",
    [RANGE],
    "a process that asks for nice -100 gets -20, and one that asks for 100 gets 19",
    failure=refuted,
    control=Control(
        "the same process reads 1 as the least priority of SCHED_FIFO", count_of(RANGE, "priority_least"), "", 0.5, 1.5
    ),
)
@needs(RANGE)
def nice_range(analysis: Analysis) -> Verdict:
    """Counts alone: one that differs is a failed check, which refutes."""
    because = "A process that asks for more gets the end of the range."
    return _counted(analysis, ("nice_least", "nice_most"), because)


@claim(
    "schedule/priorities",
    "realtime 排程 1-99",
    "Real-time scheduling has priorities from 1 to 99",
    [RANGE],
    "the least priority of SCHED_FIFO is 1 and the highest is 99",
    failure=refuted,
    control=Control("the same process gets nice 19 when it asks for 100", count_of(RANGE, "nice_most"), "", 18.5, 19.5),
)
@needs(RANGE)
def priorities(analysis: Analysis) -> Verdict:
    """Counts alone, and what real-time leaves to others, where that was measured."""
    left = [row.metric("second_pct") for row in analysis.decided(SHARE) if row.parameter("pair") == "fifo"]
    said = f"Beside a spinner of SCHED_FIFO another one had {left[0].text('%')} of the CPU." if left else ""
    because = f"Each is above all of SCHED_OTHER. {said}"
    return _counted(analysis, ("priority_least", "priority_most"), because)


def _counted(analysis: Analysis, names: tuple[str, str], because: str) -> Verdict:
    """A verdict on counts, all of which came out as expected: a claim whose check failed is refuted before."""
    (row,) = analysis.decided(RANGE)
    counts = [row.counts[name] for name in names]
    figure = f"from {counts[0].found} to {counts[1].found}"
    number = Measure(float(counts[1].found), nan, nan, counts[1].unit, (float(counts[1].expected),))
    if counts[0].processes < FEWEST_PROCESSES:
        return Verdict(Outcome.UNDECIDED, figure, f"Only {counts[0].processes} processes asked.", number)
    return Verdict(Outcome.CONFIRMED, figure, because.strip(), number)


@claim(
    "schedule/virtual_clock",
    "glocal virtual clock ticks once every N real ticks, N is the number of tasks.",
    "",
    ["schedule/virtual_clock"],
    f"the virtual time of one of N equal spinners is a 1/N of the time that all had, within {OFF:.0%}",
    control=Control(
        f"the virtual time of a single spinner moves with its time, within {OFF:.0%}",
        metric_of("schedule/virtual_clock", "rate_times_n", spinners=1),
        "times",
        1 - OFF,
        1 + OFF,
    ),
)
@needs("schedule/virtual_clock")
def virtual_clock(analysis: Analysis) -> Verdict:
    """Of the most spinners that were measured."""
    rows = [row for row in analysis.decided("schedule/virtual_clock") if row.number("spinners") > 1]
    row = max(known(rows, "needs two spinners or more."), key=lambda row: row.number("spinners"))
    rate, fair = row.metric("rate_times_n"), row.metric("fair")
    figure = f"{row.number('spinners'):.0f} spinners: a virtual time moves {rate.text()} N-ths of the time of all"
    said = f"The one that had most had {fair.text()} times the least."
    number = measure(rate, "1", 1 - OFF, 1 + OFF)
    low, high = side(rate, 1 - OFF), side(rate, 1 + OFF)
    return first_true(
        figure,
        number,
        said,
        (low is Side.BELOW or high is Side.ABOVE, Outcome.REFUTED, "It goes by another clock."),
        (Side.TOUCHES in (low, high), Outcome.UNDECIDED, "Within its interval it may go by another clock."),
        (True, Outcome.CONFIRMED, "The clock of a task stops while the others run."),
    )


@claim(
    "schedule/boost",
    "idea: infer from sleep time - give these programs a priority boost",
    "An idea: infer from the time that programs sleep, and give those that do a priority boost",
    [WAKEUP],
    f"who sleeps wakes beside a spinner within {SOON:.0f} times its time on an idle CPU, and SCHED_IDLE does not",
    control=Control(
        "the spinner had the CPU in most rounds",
        metric_of(WAKEUP, "loaded_pct", policy="other", beside="spinner"),
        "%",
        above=50.0,
    ),
)
@needs(WAKEUP, policy=("other", "idle"), beside=("nobody", "spinner"))
def boost(analysis: Analysis) -> Verdict:
    """A sleeper beside a spinner over the same alone, at two policies."""
    later = {policy: _beside(analysis, policy) for policy in ("other", "idle")}
    figure = f"beside a spinner a sleeper wakes {later['other'].text()} times as late as alone"
    said = f"One of SCHED_IDLE wakes {later['idle'].text()} times as late."
    number = measure(later["other"], "1", SOON)
    sides = {policy: side(found, SOON) for policy, found in later.items()}
    first = "A thread that slept has had less than its share, and comes first. Linux infers no more than that."
    return first_true(
        figure,
        number,
        said,
        (sides["other"] is Side.ABOVE, Outcome.REFUTED, "It waits for the spinner's slice."),
        (Side.TOUCHES in sides.values(), Outcome.UNDECIDED, "Within its interval one of the two may be either."),
        (sides["idle"] is Side.BELOW, Outcome.DEPENDS, "No sleeper waits for the spinner here."),
        (True, Outcome.CONFIRMED, first),
    )


def _beside(analysis: Analysis, policy: str) -> Interval:
    spinner, nobody = (row_of(analysis, WAKEUP, policy=policy, beside=beside) for beside in ("spinner", "nobody"))
    return ratio(analysis, spinner.case, nobody.case)


@claim(
    "schedule/deadline",
    "do the modest amount of work by a deadline.",
    "",
    [WAKEUP],
    "a thread of SCHED_DEADLINE that wakes once a period misses no deadline, also beside a spinner. It depends where "
    "one does that wakes between its deadline and the next period",
    control=Control(
        "the spinner was seen on the CPU",
        metric_of(WAKEUP, "loaded_pct", policy="deadline", beside="spinner"),
        "%",
        above=10.0,
    ),
)
@needs(WAKEUP, policy="deadline", beside=("nobody", "spinner"))
def deadline(analysis: Analysis) -> Verdict:
    """Deadlines that had passed before they could be waited for."""
    rows = {beside: row_of(analysis, WAKEUP, policy="deadline", beside=beside) for beside in ("nobody", "spinner")}
    missed = {beside: row.metric("missed") for beside, row in rows.items()}
    alone, loaded = missed["nobody"].text(), missed["spinner"].text()
    figure = f"alone {alone}, beside a spinner {loaded} deadlines missed"
    late = [rows[beside].time.ns_text() for beside in ("nobody", "spinner")]
    said = f"It woke {late[0]} late alone. It woke {late[1]} late beside it."
    number = measure(missed["spinner"], "deadlines", 0.0)
    some = any(not found.bounded or found.high > 0 for found in missed.values())
    row = first_row(analysis, WAKEUP, policy="deadline_early", beside="nobody")
    early = row.metric("missed") if row else UNKNOWN
    held_back = f"With its deadline in the middle of ten wake-ups it is held back, and misses {early.text()}."
    never = "With its deadline at the end of the period it is never held back."
    return first_true(
        figure,
        number,
        said,
        (Side.ABOVE in {side(found, 0.0) for found in missed.values()}, Outcome.REFUTED, "Most processes missed some."),
        (some, Outcome.UNDECIDED, "Some processes missed one, or there were too few."),
        (side(early, 0.0) is Side.ABOVE, Outcome.DEPENDS, f"{never} {held_back}"),
        (True, Outcome.CONFIRMED, never),
    )


@claim(
    "schedule/edf",
    "EDA: earliest deadline first",
    "Earliest deadline first",
    [REALTIME],
    "it meets all deadlines of tasks that ask for 100 % of a CPU, and none of the sets that ask for more is met",
    failure=refuted,
    control=Control(
        "sets that ask for more than 100 % are all missed",
        lambda analysis: _most_used(analysis, "edf_missed_pct"),
        "%",
        above=FULL_PCT - 1,
    ),
)
@needs(REALTIME, utilisation_pct=100)
def edf(analysis: Analysis) -> Verdict:
    """Simulated sets that each rule misses, at full utilisation and beyond. A count that differs refutes."""
    missed = _missed(analysis, "edf_missed_pct")
    full = known(missed.get(FULL_PCT), NEEDS_FULL)
    by_rates = known(_missed(analysis, "rms_missed_pct").get(FULL_PCT), NEEDS_FULL)
    return first_true(
        f"at 100 % it misses {full.text('%')} of the sets",
        measure(full, "%", 0.0),
        f"RMS misses {by_rates.text('%')} of them at 100 %.",
        (side(full, 0.0) is Side.ABOVE, Outcome.REFUTED, "It misses sets that can be met."),
        (not full.bounded or full.high > 0, Outcome.UNDECIDED, "Processes differ in what they missed."),
        (True, Outcome.CONFIRMED, "It uses a CPU to the full. The notes call it EDA."),
    )


@claim(
    "schedule/rms",
    "Rate montonic scheduling (RMS)",
    "Rate-monotonic scheduling",
    [REALTIME],
    "it meets all deadlines up to n(2^(1/n) - 1) of a CPU, and misses some of those that ask for 100 %",
    failure=refuted,
    control=Control(
        "earliest deadline first misses none of the same sets at 100 %",
        lambda analysis: _missed(analysis, "edf_missed_pct").get(FULL_PCT, UNKNOWN),
        "%",
        below=0.5,
    ),
)
@needs(REALTIME, utilisation_pct=100)
def rms(analysis: Analysis) -> Verdict:
    """Simulated sets that are missed, below the bound of the notes' rule and above it."""
    missed = _missed(analysis, "rms_missed_pct")
    bound = min(row.metric("bound_pct").value for row in analysis.decided(REALTIME))
    lacks = f"needs a utilisation up to {bound:.0f}."
    below = known({use: found for use, found in missed.items() if use <= bound}, lacks)
    most, full = max(below), known(missed.get(FULL_PCT), NEEDS_FULL)
    figure = f"at {most:.0f} % it misses {below[most].text('%')} of the sets, at 100 % {full.text('%')}"
    said = f"The bound is {plain(bound, 3)} %."
    safe = all(found.bounded and found.high <= 0 for found in below.values())
    unsafe = any(side(found, 0.0) is Side.ABOVE for found in below.values())
    return first_true(
        figure,
        measure(full, "%", 0.0),
        said,
        (
            safe and side(full, 0.0) is Side.ABOVE,
            Outcome.CONFIRMED,
            "Up to the bound it is safe, and beyond it is not.",
        ),
        (unsafe or full.high <= 0, Outcome.REFUTED, "The bound does not part what is met from what is missed."),
        (True, Outcome.UNDECIDED, "Processes differ in what they missed."),
    )


@claim(
    "schedule/taskset",
    "不同cpu核心間的距離會不同，taskset可以限定process跑在同一個核心，效能可能較好",
    "CPU cores are at different distances. taskset can keep a process on one core, which may perform better",
    [MOVES],
    f"after a move to another CPU, loads of what the thread has written take more than {DEARER} times as long",
    control=Control(
        "a call that moves the thread takes more than twice one that moves nothing",
        over(metric_of(MOVES, "hop_ns", to="other", touched=0), metric_of(MOVES, "stay_ns", to="other", touched=0)),
        "times",
        above=2.0,
    ),
)
@needs(MOVES, to="other")
def taskset(analysis: Analysis) -> Verdict:
    """Of the most memory that a core's own caches hold."""
    rows = [row for row in analysis.decided(MOVES) if row.has(to="other")]
    fitting = [row for row in rows if 0 < size_bytes(str(row.parameters["touched"])) <= IN_PRIVATE_CACHE]
    row = max(known(fitting, f"needs {MOVES} with memory that fits into a core's caches."), key=_touched)
    after, without = (per_process(analysis, row.case, name) for name in ("loads_hop_ns", "loads_stay_ns"))
    times = pooled(after / without)
    figure = f"{size(_touched(row))}: loads take {times.text()} times as long after a move"
    said = f"With its loads a move takes {row.time.ns_text()} more than a call that moves nothing."
    words = {
        Side.BELOW: (Outcome.REFUTED, "The other CPU is as near to the memory."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval a move may cost nothing."),
        Side.ABOVE: (Outcome.CONFIRMED, "The data that it has written is in the caches that it left."),
    }
    return by_side(side(times, DEARER), figure, measure(times, "1", DEARER), said, words)


@claim(
    "schedule/rebalance",
    "Rebalancing",
    "",
    [BALANCE],
    f"of three spinners on two CPUs none has {EVEN} times as much as another, since they are moved; pinned ones have",
    control=Control(
        f"of three pinned spinners one has more than {EVEN} times the least",
        metric_of(BALANCE, "fair", spinners="pinned"),
        "times",
        above=EVEN,
    ),
)
@needs(BALANCE, spinners=("three", "pinned"))
def rebalance(analysis: Analysis) -> Verdict:
    """Spinners that may be moved, beside as many that may not."""
    free, pinned = (row_of(analysis, BALANCE, spinners=spinners) for spinners in ("three", "pinned"))
    fair, moves, uneven = free.metric("fair"), free.metric("migrations_per_s"), pinned.metric("fair")
    figure = f"the most over the least of three: {fair.text()}, pinned {uneven.text()}"
    said = f"They were moved {moves.text()} times a second."
    number = measure(fair, "1", EVEN)
    where = side(fair, EVEN)
    if where is Side.BELOW and side(moves, 0.0) is not Side.ABOVE:
        where = Side.TOUCHES  # without moves, that they are alike says nothing
    words = {
        Side.BELOW: (Outcome.CONFIRMED, "Linux moves them, so that each has its share."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval the figure is open, or they were not moved."),
        Side.ABOVE: (Outcome.REFUTED, "One of them has a CPU to itself for long."),
    }
    return by_side(where, figure, number, said, words)


@claim(
    "schedule/preemption",
    "降低重要任務超過deadline的機會: kernel preemption",
    "Kernel preemption lowers the chance that an important task misses its deadline",
    [PREEMPT],
    f"a real-time thread wakes over a call that reads 64 MiB within {EARLY_PART} of the time that the call takes",
    control=Control(
        f"with no victim it wakes within {EARLY_PART} of the time of such a call",
        over(time_of_row(PREEMPT, victim="nobody"), metric_of(PREEMPT, "call_ns", victim="read")),
        "of a call",
        below=EARLY_PART,
    ),
)
@needs(PREEMPT, victim=("nobody", "user", "read"))
def preemption(analysis: Analysis) -> Verdict:
    """The delay over a long call, as a part of the call."""
    rows = {victim: row_of(analysis, PREEMPT, victim=victim) for victim in ("nobody", "user", "read")}
    part = quotient_of(rows["read"].time, rows["read"].metric("call_ns"))
    figure = f"over a read of 64 MiB it wakes {part.text()} of a call late"
    found = grid(analysis, PREEMPT)
    places = [found.find(victim=victim) or 0 for victim in ("read", "user")]
    said = (
        f"That is {rows['read'].time.ns_text()}, over a loop in user mode {rows['user'].time.ns_text()}, "
        f"and {rows['nobody'].time.ns_text()} on an idle CPU. "
        f"The read adds {found.difference(*places)[0].ns_text()}."
    )
    number = measure(part, "1", EARLY_PART)
    words = {
        Side.BELOW: (Outcome.CONFIRMED, "The kernel leaves a call for it."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval it may wait for the call."),
        Side.ABOVE: (Outcome.REFUTED, "The call ends first."),
    }
    return by_side(side(part, EARLY_PART), figure, number, said, words)


@claim(
    "schedule/long_calls",
    "系統呼叫中，不是每個系統呼叫都可以被搶佔，只有較耗時的會，如FSYNC",
    "Not every system call can be preempted, only those that take longer, such as fsync",
    [PREEMPT],
    f"over long calls a real-time thread wakes within {AS_SOON:.0f} times its delay over a loop in user mode",
    control=Control(
        f"over a short call (getppid) it wakes within {AS_SOON:.0f} times its delay over user mode",
        times_of(PREEMPT, {"victim": "getppid"}, {"victim": "user"}),
        "times",
        below=AS_SOON,
    ),
)
@needs(PREEMPT, victim=("user", "getppid", "read"))
def long_calls(analysis: Analysis) -> Verdict:
    """Delays over calls of each length, over that over a loop in user mode."""
    user = row_of(analysis, PREEMPT, victim="user")
    rows = {str(row.parameter("victim")): row for row in analysis.decided(PREEMPT)}
    times = {victim: ratio(analysis, row.case, user.case) for victim, row in rows.items() if victim in CALLS}
    each = ", ".join(f"{victim} {found.text()}" for victim, found in times.items())
    figure = f"{each} times the delay over user mode"
    latest = max((victim for victim in times if victim != "getppid"), key=lambda victim: times[victim].value)
    short = rows["getppid"].metric("call_ns")
    said = f"A getppid takes {short.ns_text()}: whether it is left or ends first does not show."
    number = measure(times[latest], "1", AS_SOON)
    sides = {victim: side(found, AS_SOON) for victim, found in times.items()}
    del sides["getppid"]  # the control
    return first_true(
        figure,
        number,
        said,
        (sides["read"] is Side.ABOVE, Outcome.REFUTED, "A long call is not left either."),
        (Side.TOUCHES in sides.values(), Outcome.UNDECIDED, "Within its interval a long call may not be left."),
        (Side.ABOVE in sides.values(), Outcome.DEPENDS, "Some long calls are left, and some are not."),
        (True, Outcome.CONFIRMED, "Each of the long calls is left before it ends."),
    )


def _touched(row: Row) -> float:
    return size_bytes(str(row.parameters["touched"]))
