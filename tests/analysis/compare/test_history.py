"""Changes over the runs of a machine: found where they were planted, and not where there is noise only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st
from runs import write as synthetic
from runs.measure import fencepost_inside
from runs.pages import pictures

from fencepost.analysis.compare import history_kept
from fencepost.analysis.compare.collected import Collected
from fencepost.analysis.compare.history import (
    Change,
    History,
    HistoryError,
    MachineHistory,
    RowSeries,
    _attribute,
    as_json,
    changes_of,
    history,
    machine_shifts,
)
from fencepost.analysis.compare.history_kept import kept_history
from fencepost.analysis.compare.history_picture import draw
from fencepost.analysis.runs.controls import is_control
from fencepost.analysis.stats.changes import COVERAGE, FALSE_RATE, FEWEST_RUNS

CHAIN = synthetic.Case("pipeline/chain", {"op": "imul", "chains": 1}, ns=0.8)
CHASE = synthetic.Case("memory/chase", {"size": "4KiB", "pages": "small", "order": "random"}, ns=1.1)
CALL = synthetic.Case("clock/call", {"clock": "monotonic", "via": "libc"}, ns=22)
FENCE = synthetic.Case("fence/cost", {"fence": "mfence"}, ns=15)
Values = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def fewer_permutations(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to tell a planted change from noise. The rates that are promised are tried with all, in the slow tests."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr("fencepost.analysis.stats.changes.PERMUTATIONS", 999)


def series(values: Sequence[float] | Values) -> RowSeries:
    ns = np.asarray(values, float)
    return RowSeries("a/b@cpu1", "a/b", False, np.arange(len(ns)), ns, ns * 0.99, ns * 1.01)


# ---- one series ----

NOISES: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "normal": lambda g, n: g.standard_normal(n),
    "heavy tails": lambda g, n: g.standard_t(3, n),
    "skewed": lambda g, n: g.exponential(1, n),
    "a coarse counter": lambda g, n: np.round(g.standard_normal(n)),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_noise_shows_a_change_no_more_often_than_said(noise: str) -> None:
    """The exact upper bound of the rate over 400 series stays below 4 %; docs/history.md has longer simulations."""
    from scipy import stats  # imported by few: it takes a second

    generator = np.random.default_rng(6)
    lengths = generator.integers(FEWEST_RUNS, 40, 400)
    found = sum(bool(changes_of(series(np.exp(0.01 * NOISES[noise](generator, n))))) for n in lengths)
    upper = stats.binomtest(found, len(lengths)).proportion_ci(0.95).high
    assert upper < 4 * FALSE_RATE


@pytest.mark.slow  # steps in a long series, and planted ones in runs, are found below
@hypothesis.settings(max_examples=30, deadline=None, derandomize=True)
@hypothesis.given(
    st.integers(12, 40), st.floats(0.1, 0.9), st.floats(0.05, 3), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_a_step_is_found_within_one_run(n: int, share: float, step: float, up: bool, seed: int) -> None:
    """A step of ten times the noise and more, wherever it is, as long as four runs stand on each side."""
    cut = int(np.clip(round(share * n), 4, n - 4))
    values = np.exp(np.random.default_rng(seed).normal(0, 0.005, n))
    values[cut:] *= 1 + step if up else 1 / (1 + step)
    found = changes_of(series(values), 0.5)
    # A part without a step may show one by chance: its interval is then next to 1.
    change = max(found, key=lambda one: abs(np.log(one.ratio)))
    assert abs(change.at - cut) <= 1
    assert change.earliest <= change.at <= change.latest
    assert change.low <= change.ratio <= change.high
    assert change.p <= FALSE_RATE
    assert (change.ratio > 1) is up


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    from scipy import stats  # imported by few: it takes a second

    generator = np.random.default_rng(8)
    place = ratio = found = 0
    for _ in range(80):
        values = np.exp(generator.normal(0, 0.01, 24))
        values[11:] *= 1.025
        changes = changes_of(series(values))
        if len(changes) == 1:
            found += 1
            place += changes[0].earliest <= 11 <= changes[0].latest
            ratio += changes[0].low <= 1.025 <= changes[0].high
    assert found > 70
    for held in (place, ratio):
        # 95 % is not refused; the cut is chosen after a look, which costs the ratio a little.
        assert stats.binomtest(held, found).proportion_ci(0.99).high > COVERAGE
        assert held / found > 0.88


def test_two_steps_and_a_bump_are_all_found() -> None:
    generator = np.random.default_rng(4)
    values = np.exp(generator.normal(0, 0.003, 36))
    values[12:24] *= 1.06
    changes = changes_of(series(values))
    assert [change.at for change in changes] == [12, 24]
    assert changes[0].ratio == pytest.approx(1.06, rel=0.01)
    assert changes[1].ratio == pytest.approx(1 / 1.06, rel=0.01)


@pytest.mark.parametrize("size", [1.3, 30.0])
def test_one_run_that_went_wrong_is_no_change_and_hides_none(size: float) -> None:
    values = np.exp(np.random.default_rng(9).normal(0, 0.003, 24))
    values[5] *= size
    assert changes_of(series(values)) == []
    values[15:] *= 1.05
    assert [change.at for change in changes_of(series(values))] == [15]


def test_changes_below_the_noise_floor_are_not_looked_at() -> None:
    values = np.exp(np.random.default_rng(3).normal(0, 0.001, 20))
    values[10:] *= 1.01
    assert [change.at for change in changes_of(series(values), 0.3)] == [10]
    assert changes_of(series(values), 2.0) == []


def test_a_small_change_beside_a_large_one_is_dropped_alone() -> None:
    values = np.exp(np.random.default_rng(5).normal(0, 0.0005, 36))
    values[12:] *= 1.004
    values[24:] *= 1.1
    (change,) = changes_of(series(values), 1.0)
    assert change.at == 24


@pytest.mark.parametrize("values", [[1.0] * 20, [1.0] * 9, [1.0, 2.0] * 2])
def test_nothing_is_made_of_constants_or_of_few(values: list[float]) -> None:
    assert changes_of(series(values)) == []


def test_runs_without_the_row_are_counted() -> None:
    values = np.array([1.0, 1.001, 0.999, 1.002, 1.001, 1.0, 2.0, 2.001, 1.999, 2.002, 2.001, 2.0])
    where = np.array([0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14])
    (change,) = changes_of(RowSeries("a/b@cpu1", "a/b", False, where, values, values, values))
    assert change.at == 9


# ---- machine or row ----


def moved(case: str, at: int, ratio: float) -> Change:
    return Change(case, at, at, at, 1.0, ratio, ratio, ratio * 0.99, ratio * 1.01, 1e-4)


def named(case: str, control: bool = False) -> RowSeries:
    ns = np.ones(20)
    return RowSeries(case, case, control, np.arange(20), ns, ns, ns)


def test_what_moves_with_a_control_is_the_machine() -> None:
    rows = [named("control", control=True), *(named(name) for name in "abcde")]
    changes = [moved("control", 10, 1.1), moved("a", 11, 1.11), moved("b", 10, 1.5), moved("c", 15, 1.1)]
    shifts = machine_shifts(rows, changes)
    assert [shift.at for shift in shifts] == [10]
    assert shifts[0].ratio == pytest.approx(1.1)
    kinds = {change.case: change for change in _attribute(changes, shifts, 0.1)}
    assert {name: change.kind for name, change in kinds.items()} == {
        "control": "machine",
        "a": "machine",
        "b": "row and machine",
        "c": "row",
    }
    assert kinds["b"].net_ratio == pytest.approx(1.5 / 1.1)


def test_most_rows_that_move_alike_are_the_machine_too() -> None:
    rows = [named(name) for name in "abcdefgh"]
    changes = [moved(name, 10 + position % 2, 0.9) for position, name in enumerate("abcd")]
    assert len(machine_shifts(rows, changes)) == 1
    assert machine_shifts(rows, changes[:3]) == []
    # In both directions, so not alike.
    assert machine_shifts(rows, [*changes[:2], moved("c", 10, 1.1), moved("d", 10, 1.1)]) == []


@pytest.mark.parametrize(
    ("kernel", "parameters", "control"),
    [
        ("pipeline/chain", {"op": "imul", "chains": 1}, True),
        ("pipeline/chain", {"op": "imul", "chains": 2}, False),
        ("pipeline/imul100", {}, True),
        ("memory/chase", {"size": "4KiB"}, True),
        ("memory/chase", {"size": 16384}, True),  # as run.json has it
        ("clock/core", {"state": "warm"}, True),
        ("clock/empty", {}, False),
        ("memory/chase", {"size": "256KiB"}, False),
        ("clock/null_syscall", {}, False),
    ],
)
def test_controls_show_the_machine_and_nothing_else(kernel: str, parameters: dict[str, Any], control: bool) -> None:
    assert is_control(kernel, parameters) is control


# ---- folders of runs ----


def write_runs(
    base: Path,
    factors: Sequence[dict[str, float]],
    *,
    rounds: int = 6,
    edit: Callable[[int, dict[str, Any]], None] | None = None,
) -> Path:
    """One run a day at irregular hours; `factors` multiply kernels, run by run ("" means all)."""
    generator = np.random.default_rng(12)
    for number, factor in enumerate(factors):
        cases = []
        for case in (CHAIN, CHASE, CALL, FENCE):
            scale = factor.get(case.kernel, 1) * factor.get("", 1) * float(np.exp(generator.normal(0, 0.002)))
            changed = replace(case, ns=case.ns * scale, process_noise=0.002)
            cases.append(changed)
        cases.append(cases[0].twin())
        folder = base / f"202601{number + 1:02d}T0{number % 7}0000Z-synthetic"
        synthetic.write_run(folder, cases, rounds=rounds, seed=number, batches=4, unmeasurable=())
        path = folder / "run.json"
        document = json.loads(path.read_text())
        document["created_utc"] = f"2026-01-{number + 1:02d}T0{number % 7}:00:00Z"
        if edit is not None:
            edit(number, document)
        path.write_text(json.dumps(document))
    return base


def compiled(label: str, digit: str) -> dict[str, Any]:
    """A kernel file of the reader's own as run.json has it, with a hash of that digit."""
    words = {"source_sha256": digit * 64, "sha256": digit * 64, "compiler": "gcc", "flags": "-O2", "key": digit * 40}
    return {"label": label, "files": [label], **words}


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen runs: from the seventh on clock/call is 8 % slower, and the engine another."""

    def edit(number: int, document: dict[str, Any]) -> None:
        document["engine"]["sha256"] = ("1" if number >= 7 else "0") * 64
        # Another file of a user's own each few runs, and one that comes on the way.
        document["objects"] = [compiled("mine.c", "3" if number >= 8 else "2")]
        document["objects"] += [compiled("late.c", "4")] if number >= 5 else []

    factors = [{"clock/call": 1.08} if number >= 7 else {} for number in range(14)]
    return write_runs(tmp_path_factory.mktemp("stepped"), factors, edit=edit)


def test_a_planted_change_is_found_with_what_was_made_differently(stepped: Path) -> None:
    found = history(stepped, processes=1)
    (machine,) = found.machines
    (change,) = machine.changes
    assert change.case == CALL.id
    assert abs(change.at - 7) <= 1
    assert change.low < 1.08 < change.high
    assert change.kind == "row"
    assert machine.shifts == []
    assert [(mark.at, mark.what) for mark in machine.marks] == [(7, "engine"), (8, "file mine.c")]
    assert "engine" in [mark.what for mark in machine.marks_at(change)]
    assert len(machine.series) == 4  # twins are the same code
    assert 0 < machine.floor_pct < 1


def test_a_machine_that_became_slower_is_said_apart(tmp_path: Path) -> None:
    factors: list[dict[str, float]] = [{"": 1.07} if number >= 6 else {} for number in range(12)]
    for factor in factors[6:]:
        factor["fence/cost"] = 1.5
    (machine,) = history(write_runs(tmp_path, factors), processes=1).machines
    (shift,) = machine.shifts
    assert shift.because == "control cases moved"
    assert shift.ratio == pytest.approx(1.07, rel=0.01)
    kinds = {change.case: change.kind for change in machine.changes}
    assert kinds == {CHAIN.id: "machine", CHASE.id: "machine", CALL.id: "machine", FENCE.id: "row and machine"}
    net = next(change.net_ratio for change in machine.changes if change.case == FENCE.id)
    assert net == pytest.approx(1.5, rel=0.02)


def test_machines_are_kept_apart_and_what_is_left_out_is_said(stepped: Path, tmp_path: Path) -> None:
    for path in stepped.iterdir():
        (tmp_path / path.name).symlink_to(path)

    def other(_number: int, document: dict[str, Any]) -> None:
        document["machine_key"] = "another-machine"
        document["id"] += "-other"

    broken = tmp_path / "20260301T000000Z-broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    others = write_runs(tmp_path / "others", [{"": 3.0}] * 3)
    for path in sorted(others.iterdir()):
        document = json.loads((path / "run.json").read_text())
        document["machine_key"] = "another-machine"
        (path / "run.json").write_text(json.dumps(document))
        path.rename(tmp_path / (path.name + "-other"))
    synthetic.write_run(tmp_path / "20260401T000000Z-short", [CHAIN], rounds=2, batches=4, unmeasurable=())
    found = history(tmp_path, processes=1)
    assert [machine.key for machine in found.machines] == ["synthetic-0123abcd"]
    assert len(found.machines[0].runs) == 14
    words = " | ".join(found.notes)
    assert "another-machine: 3 runs, too few" in words
    assert "20260301T000000Z-broken" in words
    assert "2 complete rounds are too few" in words


def test_too_few_runs_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="`fencepost run` makes the first run"):
        history(tmp_path)
    write_runs(tmp_path, [{}] * 3)
    done = fencepost_inside("history", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "3 runs of one machine" in done.stderr
    assert "a history takes 10" in done.stderr
    nightly = fencepost_inside("history", str(tmp_path), "--fail-on", "changed", cwd=tmp_path)
    assert nightly.returncode == 0 and "nothing is judged yet" in nightly.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "no such folder"),
        ((".", "--picture", "a.pdf"), "end its name in .svg or .png"),
        ((".", "--kernels", "clok/*"), "no row of these runs is called clok/*"),
    ],
)
def test_wrong_use_is_one_sentence(stepped: Path, arguments: tuple[str, ...], words: str) -> None:
    done = fencepost_inside("history", *arguments, cwd=stepped)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_prints_a_table_and_json(stepped: Path, tmp_path: Path) -> None:
    done = fencepost_inside("history", str(stepped), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "clock/call" in done.stdout
    assert "14 runs, 2026-01-01 00:00 to 2026-01-14 06:00" in done.stdout
    assert "engine of 20260108T000000Z-synthetic and after: 111111111111, not 000000000000" in done.stdout
    assert "4 rows. At most 0.04 would show a change by chance" in done.stdout
    done = fencepost_inside("history", str(stepped), "--json", "--kernels", "clock", cwd=tmp_path)
    document = json.loads(done.stdout)
    (machine,) = document["machines"]
    assert {change["case"] for change in machine["changes"]} == {CALL.id}
    assert machine["changes"][0]["first_after"] in {run["run"] for run in machine["runs"]}
    assert machine["changes"][0]["made_differently"] == ["engine"]
    assert machine["picture"] is None


def test_a_nightly_job_stops_at_a_row_that_changed(stepped: Path) -> None:
    """The step is before the eighth of fourteen runs; what is older than --since was looked at already."""
    (machine,) = history(stepped, processes=1).machines
    (change,) = machine.changes
    last = machine.runs[change.latest].created
    for since, code in ((last, 1), (last + timedelta(minutes=1), 0)):
        gate = ("--fail-on", "changed", "--since", f"{since:%Y-%m-%dT%H:%M}")
        done = fencepost_inside("history", str(stepped), *gate, cwd=stepped)
        assert done.returncode == code, done.stderr
        assert ("nothing changed" in done.stdout) is (code == 0)
    assert fencepost_inside("history", str(stepped), "--fail-on", "changed", "--json", cwd=stepped).returncode == 1


def test_a_machine_that_changed_stops_no_nightly_job() -> None:
    change = Change(CALL.id, 6, 5, 7, 1.0, 1.1, 1.1, 1.09, 1.11, 0.001, kind="machine")
    machine = MachineHistory("m", [], [], 1.0, [change], [], [])
    assert not machine.rows_changed
    assert replace(machine, changes=[replace(change, kind="row and machine")]).rows_changed


def test_a_kept_history_imports_what_it_shows_only(stepped: Path) -> None:
    kept_history(stepped)
    code = (
        "import sys\nfrom pathlib import Path\nfrom fencepost.analysis.compare.history_kept import kept_history\n"
        "kept_history(Path(sys.argv[1]))\n"
        "sys.exit(repr(sorted({'pandas', 'pyarrow', 'scipy', 'matplotlib'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(stepped)], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_a_history_is_kept_until_a_run_changes(stepped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(stepped, runs)
    first = kept_history(runs)
    found: list[Path] = []

    def noted(_: Collected, folder: Path, patterns: Sequence[str]) -> History:
        found.append(folder)
        return first

    monkeypatch.setattr(history_kept, "history_of", noted)
    again = kept_history(runs)
    assert found == [] and repr(as_json(again, {})) == repr(as_json(first, {}))
    assert repr(again.machines[0].series) == repr(first.machines[0].series)
    assert list(again.machines[0].runs) == list(first.machines[0].runs)
    assert again.machines[0].runs[1:3] == first.machines[0].runs[1:3]
    kept_history(runs, ["clock/*"])
    (last,) = runs.glob("*14T*")
    (last / "cache" / history_kept.NAME).write_bytes(b"nonsense")
    kept_history(runs)
    last_round = max((runs / sorted(runs.iterdir())[3].name / "rounds").iterdir())
    last_round.unlink()
    kept_history(runs)
    assert len(found) == 3, "another question, what somebody else wrote, a round less"


@pytest.mark.parametrize(
    ("suffix", "magic"), [("svg", b"<?xml"), pytest.param("png", b"\x89PNG", marks=pytest.mark.slow)]
)
def test_the_picture_is_drawn(stepped: Path, tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"history.{suffix}"
    done = fencepost_inside("history", str(stepped), "--picture", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"picture: history.{suffix}\n")
    data = path.read_bytes()
    assert data.startswith(magic)
    if suffix == "svg":
        assert b"clock/call" in data  # text stays text
        assert b"(control)" in data
        assert len(pictures(data.decode())) == 1


@pytest.mark.slow  # another picture is drawn above
def test_a_picture_without_changes_shows_the_controls(tmp_path: Path) -> None:
    (machine,) = history(write_runs(tmp_path, [{}] * 10), processes=1).machines
    assert machine.changes == []
    assert draw(machine, tmp_path / "calm.svg") == [CHAIN.id, CHASE.id]


def test_runs_with_and_without_a_neighbour_are_one_series_of_one_kind(tmp_path: Path) -> None:
    """The second half never was alone. Its figures as found are no change of figures alone."""
    row = synthetic.Case("own/a", ns=5.0, neighbour=0.75, process_noise=0.0005)
    free = replace(row, kernel="own/free", neighbour=0.0)
    for number in range(12):
        cases = [replace(row, neighbour=0.75 if number < 6 else 1.0), free]
        folder = tmp_path / f"run{number:02d}"
        synthetic.write_run(folder, cases, rounds=8, batches=40, seed=number, unmeasurable=())
        document = json.loads((folder / "run.json").read_text())
        document["created_utc"] = f"2026-01-{number + 1:02d}T00:00:00Z"
        (folder / "run.json").write_text(json.dumps(document))
    (machine,) = history(tmp_path, processes=1).machines
    assert {one.kernel: one.basis for one in machine.series} == {"own/a": "as found", "own/free": "alone"}
    assert machine.changes == []


@pytest.mark.parametrize("length", [400, pytest.param(1500, marks=pytest.mark.slow)])
def test_steps_and_stretches_of_long_series_are_found(length: int) -> None:
    generator = np.random.default_rng(3)
    values = np.exp(generator.normal(0, 0.01, length))
    values[length // 5 : length // 3] *= 1.05
    values[length // 2 :] *= 1.2
    places = [change.at for change in changes_of(series(values), 0.5)]
    assert np.allclose(places, [length // 5, length // 3, length // 2], atol=1)


def test_a_year_of_noise_shows_no_change() -> None:
    generator = np.random.default_rng(4)
    assert not any(changes_of(series(np.exp(generator.normal(0, 0.01, 365)))) for _ in range(10))


@pytest.mark.slow  # 20 000 runs
def test_a_very_long_series_takes_little_memory() -> None:
    values = np.exp(np.random.default_rng(5).normal(0, 0.01, 10_000))
    values[6_000:] *= 1.01
    (change,) = changes_of(series(values), 0.5)
    assert abs(change.at - 6_000) <= 60
    assert change.earliest <= 6_000 <= change.latest
    assert change.low <= 1.01 <= change.high
