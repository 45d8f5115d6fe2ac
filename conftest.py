"""Lets pytest collect `bench/bench_*.py`, and sorts the tests: which `make test` runs, and in which process."""

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import fencepost.bench

TESTS = Path(__file__).resolve().parent / "tests"

# The folder bench/ is the package `fencepost.bench`, and refuses its plain name. pytest imports by path, so it asks for
# `bench`; this is the same package, already there under its own name.
sys.modules.setdefault("bench", fencepost.bench)

# What a property asks for is no time: whoever runs it may be taken off its CPU for a second.
with contextlib.suppress(ImportError):  # `pytest bench/` does without hypothesis
    from hypothesis import HealthCheck, settings

    settings.register_profile("fencepost", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fencepost")


def measures(path: Path) -> bool:
    """Whether a test file runs kernels, workers or compilers: those want the CPUs for themselves."""
    parts = path.relative_to(TESTS).parts
    if parts[0] == "topics":
        return path.stem not in ("test_claims", "test_figures", "test_topics")
    return parts[0] not in ("analysis", "published")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark what measures, and as slow what looks at the code of another compiler than gcc."""
    for item in items:
        if item.path.is_relative_to(TESTS) and measures(item.path):
            item.add_marker("measures")
        call = getattr(item, "callspec", None)
        toolchain = None if call is None else call.params.get("toolchain")
        # The code of one compiler shows most faults of a kernel, and each of the others takes as long.
        if toolchain is not None and toolchain.name != "gcc":
            item.add_marker("slow")
