"""What the notes say of filters."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known, measure, needs, noise_of
from fencepost.analysis.topics.control import Control, count_of
from fencepost.analysis.topics.filter.measures import KERNEL, hits_that_pay

AS_PREDICTED = 0.1
"""By how much of the prediction a filter may be wrong more often, or less. Its functions are made of two halves of one
key, which costs some per cent in a small filter."""


@claim(
    "filter/two_stages",
    "bloom filter 粗排再細排",
    "A Bloom filter: sort coarsely first, then finely",
    [KERNEL],
    "a filter before the set costs less than the set alone if no key is there, and is wrong as often as predicted",
    control=Control(
        "of 1000 keys that are there, the filter finds all",
        count_of(KERNEL, "members", by="two_stages"),
        "keys",
        999.5,
        1000.5,
    ),
)
@needs(KERNEL, by=("set", "two_stages"), hits_pct=0)
def two_stages(analysis: Analysis) -> Verdict:
    """The largest set and the smallest, since the filter pays where the set leaves the cache and it does not."""
    found = grid(analysis, KERNEL)
    sizes = sorted({int(row.number("keys")) for row in found.rows})
    noise = noise_of(analysis, KERNEL)
    ratios = {keys: ratio for keys in sizes if (ratio := _ratio(found, keys)) is not None}
    known(ratios, "No number of keys was asked in both ways.")
    sides = {keys: side(ratio, 1.0, noise) for keys, ratio in ratios.items()}
    least, most = min(ratios), max(ratios)
    figure = ", ".join(f"{count(keys)} keys: two stages {ratio.text()} times the set" for keys, ratio in ratios.items())
    number = measure(ratios[most], "1", 1.0)
    said = f"{_paying(found, most)} {_wrong(found)}"
    if not _as_predicted(found):
        return Verdict(Outcome.REFUTED, figure, f"The filter is not wrong as often as predicted. {said}", number)
    if sides[most] is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval the filter may not pay. {said}", number)
    if sides[most] is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"The filter costs more than it saves. {said}", number)
    if sides[least] is not Side.BELOW:
        because = f"It pays with {count(most)} keys, and not with {count(least)}, which fit into the cache. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"The filter pays at each number of keys. {said}", number)


def _ratio(found: Grid, keys: int) -> Interval | None:
    places = [found.find(by=by, hits_pct=0, keys=keys) for by in ("two_stages", "set")]
    if places[0] is None or places[1] is None:
        return None
    return found.ratio(places[0], places[1])


def _paying(found: Grid, keys: int) -> str:
    pays = hits_that_pay(found, keys)
    if not pays.known:
        return "Up to which share of hits it pays is not known."
    return f"With {count(keys)} keys it pays while at most {pays.text('%')} of the keys are there."


def _rates(found: Grid) -> tuple[Interval, Interval]:
    """How often the filter of the largest set says "perhaps" for nothing, and how often it must."""
    row: Row = max(found.rows, key=lambda row: row.number("keys"))
    return row.metric("wrong_pct"), row.metric("predicted_pct")


def _as_predicted(found: Grid) -> bool:
    """Whether the two rates may agree; they may where one is not known."""
    wrong, predicted = _rates(found)
    if not (wrong.bounded and predicted.known):
        return True
    return (1 - AS_PREDICTED) * predicted.value <= wrong.high and wrong.low <= (1 + AS_PREDICTED) * predicted.value


def _wrong(found: Grid) -> str:
    wrong, predicted = _rates(found)
    if not (wrong.known and predicted.known):
        return ""
    due = f"{plain(predicted.value, 2)} % are predicted"
    return f"It is wrong in {wrong.text('%')} of the keys that are not there, and {due}."
