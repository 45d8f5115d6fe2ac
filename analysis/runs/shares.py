"""How much of a run was quiet, and who disturbed the rest, by the witnesses beside its batches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.row import Row


@dataclass(frozen=True)
class BatchShares:
    """Shares of the batches of one thread, in per cent, and how many of its `rows` are `alone`.

    `broken_pct`: those that interrupts or other threads broke into, free or not. `shared`: rows that can never be
    alone, since other cores use the same memory.
    """

    free_pct: float
    neighbour_pct: float
    clock_pct: float
    broken_pct: float
    alone: int
    shared: int
    rows: int

    @property
    def sentence(self) -> str:
        """Who disturbed: ``the core was free in 45 % of the batches, a neighbour shared it in 53 %``."""
        said = [f"the core was free in {share(self.free_pct)} of the batches"]
        if self.neighbour_pct >= LEAST_SAID_PCT:
            said.append(f"a neighbour shared it in {share(self.neighbour_pct)}")
        if self.clock_pct >= LEAST_SAID_PCT:
            said.append(f"its clock moved in {share(self.clock_pct)}")
        if self.broken_pct >= LEAST_SAID_PCT:
            said.append(f"interrupts or other threads broke into {share(self.broken_pct)}")
        return ", ".join(said)


LEAST_SAID_PCT = 0.5


def share(pct: float) -> str:
    """A share in whole per cent, such as ``45 %``; nothing where it is not known."""
    return "" if math.isnan(pct) else f"{pct:.0f} %"


def shares_of(rows: Iterable[Row]) -> BatchShares | None:
    """The shares over all rows of one thread, each batch counted once; None where the run had no witness."""
    single = [row for row in _of_one_thread(rows) if row.witnessed]
    if not single:
        return None
    free, neighbour, clock = (_mean(single, name) for name in ("free_pct", "neighbour_pct", "clock_pct"))
    alone, shared = sum(row.alone for row in single), sum(row.never_alone is not None for row in single)
    return BatchShares(free, neighbour, clock, _mean(single, "disturbed_pct"), alone, shared, len(single))


def broken_pct(rows: Iterable[Row]) -> float:
    """The share of the batches of one thread that interrupts or other threads broke into, in per cent, by their flags.

    0 where there are none. It needs no witness.
    """
    single = [row for row in _of_one_thread(rows) if not math.isnan(row.disturbed_pct)]
    return _mean(single, "disturbed_pct") if single else 0.0


def bases_of(rows: Iterable[Row]) -> dict[str, int]:
    """How many of these rows are ``alone`` and how many ``as found``, as far as they have a time."""
    return dict(Counter(row.basis for row in rows if row.basis is not None))


def basis_text(bases: Mapping[str, int]) -> str:
    """Which figures these are, in words: ``alone``, or ``12 rows alone, 3 as found``; empty of none."""
    if len(bases) < 2:
        return next(iter(bases), "")
    alone, found = bases["alone"], bases["as found"]
    return f"{alone} {'row' if alone == 1 else 'rows'} alone, {found} as found"


def _of_one_thread(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.single and not row.once and row.batches]


def _mean(rows: list[Row], name: str) -> float:
    """The mean of a column, each batch counted once."""
    return float(np.average([getattr(row, name) for row in rows], weights=[row.batches for row in rows]))
