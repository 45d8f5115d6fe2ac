"""A file for another tool, and the sentence that says why there is none."""

from __future__ import annotations

from dataclasses import dataclass


class ExchangeError(ValueError):
    """A file cannot be read, or a run not be written in a format: one sentence with file, field and the way out."""


@dataclass(frozen=True)
class Exported:
    """The text of a file, and one sentence for each thing that the format could not hold."""

    text: str
    left_out: list[str]
