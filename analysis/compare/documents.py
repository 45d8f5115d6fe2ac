"""What ``compare --json`` and ``ab --json`` print, as types. Times are in ns. None is a number that is not known."""

from __future__ import annotations

from typing import TypedDict


class ComparedRowJson(TypedDict):
    """A row with its verdict: `ratio` is new over old, from `low` to `high` at the `confidence`.

    `more_rounds`: how many more an undecided row needs, None where none would help. Then `reason` says why.
    """

    case: str
    ratio: float | None
    low: float | None
    high: float | None
    counter_step_pct: float | None
    verdict: str
    rounds: int
    more_rounds: int | None
    confidence: float | None
    unit: str
    basis: str
    old_ns: float | None
    new_ns: float | None
    disturbed_pct: float | None
    reason: str


class RunComparisonJson(TypedDict):
    """Rows of two runs or of two sides. `headlines` holds their labels by case.

    `round_s`: how long a round took, None where the two sides were measured apart.
    """

    noise_floor_pct: float | None
    margin_pct: float
    round_s: float | None
    rows: list[ComparedRowJson]
    headlines: dict[str, str]
    sentences: list[str]
    twins: list[ComparedRowJson]
    controls: list[ComparedRowJson]
    notes: list[str]


class PairJson(RunComparisonJson):
    """Two stored runs of one machine, by their ids. `relation`: ``one machine``, at two times."""

    relation: str
    old: str
    new: str


class PairsJson(TypedDict):
    """Several runs of one machine, each against the first."""

    comparisons: list[PairJson]


class SidesJson(RunComparisonJson):
    """All that ``fencepost ab --json`` prints: two sides that were measured in one run."""

    run: str
    folder: str


class RatioJson(TypedDict):
    """A time over that of the first machine."""

    ratio: float | None
    low: float | None
    high: float | None
    counter_step_pct: float | None


class TimeJson(TypedDict):
    """A time on one machine."""

    ns: float | None
    low: float | None
    high: float | None


class MachineRowJson(TypedDict):
    """A row on several machines: a ratio for each but the first, and a time for each."""

    case: str
    unit: str
    first_ns: float | None
    ratios: list[RatioJson]
    times: list[TimeJson]


class MachineComparisonJson(TypedDict):
    """Runs of several machines. `differences`: what differs between the machines, one text for each of them.
    `relation`: ``one make`` or ``several makes``.
    """

    relation: str
    runs: list[str]
    machines: list[str]
    names: list[str]
    titles: list[str]
    rows: list[MachineRowJson]
    headlines: dict[str, str]
    sentences: list[str]
    differences: dict[str, list[str]]
    notes: list[str]


ComparedJson = PairJson | PairsJson | MachineComparisonJson
"""All that ``fencepost compare --json`` prints."""
