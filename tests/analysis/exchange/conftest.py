"""A run to be exported."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs.write import plain_cases, write_run
from topics.line.cases import pingpong_cases


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = pingpong_cases({(0, 1): ("same_l3", 40.0), (1, 0): ("same_l3", 42.0)})
    return write_run(tmp_path_factory.mktemp("runs") / "run", [*plain_cases(3), *pairs], rounds=7)
