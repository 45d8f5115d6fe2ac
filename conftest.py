"""Lets pytest collect `bench/bench_*.py`: their folder is the package `fencepost.bench`, and refuses its plain name."""

import sys

import fencepost.bench

# pytest imports by path, so it asks for `bench`; this is the same package, already there under its own name.
sys.modules.setdefault("bench", fencepost.bench)
