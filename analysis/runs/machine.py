"""Facts of machine.json that several topics use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def caches(machine: Mapping[str, object]) -> list[tuple[str, float]]:
    """Data and unified caches that machine.json states, as (``L1d``, bytes), smallest level first; nothing where it
    states none.
    """
    found: dict[str, float] = {}
    entries = machine.get("caches")
    for entry in entries if isinstance(entries, Sequence) else ():
        if not isinstance(entry, Mapping):
            continue
        kind, bytes_, level = (
            str(entry.get("kind", entry.get("type", ""))).lower(),
            entry.get("size_bytes"),
            entry.get("level"),
        )
        if kind in ("data", "unified") and isinstance(bytes_, int | float) and bytes_ > 0:
            found.setdefault(f"L{level}{'d' if kind == 'data' else ''}", float(bytes_))
    return sorted(found.items())
