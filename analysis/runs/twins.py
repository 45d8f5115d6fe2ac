"""A/A rows: how far the same code differs from itself under two names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fencepost.analysis.runs.model import Reduced
from fencepost.analysis.stats.interval import Floats, Interval, interval_of


@dataclass(frozen=True)
class Twin:
    """An A/A pair: the same code under two names, and by how much per cent the two differ."""

    case: str
    original: str
    effect_pct: Interval


def noise_floor(reduced: Reduced) -> list[Twin]:
    """A/A rows: for each twin the median over rounds of ``twin / original - 1`` in per cent, with its interval.

    In a round that has both alone their cycles are compared: the clock moves between the two. Where one of them is
    alone and the other is not, both are compared as found: else the neighbour would count as noise. Rounds in which
    either was not measured, or reads zero or less, are left out.
    """
    planned = {case["case"]: case for case in reduced.run["plan"]["cases"]}
    frame = reduced.processes
    groups = frame.groupby("case", observed=True).indices if len(frame) else {}
    status = frame["status"].to_numpy()
    # As floats, because the columns of a run without rounds hold objects.
    number, ns, step, core, alone_ns, found_ns = (
        frame[name].to_numpy(float) for name in ("round", "ns", "resolution_ns", "core_hz", "alone_ns", "found_ns")
    )
    alone = (ns == alone_ns) & np.isfinite(core)
    twins = []
    for name, case in planned.items():
        original = case["twin_of"]
        if not original:
            continue
        mine, other = (np.asarray(groups.get(key, []), np.intp) for key in (name, original))
        mine, other = mine[status[mine] == "ok"], other[status[other] == "ok"]
        like = _are_alone(ns[mine], alone[mine]) == _are_alone(ns[other], alone[other])
        figure = ns if like else found_ns
        _, first, second = np.intersect1d(number[mine], number[other], return_indices=True)
        mine, other = mine[first], other[second]
        a, b = figure[mine], figure[other]
        fine = (a > 0) & (b > 0)
        mine, other, a, b = mine[fine], other[fine], a[fine], b[fine]
        clocks = np.where(like & alone[mine] & alone[other], core[mine] / core[other], 1.0)
        ratios = (a / b * clocks - 1) * 100
        allowed = np.zeros(len(ratios))
        if case["kind"] != "events":
            allowed = (ratios + 100) * (step[mine] / a + step[other] / b)
        twins.append(Twin(name, original, interval_of(ratios, steps=allowed)))
    return twins


def _are_alone(ns: Floats, alone: npt.NDArray[np.bool_]) -> bool:
    """Whether the figures of a case are those alone: all that it has; shapes (processes,)."""
    return bool(alone[np.isfinite(ns)].all())
