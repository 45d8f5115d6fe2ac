"""The verdict on a fleet: spread between its hosts and within them, hosts that differ, and hosts before and after.

The unit is a run, one middle a case, as in a history. See `fencepost.analysis.stats.hosts` for the rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import special  # scipy.stats takes longer to import than most answers

from fencepost.analysis.compare.collected import Collected
from fencepost.analysis.compare.fleet_runs import FleetError, Host, HostRun, collect, fleet_hosts, named
from fencepost.analysis.stats.changes import beyond
from fencepost.analysis.stats.hosts import (
    FALSE_RATE,
    FEWEST_HOSTS,
    FINEST,
    Apart,
    Cube,
    Spread,
    apart,
    group_ratio,
    host_values,
    median_along,
    of_middle,
    spread_of,
)
from fencepost.analysis.stats.interval import COVERAGE, Floats

DEFAULT_FLOOR_PCT = 1.0
"""As in a history: differences below the noise floor of the runs, or this, are not told."""


@dataclass(frozen=True)
class CaseSpread:
    """Spread of one case in per cent, and its middle time over hosts."""

    case: str
    hosts: int
    ns: float
    between_pct: float
    between_low_pct: float
    between_high_pct: float
    within_pct: float
    p: float


@dataclass(frozen=True)
class HostVerdict:
    """A host that differs: its time over that of the middle host, over some cases or (none) as a whole."""

    host: str
    ratio: float
    low: float
    high: float
    p: float
    cases: list[str]
    alone: list[str]
    """Cases each of which would name the host by itself."""


@dataclass(frozen=True)
class CaseChange:
    """A case of all hosts, after over before, with what chance alone makes of it, corrected for the number of cases."""

    case: str
    hosts: int
    ratio: float
    low: float
    high: float
    p: float
    changed: bool


@dataclass(frozen=True)
class MakeReport:
    """Hosts of one make."""

    make: str
    hosts: list[str]
    runs: list[int]
    cases: list[CaseSpread]
    verdicts: list[HostVerdict]
    floor_pct: float
    ratios: list[list[float | None]]
    """Of each host, each case over the middle host; None where it was not measured."""
    changes: list[CaseChange] = field(default_factory=list)


@dataclass(frozen=True)
class FleetReport:
    """The report of a fleet. `before` and `after` name the two sides, where there are two."""

    folder: str
    makes: list[MakeReport]
    notes: list[str]
    before: str = ""
    after: str = ""

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return {"false_rate": FALSE_RATE, "coverage": COVERAGE, **asdict(self)}


def fleet_report(folder: Path, *, anyway: bool = False, executor: Executor | None = None) -> FleetReport:
    """The report on the hosts of a folder. New runs are read by `executor`, where one is given.

    Raises
    ------
    FleetError
        where no run can be used.
    """
    with collect(folder, executor=executor) as collected:
        hosts, notes = fleet_hosts(folder, collected, anyway=anyway)
        makes = []
        for make, own in _by_make(hosts).items():
            notes += _few(make, own)
            names, values = _cube(collected, own)
            middles = host_values(values)
            makes.append(_make(make, own, names, [values], middles, len(own) / len(hosts)))
    return FleetReport(str(folder), makes, notes)


def fleet_change(
    before: Path,
    after: Path | None = None,
    key: str = "",
    *,
    anyway: bool = False,
    executor: Executor | None = None,
) -> FleetReport:
    """The report on hosts before and after something: two folders, or one folder and a label with two values.

    The value of the label that was measured first is the one before. Hosts that are on one side only are left out.

    Raises
    ------
    FleetError
        where there are not two sides.
    """
    if after is None:
        with collect(before, executor=executor) as collected:
            hosts, notes = fleet_hosts(before, collected, key, anyway=anyway)
            first: dict[str, HostRun] = {}
            for run in sorted((run for host in hosts for run in host.runs), key=lambda run: run.created):
                first.setdefault(run.label, run)
            if len(first) != 2:
                told = ", ".join(sorted(first))
                raise FleetError(f"{before}: the label {key} has {len(first)} values ({told}); before and after are 2")
            sides = [(_only(hosts, label), collected) for label in first]
            return _change(str(before), list(first), sides, notes)
    with collect(before, executor=executor) as old, collect(after, executor=executor) as new:
        old_hosts, notes = fleet_hosts(before, old, anyway=anyway)
        new_hosts, more = fleet_hosts(after, new, anyway=anyway)
        names = [str(before), str(after)]
        return _change(f"{before}, {after}", names, [(old_hosts, old), (new_hosts, new)], notes + more)


def _only(hosts: Sequence[Host], label: str) -> list[Host]:
    found = [Host(host.name, host.make, tuple(run for run in host.runs if run.label == label)) for host in hosts]
    return [host for host in found if host.runs]


def _change(
    folder: str, names: Sequence[str], sides: Sequence[tuple[Sequence[Host], Collected]], notes: list[str]
) -> FleetReport:
    (old, _), (new, _) = sides
    both = {(host.name, host.make) for host in old} & {(host.name, host.make) for host in new}
    lonely = sorted({host.name for host in (*old, *new) if (host.name, host.make) not in both})
    if lonely:
        notes.append(f"{named(lonely)}: left out, measured on one side only")
    if not both:
        raise FleetError(f"{folder}: no host has runs on both sides; name the folders of its runs alike")
    pairs = [[host for host in own if (host.name, host.make) in both] for own, _ in sides]
    makes = []
    for make, own in _by_make(pairs[0]).items():
        notes += _few(make, own)
        later = _by_make(pairs[1])[make]
        (cases, before), (more, after) = (
            _cube(collected, part) for (_, collected), part in zip(sides, (own, later), strict=True)
        )
        common = [case for case in cases if case in set(more)]
        before = before[:, :, [cases.index(case) for case in common]]
        after = after[:, :, [more.index(case) for case in common]]
        rest = host_values(after) - host_values(before)
        joined = [Host(one.name, make, one.runs + two.runs) for one, two in zip(own, later, strict=True)]
        found = _make(make, joined, common, [before, after], rest, len(own) / len(pairs[0]))
        found.changes.extend(_changes(common, rest, found.floor_pct))
        makes.append(found)
    return FleetReport(folder, makes, notes, *names)


def _by_make(hosts: Sequence[Host]) -> dict[str, list[Host]]:
    found: dict[str, list[Host]] = {}
    for host in hosts:
        found.setdefault(host.make, []).append(host)
    return found


def _few(make: str, hosts: Sequence[Host]) -> list[str]:
    notes = []
    if len(hosts) < FEWEST_HOSTS:
        count = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
        notes.append(f"{make}: {count}, too few to tell whether one of them differs; that takes {FEWEST_HOSTS}")
    if all(len(host.runs) < 2 for host in hosts):
        notes.append(f"{make}: one run a host, so the spread within hosts is not known; measure each host again")
    return notes


def _cube(collected: Collected, hosts: Sequence[Host]) -> tuple[list[str], Cube]:
    """Names of the cases, and logarithms of their times, shape (hosts, runs, cases)."""
    names = {no: name for no, name, _, _ in collected.cases()}
    order = [(place, number, run.no) for place, host in enumerate(hosts) for number, run in enumerate(host.runs)]
    points = collected.points([no for _, _, no in order], list(names))
    rows = np.unique(points["row"])
    most = max(len(host.runs) for host in hosts)
    values = np.full((len(hosts), most, len(rows)), np.nan)
    where = np.array([(place, number) for place, number, _ in order])[points["place"]]
    place = np.searchsorted(rows, points["row"])
    # Like with like: where a run has no figure alone, the others count by what was found as well.
    alone = np.bincount(place, ~np.ma.filled(points["alone"], False).astype(bool), len(rows)) == 0
    ns, found = (np.ma.filled(points[name], math.nan) for name in ("ns", "found_ns"))
    values[where[:, 0], where[:, 1], place] = np.log(np.where(alone[place], ns, found))
    return [names[row] for row in rows.tolist()], values


def _make(
    make: str, hosts: Sequence[Host], cases: Sequence[str], sides: Sequence[Cube], values: Floats, share: float
) -> MakeReport:
    spread = spread_of(sides[0])
    times = np.exp(median_along(host_values(sides[0]), 0))
    counts = np.isfinite(values).sum(0)
    floors = [run.noise_floor_pct for host in hosts for run in host.runs if math.isfinite(run.noise_floor_pct)]
    floor = float(np.median(floors)) if floors else DEFAULT_FLOOR_PCT
    told = [
        CaseSpread(case, int(counts[i]), float(times[i]), *_percent(spread, i), float(spread.p[i]))
        for i, case in enumerate(cases)
    ]
    found = apart(values, _weights(sides), rate=FALSE_RATE / 2 * share)
    verdicts = [_verdict(hosts, one, cases, sides, len(found)) for one in found]
    verdicts = [one for one in verdicts if abs(math.log(one.ratio)) > math.log1p(floor / 100)]
    ratios = np.exp(values - median_along(values, 0))
    rows = [[float(value) if math.isfinite(value) else None for value in row] for row in ratios]
    return MakeReport(
        make, [host.name for host in hosts], [len(host.runs) for host in hosts], told, verdicts, floor, rows
    )


def _percent(spread: Spread, place: int) -> tuple[float, float, float, float]:
    between, low, high, within = (float(part[place]) * 100 for part in spread[:4])
    return between, low, high, within


def _weights(sides: Sequence[Cube]) -> Floats | None:
    """Standard deviations of the middles of hosts, relative to each other: hosts with fewer runs are less sure."""
    variance = np.zeros(sides[0][:, 0].shape)
    unequal = False
    for values in sides:
        count = np.isfinite(values).sum(1)
        unequal |= bool(np.ptp(count.max(1)))
        spread = spread_of(values)
        within = np.nan_to_num(spread.within) ** 2
        factor = np.array([of_middle(number) / max(number, 1) for number in range(int(count.max()) + 1)])
        variance += np.nan_to_num(spread.between) ** 2 + within * factor[count]
    typical = np.median(variance, axis=0)
    return np.sqrt(variance / np.where(typical > 0, typical, 1.0)) if unequal and (typical > 0).all() else None


def _verdict(hosts: Sequence[Host], one: Apart, cases: Sequence[str], sides: Sequence[Cube], named: int) -> HostVerdict:
    """How far a host is off. Its interval allows for the choice of the `named` hosts among all.

    Source: Benjamini and Yekutieli, Journal of the American Statistical Association 100 (2005).
    """
    parts = [group_ratio(values, one.host, one.cases) for values in sides]
    value = parts[-1][0] - (parts[0][0] if len(parts) > 1 else 0.0)
    error = math.hypot(*(part[1] for part in parts))
    free = sum(part[2] for part in parts)
    chosen = (1 - COVERAGE) * named / len(hosts)
    reach = float(special.stdtrit(free, 1 - chosen / 2)) * error if free else math.nan
    low, high = math.exp(value - reach), math.exp(value + reach)
    own, alone = ([cases[case] for case in which] for which in (one.cases, one.alone))
    return HostVerdict(hosts[one.host].name, math.exp(value), low, high, one.p, own, alone)


def _changes(cases: Sequence[str], rest: Floats, floor_pct: float) -> list[CaseChange]:
    """Of each case the mean over hosts, whose spread is what it is judged by (t), corrected by Holm's method."""
    found: list[CaseChange] = []
    for case, column in zip(cases, rest.T, strict=True):
        own = column[np.isfinite(column)]
        if len(own) < 2:
            continue
        error = max(float(own.std(ddof=1)), FINEST) / math.sqrt(len(own))
        reach = float(special.stdtrit(len(own) - 1, (1 + COVERAGE) / 2)) * error
        middle = float(own.mean())
        p = 2 * float(special.stdtr(len(own) - 1, -abs(middle) / error))
        bounds = (math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))
        found.append(CaseChange(case, len(own), *bounds, p, changed=False))
    worst = 0.0
    for place, index in enumerate(sorted(range(len(found)), key=lambda index: found[index].p)):
        one = found[index]
        worst = max(worst, min(one.p * (len(found) - place), 1.0))
        found[index] = replace(one, p=worst, changed=worst <= FALSE_RATE and beyond(one.low, one.high, floor_pct))
    return found
