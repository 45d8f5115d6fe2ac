"""A run in the format of another tool: at once where it was written in this format before.

A format holds what it can, and the sentences beside the text say what it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fencepost.analysis.exchange.exported import ExchangeError, Exported
from fencepost.analysis.runs import kept

if TYPE_CHECKING:
    from fencepost.analysis.runs.estimate import Analysis

FORMATS = ("pytest-benchmark", "pyperf", "google-benchmark", "bmf", "csv", "core-to-core", "openmetrics", "otava")


def export(folder: Path | str, wanted: str) -> Exported:
    """A run folder in the format `wanted`, one of `FORMATS`.

    Raises
    ------
    ExchangeError
        where the run has nothing that the format could hold, or there is no such format.
    RunFolderError
        where the folder is damaged.
    """
    if wanted not in FORMATS:
        raise ExchangeError(f"no format {wanted!r}; there are {', '.join(FORMATS)}")
    folder = Path(folder)
    name, key = f"export-{wanted}", kept.key_of(folder)
    data = kept.read(folder, name, key)
    if data is not None:
        try:
            return _decoded(data)
        except ValueError:  # written by somebody else, with a right key
            pass
    found = _exported(folder, wanted)
    kept.write(folder, name, key, _encoded(found))
    return found


def _encoded(found: Exported) -> bytes:
    """A line of JSON with the sentences, then the text."""
    return f"{json.dumps(found.left_out)}\n{found.text}".encode()


def _decoded(data: bytes) -> Exported:
    sentences, _, text = data.decode().partition("\n")
    left_out = json.loads(sentences)
    if not isinstance(left_out, list):
        raise ValueError("no list of sentences")
    return Exported(text, left_out)


def _exported(folder: Path, wanted: str) -> Exported:
    from fencepost.analysis.runs.estimated import analysis_of
    from fencepost.analysis.topics.headlines import told_headlines

    analysis = analysis_of(folder)
    if not analysis.rounds:
        raise ExchangeError(f"{folder}: no complete round yet, so there is nothing to export; run it to its end first")
    told_headlines(analysis)
    return _writers()[wanted](analysis)


def _writers() -> dict[str, Callable[[Analysis], Exported]]:
    # Only now, as their imports take longer than an answer that was kept.
    from fencepost.analysis.exchange.bencher import bmf
    from fencepost.analysis.exchange.core_to_core import core_to_core
    from fencepost.analysis.exchange.google_benchmark import google
    from fencepost.analysis.exchange.openmetrics import openmetrics
    from fencepost.analysis.exchange.otava import otava
    from fencepost.analysis.exchange.pyperf import pyperf
    from fencepost.analysis.exchange.pytest_benchmark import pytest_benchmark
    from fencepost.analysis.exchange.table import write_csv

    return {
        "pytest-benchmark": pytest_benchmark,
        "pyperf": pyperf,
        "google-benchmark": google,
        "bmf": bmf,
        "csv": write_csv,
        "core-to-core": core_to_core,
        "openmetrics": openmetrics,
        "otava": otava,
    }
