"""Why each sentence of the lecture notes should hold, and which range it predicts: ``docs/mechanisms.md``."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fencepost.analysis.text.pages import PAGES


class Predicted(StrEnum):
    """Where the deciding figure lies if the sentence is true: see `fencepost.analysis.topics.claim.Measure`."""

    ABOVE = "above"
    """Above the highest limit."""
    BELOW = "below"
    """Below the lowest limit, or at it."""
    BETWEEN = "between"
    """Between the two limits."""
    AT = "at"
    """At the limit itself, because the figure is counted."""


@dataclass(frozen=True)
class Mechanism:
    """What is predicted, and the reason in three sentences."""

    predicted: Predicted
    text: str


@functools.cache
def mechanisms() -> Mapping[str, Mechanism]:
    """Those of all sentences, by the id of the claim.

    Raises
    ------
    ValueError
        where a section of the file has another form.
    """
    return parse((PAGES.parent / "mechanisms.md").read_text(encoding="utf-8"))


def parse(page: str) -> Mapping[str, Mechanism]:
    """The sections of a page, by their headings; raises `ValueError` as `mechanisms` does."""
    _, *parts = re.split(r"^## +(.+?) *$", page, flags=re.MULTILINE)
    found = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        match = re.fullmatch(r"\s*Predicted: (\w+)\s+(.+?)\s*", body, re.DOTALL)
        if match is None or match[1] not in set(Predicted):
            raise ValueError(f"docs/mechanisms.md: the section '## {name}' names no prediction, or no mechanism")
        found[name] = Mechanism(Predicted(match[1]), " ".join(match[2].split()))
    return found
