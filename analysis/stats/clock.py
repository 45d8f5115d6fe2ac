"""Whether a core clock is to be believed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.interval import Floats

CHAIN_RATIO = 3.0
"""A dependent imul takes 3 cycles, a dependent add 1, on every CPU that the suite knows."""


CHAIN_TOLERANCE = 0.05
"""A ratio farther than this from `CHAIN_RATIO` was disturbed, and so was the clock that was read beside it."""


def believable_clock(chain_ratio: Floats) -> npt.NDArray[np.bool_]:
    """Where the ratio of the two chains speaks for the core clock measured with them; nowhere for NaN."""
    believable: npt.NDArray[np.bool_] = np.abs(chain_ratio / CHAIN_RATIO - 1) <= CHAIN_TOLERANCE
    return believable
