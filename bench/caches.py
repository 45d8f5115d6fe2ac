"""What machine.json says of caches: how large each is, and which one a core has for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

LAST_OWN_LEVEL = 2
"""Caches beyond it belong to several cores. A guest with one CPU may be told that the third level is its own."""

SMALLEST_OWN_BYTES = 16 << 10
"""What any core has for itself: no first-level cache is smaller."""

TURN_SHARE = 0.5
"""Of the core's own cache, for the memory of two cases that take turns. The rest is for code, stack and page tables.
Two walks that filled it together cost a fifth more in turns than each by itself (docs/experiments.md)."""


class _Cache(NamedTuple):
    level: int
    kind: str
    size_bytes: float
    shared_by: int | None


def caches(machine: Mapping[str, object]) -> list[tuple[str, float]]:
    """Data and unified caches that machine.json states, as (``L1d``, bytes), smallest level first; nothing where it
    states none.
    """
    found: dict[str, float] = {}
    for cache in _stated(machine):
        found.setdefault(f"L{cache.level}{'d' if cache.kind == 'data' else ''}", cache.size_bytes)
    return sorted(found.items())


def own_cache_bytes(machine: Mapping[str, object], cpu: int) -> float:
    """The size of the last cache that the core of a CPU has for itself, as far as machine.json states it.

    Where cores differ it is the smallest that may be meant.
    """
    topology = machine.get("topology")
    cores = topology.get("cores") if isinstance(topology, Mapping) else None
    threads = next((len(core) for core in cores or () if cpu in core), 1)
    own = [
        (-cache.level, cache.size_bytes)
        for cache in _stated(machine)
        if cache.level <= LAST_OWN_LEVEL and cache.shared_by is not None and cache.shared_by <= threads
    ]
    return min(own)[1] if own else SMALLEST_OWN_BYTES


def most_turn_bytes(machine: Mapping[str, object], cpus: Iterable[int]) -> int:
    """How much memory two cases that take turns may have together, on any of these CPUs."""
    return int(TURN_SHARE * min((own_cache_bytes(machine, cpu) for cpu in cpus), default=0))


def _stated(machine: Mapping[str, object]) -> Iterator[_Cache]:
    """The data and unified caches of machine.json, of which schemas check nothing."""
    entries = machine.get("caches")
    for entry in entries if isinstance(entries, Sequence) else ():
        if not isinstance(entry, Mapping):
            continue
        kind, bytes_ = str(entry.get("kind", entry.get("type", ""))).lower(), entry.get("size_bytes")
        level, shared_by = entry.get("level"), entry.get("shared_by")
        if kind in ("data", "unified") and isinstance(level, int) and isinstance(bytes_, int | float) and bytes_ > 0:
            yield _Cache(level, kind, float(bytes_), shared_by if isinstance(shared_by, int) else None)
