"""The report of a fleet as one HTML file: offline, without a script."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from fencepost.analysis.compare.fleet import FleetReport, HostVerdict, MakeReport
from fencepost.analysis.report.html import environment
from fencepost.analysis.stats.hosts import FEWEST_HOSTS
from fencepost.analysis.text.numbers import bounds, counted, plain

NO_SCRIPT = base64.b64encode(hashlib.sha256(b"").digest()).decode()
"""What the policy of the page allows: nothing."""

WIDTH, HEIGHT = 240, 60
"""Of a picture of a host, in its own units."""

_LEAST_REACH = 1.05


@dataclass(frozen=True)
class Small:
    """A host as a small picture: a dot for each case, those that make it differ apart from the others."""

    host: str
    runs: int
    said: str
    dots: str
    marked: str


def sentence(verdict: HostVerdict) -> str:
    """What a host is found to be: ``slower in 10 cases: 1.030 [1.021, 1.039]``."""
    word = "slower" if verdict.ratio > 1 else "faster"
    count = len(verdict.cases)
    where = "as a whole" if not count else "in 1 case" if count == 1 else f"in {count} cases"
    interval = f" {bounds(verdict.low, verdict.high)}" if math.isfinite(verdict.low) else ""
    return f"{word} {where}: {plain(verdict.ratio)}{interval}"


def as_page(report: FleetReport) -> str:
    """The page as one HTML file."""
    pictures = [(make, reach, _pictures(make, reach)) for make in report.makes for reach in [_reach(make)]]
    template = environment().get_template("fleet.html.j2")
    tools = {"sentence": sentence, "counted": counted, "plain": plain, "bounds": bounds, "fewest": FEWEST_HOSTS}
    return template.render(report=report, makes=pictures, script_hash=NO_SCRIPT, **tools)


def _reach(make: MakeReport) -> float:
    """Where the pictures of all hosts end, as a ratio: what 99 of 100 dots need."""
    far = sorted(abs(math.log(ratio)) for row in make.ratios for ratio in row if ratio is not None)
    return max(math.exp(far[int(0.99 * (len(far) - 1))]) if far else 1.0, _LEAST_REACH)


def _pictures(make: MakeReport, reach: float) -> list[Small]:
    """Named hosts first."""
    verdicts: dict[str, list[HostVerdict]] = {}
    for verdict in make.verdicts:
        verdicts.setdefault(verdict.host, []).append(verdict)
    places = {one.case: place for place, one in enumerate(make.cases)}
    found = []
    for host, runs, row in zip(make.hosts, make.runs, make.ratios, strict=True):
        own = verdicts.get(host, [])
        marked = {places[case] for verdict in own for case in verdict.cases}
        rest = [place for place in range(len(row)) if place not in marked]
        said = "; ".join(map(sentence, own))
        found.append(Small(host, runs, said, _dots(row, rest, reach), _dots(row, sorted(marked), reach)))
    return sorted(found, key=lambda small: not small.said)


def _dots(row: Sequence[float | None], places: Sequence[int], reach: float) -> str:
    """Dots as one path: strokes of no length with round ends."""
    parts = []
    for place in places:
        ratio = row[place]
        if ratio is not None:
            up = max(-1.0, min(math.log(ratio) / math.log(reach), 1.0))
            x = (place + 0.5) / len(row) * WIDTH
            parts.append(f"M{x:.1f} {HEIGHT / 2 - up * (HEIGHT / 2 - 3):.1f}h0")
    return "".join(parts)
