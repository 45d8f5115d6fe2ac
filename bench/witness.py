"""Quiet batches: those during which the core was free of neighbours, by the witnesses beside each of them.

A witness is a short stretch of additions and a short loop, timed just before and just after a batch
(``csrc/engine/witness.c``). Alone, a core makes several additions in a cycle and takes a branch in each. Beside a busy
sibling thread, which a guest cannot see, it does about half as much. A batch is chosen by its witness and never by its
own value, so that the choice favours no result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fencepost.bench.runfolder import CaseRows

    Floats: TypeAlias = npt.NDArray[np.float64]

Number = TypeVar("Number", "float", "Floats")
"""Beside a run one number is looked at after the other, without numpy. Analysis has arrays of them."""

WIDTH_SLACK = 1.03
"""By how much a witness may exceed its floor. One step of a coarse counter is 1.5 % of it, a neighbour costs 10 % and
more."""

CLOCK_RANGE = (0.95, 1.03)
"""`relative_clock` of a quiet batch: ``QUIET_CLOCK_LOW`` and ``QUIET_CLOCK_HIGH`` of the engine. Beyond it the clock
moved, or what was read beside the case was wrong."""

KNOWN_FLOOR = {"x86_64": 1 / 11.5}
"""By architecture, a floor that its cores reach: four additions or a taken branch in a cycle, and a little beside. All
cores of servers do since 2013 (Haswell, Zen). Small Atom cores before 2021 make three, and every batch there counts as
not quiet."""

FLOOR_SHARE = 0.01
"""The share of a round's batches that lies below its floor. Not the very smallest, which a fault of the counter may
make."""

FEWEST_FLOORS = 4
"""Rounds."""

FEWEST_FOR_FLOOR = 100
"""Batches of a round. Of fewer the lowest hundredth is a single one."""


def relative_width(width_ticks: Number, tick_hz: float, core_hz: Number | float) -> Number:
    """The time of an addition over that of a dependent multiplication: 1 / 12 on a core that makes four in a cycle.

    A taken branch counts as four additions.

    Parameters
    ----------
    width_ticks
        of 1000 additions, a taken branch counting as four: a number, or an array of shape (batches,).
    core_hz
        the core clock beside the case, of each batch or of all. It takes the core's own changes of clock out.
    """
    return width_ticks * core_hz / (3000 * tick_hz)


def relative_clock(clock_ticks: Number, tick_hz: float, core_hz: Number | float) -> Number:
    """The time of a multiplication beside the batch over the same beside its case: a number, or shape (batches,)."""
    return clock_ticks * core_hz / (3000 * tick_hz)


@overload
def clock_held(relative: float) -> bool: ...
@overload
def clock_held(relative: Floats) -> npt.NDArray[np.bool_]: ...
def clock_held(relative: Any) -> Any:
    """Whether, or where, `relative_clock` is in `CLOCK_RANGE`; not for NaN."""
    return (relative >= CLOCK_RANGE[0]) & (relative <= CLOCK_RANGE[1])


def round_floor(
    width_ticks: Iterable[float], clock_ticks: Iterable[float], tick_hz: float, core_hz: Iterable[float]
) -> float | None:
    """The floor of `relative_width` in a round, from all its batches; None where too few are known.

    A batch at another clock is left out: a width without its clock says nothing.
    """
    batches = zip(width_ticks, clock_ticks, core_hz, strict=True)
    every = [relative_width(width, tick_hz, hz) for width, clock, hz in batches if _held(clock, tick_hz, hz)]
    return floor_of(sorted(width for width in every if math.isfinite(width)))


def _held(clock_ticks: float, tick_hz: float, core_hz: float) -> bool:
    return clock_held(relative_clock(clock_ticks, tick_hz, core_hz))


def floor_of(widths: Sequence[float]) -> float | None:
    """The floor of ascending relative widths at a clock that held: their quantile `FLOOR_SHARE`; None for too few."""
    return quantile_of(widths, FLOOR_SHARE) if len(widths) >= FEWEST_FOR_FLOOR else None


def quantile_of(values: Sequence[float], share: float) -> float:
    """A quantile of ascending values, at least one, between the two that are nearest to it."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return float(values[below] + (values[above] - values[below]) * (place - below))


def run_floor(floors: Iterable[float | None], arch: str) -> float | None:
    """The floor of a run from those of its rounds: the second lowest, so that no single round makes it alone.

    A run in which only one round ever was quiet has no figure *alone* in any case. Of fewer than `FEWEST_FLOORS` rounds
    it is the lowest. It is at most that of `KNOWN_FLOOR`, so that a run that was never quiet has no quiet batch. None
    where no round knows one.
    """
    known = sorted(floor for floor in floors if floor is not None)
    if not known:
        return None
    found = known[1] if len(known) >= FEWEST_FLOORS else known[0]
    return min(found, KNOWN_FLOOR.get(arch, found))


def floor_of_rows(rows: Sequence[CaseRows], tick_hz: float) -> float | None:
    """`round_floor` of the rows of a round."""
    width_ticks: list[float] = []
    clock_ticks: list[float] = []
    core_hz: list[float] = []
    for row in rows:
        if row.core_hz:
            width_ticks += row.samples["width_ticks"].tolist()
            clock_ticks += row.samples["clock_ticks"].tolist()
            core_hz += [row.core_hz] * len(row.samples)
    return round_floor(width_ticks, clock_ticks, tick_hz, core_hz)
