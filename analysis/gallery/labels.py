"""Labels of headlines in a published folder: what is the same on every machine, and the regime that one names."""

from __future__ import annotations

import re
from typing import NamedTuple

from fencepost.analysis.stats.interval import Interval

_REGIME = re.compile(r": ([a-z]+(?: \d+)?) \((\d+)%\)")
"""The end of a headline's label that names a regime, see `Rung.each` in `fencepost.analysis.topics.rungs`."""


class Named(NamedTuple):
    """A headline in one of its regimes: its name, its share of the batches in per cent, and its figure."""

    name: str
    share_pct: int
    ns: Interval


def named(label: str, ns: Interval) -> Named | None:
    """The regime that a headline's label names; None where it names none."""
    found = _REGIME.search(label)
    return None if found is None else Named(found[1], int(found[2]), ns)


def stem(label: str) -> str:
    """The part of a headline's label that is the same on every machine: ``… (256 MiB, small pages)`` is not."""
    return re.sub(r"\d+", "several", re.split(r" \(|: ", label)[0].strip())
