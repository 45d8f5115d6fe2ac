"""Rings beside their peers: one run in which the library's rings and those of others met the same machine.

A cell is one way of use (round trip; one item or many at a time; size; capacity; spin hint). Values are in *xraw*, time
of an operation divided by the raw round trip of one line measured beside it; in ns where threads share CPUs, which have
no such round trip. A case of a round in which the raw round trip drifted by more than 1.35 x is set aside. A ratio is
taken in each round first.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval, interval_of

OURS = "ring/"


PEERS = "peer/"


ROUND_TRIP, SPSC, MPMC = "round trip", "SPSC", "MPMC 2 + 2 on two CPUs"


RTE = "rte"


_UNKNOWN = Interval(math.nan, math.nan, math.nan, 0.0, 0)


@dataclass(frozen=True)
class Ring:
    """One ring in one cell. `refused`: failed operations per item, pushes into a full and pops from an empty ring."""

    name: str
    case: str
    value: Interval
    ns: Interval
    """Time of an item, or of a round trip, in the same rounds."""
    refused_full: float
    refused_empty: float
    set_aside: int
    faults: int
    """Rounds in which the case failed; `reason` is the first one's."""
    reason: str | None

    @property
    def ours(self) -> bool:
        """Whether it is one of the library's."""
        return self.name.startswith(OURS)


@dataclass(frozen=True)
class Cell:
    """One way of use, with all rings that were measured in it; `ratio` is time of the best peer over ours, paired."""

    family: str
    parameters: Mapping[str, str | int]
    unit: str
    rings: Sequence[Ring]
    best: Ring | None
    ratio: Interval

    @property
    def title(self) -> str:
        """The cell in words."""
        given = self.parameters
        many = f"{given['batch']} at a time" if int(given["batch"]) > 1 else "single"
        words = [self.family, *([many] if self.family != ROUND_TRIP else []), f"{given['bytes']} B"]
        words += [f"capacity {given['capacity']}"]
        words += [f"roles {given['roles']}"] if self.family == MPMC else []
        words += ["PAUSE" if given["pause"] == "yes" else "no PAUSE"] if self.family != MPMC else ["yielding"]
        return ", ".join(words)

    @property
    def own(self) -> Ring | None:
        """The library's ring as it is by default; `forms` has the others too."""
        return next(iter(self.forms), None)

    @property
    def forms(self) -> Sequence[Ring]:
        """The library's rings, those with a flag at creation last."""
        return sorted((ring for ring in self.rings if ring.ours), key=lambda ring: "_lazy" in ring.name)


@dataclass(frozen=True)
class Goal:
    """What was asked for, and what was seen. `at_least`: whether a larger figure is better."""

    what: str
    limit: float
    at_least: bool
    seen: Interval
    against: str = ""
    rounds_wanted: int = 0

    @property
    def verdict(self) -> str:
        """met, missed, or open where the interval holds the limit (or too few rounds give one)."""
        low, high = self.seen.low, self.seen.high
        if math.isnan(self.seen.value):
            return "not measured"
        if math.isnan(low) or self.seen.n < self.rounds_wanted:
            return "open: too few rounds"
        if (low >= self.limit) if self.at_least else (high <= self.limit):
            return "met"
        if (high < self.limit) if self.at_least else (low > self.limit):
            return "missed"
        return "open"


@dataclass(frozen=True)
class OwnRing:
    """A queue of the user's in one cell: its time over that of the fastest other ring there, paired by rounds."""

    cell: str
    name: str
    against: str
    ratio: Interval


@dataclass(frozen=True)
class PeerComparison:
    """All cells of a run, the bars, and how many values were set aside for a drift of the raw hand-over. `own` are
    the queues of the user's files, and `mine` their names. The bars are for the library's rings, so there are none
    beside such files.
    """

    cells: Sequence[Cell]
    bars: Sequence[Goal]
    measured: int
    set_aside: int
    own: Sequence[OwnRing] = ()
    mine: Container[str] = ()


def compare_peers(analysis: Analysis, mine: Collection[str] = ()) -> PeerComparison:
    """Cells and bars of a run of `fencepost peers`.

    Parameters
    ----------
    analysis
        a run with cases of kernels ``ring/…`` and ``peer/…``; others are passed over.
    mine
        kernels of the user's own files.
    """
    rows = [row for row in analysis.rows if row.kernel.startswith((OURS, PEERS))]
    processes = analysis.processes
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        family = _family(row.kernel)
        groups.setdefault((family, *sorted(row.parameters.items())), []).append(row)
    values = {row.case: _values(processes, row.case, _family(row.kernel)) for row in rows}
    cells = [_cell(key[0], members, processes, values) for key, members in groups.items()]
    cells = sorted((cell for cell in cells if cell.own is not None), key=_order)
    measured = processes[processes["case"].isin(values) & (processes["status"] == "ok")]
    set_aside = int((measured["hand_over_drift"] > 0).sum())
    own = [found for cell in cells for name in mine for found in _own(cell, name, values)]
    return PeerComparison(cells, [] if mine else _bars(cells, values), len(measured), set_aside, own, mine)


def _own(cell: Cell, name: str, values: Mapping[str, pd.Series]) -> Iterator[OwnRing]:
    """The user's queue `name` against the fastest other ring of a cell, where both have values."""
    ring = next((ring for ring in cell.rings if ring.name == name and ring.value.n), None)
    other = next((ring for ring in cell.rings if ring.name != name and _mostly_there(ring)), None)
    if ring is not None and other is not None:
        yield OwnRing(cell.title, name, other.name, _ratio(values, ring, other))


def _family(kernel: str) -> str:
    if kernel.endswith("_round_trip"):
        return ROUND_TRIP
    return MPMC if "mpmc" in kernel else SPSC


def _order(cell: Cell) -> tuple[Any, ...]:
    given = cell.parameters
    families = (ROUND_TRIP, SPSC, MPMC)
    keys = int(given["bytes"]), int(given["batch"]), int(given["capacity"])
    return (families.index(cell.family), *keys, given["pause"], given.get("roles", ""))


def _values(processes: pd.DataFrame, case: str, family: str) -> pd.Series:
    """Value of each round that counts, by round."""
    rows = processes[(processes["case"] == case) & (processes["status"] == "ok")]
    if family == MPMC:
        return rows.set_index("round")["ns"]
    calm = rows[~(rows["hand_over_drift"] > 0)]
    xraw = [metrics.get("xraw", math.nan) for metrics in calm["metrics"]]
    return pd.Series(xraw, index=pd.Index(calm["round"], name="round"), dtype=float).dropna()


def _cell(family: str, rows: Sequence[Row], processes: pd.DataFrame, values: Mapping[str, pd.Series]) -> Cell:
    # Rings without a value come last.
    rings = sorted(
        (_ring(row, processes, values[row.case]) for row in rows),
        key=lambda ring: (math.isnan(ring.value.value), ring.value.value),
    )
    known = [ring for ring in rings if not ring.ours and _mostly_there(ring)]
    best = min(known, key=lambda ring: ring.value.value, default=None)
    cell = Cell(family, rows[0].parameters, "ns" if family == MPMC else "xraw", rings, best, _UNKNOWN)
    return replace(cell, ratio=_ratio(values, best, cell.own))


def _ring(row: Row, processes: pd.DataFrame, values: pd.Series) -> Ring:
    mine = processes[processes["case"] == row.case]
    good, bad = mine[mine["status"] == "ok"], mine[mine["status"] != "ok"]

    def middle(metric: str) -> float:
        return float(pd.Series([metrics.get(metric, math.nan) for metrics in good["metrics"]], dtype=float).median())

    return Ring(
        row.kernel,
        row.case,
        interval_of(values.to_numpy(float)),
        interval_of(good.set_index("round")["ns"].reindex(values.index).to_numpy(float)),
        middle("full_per_item"),
        middle("empty_per_item"),
        len(good) - len(values),
        len(bad),
        None if bad.empty else str(bad.iloc[0]["reason"]),
    )


def _mostly_there(ring: Ring) -> bool:
    """Whether it has a value in most rounds: one that fails in the others says little by those it survived."""
    return ring.value.n > ring.set_aside + ring.faults


def _ratio(values: Mapping[str, pd.Series], slower: Ring | None, faster: Ring | None) -> Interval:
    """How many times the time of one ring the other takes, in the rounds that both have."""
    if slower is None or faster is None:
        return _UNKNOWN
    paired = (values[slower.case] / values[faster.case]).dropna()
    return interval_of(paired.to_numpy(float))


def _bars(cells: Sequence[Cell], values: Mapping[str, pd.Series]) -> list[Goal]:
    """The bars of each form of the library's ring, named where it is not the default one."""
    bars = []
    for cell in cells:
        given = cell.parameters
        batch, size = int(given["batch"]), int(given["bytes"])
        for own in cell.forms:
            what = cell.title + _form(own)
            ratio = _ratio(values, cell.best, own)
            if cell.family == ROUND_TRIP:
                bars.append(Goal(f"{what}: ours, xraw", 2.3, False, own.value))
                bars.append(Goal(what, 1.4, True, ratio, _name(cell.best)))
            elif cell.family == SPSC and batch > 1 and size == 8:
                bars.append(_against(cell, own, RTE, 1.25, values))
            elif cell.family == SPSC and size == 64:
                bars.append(Goal(what, 1.5 if batch == 1 else 1.2, True, ratio, _name(cell.best)))
            elif cell.family == MPMC:
                bars.append(_against(cell, own, RTE, 1.4, values, 15))
    return [*bars, *_worst(cells, values)]


def _form(ring: Ring) -> str:
    return " (lazy, with flush)" if "_lazy" in ring.name else ""


def _against(cell: Cell, own: Ring, peer: str, limit: float, values: Mapping[str, pd.Series], rounds: int = 0) -> Goal:
    """The bar of a ratio to one peer; of its modes, the fastest."""
    others = [ring for ring in cell.rings if _name(ring).startswith(peer) and _mostly_there(ring)]
    other = min(others, key=lambda ring: ring.value.value, default=None)
    return Goal(cell.title + _form(own), limit, True, _ratio(values, other, own), _name(other) or peer, rounds)


def _worst(cells: Sequence[Cell], values: Mapping[str, pd.Series]) -> list[Goal]:
    """The worst cell of single items of 8 bytes, of each form, against the worst of the peer whose worst is best."""
    single = [cell for cell in cells if cell.family == SPSC and int(cell.parameters["bytes"]) == 8]
    single = [cell for cell in single if int(cell.parameters["batch"]) == 1]
    by_name: dict[str, list[Ring]] = {}
    for cell in single:
        for ring in cell.rings:
            if ring.value.n:
                by_name.setdefault(ring.name, []).append(ring)
    worst = {
        name: max(rings, key=lambda ring: ring.value.value)
        for name, rings in by_name.items()
        if len(rings) == len(single)
    }
    peer = min((ring for ring in worst.values() if not ring.ours), key=lambda ring: ring.value.value, default=None)
    if peer is None:
        return []
    what = f"SPSC, single, 8 B, worst of {len(single)} cells of each"
    forms = sorted((ring for ring in worst.values() if ring.ours), key=lambda ring: "_lazy" in ring.name)
    return [Goal(what + _form(own), 3.0, True, _ratio(values, peer, own), _name(peer)) for own in forms]


def _name(ring: Ring | None) -> str:
    return ring.name.partition("/")[2] if ring else ""


def as_json(comparison: PeerComparison) -> dict[str, object]:
    """The comparison as `fencepost peers --json` prints it."""

    def interval(of: Interval) -> dict[str, object]:
        return {"value": of.value, "low": of.low, "high": of.high, "rounds": of.n}

    return {
        "values": comparison.measured,
        "set_aside": comparison.set_aside,
        "cells": [
            {
                "cell": cell.title,
                "parameters": dict(cell.parameters),
                "unit": cell.unit,
                "best_peer": _name(cell.best) or None,
                "ratio": interval(cell.ratio),
                "rings": [
                    {
                        "ring": ring.name,
                        "case": ring.case,
                        **interval(ring.value),
                        "ns": interval(ring.ns),
                        "full_per_item": ring.refused_full,
                        "empty_per_item": ring.refused_empty,
                        "set_aside": ring.set_aside,
                        "failed_rounds": ring.faults,
                        "reason": ring.reason,
                    }
                    for ring in cell.rings
                ],
            }
            for cell in comparison.cells
        ],
        "own": [
            {"cell": one.cell, "ring": one.name, "against": one.against, "ratio": interval(one.ratio)}
            for one in comparison.own
        ],
        "bars": [
            {
                "what": bar.what,
                "against": bar.against or None,
                "limit": bar.limit,
                "at_least": bar.at_least,
                **interval(bar.seen),
                "verdict": bar.verdict,
            }
            for bar in comparison.bars
        ],
    }
