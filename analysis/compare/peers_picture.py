"""A picture of `fencepost peers`: latency against throughput, a point for each queue."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fencepost.analysis.compare.peers import OURS, ROUND_TRIP, SPSC, Cell, PeerComparison, Ring
from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.draw.scatter import Spot, scatter
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.text.numbers import short
from fencepost.analysis.text.table import Table

CAPACITY, BYTES, BATCH, PAUSE = 1024, 8, 1, "yes"
"""What both axes are measured with: single items of 8 bytes, with a spin hint."""

_ENDING = "_round_trip"
_OURS, _PEERS, _MINE = 0, 7, 1
"""Colours of the palette: blue, grey, red."""


def draw_peers(found: PeerComparison) -> Figure | None:
    """The picture; None where no queue has both a round trip and a throughput.

    A queue is further to the left if an item comes back sooner, and higher if it passes more items.
    """
    trips = {name.removesuffix(_ENDING): ring for name, ring in _rings(found, ROUND_TRIP).items()}
    streams = {name.removesuffix("_spsc"): ring for name, ring in _rings(found, SPSC).items()}
    names = [name for name in streams if trips.get(name) is not None or trips.get(f"{name}_spsc") is not None]
    spots, rows = [], []
    for name in names:
        trip, stream = trips.get(name) or trips[f"{name}_spsc"], streams[name]
        # By the raw round trip beside each value, as in the tables: it changes with the places of a guest's CPUs.
        x, y = _bounds(trip.value), _bounds(stream.value)
        rate = (1 / y[0], 1 / y[2], 1 / y[1])
        label = name if name.startswith(OURS) else name.partition("/")[2]
        colour = _OURS if name.startswith(OURS) else _MINE if stream.name in found.mine else _PEERS
        spots.append(Spot(label, x, rate, colour))
        rows.append((label, short(x[0]), short(rate[0])))
    if not spots:
        return None
    title = "Latency and throughput of queues between two threads"
    x_label, y_label = "round trip of an item, in raw round trips", "items in the time of a raw round trip"
    description = (
        f"{len(spots)} queues of one producer and one consumer: capacity {CAPACITY}, single items of {BYTES} bytes, "
        "with a spin hint. A raw round trip is that of one line between the two CPUs. Left and above is better. "
        "Blue points are fencepost's rings, red ones are yours."
    )
    table = Table(title, ("queue", x_label, y_label), tuple(rows))
    return scatter("peers", title, description, table, spots, x_label=x_label, y_label=y_label)


def _rings(found: PeerComparison, family: str) -> Mapping[str, Ring]:
    """The rings with a time in the cell that the picture shows, by name."""
    # Of several places of the CPUs, the one that held longest.
    main = max(found.places, key=lambda place: place.share, default=None)
    cells = (cell for cell in found.cells if cell.family == family and cell.place == main and _is_shown(cell))
    return {ring.name: ring for cell in cells for ring in cell.rings if ring.value.value > 0}


def _is_shown(cell: Cell) -> bool:
    given = cell.parameters
    return (int(given["capacity"]), int(given["bytes"]), int(given["batch"]), given["pause"]) == (
        CAPACITY,
        BYTES,
        BATCH,
        PAUSE,
    )


def _bounds(interval: Interval) -> tuple[float, float, float]:
    """Value and bounds; the value itself where there are too few rounds for bounds."""
    low, high = (interval.value if math.isnan(bound) else bound for bound in (interval.low, interval.high))
    return interval.value, low, high
