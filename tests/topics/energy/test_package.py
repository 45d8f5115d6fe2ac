"""energy/package: a counter that a thread of this test drives stands in for that of a processor."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import ENOTSUP, measure
from kernels.plant import engine_of

SOURCE = "energy/package.c"
POWERCAP = "/sys/class/powercap/intel-rapl:0"
RANGE_UJ = 1_000_000
WATT = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("powercap")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Engine:
    return engine_of(tmp_path_factory.mktemp("energy"), SOURCE, (POWERCAP, str(place)))


@contextlib.contextmanager
def counter(place: Path, uj: Callable[[float], int]) -> Iterator[None]:
    """A counter that shows `uj` of the seconds since it began, renewed as often as this machine can."""
    ended = threading.Event()
    begin = time.monotonic()

    def show() -> None:
        new = place / "new"
        new.write_text(f"{uj(time.monotonic() - begin)}\n")
        new.replace(place / "energy_uj")

    def renew() -> None:
        while not ended.wait(0.0005):
            show()

    (place / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    show()
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        (place / "energy_uj").unlink()


def steady(seconds: float) -> int:
    """10 W, in a counter that wraps each 0.1 s."""
    return int(seconds * WATT * 1e6) % RANGE_UJ


@pytest.mark.parametrize("op", ["sleep", "add", "stream"])
def test_power_is_what_the_counter_says(engine: Engine, place: Path, op: str) -> None:
    """This counter knows nothing of work. It wraps in each second window or so."""
    with counter(place, steady):
        got = measure(engine, "energy/package", {"op": op, "window_ms": 40})
    assert got.status == 0, got.reason
    # The counter lags by as long as its thread waits for a CPU.
    assert WATT / 2 < got.metrics["package_w"] < WATT * 2
    assert got.metrics["extra_w"] == pytest.approx(got.metrics["package_w"] - got.metrics["idle_w"])
    # Windows of their own differ by chance. The same windows twice, or both shared out, would not.
    assert abs(got.metrics["extra_w"]) > 1e-6
    assert (got.outcome.count[0].found, got.outcome.count[0].expected) == (8, 8)
    assert math.isnan(got.metrics["nj_per_operation"]) == (op == "sleep")


def test_a_counter_that_stands_still_fails_its_count(engine: Engine, place: Path) -> None:
    with counter(place, lambda _: 77):
        got = measure(engine, "energy/package", {"op": "add", "window_ms": 1})
    assert got.outcome.count[0].found == 0


@pytest.mark.parametrize("text", [None, "", "none\n", "-5\n"])
def test_a_machine_without_a_counter_says_so(engine: Engine, place: Path, text: str | None) -> None:
    (place / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    if text is not None:
        (place / "energy_uj").write_text(text)
    got = measure(engine, "energy/package", {"op": "add"})
    assert got.status == ENOTSUP and "a package energy counter that may be read" in got.reason


def test_work_that_is_left_out_fails(tmp_path: Path, place: Path) -> None:
    whole = "energy->operations += op == ADD ? add() : stream(energy->pages, &place);"
    broken = engine_of(tmp_path, SOURCE, (POWERCAP, str(place)), (whole, "sleep_ms(ms);"))
    with counter(place, steady):
        got = measure(broken, "energy/package", {"op": "add", "window_ms": 5})
    assert "no operation was made in 4 windows" in got.reason
