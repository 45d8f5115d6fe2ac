"""A comparison with peers in the form that `fencepost peers --json` prints."""

from __future__ import annotations

from dataclasses import asdict

from fencepost.analysis.compare.peers import PeerComparison, peer_name
from fencepost.analysis.stats.interval import Interval


def as_json(comparison: PeerComparison) -> dict[str, object]:
    """The comparison as `fencepost peers --json` prints it."""

    def interval(of: Interval) -> dict[str, object]:
        return {"value": of.value, "low": of.low, "high": of.high, "rounds": of.n}

    return {
        "values": comparison.measured,
        "set_aside": comparison.set_aside,
        "quiet": comparison.quiet,
        "places": [asdict(place) for place in comparison.places],
        "cells": [
            {
                "cell": cell.title,
                "parameters": dict(cell.parameters),
                "place": cell.place.name if cell.place else None,
                "unit": cell.unit,
                "best_peer": peer_name(cell.best) or None,
                "ratio": interval(cell.ratio),
                "rings": [
                    {
                        "ring": ring.name,
                        "case": ring.case,
                        **interval(ring.value),
                        "ns": interval(ring.ns),
                        "full_per_item": ring.refused_full,
                        "empty_per_item": ring.refused_empty,
                        "set_aside": ring.set_aside,
                        "failed_rounds": ring.faults,
                        "reason": ring.reason,
                    }
                    for ring in cell.rings
                ],
            }
            for cell in comparison.cells
        ],
        "own": [
            {"cell": one.cell, "ring": one.name, "against": one.against, "ratio": interval(one.ratio)}
            for one in comparison.own
        ],
        "bars": [
            {
                "what": bar.what,
                "against": bar.against or None,
                "limit": bar.limit,
                "at_least": bar.at_least,
                **interval(bar.seen),
                "more_rounds": bar.more,
                "verdict": bar.verdict,
            }
            for bar in comparison.bars
        ],
    }
