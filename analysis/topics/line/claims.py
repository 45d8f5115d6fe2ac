"""What the notes say of cache lines that several CPUs want, and of atomic instructions."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known, measure, needs, noise_of
from fencepost.analysis.topics.control import Control, spread_of, times_of
from fencepost.analysis.topics.crowds import crowds, slope, step
from fencepost.analysis.topics.line.measures import PINGPONG, SHARED, relations, staircases
from fencepost.analysis.topics.pairs import words

FEWEST_CPUS = 8
"""With fewer there is no slope to speak of, only a step."""


@claim(
    "line/cpus",
    "cpu核數越多cache miss cost越大",
    "The more cores a CPU has, the more a cache miss costs",
    ["line/contended"],
    "an atomic addition to one line costs more with each further thread, and more with distance",
    control=Control(
        "a thread alone, from which nobody takes the line, pays less than one of two",
        times_of(
            "line/contended", {"op": "fetch_add", "between": 0, "cpus": 1}, {"op": "fetch_add", "between": 0, "cpus": 2}
        ),
        "times",
        below=1.0,
    ),
)
@needs("line/contended", op="fetch_add", between=0)
def cpus(analysis: Analysis) -> Verdict:
    """Slope by sharers from two threads on, and one-way costs by distance."""
    table = grid(analysis, "line/contended")
    (crowd,) = crowds(table, "op", op="fetch_add", between=0)
    most, ratio = step(table, crowd)
    seen = (
        f"the one step that can be seen: {count(most)} threads cost each of them ×{ratio.text()} what one alone pays"
        if ratio.n
        else ""
    )
    known(most >= FEWEST_CPUS, f"needs {FEWEST_CPUS} CPUs to show a slope, this run had {count(max(most, 1))}.", seen)
    rise = slope(table, crowd)
    figure = f"each further thread adds {rise.text('ns')} to an operation (2 to {count(most)} threads)"
    far = [item for item in relations(analysis, "load_store") if item.ns.n]
    by_distance = ", ".join(f"{words(item.name)} {item.text()}" for item in far)
    because = f"One way by distance: {by_distance}." if far else f"Distances ({PINGPONG}) are not in this run."
    number = measure(rise, "ns", 0.0)
    # A slope is noisy by a share of the operation that it is a slope of, for each of the threads between its ends.
    base = max(row.time.value for row in table.rows if row.has(op="fetch_add", between=0)) / most
    grows = side(rise, 0.0, noise_of(analysis, "line/contended"), base)
    if grows is Side.ABOVE:
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if grows is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, because, number)
    because = f"Within the noise of this run it is open whether it grows. {because}"
    return Verdict(Outcome.UNDECIDED, figure, because, number)


@claim(
    "line/whole",
    "cache一次讀就是一排cache line",
    "The cache reads a whole cache line at a time",
    ["line/false_sharing"],
    "two CPUs that share no word cost each other half as much again up to a distance, and not beyond",
    control=Control(
        "beyond a line the distance makes no difference (512 over 128 bytes)",
        times_of("line/false_sharing", {"op": "atomic_add", "stride": 512}, {"op": "atomic_add", "stride": 128}),
        "times",
        0.67,
        1.5,
    ),
)
def whole_lines(analysis: Analysis) -> Verdict:
    """The distance at which false sharing ends, and how much it costs below."""
    found = known(
        next((item for item in staircases(analysis) if item.op == "atomic_add" and len(item.stride) > 1), None),
        "needs op=atomic_add at several distances in one run.",
    )
    figure = f"{count(found.stride[0])} against {count(found.stride[-1])} bytes: ×{found.factor.text()}"
    noise = noise_of(analysis, "line/false_sharing")
    dearer = side(found.factor, SHARED, noise)
    number = measure(found.factor, "1", SHARED)
    if dearer is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, "Neighbouring words cost no more than distant ones.", number)
    if dearer is not Side.ABOVE:
        because = "Within the noise of this run it is open whether neighbouring words cost more than distant ones."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if not found.ends.n:
        because = "Neighbouring words cost more. Where that ends is open: no process has a figure for each distance."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    figure = f"sharing ends at {found.ends.text()} bytes; {figure}"
    because = (
        f"Words {count(found.last_shared)} bytes apart share a line, words {count(found.ends.value)} apart do not."
    )
    if found.against_alone.n:
        because += f" At {count(found.stride[-1])} bytes an access costs ×{found.against_alone.text()} what it "
        because += "costs alone."
    if found.ends.low == found.ends.high:
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    return Verdict(Outcome.UNDECIDED, figure, f"{because} Processes differ in where it ends.", number)


@claim(
    "line/atomic",
    "atomic instruction 不保證 clock cycle",
    "An atomic instruction guarantees no number of clock cycles",
    ["line/contended"],
    "the same atomic instruction costs different amounts alone and contended",
    control=Control(
        "alone, the instruction takes the same time in all processes, within half of it",
        spread_of("line/contended", op="fetch_add", between=0, cpus=1),
        "%",
        below=50.0,
    ),
)
def atomic(analysis: Analysis) -> Verdict:
    """The same instruction, alone and with as many threads as there are CPUs."""
    table = grid(analysis, "line/contended")
    steps: dict[str, tuple[int, Interval]] = {}
    for crowd in crowds(table, "op", between=0):
        most, ratio = step(table, crowd)
        if ratio.n:
            steps[crowd.name] = most, ratio
    known(steps, "needs one thread and several, each on a separate CPU.")
    figure = "; ".join(f"{op} ×{ratio.text()} with {count(most)} threads" for op, (most, ratio) in steps.items())
    noise = noise_of(analysis, "line/contended")
    sides = {op: side(ratio, 1 + 5 * SAME, noise) for op, (_, ratio) in steps.items()}
    widest_ratio = max((ratio for _, ratio in steps.values()), key=lambda ratio: ratio.value)
    widest, number = widest_ratio.value, measure(widest_ratio, "1", 1 + 5 * SAME)
    if Side.ABOVE in sides.values():
        because = (
            f"It waits for the line: up to {plain(widest, 2)} times as long when others want it too. "
            "Compare-and-swap also "
            "has to try again."
        )
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if Side.TOUCHES in sides.values():
        because = "Within the noise of this run it is open whether it takes longer when others want the line too."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    return Verdict(Outcome.REFUTED, figure, "Contended or alone, it took the same time here.", number)
