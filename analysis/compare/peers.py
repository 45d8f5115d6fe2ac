"""Rings beside their peers: one run in which the library's rings and those of others met the same machine.

A cell is one way of use (round trip; one item or many at a time; size; capacity; spin hint). Values are in *xraw*, the
time of an operation divided by the raw round trip of one line measured beside it. They are in ns where threads share
CPUs, which have no such round trip. A ratio within a cell is taken in each round first. A ratio of worst cells is of
medians, as the tables show them.

Where a host moved the CPUs between places (`fencepost.analysis.runs.regimes`), each place that held for a tenth of the
batches has cells and bars of its own. Elsewhere a case of a round in which the raw round trip drifted by more than
1.35 x is set aside.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.regimes import InPlace
from fencepost.analysis.runs.row import Row, regime_names
from fencepost.analysis.stats.interval import COVERAGE, FEWEST_PROCESSES, Floats, Interval, interval_of
from fencepost.analysis.stats.verdict import rounds_wanted

OURS = "ring/"


PEERS = "peer/"


ROUND_TRIP, SPSC, MPMC = "round trip", "SPSC", "MPMC 2 + 2 on two CPUs"


RTE = "rte"


LEAST_SHARE = 0.1
"""A place of the CPUs that held for a smaller share of the batches has no cells."""


_UNKNOWN = Interval(math.nan, math.nan, math.nan, 0.0, 0)


@dataclass(frozen=True)
class CpuPlace:
    """Where the two CPUs were for a `share` of the batches: a raw round trip of a line takes `distance_ns` there."""

    name: str
    distance_ns: float
    share: float


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
    place: CpuPlace | None = None
    """None where the CPUs were in one place all the time, or share their threads."""

    @property
    def title(self) -> str:
        """The cell in words."""
        given = self.parameters
        many = f"{given['batch']} at a time" if int(given["batch"]) > 1 else "single"
        words = [self.family, *([many] if self.family != ROUND_TRIP else []), f"{given['bytes']} B"]
        words += [f"capacity {given['capacity']}"]
        words += [f"roles {given['roles']}"] if self.family == MPMC else []
        words += ["PAUSE" if given["pause"] == "yes" else "no PAUSE"] if self.family != MPMC else ["yielding"]
        words += [self.place.name] if self.place else []
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
    more: int | None = None
    """How many more rounds would decide it, if those so far are typical. None where no number would."""

    @property
    def verdict(self) -> str:
        """met, missed, or open where the interval holds the limit (or too few rounds give one)."""
        low, high = self.seen.low, self.seen.high
        if math.isnan(self.seen.value):
            return "not measured"
        missing = max(FEWEST_PROCESSES, self.rounds_wanted) - self.seen.n
        if missing > 0:
            return f"open: needs {missing} more rounds"
        if (low >= self.limit) if self.at_least else (high <= self.limit):
            return "met"
        if (high < self.limit) if self.at_least else (low > self.limit):
            return "missed"
        return "open" if self.more is None else f"open: needs {self.more} more rounds"


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
    places: Sequence[CpuPlace] = ()
    """The places of the two CPUs that have cells, the nearest first. Empty where they stayed in one."""
    quiet: float = math.nan
    """Share of the batches in which the consumer's core had its whole width."""


def compare_peers(analysis: Analysis, mine: Collection[str] = ()) -> PeerComparison:
    """Cells and bars of a run of `fencepost peers`.

    Parameters
    ----------
    analysis
        a run with cases of kernels ``ring/…`` and ``peer/…``; others are passed over.
    mine
        kernels of the user's own files.
    """
    rows = [row for row in analysis.rows if row.kernel.startswith((OURS, PEERS)) and not is_latency(row.kernel)]
    processes = analysis.processes
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        family = _family(row.kernel)
        groups.setdefault((family, *sorted(row.parameters.items())), []).append(row)
    measured = processes[processes["case"].isin([row.case for row in rows]) & (processes["status"] == "ok")]
    places = places_met(measured)
    cells: list[Cell] = []
    bars: list[Goal] = []
    own: list[OwnRing] = []
    for place in places or (None,):
        found, values = [], {}
        for (family, *_), group in groups.items():
            # Threads that share CPUs have no distance: they have one cell, beside those of the first place.
            where = None if family == MPMC else place
            if where is None and place not in (None, *places[:1]):
                continue
            values.update({row.case: _values(processes, row.case, family, where) for row in group})
            found.append(_cell(family, group, processes, values, where))
        there = sorted((cell for cell in found if cell.own is not None), key=_order)
        cells += there
        bars += [] if mine else _bars(there, values)
        own += [one for cell in there for name in mine for one in _own(cell, name, values)]
    set_aside = 0 if places else int((measured["hand_over_drift"] > 0).sum())
    return PeerComparison(cells, bars, len(measured), set_aside, own, mine, places, float(measured["free"].mean()))


def is_latency(kernel: str) -> bool:
    """Whether a kernel times single items, as `fencepost.analysis.compare.peers_latency` shows them."""
    return kernel.endswith("latency")


def places_met(processes: pd.DataFrame) -> tuple[CpuPlace, ...]:
    """The places in which the two CPUs were for a tenth of the batches each; none where they stayed in one."""
    batches: dict[float, int] = {}
    for here in processes["places"]:
        for one in here:
            batches[one.distance_ns] = batches.get(one.distance_ns, 0) + one.batches
    if len(batches) < 2:
        return ()
    total, names = sum(batches.values()), regime_names(len(batches))
    found = [CpuPlace(name, ns, batches[ns] / total) for name, ns in zip(names, sorted(batches), strict=True)]
    return tuple(place for place in found if place.share >= LEAST_SHARE)


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


def _values(processes: pd.DataFrame, case: str, family: str, place: CpuPlace | None) -> pd.Series:
    """Value of each round that counts, by round."""
    rows = processes[(processes["case"] == case) & (processes["status"] == "ok")]
    if family == MPMC:
        return rows.set_index("round")["ns"]
    if place is not None:
        xraw = [_time_in(place, here) / place.distance_ns for here in rows["places"]]
    else:
        rows = rows[~(rows["hand_over_drift"] > 0)]
        xraw = [metrics.get("xraw", math.nan) for metrics in rows["metrics"]]
    return pd.Series(xraw, index=pd.Index(rows["round"], name="round"), dtype=float).dropna()


def _time_in(place: CpuPlace, here: Sequence[InPlace]) -> float:
    """The time of a process while the CPUs were there; NaN where they were not."""
    return next((one.ns for one in here if one.distance_ns == place.distance_ns), math.nan)


def _cell(
    family: str,
    rows: Sequence[Row],
    processes: pd.DataFrame,
    values: Mapping[str, pd.Series],
    place: CpuPlace | None,
) -> Cell:
    # Rings without a value come last.
    rings = sorted(
        (_ring(row, processes, values[row.case], place) for row in rows),
        key=lambda ring: (math.isnan(ring.value.value), ring.value.value),
    )
    known = [ring for ring in rings if not ring.ours and _mostly_there(ring)]
    best = min(known, key=lambda ring: ring.value.value, default=None)
    cell = Cell(family, rows[0].parameters, "ns" if family == MPMC else "xraw", rings, best, _UNKNOWN, place)
    return replace(cell, ratio=_ratio(values, best, cell.own))


def _ring(row: Row, processes: pd.DataFrame, values: pd.Series, place: CpuPlace | None) -> Ring:
    mine = processes[processes["case"] == row.case]
    good, bad = mine[mine["status"] == "ok"], mine[mine["status"] != "ok"]

    ns = good.set_index("round")["ns"].reindex(values.index) if place is None else values * place.distance_ns

    def middle(metric: str) -> float:
        return float(pd.Series([metrics.get(metric, math.nan) for metrics in good["metrics"]], dtype=float).median())

    return Ring(
        row.kernel,
        row.case,
        interval_of(values.to_numpy(float)),
        interval_of(ns.to_numpy(float)),
        middle("full_per_item"),
        middle("empty_per_item"),
        len(good) - len(values) if place is None else 0,
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
    return interval_of(_paired(values, slower, faster))


def _paired(values: Mapping[str, pd.Series], slower: Ring, faster: Ring) -> Floats:
    """The ratio of each round that both have, shape (rounds,)."""
    paired: Floats = (values[slower.case] / values[faster.case]).dropna().to_numpy(float)
    return paired


def _times_as_fast(
    what: str,
    limit: float,
    values: Mapping[str, pd.Series],
    peer: Ring | None,
    own: Ring,
    against: str,
    rounds: int = 0,
) -> Goal:
    """The bar of a ratio: how many times our time the peer takes."""
    if peer is None:
        return Goal(what, limit, True, _UNKNOWN, against, rounds)
    ratios = _paired(values, peer, own)
    return Goal(what, limit, True, interval_of(ratios), against, rounds, _more(ratios, limit))


def _more(values: Floats, limit: float) -> int | None:
    """How many more rounds would tell the median of these values from the limit."""
    error = 1 - COVERAGE
    return rounds_wanted(np.log(values / limit), -1.0, 0.0, error, error) if len(values) else None


def _bars(cells: Sequence[Cell], values: Mapping[str, pd.Series]) -> list[Goal]:
    """The bars of each form of the library's ring, named where it is not the default one."""
    bars = []
    for cell in cells:
        given = cell.parameters
        batch, size = int(given["batch"]), int(given["bytes"])
        for own in cell.forms:
            what = cell.title + _form(own)
            if cell.family == ROUND_TRIP:
                more = _more(values[own.case].to_numpy(float), 2.3)
                bars.append(Goal(f"{what}: ours, xraw", 2.3, False, own.value, more=more))
                bars.append(_times_as_fast(what, 1.4, values, cell.best, own, peer_name(cell.best)))
            elif cell.family == SPSC and batch > 1 and size == 8:
                bars.append(_against(cell, own, RTE, 1.25, values))
            elif cell.family == SPSC and size == 64:
                limit = 1.5 if batch == 1 else 1.2
                bars.append(_times_as_fast(what, limit, values, cell.best, own, peer_name(cell.best)))
            elif cell.family == MPMC:
                bars.append(_against(cell, own, RTE, 1.4, values, 15))
    return [*bars, *_worst(cells, values)]


def _form(ring: Ring) -> str:
    return " (lazy, with flush)" if "_lazy" in ring.name else ""


def _against(cell: Cell, own: Ring, peer: str, limit: float, values: Mapping[str, pd.Series], rounds: int = 0) -> Goal:
    """The bar of a ratio to one peer; of its modes, the fastest."""
    others = [ring for ring in cell.rings if peer_name(ring).startswith(peer) and _mostly_there(ring)]
    other = min(others, key=lambda ring: ring.value.value, default=None)
    return _times_as_fast(cell.title + _form(own), limit, values, other, own, peer_name(other) or peer, rounds)


def _worst(cells: Sequence[Cell], values: Mapping[str, pd.Series]) -> list[Goal]:
    """Single items of 8 bytes, of each form: the worst cell against that of the peer whose worst is best, and the lead
    over each peer in each cell.
    """
    single = [cell for cell in cells if cell.family == SPSC and int(cell.parameters["bytes"]) == 8]
    single = [cell for cell in single if int(cell.parameters["batch"]) == 1]
    by_name: dict[str, list[Ring]] = {}
    for cell in single:
        for ring in cell.rings:
            if ring.value.n:
                by_name.setdefault(ring.name, []).append(ring)
    worst = {name: worst_of(rings) for name, rings in by_name.items() if len(rings) == len(single)}
    peer = min((name for name in worst if not name.startswith(OURS)), key=lambda name: worst[name].value, default=None)
    if peer is None:
        return []
    place = f", {single[0].place.name}" if single[0].place else ""
    cells_of = f"{len(single)} cells{place}"
    goals = []
    for own in sorted((name for name in worst if name.startswith(OURS)), key=lambda name: "_lazy" in name):
        form, limit = _form(by_name[own][0]), 3.0 if "_lazy" in own else 2.0
        ratio = quotient(worst[peer], worst[own])
        what = f"SPSC, single, 8 B, worst of {cells_of}{form}"
        goals.append(Goal(what, limit, True, ratio, peer.removeprefix(PEERS), more=_more_by_width(ratio, limit)))
        goals.append(_lead(f"SPSC, single, 8 B, ahead in each of {cells_of}{form}", single, own, values))
    return goals


def worst_of(rings: Sequence[Ring]) -> Interval:
    """The largest median of several cells, between the largest lower and the largest upper end of their intervals."""
    found = [ring.value for ring in rings]
    return Interval(
        float(np.max([one.value for one in found])),
        float(np.max([one.low for one in found])),
        float(np.max([one.high for one in found])),
        COVERAGE,
        min(one.n for one in found),
    )


def quotient(top: Interval, bottom: Interval) -> Interval:
    """A ratio of two figures of different cells. No round pairs them, so each end takes the least favourable end of
    either. Both of 95 % give at least 90 %.
    """
    coverage = max(0.0, 1 - (1 - top.coverage) - (1 - bottom.coverage))
    return Interval(
        top.value / bottom.value, top.low / bottom.high, top.high / bottom.low, coverage, min(top.n, bottom.n)
    )


def _lead(what: str, cells: Sequence[Cell], own: str, values: Mapping[str, pd.Series]) -> Goal:
    """The least lead over any peer in any cell. Its lower end is the least of all, so that "met" needs each of them."""
    leads: list[tuple[Interval, str]] = []
    for cell in cells:
        mine = next(ring for ring in cell.rings if ring.name == own)
        for ring in cell.rings:
            if ring.name.startswith(PEERS) and _mostly_there(ring):
                pause = ", PAUSE" if cell.parameters["pause"] == "yes" else ""
                leads.append((_ratio(values, ring, mine), f"{peer_name(ring)}, {cell.parameters['capacity']}{pause}"))
    against = min(leads, key=lambda lead: lead[0].low if lead[0].bounded else lead[0].value)[1]
    seen = Interval(
        min(lead.value for lead, _ in leads),
        float(np.min([lead.low for lead, _ in leads])),
        float(np.min([lead.high for lead, _ in leads])),
        COVERAGE,
        min(lead.n for lead, _ in leads),
    )
    return Goal(what, 1.0, True, seen, against, more=_more_by_width(seen, 1.0))


def _more_by_width(seen: Interval, limit: float) -> int | None:
    """How many more rounds would move the limit out of an interval that narrows with the root of their number."""
    if not seen.bounded or seen.value == limit:
        return None
    end = seen.low if seen.value > limit else seen.high
    return max(1, math.ceil(seen.n * ((math.log(seen.value / end) / math.log(seen.value / limit)) ** 2 - 1)))


def peer_name(ring: Ring | None) -> str:
    """The name of a ring without its topic; empty if there is none."""
    return ring.name.partition("/")[2] if ring else ""
