"""The noise floor of each row: what identical code like it differed by, in the same run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def nearest_floors(rows: Mapping[str, str], twins: Sequence[tuple[str, float]]) -> dict[str, float]:
    """By row, the largest effect among the twins nearest to it: of its kernel, else of its topic, else of the run.

    Parameters
    ----------
    rows
        name of the kernel, by row.
    twins
        kernel and effect of each, as a share; NaN where it was not measured.

    Returns
    -------
    dict
        as shares; NaN where no twin was measured.
    """
    known = [(kernel, effect) for kernel, effect in twins if not math.isnan(effect)]
    every = max((effect for _, effect in known), default=math.nan)
    of_kernel: dict[str, float] = {}
    of_topic: dict[str, float] = {}
    for kernel, effect in known:
        topic = kernel.partition("/")[0]
        of_kernel[kernel] = max(effect, of_kernel.get(kernel, 0.0))
        of_topic[topic] = max(effect, of_topic.get(topic, 0.0))
    return {name: of_kernel.get(kernel, of_topic.get(kernel.partition("/")[0], every)) for name, kernel in rows.items()}


def kernel_floors(rows: Mapping[str, str], twins: Sequence[tuple[str, float]]) -> dict[str, float]:
    """By row, the largest effect among the twins of its own kernel, as a share; 0 where it has none.

    `rows`, `twins`: as for `nearest_floors`.
    """
    return {
        name: max((effect for own, effect in twins if own == kernel and not math.isnan(effect)), default=0.0)
        for name, kernel in rows.items()
    }


def effect_of(logs: Floats) -> float:
    """The size of the median of logarithms of ratios, as a share; NaN where none is known."""
    known = logs[np.isfinite(logs)]
    return abs(math.expm1(float(np.median(known)))) if len(known) else math.nan
