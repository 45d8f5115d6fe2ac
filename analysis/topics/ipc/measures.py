"""What is computed from several rows of the topic ipc."""

from __future__ import annotations

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import processes_of
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval, pooled

SIZES = (4096, 16384, 65536, 262144, 1048576)
"""Bytes of the transfers of ipc/zero_copy, as its metrics are named."""


def times_as_dear(analysis: Analysis, above: Row, below: Row) -> Interval:
    """How many times the whole message of one row another takes, calls included: paired by process."""
    first, second = (
        {
            line["round"]: line["metrics"].get("operation_ticks", np.nan)
            for line in processes_of(analysis, [row.case]).to_dict("records")
        }
        for row in (above, below)
    )
    return pooled([first[number] / second[number] for number in first if second.get(number, 0) > 0])
