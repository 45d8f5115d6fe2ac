"""Lets pytest collect `bench/bench_*.py`: their folder is the package `fencepost.bench`, and refuses its plain name."""

import contextlib
import sys

import fencepost.bench

# pytest imports by path, so it asks for `bench`; this is the same package, already there under its own name.
sys.modules.setdefault("bench", fencepost.bench)

# What a property asks for is no time: whoever runs it may be taken off its CPU for a second.
with contextlib.suppress(ImportError):  # `pytest bench/` does without hypothesis
    from hypothesis import HealthCheck, settings

    settings.register_profile("fencepost", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fencepost")
