"""The fixture `fencepost`: timing Python callables."""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fencepost.cli.pytest_plugin.replay import SampleClock
from fencepost.cli.pytest_plugin.rows import BenchmarkRow, Result

WINDOW_NS = 50_000
"""A window of a Python callable is at least this long: as the batches of profile standard."""


WINDOW_QUANTA = 1000
"""... and at least so many steps of the tick counter, so that its step stays below a thousandth."""


WINDOWS, FEWEST_WINDOWS = 30, 5


WARMUP_WINDOWS = 3


BUDGET_NS = 2e9
"""A callable so slow that `WINDOWS` would take longer gets fewer, by its first window alone: nothing peeks."""


class FencepostBenchmark:
    """What the fixture `fencepost_benchmark` gives to a test; it can be used once, as pytest-benchmark's own."""

    def __init__(self, benchmark: Any, clock: SampleClock, request: pytest.FixtureRequest | None = None) -> None:
        self.benchmark = benchmark
        self._clock = clock
        self._request = request

    @property
    def enabled(self) -> bool:
        """False under ``--benchmark-disable`` and pytest-xdist: everything runs once, nothing is stored."""
        return bool(self.benchmark.enabled)

    @property
    def extra_info(self) -> dict[str, Any]:
        """What is stored beside the samples; tests may add to it."""
        info: dict[str, Any] = self.benchmark.extra_info
        return info

    def __call__(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Time ``function(*args, **kwargs)`` in this process and return what it returns.

        Each sample is one window of many calls, less a window of the same shape around no call, per call.
        """
        if not self.enabled:
            result: Result = self.benchmark.pedantic(function, args, kwargs)
            return result
        samples, result, facts = time_callable(function, args, kwargs)
        self.extra_info.update(facts)
        self._replay(samples)
        return result

    def kernel(
        self,
        files: str | Path | Sequence[str | Path],
        name: str | None = None,
        /,
        *,
        cflags: str = "",
        cpus: Sequence[int] | None = None,
        **parameters: str | int,
    ) -> BenchmarkRow:
        """Time a kernel of one's own in fresh processes, as ``fencepost run --kernel`` does; see docs/own_kernels.md.

        Parameters
        ----------
        files
            kernel files (C, C++, or a built object); a relative path is from the folder of the test's file.
        name
            which kernel, ``topic/variant``; may be left out where the files hold one.
        cflags
            more compiler options.
        cpus
            where each thread runs; otherwise the first placement that the plan has for the kernel.
        **parameters
            one value each, as ``--set`` takes it (``size="4KiB"``); those left out have their default.

        Returns
        -------
        BenchmarkRow
            with `samples` in seconds an operation, one a process, and `extra_info`, which is stored beside them.

        Fails the test, with one message, where the file does not compile or the kernel crashes, hangs or fails its
        check; skips it where this machine lacks what the kernel needs.
        """
        __tracebackhide__ = True
        if self._request is None:
            raise TypeError("made without the request of its test, so it does not know the folder of the test's file")
        from fencepost.cli.pytest_plugin.kernels import kernel_row

        row = kernel_row(self._request, files, name, cflags, cpus, parameters, enabled=self.enabled)
        self.row(row)
        return row

    def row(self, row: BenchmarkRow) -> None:
        """Store a measured case; skip or fail the test where it has no figures."""
        __tracebackhide__ = True
        if (row.failed or row.skipped) is not None:
            # True, and beside the reason only confusing. Pytest takes filters back after each test.
            warnings.filterwarnings("ignore", "Benchmark fixture was not used at all")
        if row.failed is not None:
            pytest.fail(f"{row.case}: {row.failed}", pytrace=False)
        if row.skipped is not None:
            pytest.skip(row.skipped)
        self.extra_info.update(row.extra_info)
        self._replay(row.samples)

    def _replay(self, samples: Sequence[float]) -> None:
        self._clock.load(samples)
        # One iteration a round: with more, pytest-benchmark would divide, and round.
        self.benchmark.pedantic(self._clock.end, setup=self._clock.begin, rounds=len(samples), iterations=1)
        if self.enabled and list(self.benchmark.stats.stats.data) != list(samples):
            raise AssertionError("pytest-benchmark stored other figures than were measured; please report its version")


# ---- Python callables ----


def time_callable(
    function: Callable[..., Result], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[list[float], Result, dict[str, object]]:
    """Seconds a call (one value a window), the last result, and what belongs beside the figures."""
    from fencepost.bench import engine

    loaded = engine.load()
    read, tick = loaded.lib.read_ticks, loaded.tick()
    least = max(WINDOW_NS * tick["hz"] / 1e9, WINDOW_QUANTA * tick["quantum_ticks"])
    with _untraced():
        calls = 1
        while True:
            ticks, result = _window(read, calls, function, args, kwargs)
            if ticks >= least:
                break
            # From the rate seen, at most tenfold: the first calls are slow and would say too few.
            calls = min(10 * calls, math.ceil(1.2 * calls * least / max(ticks, 1)))
        windows = int(min(WINDOWS, max(FEWEST_WINDOWS, BUDGET_NS / (ticks / tick["hz"] * 1e9))))
        around = statistics.median(_window_around_nothing(read, calls) for _ in range(windows))
        for _ in range(WARMUP_WINDOWS if windows == WINDOWS else 0):
            _window(read, calls, function, args, kwargs)
        samples = []
        for _ in range(windows):
            ticks, result = _window(read, calls, function, args, kwargs)
            samples.append((ticks - around) / calls / tick["hz"])
    facts = {
        "samples": "one window of this process each: they say nothing about the next process",
        "calls_per_window": calls,
        "overhead_ticks": around,
        "tick_source": tick["source"],
        "tick_hz": tick["hz"],
        "quantum_ticks": tick["quantum_ticks"],
    }
    return samples, result, facts


def _window(
    read: Callable[[], int],
    calls: int,
    function: Callable[..., Result],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[int, Result]:
    loop = range(calls)
    begin = read()
    for _ in loop:
        result = function(*args, **kwargs)
    return read() - begin, result


def _window_around_nothing(read: Callable[[], int], calls: int) -> int:
    loop = range(calls)
    begin = read()
    for _ in loop:
        pass
    return read() - begin


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Without the tracer of a debugger or of a coverage tool, as pytest-benchmark does it."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(profiler)
        sys.settrace(tracer)
