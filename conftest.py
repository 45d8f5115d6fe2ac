"""Lets pytest collect `bench/bench_*.py`, and leaves to `make test-slow` the code of all compilers but one."""

import contextlib
import sys
from collections.abc import Iterable

import pytest

import fencepost.bench

# The folder bench/ is the package `fencepost.bench`, and refuses its plain name. pytest imports by path, so it asks for
# `bench`; this is the same package, already there under its own name.
sys.modules.setdefault("bench", fencepost.bench)

# What a property asks for is no time: whoever runs it may be taken off its CPU for a second.
with contextlib.suppress(ImportError):  # `pytest bench/` does without hypothesis
    from hypothesis import HealthCheck, settings

    settings.register_profile("fencepost", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fencepost")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark as slow what looks at the code of another compiler than gcc."""
    for item in items:
        call = getattr(item, "callspec", None)
        toolchain = None if call is None else call.params.get("toolchain")
        # The code of one compiler shows most faults of a kernel, and each of the others takes as long.
        if toolchain is not None and toolchain.name != "gcc":
            item.add_marker("slow")
