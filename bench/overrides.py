"""Values of parameters that a user gives in place of a profile's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fencepost.bench.errors import UsageError


@dataclass(frozen=True)
class Override:
    """Values given by the user for one parameter, of the kernels that `pattern` matches."""

    pattern: str
    parameter: str
    values: str


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Read ``kernel.parameter=v1,v2`` or, for every selected kernel that has it, ``parameter=v1,v2``.

    Raises
    ------
    UsageError
        when a text has another form.
    """
    overrides = []
    for text in texts:
        left, equals, values = text.partition("=")
        pattern, _, name = left.strip().rpartition(".")
        if not equals or not name or not values.strip():
            raise UsageError(f"--set {text}: write kernel.parameter=value[,value…] or parameter=value[,value…]")
        overrides.append(Override(pattern or "*", name, values))
    return overrides
