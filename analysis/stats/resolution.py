"""What a tick counter that moves in steps leaves open, and bounds that allow for it.

A window's reading is its length to within one step, either way. Quantiles of such readings are whole numbers of steps
again, and where all windows are equally long they are all off in the same direction: an error that no number of
windows or rounds averages out. So it is no part of the spread, and is added to the bounds: see docs/statistics.md.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def log_step(step: npt.ArrayLike, value: npt.ArrayLike) -> Floats:
    """How far the logarithm of `value` may be off where the value itself may be off by `step`, in the same unit.

    That is the larger of the two sides, -log(1 - step / value); infinite where the step is no smaller than the value,
    NaN where either is unknown. Shapes as they are given.
    """
    share = np.asarray(step, float) / np.asarray(value, float)
    result = np.full(share.shape, math.inf)
    np.log1p(-share, out=result, where=share < 1)
    return np.where(np.isnan(share), math.nan, np.abs(result))


def step_of_events(ticks: npt.ArrayLike, quantum_ticks: float) -> float:
    """The step of values that a kernel takes itself, event by event, in ticks: the counter's where all of `ticks` are
    whole numbers of those, or lie half-way between two, as a median of an even number does. Others are means over many
    readings already, and what is left is that they are rounded to a tick.
    """
    return quantum_ticks if bool(np.all(np.asarray(ticks, float) * 2 % quantum_ticks == 0)) else 1.0


def ordered_bounds(values: Floats, rank: int, steps: npt.ArrayLike = 0.0) -> tuple[float, float]:
    """Bounds of a median, `rank` values from either end, of values each of which is known to within its step.

    Every true value is at least its reading less its step; so is the k-th smallest of them at least the k-th smallest
    of these, and likewise above.

    Parameters
    ----------
    values
        shape (n,), without NaN.
    rank
        counted from 1; with 0 there are no bounds (infinite).
    steps
        of each value, or one of all, in the unit of the values.
    """
    if rank == 0:
        return -math.inf, math.inf
    least, most = np.sort(values - np.asarray(steps, float)), np.sort(values + np.asarray(steps, float))
    return float(least[rank - 1]), float(most[len(most) - rank])
