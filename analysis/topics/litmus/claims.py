"""What the notes say of the order that a processor keeps."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, claim, failures_said, known, measure
from fencepost.analysis.topics.control import Control
from fencepost.analysis.topics.litmus.measures import RENDEZVOUS, rates
from fencepost.analysis.topics.orders import PLAIN

RARE = 100.0
"""In a million trials. Machines whose store buffers reorder show hundreds of thousands. What is rarer is refuted."""


def _both_first(analysis: Analysis) -> Interval:
    """Trials in which the rarer of the two threads was first, where they met most often."""
    rows = [row for row in analysis.measured("litmus/sb") if row.has(order=PLAIN)]
    rarer = (min((row.metric(name) for name in ("seen_01", "seen_10")), key=lambda seen: seen.value) for row in rows)
    return max((seen for seen in rarer if seen.known), key=lambda seen: seen.value, default=UNKNOWN)


def _forbidden(analysis: Analysis) -> str:
    """What the checks of all litmus tests say of outcomes that the architecture forbids."""
    others = [row for row in analysis.topic("litmus") if row.kernel != "litmus/sb"]
    if said := failures_said(others):
        return said
    if failures_said(analysis.kernel("litmus/sb")):
        return ""  # whoever gives the verdict says it
    return "Outcomes that this architecture forbids fail the case, and none was seen."


@claim(
    "litmus/reordering",
    "就算編譯器產生的指令是符合預期的，現代的處理器也不一定會照順序執行",
    "Even if the compiler emitted the instructions as expected, a modern processor need not execute them in that order",
    ["litmus/sb"],
    "accesses that the compiler emits as written are seen out of order by another CPU, in a hundred of a million "
    "trials or more",
    control=Control("each of the two threads was seen first, so they do meet", _both_first, "trials", above=0.5),
)
def reordering(analysis: Analysis) -> Verdict:
    """Weak outcomes without a fence, test by test; an exact bound where none was seen."""
    plain_tests = [item for item in rates(analysis) if item.order == PLAIN]
    plain_tests = [item for item in plain_tests if item.runner == RENDEZVOUS] or plain_tests
    known(plain_tests, f"needs order={PLAIN} in the run.")
    seen = [item for item in plain_tests if item.weak]
    none = [item for item in plain_tests if not item.weak]
    words = [f"{item.test} {item.per_million.text()} in a million" for item in seen]
    if none:
        worst = max(item.bound for item in none)
        words.append(f"{', '.join(item.test for item in none)}: none, at most {plain(worst, 2)} in a million each")
    figure = "; ".join(words)
    if not seen:
        worst = max(item.bound for item in none)
        number = Measure(0.0, 0.0, worst, "in a million", (RARE,))
        trials = count(sum(item.trials for item in none))
        if worst < RARE:
            return Verdict(Outcome.REFUTED, figure, f"Every test kept the order in {trials} trials.", number)
        return Verdict(Outcome.UNDECIDED, figure, f"Nothing was seen in {trials} trials, too few to say.", number)
    most = max((item.per_million for item in seen), key=lambda rate: rate.value)
    return Verdict(
        Outcome.CONFIRMED,
        figure,
        f"A load was executed before an earlier store could be seen by the other CPU. {_forbidden(analysis)}".strip(),
        measure(most, "in a million", RARE),
    )
