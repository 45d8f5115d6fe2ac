"""The meter of neighbours: what is made of series of witnesses, in which order CPUs are looked at, and what is said."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from runs.measure import any_cpu, fault_engine

from fencepost.bench import neighbours
from fencepost.bench.doctor.neighbours import finding, look_at_neighbours
from fencepost.bench.errors import MeasureError
from fencepost.bench.neighbours import Floors, Meter, Readings, Second, Shares, look_by, measure, second_of, shares
from fencepost.bench.topology import Topology
from fencepost.bench.witness import KNOWN_FLOOR, WIDTH_SLACK

TICK_HZ, CORE_HZ = 2.5e9, 3.75e9
FREE = 1 / 12
"""The relative width of a core that makes four additions in a cycle."""
STEP = 4000
"""Ticks from one reading to the next."""


def readings(widths: list[float], clocks: list[float] | None = None, steps: list[int] | None = None) -> Readings:
    """A look that found these relative widths, at these multiples of the usual clock."""
    scale = 3000 * TICK_HZ / CORE_HZ
    begin = list(itertools.accumulate([0, *(steps or [STEP] * (len(widths) - 1))]))[: len(widths)]
    clock_ticks = [scale / faster for faster in clocks or [1.0] * len(widths)]
    return Readings(begin, [width * scale for width in widths], clock_ticks, switches=1)


def had(*looks: Readings, floor: float | None = FREE) -> Shares:
    return shares([second_of(3, 1.0, looks, TICK_HZ)], floor)


def test_a_neighbour_takes_the_width_that_is_missing() -> None:
    one = had(readings([FREE] * 150 + [2 * FREE] * 50))
    assert (one.cpu, one.readings) == (3, 200)
    assert one.quiet == pytest.approx(0.75, abs=0.01)
    assert one.taken == pytest.approx(0.25 * 0.5, abs=0.01)
    assert one.taken_most == pytest.approx(0.5)
    assert one.core_hz == pytest.approx(CORE_HZ)
    assert (one.gaps, one.longest_gap_ns) == (0, 0)


def test_a_reading_at_another_clock_is_not_quiet_and_tells_no_width() -> None:
    one = had(readings([FREE] * 80 + [5 * FREE] * 20, clocks=[1.0] * 80 + [0.5] * 20))
    assert one.quiet == pytest.approx(0.8)
    assert one.taken == pytest.approx(0) and one.taken_most == pytest.approx(0)


def test_a_wide_core_takes_nothing_away() -> None:
    """A reading below the floor is not less than nothing."""
    assert had(readings([FREE / 2] * 100)).taken == 0


def test_a_stretch_without_readings_is_a_gap() -> None:
    steps = [STEP] * 99
    steps[10] = STEP + 25_000  # 10 us late
    steps[50] = 3 * STEP  # late, and no gap
    one = had(readings([FREE] * 100, steps=steps))
    assert one.longest_gap_ns == pytest.approx(10_000)
    assert one.gaps == pytest.approx(25_000 / sum(steps))


def test_the_time_between_two_looks_is_no_gap() -> None:
    later = readings([FREE] * 100)
    later = replace(later, begin_ticks=[begin + 10**9 for begin in later.begin_ticks])
    one = had(readings([FREE] * 100), later)
    assert (one.gaps, one.readings, one.switches) == (0, 200, 2)


def test_each_look_has_its_own_clock() -> None:
    """From look to look the clock may change: that is no disturbance of a reading."""
    slow = readings([FREE] * 100)
    width, clock = ([2 * ticks for ticks in part] for part in (slow.width_ticks, slow.clock_ticks))
    slow = replace(slow, width_ticks=width, clock_ticks=clock)
    one = had(readings([FREE] * 100), slow)
    assert one.quiet == 1 and one.core_hz == pytest.approx(0.75 * CORE_HZ)


def test_seconds_count_alike() -> None:
    quiet, busy = (second_of(0, 1.0, [readings([width] * count)], TICK_HZ) for width, count in ((FREE, 10), (0.2, 900)))
    one = shares([quiet, busy], FREE)
    assert (one.quiet, one.readings) == (0.5, 910)


def test_shares_are_those_of_all_points() -> None:
    """Against numpy, of seconds that overlap."""
    generator = np.random.default_rng(1)
    drawn = [FREE * (1 + generator.exponential(size, 900)) for size in (0.01, 0.2, 0.5)]
    seconds = [second_of(0, 1.0, [readings(widths.tolist())], TICK_HZ) for widths in drawn]
    points = np.quantile(np.array(drawn), (np.arange(neighbours.POINTS) + 0.5) / neighbours.POINTS, axis=1)
    assert pytest.approx(points) == np.array([second.widths for second in seconds]).T
    one, missing = shares(seconds, FREE), np.maximum(1 - FREE / points, 0)
    assert one.quiet == pytest.approx((points <= FREE * WIDTH_SLACK).mean())
    assert one.taken == pytest.approx(missing.mean())
    assert one.taken_most == pytest.approx(np.quantile(missing, neighbours.MOST_SHARE), abs=0.005)


@pytest.mark.parametrize("looks", [(), (readings([FREE]),)], ids=["no look", "a single reading"])
def test_nothing_is_known_of_a_second_without_readings(looks: tuple[Readings, ...]) -> None:
    one = had(*looks)
    assert (one.quiet, one.taken, one.taken_most, one.core_hz, one.gaps) == (None,) * 5
    assert not one.never_quiet


def second(cpu: int, floor: float | None) -> Second:
    return replace(second_of(cpu, 1.0, [readings([FREE] * 10)], TICK_HZ), floor=floor)


def test_the_floor_is_the_freest_moment_of_a_kind_of_core() -> None:
    floors = Floors("other", {0: "P", 1: "P", 2: "E"})
    assert not floors.known_beforehand
    for cpu, floor in ((0, 0.2), (1, 0.1), (2, 0.3)):
        floors.add(second(cpu, floor))
    assert [floors.of(cpu) for cpu in range(3)] == [0.1, 0.1, 0.3]


def test_a_core_that_was_never_free_is_seen_where_a_free_one_is_known() -> None:
    floors = Floors("x86_64")
    floors.add(second(0, 2 * FREE))
    assert floors.known_beforehand and floors.of(0) == KNOWN_FLOOR["x86_64"]
    assert had(readings([2 * FREE] * 200), floor=floors.of(0)).never_quiet


def test_cpus_are_looked_at_in_turn() -> None:
    order: list[int] = []

    def look(cpu: int, seconds: float) -> Readings:
        assert 0 < seconds <= neighbours.SLICE_S
        order.append(cpu)
        return readings([FREE] * 200)

    meter = Meter(look, (4, 7), TICK_HZ, Floors("x86_64"))
    found = measure(meter, 0.3)
    assert [one.cpu for one in found] == [4, 7]
    assert order == [4, 7] * (len(order) // 2) and 1 <= len(order) // 2 <= 3
    assert all(one.quiet == 1 for one in found)
    assert meter.load() >= 0


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return 0.2 * (self.now - 50)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_each_second_has_its_own_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    monkeypatch.setattr(neighbours, "time", clock)
    meter = Meter(lambda *_: readings([FREE] * 200), (0, 1), TICK_HZ, Floors("x86_64"))
    found = [[(one.cpu, one.readings) for one in second] for second in meter.seconds(2.5)]
    assert found == [[(0, 2000), (1, 2000)], [(0, 2000), (1, 2000)], [(0, 1000), (1, 1000)]]
    assert meter.load() == pytest.approx(0.2)


def test_looks_that_were_missed_are_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    looked: list[float] = []

    def look(_cpu: int, _seconds: float) -> Readings:
        looked.append(round(clock.now - 50, 3))
        clock.now += 1.23 if len(looked) == 3 else 0
        return readings([FREE] * 200)

    monkeypatch.setattr(neighbours, "time", clock)
    seconds = list(Meter(look, (0,), TICK_HZ, Floors("x86_64")).seconds(2))
    assert looked == [0, 0.1, 0.2, 1.5, 1.6, 1.7, 1.8, 1.9]
    assert [second.readings for (second,) in seconds] == [600, 1000]


@pytest.mark.parametrize("cpus", [1, 2, 64, 500])
def test_the_meter_leaves_time_between_its_looks(cpus: int) -> None:
    meter = Meter(lambda *_: readings([FREE]), range(cpus), TICK_HZ, Floors("x86_64"))
    assert cpus * meter.slice_s <= neighbours.BUSY_SHARE * meter.slot_s + 1e-9


def test_the_meter_ends_when_it_is_told() -> None:
    looks: list[int] = []

    def look(cpu: int, _seconds: float) -> Readings:
        looks.append(cpu)
        return readings([FREE] * 200)

    meter = Meter(look, (0, 1), TICK_HZ, Floors("x86_64"), stop=lambda: len(looks) >= 3)
    assert [one.readings for one in measure(meter, 1000)] == [400, 200]
    assert measure(Meter(look, (0,), TICK_HZ, Floors("x86_64"), stop=lambda: True), 1000) == []


def test_without_a_witness_nothing_is_measured() -> None:
    meter = Meter(lambda *_: readings([]), (0,), TICK_HZ, Floors("other"))
    with pytest.raises(MeasureError, match="no witness"):
        measure(meter, 1)


def test_a_cpu_that_is_gone_is_named() -> None:
    mask = os.sched_getaffinity(0)
    with pytest.raises(MeasureError, match="CPU 1023 went offline"):
        look_by(fault_engine())(1023, 0.001)
    assert os.sched_getaffinity(0) == mask


def test_a_look_at_this_machine() -> None:
    mask = os.sched_getaffinity(0)
    found = look_by(fault_engine())(any_cpu(), 0.005)
    assert os.sched_getaffinity(0) == mask
    if not len(found.begin_ticks):
        pytest.skip("this architecture has no witness")
    assert all(before < after for before, after in itertools.pairwise(found.begin_ticks))
    assert len(found.begin_ticks) == len(found.width_ticks) == len(found.clock_ticks)
    assert median(found.width_ticks) < median(found.clock_ticks)


# ---- the doctor's row ----


TWO_FREE = "the core was free in 93 % (CPU 0) and 50 % (CPU 1) of a second"


def cpu(number: int, quiet: float | None, most: float = 0.48) -> Shares:
    return Shares(number, 1000, quiet, 0.1, most, CORE_HZ, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("found", "severity", "value"),
    [
        ([cpu(0, 0.93)], "ok", "the core was free in 93 % of a second; a neighbour took up to 48 % of its width"),
        ([cpu(0, 1.0, 0.01)], "ok", "the core was free in 100 % of a second"),
        (
            [cpu(0, 0.93), cpu(1, 0.5)],
            "note",
            TWO_FREE + "; a neighbour took up to 48 % of a core's width",
        ),
        (
            [cpu(0, 0.93, 0.0), cpu(1, 0.0, 0.0)],
            "hurts",
            "the core was free in 93 % (CPU 0) and 0 % (CPU 1) of a second",
        ),
        ([cpu(0, 0.0, 0.0)], "hurts", "the core was free in 0 % of a second"),
        (
            [cpu(number, 0.5 + number / 100, 0.0) for number in range(8)],
            "note",
            "the cores of CPUs 0-7 were free in 50 % to 57 % of a second",
        ),
        ([cpu(0, None)], "note", None),
    ],
)
def test_the_doctor_says_how_free_the_cores_were(found: list[Shares], severity: str, value: str | None) -> None:
    row = finding(found)
    assert (row.knob, row.severity, row.value) == ("neighbours", severity, value)


def test_the_doctor_goes_on_without_a_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "look_by", lambda _: lambda *_: readings([]))
    row = look_at_neighbours(fault_engine(), (any_cpu(),), Topology())
    assert (row.severity, row.state) == ("note", "unreadable") and "no witness" in row.effect
