"""Lets pytest collect `bench/bench_*.py`, and leaves to `make test-slow` what the others stand for."""

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

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


_OF_C = [Path(__file__).parent / "tests" / folder for folder in ("topics", "lib")]
"""Tests of kernels and of the libraries that they measure."""

_PLANTED = {"broken", "fault"}
"""Parameters of tests in which a fault is planted: each compiles a kernel anew."""

_WHERE = ("file", "name", "op")
"""Parameters that say where the fault is planted."""


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark as slow what looks at the code of another compiler than gcc, and all faults planted in a place but one."""
    planted: set[tuple[str, ...]] = set()
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        # The code of one compiler shows most faults of a kernel, and each of the others takes as long.
        other_compiler = "toolchain" in given and given["toolchain"].name != "gcc"
        again = False
        if _PLANTED & given.keys() and any(item.path.is_relative_to(folder) for folder in _OF_C):
            # One fault shows that the check is made at all. The others show what it distinguishes.
            place = (item.nodeid.partition("[")[0], *(str(given[name]) for name in _WHERE if name in given))
            again = place in planted
            planted.add(place)
        if other_compiler or again:
            item.add_marker("slow")
