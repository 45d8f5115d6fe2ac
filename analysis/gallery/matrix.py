"""The matrix of one-way times between the CPUs of a published run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from fencepost.analysis.topics.line.measures import ONE_WAY, PINGPONG
from fencepost.bench.schema import RunFolderError


def one_way_times(rows: Iterable[Mapping[str, str]]) -> tuple[npt.NDArray[np.float64] | None, list[int]]:
    """One-way times in ns, shape (CPUs, CPUs), NaN where a pair was not measured, and the CPUs; None without a pair."""
    pairs: dict[tuple[int, int], float] = {}
    for line in rows:
        if line["kernel"] != PINGPONG or not line["ns"]:
            continue
        try:
            parameters = json.loads(line["parameters"])
            numbers = [int(word) for word in line["cpus"].split()]
            round_trip = float(line["ns"])
        except ValueError:
            raise RunFolderError(
                f"{line['path']}: line {line['line']}: field parameters, cpus or ns is damaged"
            ) from None
        fits = isinstance(parameters, dict) and parameters.get("variant") == "load_store"
        if fits and parameters.get("pause", "no") == "no" and len(set(numbers)) == 2 and math.isfinite(round_trip):
            pairs[numbers[0], numbers[1]] = round_trip * ONE_WAY
    cpus = sorted({cpu for pair in pairs for cpu in pair})
    if not cpus:
        return None, []
    place = {cpu: i for i, cpu in enumerate(cpus)}
    ns = np.full((len(cpus), len(cpus)), math.nan)
    for (a, b), value in pairs.items():
        ns[place[a], place[b]] = value
    return np.where(np.isnan(ns), ns.T, ns), cpus
