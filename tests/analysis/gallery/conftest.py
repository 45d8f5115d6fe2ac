"""A gallery of one machine, made once for the tests of a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs.publish import measured, published
from undrawn import without_drawing


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Each folder has a report, and no test here looks at its pictures; those of tests/analysis/report do."""
    with without_drawing():
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of one machine."""
    base = tmp_path_factory.mktemp("gallery")
    published(base / "results", measured(base / "run"))
    return base / "results"


@pytest.fixture
def results(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "results"))
