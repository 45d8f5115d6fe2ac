"""The clocks of a run: core and tick counter."""

from __future__ import annotations

import math

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import Interval, interval_of


def core_clock_of_rounds(analysis: Analysis) -> tuple[Interval, float, float]:
    """The core clock over the run, in GHz: median over rounds of the median beside all cases, smallest and largest
    round.
    """
    frame = analysis.processes
    known = frame[(frame["status"] == "ok") & frame["core_hz"].notna()]
    if not len(known):
        return Interval(math.nan, math.nan, math.nan, 0.0, 0), math.nan, math.nan
    per_round = known.groupby("round")["core_hz"].median().to_numpy(float) / 1e9
    return interval_of(per_round), float(per_round.min()), float(per_round.max())


def tick_hz(analysis: Analysis) -> Interval:
    """Rate of the tick counter over processes, in Hz."""
    return (
        interval_of(analysis.reduced.workers["tick_hz"].to_numpy(float))
        if analysis.rounds
        else Interval(math.nan, math.nan, math.nan, 0.0, 0)
    )
