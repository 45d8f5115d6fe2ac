"""The meter of neighbours: how free each CPU's core is, second by second, from short series of witnesses.

A series reads the witnesses of `fencepost.bench.witness` one after the other. The CPUs are measured in turn by one
thread, which moves from one to the next: where two of them are siblings of one core, the meter never meets itself.
"""

from __future__ import annotations

import itertools
import math
import operator
import resource
import time
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from fencepost.bench.errors import MeasureError
from fencepost.bench.frames import Records, layout_of
from fencepost.bench.launch import affinity
from fencepost.bench.witness import (
    FLOOR_SHARE,
    KNOWN_FLOOR,
    WIDTH_SLACK,
    clock_held,
    floor_of,
    quantile_of,
    relative_clock,
    relative_width,
    run_floor,
)

if TYPE_CHECKING:
    from fencepost.bench.engine import Engine
    from fencepost.bench.topology import Topology

SLOT_S = 0.1
"""How often each CPU is looked at. Neighbours come and go within 10 µs to seconds."""

SLICE_S = 0.02
"""How long a look is at most: long enough for five ticks of a timer of 250 Hz, and a fifth of the CPU."""

SHORTEST_SLICE_S = 0.002
"""How long a look is at least. A look begins with half a millisecond in which the core's clock is measured."""

BUSY_SHARE = 0.6
"""The share of a slot that the looks of all CPUs take together at most. The rest is for what is shown."""

READING_S = 1e-6
"""A reading of both witnesses takes no less, on any counter: they are 0.6 µs long each."""

POINTS = 200
"""Into so many parts the widths of a second are put: a share is then good to half a per cent."""

GAP_STEPS = 4
"""A gap is a stretch without a reading that is longer than so many usual ones, 2 µs each. A neighbour makes readings
half as long again at most."""

MOST_SHARE = 0.95
"""The share of readings in which no more was taken than `Shares.taken_most` says."""


@dataclass(frozen=True)
class Readings:
    """One look at a CPU; each of shape (readings,), widths and clocks in ticks of 1000 instructions."""

    begin_ticks: Sequence[int]
    width_ticks: Sequence[float]
    clock_ticks: Sequence[float]
    switches: int = 0
    """How often another process of this machine took the CPU meanwhile."""


@dataclass(frozen=True)
class Second:
    """What the looks at one CPU in one second say."""

    cpu: int
    at_s: float
    """Its end, since the start."""
    readings: int
    widths: Sequence[float]
    """`relative_width` of the readings whose clock held, ascending, shape (`POINTS`,): the middles of equally many.
    Empty where there is none."""
    held: float
    """The share of the readings whose clock held."""
    core_hz: float | None
    watched_ns: float
    lost_ns: float
    """The part of `watched_ns` that gaps took."""
    longest_ns: float
    switches: int
    floor: float | None


@dataclass(frozen=True)
class Shares:
    """What a CPU had in one second or in several. Shares are from 0 to 1, and None where nothing is known."""

    cpu: int
    readings: int
    quiet: float | None
    """The share of readings without a neighbour, and at the usual clock."""
    taken: float | None
    """The share of the core's width that was missing, on average over all readings."""
    taken_most: float | None
    """No more was missing in 95 % of the readings."""
    core_hz: float | None
    gaps: float | None
    """The share of time in which the CPU did not run the meter."""
    longest_gap_ns: float
    switches: int

    @property
    def never_quiet(self) -> bool:
        """Whether fewer readings were quiet than a floor of its own would leave."""
        return self.quiet is not None and self.quiet < FLOOR_SHARE


def second_of(cpu: int, at_s: float, looks: Sequence[Readings], tick_hz: float) -> Second:
    """Put the looks of one second together. A look with fewer than two readings says nothing."""
    looks = [look for look in looks if len(look.begin_ticks) > 1]
    known: list[float] = []
    clocks = []
    watched = lost = longest = 0.0
    for look in looks:
        core_hz = 3000 * tick_hz / median(look.clock_ticks)
        clocks.append(core_hz)
        known += _steady_widths(look, tick_hz, core_hz)
        begin = look.begin_ticks
        steps = list(map(operator.sub, itertools.islice(begin, 1, None), begin))
        usual = median(steps)
        late = [step - usual for step in steps if step > GAP_STEPS * usual]
        watched += sum(steps)
        lost += sum(late)
        longest = max(longest, max(late, default=0.0))
    known.sort()
    readings = sum(len(look.begin_ticks) for look in looks)
    return Second(
        cpu=cpu,
        at_s=at_s,
        readings=readings,
        widths=array("d", [quantile_of(known, (place + 0.5) / POINTS) for place in range(POINTS)] if known else []),
        held=len(known) / readings if readings else 0.0,
        core_hz=median(clocks) if clocks else None,
        watched_ns=watched / tick_hz * 1e9,
        lost_ns=lost / tick_hz * 1e9,
        longest_ns=longest / tick_hz * 1e9,
        switches=sum(look.switches for look in looks),
        floor=floor_of(known),
    )


def _steady_widths(look: Readings, tick_hz: float, core_hz: float) -> list[float]:
    """`relative_width` of the readings of a look whose clock held."""
    # Few clocks differ, and a look has ten thousand readings.
    held = {ticks for ticks in set(look.clock_ticks) if clock_held(relative_clock(ticks, tick_hz, core_hz))}
    scale = relative_width(1.0, tick_hz, core_hz)
    return [width * scale for width, ticks in zip(look.width_ticks, look.clock_ticks, strict=True) if ticks in held]


def shares(seconds: Sequence[Second], floor: float | None) -> Shares:
    """What one CPU had in these seconds, at least one, against the `floor` of the width. Each second counts alike."""
    known = [second for second in seconds if second.widths]
    clocks = [second.core_hz for second in seconds if second.core_hz is not None]
    watched = sum(second.watched_ns for second in seconds)
    quiet = taken = most = None
    if known and floor is not None:
        limit = floor * WIDTH_SLACK
        quiet = fmean(bisect_right(one.widths, limit) / len(one.widths) * one.held for one in known)
        taken = fmean(_missing(width, floor) for one in known for width in one.widths)
        most = _missing(_common_quantile([one.widths for one in known], MOST_SHARE), floor)
    return Shares(
        cpu=seconds[0].cpu,
        readings=sum(second.readings for second in seconds),
        quiet=quiet,
        taken=taken,
        taken_most=most,
        core_hz=median(clocks) if clocks else None,
        gaps=sum(second.lost_ns for second in seconds) / watched if watched else None,
        longest_gap_ns=max(second.longest_ns for second in seconds),
        switches=sum(second.switches for second in seconds),
    )


def _missing(width: float, floor: float) -> float:
    """The share of the core's width that was missing."""
    return max(0.0, 1 - floor / width)


def _common_quantile(parts: Sequence[Sequence[float]], share: float) -> float:
    """The least value that so large a share of all values does not exceed. Each part is ascending, and has a value.

    Halves the range again and again: a day has 17 million values, and putting them in order takes much memory.
    """
    low, high = min(part[0] for part in parts), max(part[-1] for part in parts)
    wanted = share * sum(map(len, parts))
    while low < (middle := (low + high) / 2) < high:
        if sum(bisect_right(part, middle) for part in parts) < wanted:
            low = middle
        else:
            high = middle
    return high


class Floors:
    """The floor of the width, which falls as long as freer moments are met: one for each kind of core."""

    def __init__(self, arch: str, kinds: Mapping[int, str] | None = None) -> None:
        self._arch = arch
        self._kinds = kinds or {}
        self._found: dict[str, list[float | None]] = defaultdict(list)

    @property
    def known_beforehand(self) -> bool:
        """Whether a free core of this architecture is known, so that a neighbour who never pauses is seen too."""
        return self._arch in KNOWN_FLOOR

    def add(self, second: Second) -> None:
        """Take the floor of `second` in."""
        self._found[self._kinds.get(second.cpu, "")].append(second.floor)

    def of(self, cpu: int) -> float | None:
        """The floor of the core of `cpu`, by `run_floor` of all seconds so far."""
        return run_floor(self._found[self._kinds.get(cpu, "")], self._arch)


Look = Callable[[int, float], Readings]
"""Measures a CPU for so many seconds."""


def look_by(engine: Engine) -> Look:
    """Looks with the witnesses of `engine`."""
    ffi, lib = engine.ffi, engine.lib
    layout = layout_of(ffi, "struct witnessed")
    most = int(SLICE_S / READING_S)
    found = ffi.new("struct witnessed[]", most)

    def look(cpu: int, seconds: float) -> Readings:
        with affinity({cpu}):
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
            count = lib.witness_series(int(seconds * 1e9), found, most)
            switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - before
        # A copy: the next look overwrites the buffer.
        read = Records(layout, bytes(ffi.buffer(found, count * layout.size_bytes)))
        begin, width, clock = (read[name].tolist() for name in ("begin_ticks", "width_ticks", "clock_ticks"))
        return Readings(begin, width, clock, switches=switches)

    return look


class Meter:
    """Looks at CPUs in turn.

    Parameters
    ----------
    look
        measures one CPU: `look_by`.
    stop
        asked between two looks; the meter ends early when it is true.
    """

    def __init__(
        self,
        look: Look,
        cpus: Sequence[int],
        tick_hz: float,
        floors: Floors,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.cpus = tuple(cpus)
        self.floors = floors
        self.slice_s = max(SHORTEST_SLICE_S, min(SLICE_S, BUSY_SHARE * SLOT_S / len(self.cpus)))
        self.slot_s = max(SLOT_S, self.slice_s * len(self.cpus) / BUSY_SHARE)
        self._look = look
        self._tick_hz = tick_hz
        self._stop = stop
        self._began = time.monotonic()
        self._cpu_began = time.process_time()

    def seconds(self, duration_s: float) -> Iterator[list[Second]]:
        """What each CPU had, once a second, for `duration_s`; the last may be a part of a second.

        Raises
        ------
        MeasureError
            when the architecture has no witness, or a CPU is gone.
        """
        self._began, self._cpu_began = time.monotonic(), time.process_time()
        slots = math.ceil(duration_s / self.slot_s - 1e-9)
        a_second = max(1, round(1 / self.slot_s))
        slot, second = 0, 0
        looks: dict[int, list[Readings]] = defaultdict(list)
        while slot < slots and not self._stop():
            if slot // a_second != second:
                yield from self._second(looks)
                second = slot // a_second
            time.sleep(max(0.0, self._began + slot * self.slot_s - time.monotonic()))
            self._turn(looks)
            # Slots that went by meanwhile, because the machine was away, are left out.
            slot = max(slot + 1, math.ceil((time.monotonic() - self._began) / self.slot_s))
        yield from self._second(looks)

    def _second(self, looks: dict[int, list[Readings]]) -> Iterator[list[Second]]:
        """What the `looks` say, if there are any. Empties them."""
        at_s = time.monotonic() - self._began
        found = [second_of(cpu, at_s, looks[cpu], self._tick_hz) for cpu in self.cpus if looks[cpu]]
        looks.clear()
        for second in found:
            self.floors.add(second)
        if found:
            yield found

    def _turn(self, looks: dict[int, list[Readings]]) -> None:
        """Look at each CPU once."""
        for cpu in self.cpus:
            if self._stop():
                return
            readings = self._look(cpu, self.slice_s)
            if not len(readings.begin_ticks):
                raise MeasureError("this architecture has no witness, so neighbours cannot be measured here")
            looks[cpu].append(readings)

    def load(self) -> float:
        """The share of one CPU that this process has used since the first look, with all that it showed."""
        return (time.process_time() - self._cpu_began) / max(1e-9, time.monotonic() - self._began)


def meter_of(
    engine: Engine, cpus: Sequence[int], topology: Topology, stop: Callable[[], bool] = lambda: False
) -> Meter:
    """The meter of these CPUs of this machine."""
    floors = Floors(engine.arch, topology.kinds)
    return Meter(look_by(engine), cpus, engine.tick()["hz"], floors, stop)


def measure(meter: Meter, seconds: float) -> list[Shares]:
    """What each CPU had in so many seconds."""
    kept: dict[int, list[Second]] = {cpu: [] for cpu in meter.cpus}
    for found in meter.seconds(seconds):
        for second in found:
            kept[second.cpu].append(second)
    return [shares(kept[cpu], meter.floors.of(cpu)) for cpu in meter.cpus if kept[cpu]]
