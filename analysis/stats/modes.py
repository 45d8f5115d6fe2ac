"""Modes among process medians."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Interval, without_bounds

FEWEST_IN_MODE = 0.25
"""Share of the processes below which a group is no mode; see `find_modes`."""


MODE_DISTANCE = 0.02
"""Modes closer than 2 % are not told apart: the interval shows them well enough."""


class Mode(NamedTuple):
    """One mode among process medians: the median of its members, their number and share of all."""

    ns: float
    processes: int
    share: float


def find_modes(values: npt.ArrayLike, resolution: float = 0.0) -> list[Mode]:
    """Modes among process medians; a single one is an empty list.

    Values are cut at their widest gaps into two or three groups. The groups are modes when

    - each holds at least two processes and a quarter of all: fewer (some processes that a busy host slowed
      down, say) do not reach the ranks that bound the interval, so it is still one of the others,
    - the narrowest of these gaps is wider than the widest group, by a factor that falls with n (5 below 10 processes,
      2.5 below 16, 1.5 below 30, then 1), because few values leave wide gaps by chance,
    - neighbouring centres differ by more than 2 %, and by more than 1.5 times `resolution`, so that a coarse counter
      makes no modes.

    With these factors samples of one normal, log-normal or heavy-tailed (t with 3 degrees of freedom) distribution were
    called modal in less than 2 % of trials at n = 6, 20 and 40; tests/analysis/runs/test_estimate.py repeats that.

    Parameters
    ----------
    values
        shape (n,); fewer than six have no modes.
    resolution
        one step of what measured the values, in their unit.
    """
    x = np.sort(np.asarray(values, float).ravel())
    x = x[~np.isnan(x)]
    n = len(x)
    if n < FEWEST_PROCESSES or x[-1] - x[0] <= MODE_DISTANCE * abs(x[0]):
        return []
    least = max(2, math.ceil(FEWEST_IN_MODE * n))
    factor = 5.0 if n < 10 else 2.5 if n < 16 else 1.5 if n < 30 else 1.0
    gaps = np.diff(x)
    inner = gaps[least - 1 : n - least]
    cuts_tried = [[int(np.argmax(inner)) + least]]
    if n >= 3 * least:
        cuts_tried.append(sorted(int(i) + 1 for i in np.argsort(gaps)[-2:]))
    for cuts in cuts_tried:
        edges = [0, *cuts, n]
        sizes = [high - low for low, high in itertools.pairwise(edges)]
        if min(sizes) < least:
            continue
        widest = max(x[high - 1] - x[low] for low, high in itertools.pairwise(edges))
        if min(gaps[cut - 1] for cut in cuts) <= factor * widest:
            continue
        centres = [float(np.median(x[low:high])) for low, high in itertools.pairwise(edges)]
        if all(b - a > max(MODE_DISTANCE * abs(a), 1.5 * resolution) for a, b in itertools.pairwise(centres)):
            return [Mode(centre, size, size / n) for centre, size in zip(centres, sizes, strict=True)]
    return []


def of_modes(interval: Interval, modes: Sequence[Mode]) -> Interval:
    """The figure of values with these modes: their median, without bounds, which would reach from one to the other.

    Where as many values lie below a gap as above it, the middle lies in the gap, where no value is. Then it is the
    larger mode, of equal ones the cheaper.
    """
    below, half = 0, sum(mode.processes for mode in modes) / 2
    for mode in modes:
        below += mode.processes
        if below == half:
            interval = interval._replace(value=max(modes, key=lambda mode: mode.processes).ns)
    return without_bounds(interval) if modes else interval
