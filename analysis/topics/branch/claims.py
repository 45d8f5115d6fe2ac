"""What the notes say of branches."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side, within
from fencepost.analysis.text.numbers import count, plain, powers, size
from fencepost.analysis.topics.branch.figures import NOTES_CYCLES, ground
from fencepost.analysis.topics.branch.measures import capacity, learning, loaded_penalties, penalties, quotient
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known, measure, noise_of
from fencepost.analysis.topics.control import Control, quotient_of, times_of

LOW, HIGH = NOTES_CYCLES


LEARNT = 1.5
"""The first meeting costs at least this many times the last where something was learnt."""


def _first_passes(analysis: Analysis) -> Interval:
    """The first pass of the longest array over that of the shortest, an outcome."""
    rows = sorted(analysis.decided("branch/learning"), key=lambda row: row.number("n"))
    return quotient_of(*(row.metric("pass1_ticks") for row in (rows[-1], rows[0]))) if rows else UNKNOWN


@claim(
    "branch/penalty",
    "Modern microprocessors tend to have quite long pipelines so that the misprediction delay is between 10 and 20 "
    "clock cycles.",
    "",
    ["branch/penalty"],
    "a misprediction costs 10 to 20 cycles",
    control=Control(
        "the cost grows on a straight line with the number of random branches (R²)",
        lambda analysis: next((item.r_squared for item in penalties(analysis)), UNKNOWN),
        above=0.99,
    ),
)
def penalty(analysis: Analysis) -> Verdict:
    """The slope of cost on mispredictions, and the same where the condition has to be loaded first."""
    ready = known(penalties(analysis), "branch/penalty has fewer than three numbers of coins.")[0]
    known(
        ready.cycles,
        "How many cycles that is cannot be said: the core clock beside it is not believable.",
        f"{ready.ns.ns_text()} with the condition in a register",
    )
    figure = f"{ready.cycles.text()} cycles with the condition in a register"
    loaded = [item for item in loaded_penalties(analysis) if item.cycles.n]
    said = ", ".join(f"{item.cycles.text()} from {size(item.size)}" for item in loaded)
    figure += f"; from a buffer: {said}" if loaded else ""
    where = ground(ready.counted) + f" The line fits with R² = {plain(ready.r_squared.value, 5)}."
    noise = noise_of(analysis, "branch/penalty")
    number = measure(ready.cycles, "cycles", LOW, HIGH)
    sides = side(ready.cycles, LOW, noise), side(ready.cycles, HIGH, noise)
    if sides[0] is Side.BELOW or sides[1] is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"Even with the condition in a register. {where}", number)
    if sides != (Side.ABOVE, Side.BELOW):
        because = f"Within the noise of this run it touches one end of that range. {where}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    dearer = [item for item in loaded if side(item.cycles, HIGH, noise) is Side.ABOVE]
    if dearer:
        return Verdict(
            Outcome.DEPENDS,
            figure,
            f"It is so while the condition is in a register, and not once it is loaded. From {size(dearer[0].size)} on "
            f"the penalty includes waiting for the data. {where}",
            number,
        )
    if not loaded:
        where += " Conditions that are loaded (branch/penalty_loaded) are not in this run."
    return Verdict(Outcome.CONFIRMED, figure, where, number)


@claim(
    "branch/unlikely",
    "告訴編譯器這個block很少執行，可以把這一段放到後面以加速",
    "Tells the compiler that this block is rarely run, so that it can be moved to the end, for speed",
    ["branch/likely"],
    "a correct unlikely is faster than no hint; what a wrong one costs is shown beside it",
    control=Control(
        "a hint that says nothing (one half) costs as much as no hint",
        times_of("branch/likely", {"hint": "even", "data": "false"}, {"hint": "plain", "data": "false"}),
        "times",
        1 - 5 * SAME,
        1 + 5 * SAME,
    ),
)
def unlikely(analysis: Analysis) -> Verdict:
    """Correct, wrong and no hint on data that is never mispredicted, so that only layout is left."""
    table = grid(analysis, "branch/likely")

    def against_plain(hint: str, data: str) -> Interval:
        return quotient(table, table.find(hint=hint, data=data), table.find(hint="plain", data=data))

    correct = known(
        against_plain("unlikely", "false"), "needs the hints plain and unlikely on all-false data in one run."
    )
    wrong = against_plain("unlikely", "true")
    none = against_plain("even", "false")
    figure = f"against no hint: correct ×{correct.text()}"
    figure += f", wrong ×{wrong.text()}" if wrong.n else ""
    figure += f", a hint that says nothing (one half) ×{none.text()}" if none.n else ""
    said = ""
    likely = against_plain("likely", "true"), against_plain("likely", "false")
    if all(item.n for item in likely):
        said = f" likely: correct ×{likely[0].text()}, wrong ×{likely[1].text()}."
    random = against_plain("unlikely", "random")
    if random.n:
        said += f" On random data ×{random.text()}: the hint moves code, it tells the predictor nothing."
    noise = noise_of(analysis, "branch/likely")
    number = measure(correct, "1", 1 - SAME, 1 + SAME)
    costs = wrong.n and side(wrong, 1 + SAME, noise) is Side.ABOVE
    if side(correct, 1 - SAME, noise) is Side.BELOW:
        cost = " It must be right: a wrong one is slower." if costs else ""
        return Verdict(Outcome.CONFIRMED, figure, f"The rare block is out of the way.{cost}{said}", number)
    if side(correct, 1 + SAME, noise) is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"Even a correct hint made the loop slower here.{said}", number)
    if not within(correct, 1 - SAME, 1 + SAME, noise):
        because = f"Within the noise of this run a correct hint may help, or not.{said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if costs:
        because = "A correct hint gained nothing here, for the compiler had put the block there already; "
        return Verdict(Outcome.DEPENDS, figure, f"{because}a wrong one costs.{said}", number)
    because = "The hint made no difference: see whether this compiler laid the loops out differently at all."
    return Verdict(Outcome.REFUTED, figure, because + said, number)


@claim(
    "branch/history",
    "很多處理器都提供了 branch prediction，根據同一條指令的歷史執行記錄進行預測，讀取最可能的下一條指令",
    "Many processors provide branch prediction, which predicts from the record of past executions of the same "
    "instruction and reads the most probable next instruction",
    ["branch/learning"],
    "the predictor learns from history: an array of random outcomes grows cheaper when met again, up to a capacity",
    control=Control(
        "the first pass costs the same for each outcome of a long array as of a short one",
        _first_passes,
        "times",
        0.8,
        1.25,
    ),
)
def history(analysis: Analysis) -> Verdict:
    """First against last pass over the same random array, and the period at which a pattern is lost."""
    lessons = known([item for item in learning(analysis) if item.gain.n], "branch/learning has fewer than two passes.")
    gains = ", ".join(f"n = {count(item.n)} ×{item.gain.text()}" for item in lessons)
    figure = f"first pass ÷ last pass: {gains}"
    kept = capacity(analysis)
    if kept is not None and kept.knee.n:
        figure += f"; a repeated pattern is lost at {kept.knee.text()} outcomes"
    noise = noise_of(analysis, "branch/learning")
    best = max(lessons, key=lambda item: item.gain.value).gain
    number = measure(best, "1", LEARNT)
    if all(side(item.gain, LEARNT, noise) is Side.BELOW for item in lessons):
        because = "The last pass over the same outcomes cost about what the first did."
        return Verdict(Outcome.REFUTED, figure, because, number)
    if not any(side(item.gain, LEARNT, noise) is Side.ABOVE for item in lessons):
        because = f"Within the noise of this run the gain touches ×{plain(LEARNT, 2)}."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    because = "The outcomes of the first pass are random; that they grow cheaper can only come from remembering them."
    if kept is None:
        because += " How long a pattern may be (branch/capacity) is not in this run."
    elif kept.knee.n:
        because += (
            f" Patterns of up to {powers(kept.last_learnt)} outcomes are learnt. From {powers(kept.first_lost)} on "
            "they are not. Half of the way between the two costs is passed in between."
        )
    else:
        because += f" Even a pattern of {powers(kept.period[-1])} outcomes was still learnt."
    forgotten = [item for item in lessons if side(item.gain, LEARNT, noise) is Side.BELOW]
    if forgotten:
        because += f" Not learnt within {count(forgotten[0].passes[-1])} passes: n = {count(forgotten[0].n)} and more."
    return Verdict(Outcome.CONFIRMED, figure, because, number)


@claim(
    "branch/sorted",
    "branch prediction 指令對軟體效能影響較大。",
    "Branch prediction has a rather large effect on the performance of software",
    ["branch/pattern"],
    "sorted data is faster than the same data in random order, where code branches on it",
    control=Control(
        "without a jump, the order of the same data makes no difference",
        times_of(
            "branch/pattern",
            {"pattern": "random", "taken_pct": 50, "form": "cmov"},
            {"pattern": "sorted", "taken_pct": 50, "form": "cmov"},
        ),
        "times",
        1 - 5 * SAME,
        1 + 5 * SAME,
    ),
)
def sorted_data(analysis: Analysis) -> Verdict:
    """Random against sorted at 50 %, with a jump and without."""
    table = grid(analysis, "branch/pattern")

    def factor(form: str) -> Interval:
        random, ordered = (table.find(pattern=pattern, taken_pct=50, form=form) for pattern in ("random", "sorted"))
        return quotient(table, random, ordered)

    branch = known(factor("branch"), "needs random and sorted outcomes at 50 % in one run.")
    twin = factor("cmov")
    figure = f"random ÷ sorted: ×{branch.text()} with a jump"
    figure += f", ×{twin.text()} without" if twin.n else ""
    noise = noise_of(analysis, "branch/pattern")
    number = measure(branch, "1", 1 + 5 * SAME)
    where = side(branch, 1 + 5 * SAME, noise)
    if where is Side.ABOVE:
        return Verdict(Outcome.CONFIRMED, figure, "Half of the random outcomes are guessed wrong.", number)
    if where is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, "Random outcomes cost no more than sorted ones.", number)
    because = "Within the noise of this run it is open whether there is a difference."
    return Verdict(Outcome.UNDECIDED, figure, because, number)
