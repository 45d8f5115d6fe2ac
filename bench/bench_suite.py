"""The suite for pytest-benchmark: `pytest bench/`, see docs/pytest.md. One row a case of the plan, none listed here."""

from __future__ import annotations

from typing import Any


def test_row(fencepost_row: Any, fencepost_benchmark: Any) -> None:
    fencepost_benchmark.row(fencepost_row)
