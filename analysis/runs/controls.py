"""Control cases: rows that show the machine and nothing else. Where they move, the machine did, not the code."""

from __future__ import annotations

from collections.abc import Mapping

from fencepost.analysis.text.numbers import size_bytes

SMALLEST_LEVEL_BYTES = 16 << 10
"""A chase in a ring of this size stays in the first-level cache of any machine."""


def is_control(kernel: str, parameters: Mapping[str, object]) -> bool:
    """Whether a row shows the machine and nothing else: one chain of dependent arithmetic, the core's clock, or a chase
    in the first-level cache.

    The empty window is no control by ratios: it reads zero.
    """
    if kernel in ("pipeline/imul100", "clock/core"):
        return True
    if kernel == "pipeline/chain":
        return parameters.get("op") in ("imul", "add") and str(parameters.get("chains")) == "1"
    return kernel == "memory/chase" and size_bytes(parameters.get("size")) <= SMALLEST_LEVEL_BYTES
