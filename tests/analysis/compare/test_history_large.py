"""A history of many runs and machines, from a database that is made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import duckdb
import numpy as np
import pytest

from fencepost.analysis.compare import history, history_kept
from fencepost.analysis.compare.collected import Collected, CollectedRun
from fencepost.analysis.compare.history import as_json
from fencepost.analysis.runs.labels import MachineIdentity
from fencepost.analysis.runs.row import SERIES_COLUMNS
from fencepost.analysis.stats.changes import FEWEST_RUNS

MACHINES = ("one", "two", "three")


class MadeUp:
    """Runs of three machines in turn, with one case whose time is the number of the run."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers: dict[str, bytes] = {}
        self.key = "key"
        self.runs = [
            CollectedRun(
                number,
                Path(f"run{number}"),
                str(number),
                "",
                f"run{number}",
                f"2026-01-{number // 3 + 1:02d}T00:00:00+00:00",
                MachineIdentity(MACHINES[number % 3]),
                {},
                1.0,
                6,
            )
            for number in range(3 * FEWEST_RUNS)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __len__(self) -> int:
        return len(self.runs)

    def answer(self, asked: str) -> bytes | None:
        return self.answers.get(asked)

    def keep(self, asked: str, answer: bytes) -> None:
        self.answers[asked] = answer

    def cases(self) -> list[tuple[int, str, str, bool]]:
        return [(7, "plain/loop@cpu1", "plain/loop", False)]

    def points(self, runs: Sequence[int], rows: Sequence[int]) -> dict[str, Any]:
        self.asked.append(len(runs))
        times = np.ma.array(np.array(runs, float) + 1)
        count = len(runs)
        return {
            "row": np.full(count, rows[0]),
            "place": np.arange(count),
            **dict.fromkeys(SERIES_COLUMNS, times),
            "alone": np.ma.array(np.full(count, True)),
        }


@pytest.mark.parametrize(
    ("points_at_once", "asked"), [(1, [FEWEST_RUNS] * 3), (2 * FEWEST_RUNS, [20, 10]), (10**6, [3 * FEWEST_RUNS])]
)
def test_each_machine_has_its_own_runs_however_many_are_read_at_once(
    points_at_once: int, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "POINTS_AT_ONCE", points_at_once)
    made_up = MadeUp()
    found = history.history_of(cast(Collected, made_up), Path("runs"))
    assert made_up.asked == asked
    assert [machine.key for machine in found.machines] == list(MACHINES)
    for number, machine in enumerate(found.machines):
        assert [run.id for run in machine.runs] == [f"run{number + 3 * day}" for day in range(FEWEST_RUNS)]
        (series,) = machine.series
        assert series.ns.tolist() == [number + 3 * day + 1 for day in range(FEWEST_RUNS)]
        assert series.run.tolist() == list(range(FEWEST_RUNS)) and series.basis == "alone"


def test_a_history_of_very_many_runs_is_kept_in_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = MadeUp()
    made_up.runs = [one._replace(folder=tmp_path / one.folder) for one in made_up.runs]
    for one in made_up.runs:
        one.folder.mkdir()
        (one.folder / "run.json").touch()
    monkeypatch.setattr(history_kept, "Collected", lambda *_, **__: made_up)
    for most, in_last_run in ((len(made_up) - 1, False), (len(made_up), True)):
        monkeypatch.setattr(history_kept, "MOST_RUNS", most)
        first, asked = history_kept.kept_history(tmp_path), len(made_up.asked)
        again = history_kept.kept_history(tmp_path)
        assert len(made_up.asked) == asked and repr(as_json(again, {})) == repr(as_json(first, {}))
        assert bool(list(tmp_path.glob(f"*/cache/{history_kept.NAME}"))) is in_last_run
    assert len(made_up.answers) == 1
    made_up.answers = dict.fromkeys(made_up.answers, b"nonsense")
    monkeypatch.setattr(history_kept, "MOST_RUNS", 0)
    assert repr(as_json(history_kept.kept_history(tmp_path), {})) == repr(as_json(first, {}))


def test_damage_that_is_met_late_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up, again = MadeUp(), MadeUp()
    points = made_up.points

    def damaged(*_: object) -> dict[str, Any]:
        raise duckdb.IOException("a block")

    def mended() -> None:
        made_up.points = points  # type: ignore[method-assign]

    (tmp_path / "run0").mkdir()
    (tmp_path / "run0" / "run.json").touch()
    made_up.points = damaged  # type: ignore[assignment,method-assign]
    made_up.make_again = mended  # type: ignore[attr-defined]
    monkeypatch.setattr(history_kept, "Collected", lambda *_, **__: made_up)
    found = history_kept.kept_history(tmp_path)
    assert repr(found.machines) == repr(history.history_of(cast(Collected, again), tmp_path).machines)
