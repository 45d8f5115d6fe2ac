"""Cases that other cores can slow: their memory is more than their core has a cache of its own for.

A witness shows who shares the core. It does not show who uses the same cache, or the same memory, from another core. So
such a case is *as found*, however quiet its core was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fencepost.analysis.text.numbers import size_bytes
from fencepost.bench.caches import own_cache_bytes

PARAMETER, METRIC = "size", "footprint_bytes"
"""How a kernel states how much memory a case goes through: by a parameter in bytes, or by a metric."""


def footprint_bytes(parameters: Mapping[str, object], metrics: Iterable[Mapping[str, float]]) -> float:
    """How much memory a case goes through, as its kernel states it; NaN where it states nothing.

    `metrics`: those of each process, of which the largest footprint counts.
    """
    told = [process[METRIC] for process in metrics if math.isfinite(process.get(METRIC, math.nan))]
    return max(told, default=size_bytes(parameters.get(PARAMETER)))


def shares_memory(
    case: Mapping[str, Any], metrics: Iterable[Mapping[str, float]], machine: Mapping[str, object]
) -> bool:
    """Whether a case of the plan goes through memory that other cores use too.

    A footprint as large as the cache does not fit into it, since the stack and the page tables are there as well.
    """
    footprint = footprint_bytes(case["parameters"], metrics)
    # Most kernels state none, and to look for the cache takes a tenth of the time of an estimate.
    return not math.isnan(footprint) and footprint >= own_cache_bytes(machine, min(case["cpus"], default=0))
