"""Lets pytest collect `bench/bench_*.py`, leaves to `make test-slow` what other tests stand for, and draws little."""

import contextlib
import functools
import gc
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

import fencepost.bench

# The folder bench/ is the package `fencepost.bench`, and refuses its plain name. pytest imports by path, so it asks for
# `bench`; this is the same package, already there under its own name.
sys.modules.setdefault("bench", fencepost.bench)

# What a property asks for is no time: whoever runs it may be taken off its CPU for a second.
with contextlib.suppress(ImportError):  # `pytest bench/` does without hypothesis
    from hypothesis import HealthCheck, settings

    # CI tries three times as many examples as somebody who waits.
    examples = 100 if os.environ.get("CI") else 30
    settings.register_profile(
        "fencepost", settings(), deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("fencepost")


_TESTS = Path(__file__).parent / "tests"

_PLANTED = {"broken", "fault"}
"""Parameters of tests in which a fault is planted: each compiles a kernel anew."""

_COMPILING = {"compile_broken", "compile_engine", "compile_files", "engine_of", "program"}
"""What compiles a kernel of a test's own, nearly always one with a fault planted in it."""

_MOST_VALUES = 3
"""A test of more sets of values than these is a matrix: it runs over sizes, ways and teams."""


def _names(code: CodeType) -> set[str]:
    """Names that a function, or one inside of it, looks up."""
    inside = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inside))


def _compiles(function: FunctionType, known: frozenset[FunctionType] = frozenset()) -> bool:
    """Whether a test compiles a kernel, itself or by a helper in the same file."""
    names = _names(function.__code__)
    helpers = {
        helper
        for helper in map(function.__globals__.get, names)
        if isinstance(helper, FunctionType) and helper.__module__ == function.__module__
    }
    known |= {function}
    return bool(names & _COMPILING) or any(_compiles(helper, known) for helper in helpers - known)


@functools.cache  # asked for thousands of tests of some hundred files
def _is_of_c(path: Path) -> bool:
    """Whether a file has tests of kernels, of the libraries that they measure, or of the engine below them. What lies
    in tests/topics itself speaks of all topics.
    """
    if not path.is_relative_to(_TESTS):
        return False
    first, *others = path.relative_to(_TESTS).parts
    return first in ("lib", "kernels", "engine") or (first == "topics" and len(others) > 1)


def _left_to_slow(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Tests of C that another test of the same topic or file stands for, see CONTRIBUTING.md.

    One that compiles a kernel of its own shows that the check is made at all: the others show what it distinguishes.
    The first and the last set of values of a matrix show, for each kernel, that both its ends work.
    """
    compiling: set[Path] = set()
    matrices: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if not isinstance(item, pytest.Function) or not _is_of_c(item.path) or item.get_closest_marker("slow"):
            continue
        given = getattr(getattr(item, "callspec", None), "params", {})
        # The code of one compiler shows most faults of a kernel, and each of the others takes as long.
        if "toolchain" in given and given["toolchain"].name != "gcc":
            yield item
        elif _PLANTED & given.keys() or _compiles(item.function):
            place = item.path.parent if item.path.is_relative_to(_TESTS / "topics") else item.path
            if place in compiling:
                yield item
            compiling.add(place)
        elif given and not item.path.is_relative_to(_TESTS / "lib"):
            kernel = next((str(value) for value in given.values() if "/" in str(value)), "")
            matrices.setdefault((item.nodeid.partition("[")[0], kernel), []).append(item)
    for several in matrices.values():
        if len(several) > _MOST_VALUES:
            yield from several[1:-1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are collected and stay to the end. To look through them for garbage, again and again, took a
    fifth of the time of the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        # Tests make mostly what goes without being looked for.
        gc.set_threshold(10_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what other tests stand for. Tests of minutes begin first, or one process would end long after the
    other.
    """
    for item in _left_to_slow(items):
        item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a missing package is a failure: .ci/run installs each that a test needs. Elsewhere the test is skipped."""
    report = yield
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if report.skipped and "(the package " in why and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{why}. .ci/run has to install it"
    return report


@pytest.fixture
def undrawn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pictures without shapes, except in tests that are marked `drawn`: those look at shapes.

    Half of the time of a report is drawing. All pictures are drawn by tests/analysis/draw/test_figures.py.
    """
    if request.node.get_closest_marker("drawn"):
        yield
        return
    from undrawn import without_drawing  # asked for by few: it imports matplotlib

    with without_drawing():
        yield
