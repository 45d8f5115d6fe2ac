"""The headlines of a run, kept beside its estimate: a comparison asks for them, and for nothing else of the topics."""

from __future__ import annotations

import contextlib
import json
from typing import NamedTuple

from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis

NAME = "headlines.json"


class KeptHeadline(NamedTuple):
    """What is kept of a headline: its label, the case that it was measured as, and its time in ns."""

    label: str
    case: str
    ns: float


def told_headlines(analysis: Analysis) -> list[KeptHeadline]:
    """The headlines of a run as it is in its folder, cheapest first: as they were kept, or found and kept now."""
    folder = analysis.folder
    key = kept.key_of(folder)
    data = kept.read(folder, NAME, key)
    if data is not None:
        with contextlib.suppress(ValueError, TypeError):  # written by somebody else, with a right key
            return [KeptHeadline(*item) for item in json.loads(data)]
    # Only now, as the topics take longer to import than a list that was kept.
    from fencepost.analysis.topics.topic import headline_rungs

    found = [KeptHeadline(rung.label, rung.measured_as, rung.ns.value) for rung in headline_rungs(analysis)]
    kept.write(folder, NAME, key, json.dumps(found).encode())
    return found
