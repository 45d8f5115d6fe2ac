"""`fencepost compare`: stored runs, the drift guard, several machines, and every pair that cannot be compared."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import measure as runtime
from runs import write as synthetic
from runs.write import CORE_HZ, Case, plain_cases

from fencepost.analysis.compare.comparison import ComparisonError, RunComparison, left_out_notes
from fencepost.analysis.compare.machines import compare_machines
from fencepost.analysis.compare.runs import (
    compare_runs,
    ratio_bounds,
    read_runs,
    same_machine,
    two_sample_rounds,
)
from fencepost.analysis.compare.series import ProcessTimes, series_of_run, steady
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.stats.shift import fewest_values
from fencepost.analysis.stats.verdict import REPORT_ERROR, ROW_ERROR, ChangeVerdict
from fencepost.bench import schema
from fencepost.bench.plan import DEAR_ROUNDS
from fencepost.bench.profiles import PROFILES
from fencepost.bench.schema import RunFolderError

CYCLE = 1e9 / CORE_HZ
CONTROLS = [
    Case("pipeline/imul100", ns=300 * CYCLE, unit="block"),
    Case("memory/chase", {"size": 16384, "pages": "small"}, ns=4 * CYCLE, unit="load"),
]
ROWS = [Case("own/a", ns=100.0), Case("own/b", ns=7.0)]


def write(folder: Path, name: str, cases: list[Case], *, rounds: int = 12, seed: int = 1, **edit: Any) -> Path:
    quiet = [replace(case, process_noise=0.0005, noise=0.0005) for case in cases]
    path = synthetic.write_run(folder / name, quiet, rounds=rounds, seed=seed, unmeasurable=[])
    document = json.loads((path / schema.RUN_FILE).read_text())
    for key, value in edit.items():
        if key == "engine":
            document["engine"] |= value
        else:
            document[key] = value
    (path / schema.RUN_FILE).write_text(json.dumps(document))
    if "machine_key" in edit:
        machine = json.loads((path / schema.MACHINE_FILE).read_text())
        machine |= {"key": edit["machine_key"], "cpu_model": f"CPU of {edit['machine_key']}"}
        (path / schema.MACHINE_FILE).write_text(json.dumps(machine))
    return path


def verdicts(found: RunComparison) -> dict[str, str]:
    return {row.case.partition("@")[0]: str(row.decision.verdict) for row in found.rows}


def compared(*folders: Path, margin: float = 0.01, **options: Any) -> RunComparison:
    old, new = read_runs(folders)
    return compare_runs(old, new, margin, **options)


def test_what_changed_and_what_did_not(tmp_path: Path) -> None:
    old = write(tmp_path, "old", ROWS + CONTROLS)
    new = write(tmp_path, "new", [replace(ROWS[0], ns=110.0), ROWS[1], *CONTROLS], seed=2)
    found = compared(old, new)
    assert verdicts(found) == {"own/a": "changed", "own/b": "same"}
    assert {row.decision.verdict for row in found.controls} == {ChangeVerdict.SAME}
    assert found.rows[0].decision.ratio == pytest.approx(1.1, rel=0.01)


def test_rows_that_moved_with_the_machine_are_withheld(tmp_path: Path) -> None:
    slower = [replace(case, ns=case.ns * 1.05) for case in (*ROWS, *CONTROLS)]
    slower[1] = replace(ROWS[1], ns=ROWS[1].ns * 0.9)  # the other way: not the machine
    found = compared(write(tmp_path, "old", ROWS + CONTROLS), write(tmp_path, "new", slower, seed=2))
    assert verdicts(found) == {"own/a": "withheld", "own/b": "changed"}
    assert "imul100@cpu1 moved by +4.9" in found.rows[0].decision.reason
    assert found.fails("undecided") and not found.fails("slower")


def test_the_core_clock_beside_each_case_is_a_control(tmp_path: Path) -> None:
    slow = [replace(case, ns=case.ns * 1.05, core_hz=CORE_HZ / 1.05) for case in ROWS]
    found = compared(write(tmp_path, "old", ROWS), write(tmp_path, "new", slow, seed=2))
    assert set(verdicts(found).values()) == {"withheld"}
    assert found.rows[0].decision.reason.startswith("core clock")


def test_a_noise_floor_above_the_effect_forbids_the_claim(tmp_path: Path) -> None:
    wide = replace(ROWS[0], process_noise=0.05)
    old = synthetic.write_run(tmp_path / "old", [wide, ROWS[1]], rounds=12, unmeasurable=[])
    new = synthetic.write_run(tmp_path / "new", [wide, ROWS[1]], rounds=12, seed=2, unmeasurable=[])
    assert verdicts(compared(old, new))["own/a"] == "undecided"


def test_several_machines_get_no_verdict(tmp_path: Path) -> None:
    here = write(tmp_path, "here", ROWS, machine_key="a-1")
    moved = [replace(case, ns=case.ns * 2, cpus=(3,)) for case in ROWS]
    there = write(tmp_path, "there", moved, seed=2, machine_key="b-2", engine={"sha256": "1" * 64})
    runs = read_runs([here, there])
    assert not same_machine(runs)
    found = compare_machines(runs)
    assert [row.case for row in found.rows] == ["own/a", "own/b"]
    assert all(1.9 < ratios[0].low < 2 < ratios[0].high < 2.1 for ratios in [row.ratios for row in found.rows])
    assert found.differences["cpu_model"] == ("CPU of a-1", "CPU of b-2")
    done = runtime.fencepost_inside("compare", str(here), str(there), cwd=tmp_path)
    assert done.returncode == 0 and "CPU of b-2" in done.stdout and "changed" not in done.stdout
    document = json.loads(runtime.fencepost_inside("compare", str(here), str(there), "--json", cwd=tmp_path).stdout)
    assert "verdict" not in json.dumps(document)


def test_machines_are_compared_by_figures_of_one_kind(tmp_path: Path) -> None:
    """Alone the first machine would look 1.4 times as quick as the second, which never was alone."""
    row = Case("own/a", ns=5.0, neighbour=0.75, process_noise=0.0005)
    free = Case("own/free", ns=5.0, neighbour=0.0)
    folders = [
        synthetic.write_run(tmp_path / f"run{seed}", cases, rounds=12, batches=40, seed=seed, unmeasurable=[])
        for seed, cases in enumerate(([row, free], [replace(row, neighbour=1.0), free]))
    ]
    runs = [analyse(folder) for folder in folders]
    assert [run.by_case[row.id].basis for run in runs] == ["alone", "as found"]
    found = compare_machines(runs)
    ratios = {row.case: row.ratios[0].ratio for row in found.rows}
    assert ratios["own/a"] == pytest.approx(1, abs=0.02)
    assert found.notes == ("1 row is compared as found: alone in some of the runs only",)


def test_a_gate_for_several_machines_is_refused_before_they_are_compared(tmp_path: Path) -> None:
    folders = [write(tmp_path, name, ROWS, machine_key=name) for name in ("a-1", "b-2")]
    done = runtime.fencepost_inside("compare", *map(str, folders), "--fail-on", "slower", cwd=tmp_path)
    assert done.returncode == 2 and "several machines get no verdicts" in done.stderr
    assert not any((folder / kept.FOLDER).exists() for folder in folders), "nothing was estimated"


def test_the_command_in_its_forms(tmp_path: Path) -> None:
    old = write(tmp_path, "old", ROWS + CONTROLS)
    new = write(tmp_path, "new", [replace(ROWS[0], ns=110.0), ROWS[1], *CONTROLS], seed=2)

    def command(*options: str) -> runtime.Answer:
        return runtime.fencepost_inside("compare", str(old), str(new), *options, cwd=tmp_path)

    assert "changed: slower" in command().stdout
    assert command("--fail-on", "slower").returncode == 1
    assert command("--fail-on", "undecided").returncode == 0
    assert "| changed: slower |" in command("--markdown").stdout
    document = json.loads(command("--json").stdout)
    assert {"noise_floor_pct", "rows", "controls", "notes", "old", "new"} <= set(document)
    assert [row["verdict"] for row in document["rows"]] == ["changed", "same"]
    same = write(tmp_path, "same", ROWS + CONTROLS, seed=3)

    def of_three(*options: str) -> runtime.Answer:
        return runtime.fencepost_inside("compare", str(old), str(same), str(new), *options, cwd=tmp_path)

    several = json.loads(of_three("--json").stdout)["comparisons"]
    assert [(item["old"], item["new"]) for item in several] == [("old", "same"), ("old", "new")]
    titles = re.findall("old against [a-z]+", of_three().stdout)
    assert titles == ["old against same", "old against new"]
    assert of_three("--fail-on", "slower").returncode == 1
    third = runtime.fencepost_inside("compare", str(old), str(new), str(old), cwd=tmp_path)
    assert third.returncode == 2 and "given twice" in third.stderr


def refused(tmp_path: Path, code: int, *arguments: Path | str) -> str:
    done = runtime.fencepost_inside("compare", *map(str, arguments), cwd=tmp_path)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr and done.stdout == ""
    (sentence,) = done.stderr.strip().splitlines()
    return sentence


def test_every_pair_that_cannot_be_compared(tmp_path: Path) -> None:
    old = write(tmp_path, "old", ROWS)
    assert "no case in common" in refused(tmp_path, 2, old, write(tmp_path, "other", [Case("own/c")]))
    assert "newer" in refused(tmp_path, 2, old, write(tmp_path, "newer", ROWS, schema=99))
    assert "kernels (hash" in refused(tmp_path, 2, old, write(tmp_path, "code", ROWS, engine={"sha256": "1" * 64}))
    assert "compiler flags" in refused(tmp_path, 2, old, write(tmp_path, "flags", ROWS, engine={"flags": "-O3"}))
    short = refused(tmp_path, 2, old, write(tmp_path, "one", ROWS, rounds=1))
    assert "1 complete round" in short and "measure with --rounds 5 or more" in short
    cut = synthetic.write_run(tmp_path / "cut", ROWS, rounds=1, planned_rounds=9, unmeasurable=[])
    assert "complete it with `fencepost run --resume`" in refused(tmp_path, 2, old, cut)
    assert "name two" in refused(tmp_path, 2, old)
    assert "no such run" in refused(tmp_path, 2, old, tmp_path / "nowhere")
    flagged = [replace(case, flags=schema.FLAGS["switched"]) for case in ROWS]
    assert "disturbed" in refused(tmp_path, 3, old, write(tmp_path, "flagged", flagged))
    for margin in ("0", "-3%", "400%", "x"):
        assert "--margin" in refused(tmp_path, 2, old, old, f"--margin={margin}")
    with pytest.raises(RunFolderError):
        read_runs([old, tmp_path])


def test_anyway_compares_different_code_and_says_so(tmp_path: Path) -> None:
    old, new = write(tmp_path, "old", ROWS), write(tmp_path, "new", ROWS, seed=2, engine={"flags": "-O3"})
    found = compared(old, new, anyway=True)
    assert verdicts(found)["own/a"] == "same" and "different compiler flags" in found.notes[0]


@given(st.integers(8, 40), st.integers(8, 40), st.floats(0.001, 0.05), st.randoms(use_true_random=False))
def test_swapping_two_runs_inverts_their_ratio(n: int, m: int, error: float, source: Any) -> None:
    old, new = (
        ProcessTimes(np.array([source.uniform(1, 2) for _ in range(count)]), np.full(count, step))
        for count, step in ((n, 0.01), (m, 0.02))
    )
    middle, low, high = ratio_bounds(old, new, error)
    assert low <= middle <= high
    assert ratio_bounds(new, old, error) == pytest.approx((-middle, -high, -low))


def test_bounds_of_a_ratio_hold_it() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(400):
        old, new = rng.lognormal(0, 0.3, 20), 1.5 * rng.lognormal(0, 0.1, 20)
        _, low, high = ratio_bounds(steady(old), steady(new), 0.05)
        missed += not low <= math.log(1.5) <= high
    assert missed < 40  # at most a tenth; far fewer, as the two bounds are added


def test_two_runs_are_no_closer_than_the_steps_of_their_counters(tmp_path: Path) -> None:
    # Without noise all processes read the same, 50 000 ns in steps of 100 or 64 ticks: all are off by the same.
    exact = [replace(case, process_noise=0.0, noise=0.0, gap_share=0.0) for case in ROWS]
    longer = [replace(case, ns=case.ns * 1.0003) for case in exact]
    old = synthetic.write_run(tmp_path / "old", exact, rounds=12, quantum=100, unmeasurable=[])
    new = synthetic.write_run(tmp_path / "new", longer, rounds=12, quantum=64, unmeasurable=[])
    narrow = compared(old, new, margin=0.001)
    for row in narrow.rows:
        decision = row.decision
        assert decision.low <= 1.0003 <= decision.high
        assert decision.step == pytest.approx((100 + 64) / 125_000, rel=0.01)
        assert decision.verdict is ChangeVerdict.UNDECIDED and decision.more is None
        assert "margin is below one step of the counter" in decision.reason
        assert row.as_json()["counter_step_pct"] == pytest.approx(decision.step * 100)
    assert set(verdicts(compared(old, new, margin=0.005)).values()) == {"same"}
    far = compare_machines(read_runs([old, new]))
    for (ratio,) in [row.ratios for row in far.rows]:
        assert ratio.low <= 1.0003 <= ratio.high and ratio.high - ratio.low > 0.0024
    (row, *_) = json.loads(json.dumps(far.as_json()))["rows"]
    assert row["ratios"][0]["counter_step_pct"] == pytest.approx(0.131, rel=0.01)


@pytest.mark.parametrize(("quantum", "step"), [(100, 100), (1, 1)])
def test_events_are_as_coarse_as_their_readings(tmp_path: Path, quantum: int, step: int) -> None:
    case = Case("own/event", ns=1000.0, kind="events", noise=0.0, process_noise=0.0, gap_share=0.0)
    folder = synthetic.write_run(tmp_path / "run", [case], rounds=12, quantum=quantum, unmeasurable=[])
    (series,) = series_of_run(analyse(folder)).values()
    assert series.step_ns == pytest.approx(step / synthetic.TICK_HZ * 1e9, rel=1e-4)


def quiet_run(folder: Path, *cases: Case, seed: int, rounds: int = 12, twin: bool = True) -> Path:
    """A run with witnesses. Its control does not move, and a free core was seen."""
    every = [Case("pipeline/imul100", ns=100.0, neighbour=0.0, process_noise=0.0005), *cases]
    every += [every[0].twin()] if twin else []
    return synthetic.write_run(folder, every, rounds=rounds, batches=40, seed=seed, unmeasurable=[])


@pytest.mark.parametrize("neighbour", [0.2, 0.5])
def test_two_noisy_runs_are_the_same_by_their_quiet_batches(tmp_path: Path, neighbour: float) -> None:
    """The neighbour of the second run is there twice as often, and all batches together cost a third more."""
    row = Case("test/loop", ns=5.0, neighbour=neighbour, process_noise=0.0005)
    old = quiet_run(tmp_path / "old", row, seed=1)
    new = quiet_run(tmp_path / "new", replace(row, neighbour=min(1.5 * neighbour, 0.8)), seed=2)
    (found,) = compared(old, new).rows
    assert (found.basis, found.decision.verdict) == ("alone", ChangeVerdict.SAME)
    assert found.decision.ratio == pytest.approx(1, abs=0.005)


def test_rows_alone_are_compared_in_cycles(tmp_path: Path) -> None:
    """The core clock of the second run is 3 % lower. That is said once, of the clock."""
    row = Case("test/loop", ns=5.0, neighbour=0.4, process_noise=0.0005, clock_noise=0.0)
    control = Case("pipeline/imul100", ns=100.0, neighbour=0.0, process_noise=0.0005, clock_noise=0.0)
    folders = []
    for name, factor in (("old", 1.0), ("new", 1.03)):
        cases = [replace(case, ns=case.ns * factor, core_hz=CORE_HZ / factor) for case in (row, control)]
        folders.append(synthetic.write_run(tmp_path / name, cases, rounds=12, batches=40, unmeasurable=[]))
    comparison = compared(*folders)
    (found,) = comparison.rows
    assert (found.basis, found.decision.verdict) == ("alone", ChangeVerdict.SAME)
    assert found.decision.ratio == pytest.approx(1, abs=0.002)
    assert found.new_ns == pytest.approx(found.old_ns, rel=0.003)
    moved = {row.case for row in comparison.controls if row.decision.verdict is ChangeVerdict.CHANGED}
    assert moved == {"core clock (period)"}
    assert "rows alone are compared in cycles, and shown at the core clock of the old run" in comparison.notes


def test_a_case_without_a_time_is_no_row_and_left_out_by_nobody(tmp_path: Path) -> None:
    loop, counts = Case("test/loop", ns=5.0), Case("test/count", kind="counts")
    folders = [
        synthetic.write_run(tmp_path / f"{i}", [loop, counts], rounds=12, seed=i, unmeasurable=[]) for i in (1, 2)
    ]
    found = compared(*folders)
    assert [row.case for row in found.rows] == [loop.id]
    assert not any("test/count" in note or "only" in note for note in found.notes)


def test_what_another_hour_charged_is_no_change(tmp_path: Path) -> None:
    row = Case("test/loop", ns=5.0, neighbour=0.1, process_noise=0.0005)
    old = quiet_run(tmp_path / "old", row, seed=1)
    new = quiet_run(tmp_path / "new", replace(row, neighbour=1.0), seed=2)
    (found,) = compared(old, new).rows
    assert (found.basis, found.decision.verdict) == ("as found", ChangeVerdict.WITHHELD)
    assert found.decision.low > 1.2
    assert found.decision.reason == (
        "as found (alone in one of the runs only): the hour may have changed, and not the machine"
    )


def test_a_noisy_twin_of_another_kernel_forbids_no_same(tmp_path: Path) -> None:
    """It bounds what is called changed where a row has no twin of its own."""
    row = Case("test/loop", ns=5.0, neighbour=0.4, process_noise=0.0005)
    noisy = Case("other/loop", ns=7.0, neighbour=0.0, process_noise=0.0005)
    twin = replace(noisy.twin(), ns=7.7)
    same = compared(*(quiet_run(tmp_path / f"same{i}", row, noisy, twin, seed=i) for i in (1, 2)))
    found = {row.case: row.decision.verdict for row in same.rows}
    assert found == {row.id: ChangeVerdict.SAME, noisy.id: ChangeVerdict.UNDECIDED}
    old = quiet_run(tmp_path / "old", row, noisy, twin, seed=3)
    slower = compared(old, quiet_run(tmp_path / "new", replace(row, ns=5.25), noisy, twin, seed=4))
    assert slower.count(ChangeVerdict.CHANGED) == 0


def test_a_planted_change_is_found_and_nothing_else(tmp_path: Path) -> None:
    rows = [Case("test/loop", {"i": i}, ns=5.0 + i, neighbour=0.4, process_noise=0.0005) for i in range(10)]
    old = quiet_run(tmp_path / "old", *rows, seed=1)
    slower = [replace(row, ns=row.ns * 1.05) if row.parameters["i"] == 3 else row for row in rows]
    found = compared(old, quiet_run(tmp_path / "new", *slower, seed=2))
    changed = [row.case for row in found.rows if row.decision.verdict is ChangeVerdict.CHANGED]
    assert changed == [rows[3].id]
    assert found.count(ChangeVerdict.SAME) == 9


def test_a_run_without_figures_alone_is_compared_by_what_was_found(tmp_path: Path) -> None:
    row = Case("test/loop", ns=5.0, neighbour=0.4, process_noise=0.0005)
    old = quiet_run(tmp_path / "old", row, seed=1)
    new = quiet_run(tmp_path / "new", replace(row, neighbour=1.0), seed=2)
    (found,) = compared(old, new).rows
    assert found.basis == "as found"
    assert found.old_ns == pytest.approx(analyse(old).by_case[row.id].found.value)


def test_a_row_that_is_alone_in_one_run_only_is_named_as_such(tmp_path: Path) -> None:
    """Alone it would cost a third less in the first run: the verdict is on figures of one kind."""
    row = Case("test/loop", ns=5.0, neighbour=0.9, process_noise=0.0005)
    old = quiet_run(tmp_path / "old", replace(row, neighbour=0.0), seed=1)
    new = quiet_run(tmp_path / "new", replace(row, ns=5.0 / synthetic.NEIGHBOUR_FACTOR, neighbour=1.0), seed=2)
    assert [analyse(folder).by_case[row.id].basis for folder in (old, new)] == ["alone", "as found"]
    found = compared(old, new)
    assert [(one.basis, one.decision.verdict) for one in found.rows] == [("as found", ChangeVerdict.SAME)]
    assert "1 row is compared as found: alone in one of the runs only" in found.notes


def test_memory_that_other_cores_share_is_compared_as_found(tmp_path: Path) -> None:
    row = Case("test/walk", {"size": "4MiB"}, ns=5.0, neighbour=0.0, process_noise=0.0005)
    found = compared(*(quiet_run(tmp_path / f"run{seed}", row, seed=seed) for seed in (1, 2)))
    assert [one.basis for one in found.rows] == ["as found"]
    assert "1 row is compared as found: other cores share this memory" in found.notes


def test_a_run_that_knows_no_distance_is_not_compared_with_one_of_several(tmp_path: Path) -> None:
    """What was found pools near and far in the first run, and the second does not say at which of them it was."""
    other = Case("test/loop", ns=5.0, neighbour=0.0)
    row = Case("test/pair", ns=50.0, cpus=(0, 1), places=((105.0, 0.5, 1.0), (400.0, 0.5, 3.0)))
    old = quiet_run(tmp_path / "old", row, other, seed=1)
    new = quiet_run(tmp_path / "new", replace(row, places=()), other, seed=2)
    found = compared(old, new)
    assert [one.case for one in found.rows] == [other.id]
    assert any(note.startswith(f"{row.id}: left out") for note in found.notes)


def test_near_is_compared_with_near(tmp_path: Path) -> None:
    """The second run was far for most of its time, and nothing else changed."""
    near, far = (105.0, 1.0), (400.0, 3.0)
    row = Case("test/pair", ns=50.0, cpus=(0, 1), neighbour=0.0, process_noise=0.0005)
    sides = [replace(row, places=((near[0], share, near[1]), (far[0], 1 - share, far[1]))) for share in (0.75, 0.4)]
    old, new = (quiet_run(tmp_path / f"run{i}", side, seed=i) for i, side in enumerate(sides))
    (found,) = compared(old, new).rows
    assert found.basis in ("near", "far")
    assert found.decision.verdict is ChangeVerdict.SAME


def test_a_row_that_met_one_of_several_places_is_compared_there(tmp_path: Path) -> None:
    near, far = (105.0, 0.5, 1.0), (400.0, 0.5, 3.0)
    row = Case("test/pair", ns=50.0, cpus=(0, 1), neighbour=0.0, process_noise=0.0005)
    both = replace(row, parameters={"met": "both"}, places=(near, far))
    away = replace(row, parameters={"met": "far"}, places=((400.0, 1.0, 3.0),))
    old, new = (quiet_run(tmp_path / f"run{seed}", both, away, seed=seed) for seed in (1, 2))
    assert {one.case: one.basis for one in compared(old, new).rows}[away.id] == "far"


def test_cpus_at_other_distances_are_not_compared(tmp_path: Path) -> None:
    row = Case("test/pair", ns=50.0, cpus=(0, 1), neighbour=0.0, places=((105.0, 1.0, 1.0),))
    other = Case("test/loop", ns=5.0, neighbour=0.0)
    old = quiet_run(tmp_path / "old", row, other, seed=1)
    new = quiet_run(tmp_path / "new", replace(row, places=((400.0, 1.0, 3.0),)), other, seed=2)
    found = compared(old, new)
    assert [one.case for one in found.rows] == [other.id]
    assert any(note.startswith(f"{row.id}: left out, the runs have no figures of one kind") for note in found.notes)


def test_the_twin_of_a_kernel_vetoes_its_own_rows(tmp_path: Path) -> None:
    calm = Case("calm/loop", ns=5.0, neighbour=0.0, process_noise=0.0005)
    noisy = replace(calm, kernel="noisy/loop")
    twin = replace(noisy.twin(), ns=5.6)
    folders = [
        quiet_run(tmp_path / name, *(replace(one, ns=ns) for one in (calm, calm.twin(), noisy)), twin, seed=seed)
        for seed, (name, ns) in enumerate((("old", 5.0), ("new", 5.25)))
    ]
    found = {row.case: row.decision.verdict for row in compared(*folders).rows}
    assert found == {calm.id: ChangeVerdict.CHANGED, noisy.id: ChangeVerdict.UNDECIDED}


def test_the_drift_of_controls_bounds_every_row(tmp_path: Path) -> None:
    """A control that wandered by 1.5 % without a verdict: nothing smaller is claimed."""
    row = Case("test/loop", ns=5.0, neighbour=0.0, process_noise=0.0005)
    wide = Case("memory/chase", {"size": "4KiB"}, ns=1.0, neighbour=0.0, process_noise=0.03)
    old = quiet_run(tmp_path / "old", row, wide, seed=1)
    new = quiet_run(tmp_path / "new", row, replace(wide, ns=1.03), seed=2)
    found = compared(old, new)
    assert found.count(ChangeVerdict.SAME) == 0
    assert any(note.startswith("control cases differ by up to") for note in found.notes)


def test_runs_that_can_decide_nothing_are_told_so_in_a_sentence(tmp_path: Path) -> None:
    """Seven rounds decide one row, and none of two hundred."""
    few = [Case("test/loop", ns=5.0)]
    folders = [synthetic.write_run(tmp_path / f"few{i}", few, rounds=7, seed=i, unmeasurable=[]) for i in (1, 2)]
    assert len(compared(*folders).rows) == 1
    many = plain_cases(200)
    folders = [
        synthetic.write_run(tmp_path / f"many{i}", many, rounds=7, batches=3, seed=i, unmeasurable=[]) for i in (1, 2)
    ]
    with pytest.raises(ComparisonError, match="7 rounds cannot decide any of 200 rows, whatever they show: 8 can"):
        compared(*folders)


def test_rows_whose_change_is_withheld_cost_the_others_no_error(tmp_path: Path) -> None:
    """Seven processes decide a row alone beside two hundred as found, which make no claim of a change."""
    alone = Case("test/alone", ns=5.0, neighbour=0.0, process_noise=0.0005, noise=0.0005)
    found = [Case("test/found", {"row": row}, ns=5.0, neighbour=1.0) for row in range(200)]
    folders = [
        synthetic.write_run(
            tmp_path / name, [replace(alone, ns=ns), *found], rounds=7, batches=12, seed=seed, unmeasurable=[]
        )
        for seed, (name, ns) in enumerate((("old", 5.0), ("new", 5.25)))
    ]
    rows = {row.case: row for row in compared(*folders).rows}
    assert len(rows) == 201 and {rows[case.id].basis for case in found} == {"as found"}
    assert (rows[alone.id].basis, rows[alone.id].decision.verdict) == ("alone", ChangeVerdict.CHANGED)


def test_two_quick_runs_and_the_dear_cases_of_long_ones_can_be_compared() -> None:
    for rounds in (PROFILES["quick"].rounds, DEAR_ROUNDS):
        assert rounds >= two_sample_rounds(ROW_ERROR), "two machines"
        assert rounds >= fewest_values(REPORT_ERROR / 500), "one machine, with as many rows as two CPUs have"


def test_rows_that_are_left_out_are_counted_by_kernel() -> None:
    zero, few = "the time is zero", "nothing was measured"
    cases = {"a/b[n=1]@cpu1": zero, "c/d@cpu0": few, "a/b[n=2]@cpu1": zero, "e/f@cpu1": zero}
    assert left_out_notes(cases) == [
        "3 rows are left out, the time is zero: a/b (2 rows), e/f@cpu1",
        "c/d@cpu0: left out, nothing was measured",
    ]
