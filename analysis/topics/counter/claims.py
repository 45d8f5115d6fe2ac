"""What the notes say of counters."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known, measure, needs, noise_of, refuted
from fencepost.analysis.topics.control import Control, metric_of
from fencepost.analysis.topics.counter import measures
from fencepost.analysis.topics.counter.measures import counter_points


@claim(
    "counter/sloppy",
    "sloppy counters",
    "",
    ["counter/sloppy", "counter/error"],
    "sloppy counters trade accuracy for scaling: within a bound, readings are off by more as increments cost less",
    refuted,
    control=Control(
        "with a threshold of 1 no reading is off",
        metric_of("counter/error", "max_error", threshold=1),
        "increments",
        below=0.5,
    ),
)
@needs("counter/sloppy", cpus=2, because="needs two threads, each on a separate CPU.")
def sloppy(analysis: Analysis) -> Verdict:
    """Cost by threshold with several threads, and the error of readings against its bound."""
    teams = [item for item in measures.sloppy(analysis) if item.threads > 1]
    team = known(teams, "needs three thresholds of counter/sloppy with several threads.")[-1]
    points = [point for point in counter_points(analysis) if point.name.startswith("sloppy") and point.bound > 0]
    figure = (
        f"{team.threads} threads: threshold {count(team.threshold[0])} costs ×{team.gain.text()} "
        f"what threshold {count(team.threshold[-1])} does"
    )
    figure += f"; knee at a threshold of {team.knee.text()}" if team.knee.n else ""
    if points:
        worst = max(points, key=lambda point: point.error.value)
        figure += (
            f"; largest error seen {worst.error.text()} at {worst.name.replace('sloppy', 'threshold')}, bound "
            f"{count(worst.bound)}"
        )
    limit = 1 + 5 * SAME
    number = measure(team.gain, "1", limit)
    beyond = [point for point in points if point.error.value > point.bound]
    if beyond:
        names = ", ".join(point.name for point in beyond)
        return Verdict(Outcome.REFUTED, figure, f"Readings were off by more than the bound allows: {names}.", number)
    gained = side(team.gain, limit, noise_of(analysis, "counter/sloppy"))
    if gained is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, "Telling the others less often gained nothing.", number)
    if gained is Side.TOUCHES:
        because = "Within the noise of this run it is open whether telling the others less often gains anything."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if not points or max(point.error.value for point in points) <= 0:
        because = "It is cheaper, but no error was seen: readings were few, or lucky."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    because = "Increments grow cheaper with the threshold, and readings are further off with it."
    return Verdict(Outcome.CONFIRMED, figure, because, number)
