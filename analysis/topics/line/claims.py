"""What the notes say of cache lines that several CPUs want, and of atomic instructions."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import Interval, above, below
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known, needs
from fencepost.analysis.topics.crowds import crowds, slope, step
from fencepost.analysis.topics.line.measures import relations, staircases
from fencepost.analysis.topics.pairs import words

FEWEST_CPUS = 8
"""With fewer there is no slope to speak of, only a step."""


@claim(
    "line/cpus",
    "cpu核數越多cache miss cost越大",
    "The more cores a CPU has, the more a cache miss costs",
    ["line/contended"],
    "an atomic addition to one line costs more with each further thread, and more with distance",
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
    by_distance = ", ".join(f"{words(item.name)} {item.ns.ns_text()}" for item in far)
    because = f"One way by distance: {by_distance}." if far else "Distances (line/pingpong) are not in this run."
    if above(rise, 0):
        return Verdict(Outcome.CONFIRMED, figure, because)
    if below(rise, 0):
        return Verdict(Outcome.REFUTED, figure, because)
    return Verdict(Outcome.DEPENDS, figure, f"The interval leaves open whether it grows. {because}")


@claim(
    "line/whole",
    "cache一次讀就是一排cache line",
    "The cache reads a whole cache line at a time",
    ["line/false_sharing"],
    "two CPUs that share no word disturb each other up to a distance, and not beyond",
)
def whole_lines(analysis: Analysis) -> Verdict:
    """The distance at which false sharing ends, and how much it costs below."""
    found = known(
        next((item for item in staircases(analysis) if item.op == "atomic_add" and len(item.stride) > 1), None),
        "needs op=atomic_add at several distances in one run.",
    )
    figure = f"{count(found.stride[0])} against {count(found.stride[-1])} bytes: ×{found.factor.text()}"
    if not found.ends.n:
        return Verdict(Outcome.REFUTED, figure, "Neighbouring words cost no more than distant ones.")
    figure = f"sharing ends at {found.ends.text()} bytes; {figure}"
    because = (
        f"Words {count(found.last_shared)} bytes apart share a line, words {count(found.ends.value)} apart do not."
    )
    if found.against_alone.n:
        because += f" At {count(found.stride[-1])} bytes an access costs ×{found.against_alone.text()} what it "
        because += "costs alone."
    if found.ends.low == found.ends.high or found.ends.n < 6:
        return Verdict(Outcome.CONFIRMED, figure, because)
    return Verdict(Outcome.DEPENDS, figure, f"{because} Processes differ in where it ends.")


@claim(
    "line/atomic",
    "atomic instruction 不保證 clock cycle",
    "An atomic instruction guarantees no number of clock cycles",
    ["line/contended"],
    "the same atomic instruction costs different amounts alone and contended",
)
def atomic(analysis: Analysis) -> Verdict:
    """The same instruction, alone and with as many threads as there are CPUs."""
    table = grid(analysis, "line/contended")
    steps: dict[str, tuple[int, Interval]] = {}
    for crowd in crowds(table, "op", between=0):
        most, ratio = step(table, crowd)
        if ratio.n:
            steps[crowd.name] = most, ratio
    known(steps, "needs one thread and several, each with a CPU of its own.")
    figure = "; ".join(f"{op} ×{ratio.text()} with {count(most)} threads" for op, (most, ratio) in steps.items())
    dearer = [op for op, (_, ratio) in steps.items() if above(ratio, 1 + 5 * SAME)]
    widest = max(ratio.value for _, ratio in steps.values())
    if dearer:
        because = (
            f"It waits for the line: up to {plain(widest, 2)} times as long when others want it too. "
            "Compare-and-swap also "
            "has to try again."
        )
        return Verdict(Outcome.CONFIRMED, figure, because)
    return Verdict(Outcome.REFUTED, figure, "Contended or alone, it took the same time here.")
