"""What Linux has counted by line, and what a round notes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs.measure import MACHINE, fault_engine, run_record, tiny_plan

from fencepost.bench import runfolder, runner, schema
from fencepost.bench.interrupts import added, read_counts

INTERRUPTS = """\
           CPU0       CPU1       CPU3
 36:          1         20        300 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
LOC:         10        200       3000   Local timer interrupts
ERR:          7
"""
SOFTIRQS = """\
                    CPU0       CPU1       CPU3
          HI:          0          0          4
         RCU:          1          2          3
"""


def stated(folder: Path) -> Path:
    (folder / "interrupts").write_text(INTERRUPTS, encoding="utf-8")
    (folder / "softirqs").write_text(SOFTIRQS, encoding="utf-8")
    return folder


def test_lines_are_summed_over_the_cpus_of_a_run(tmp_path: Path) -> None:
    assert read_counts([1, 3], stated(tmp_path)) == {
        "interrupts": {"36: virtio1-req.0": 320, "LOC: Local timer interrupts": 3200},
        "softirqs": {"HI": 4, "RCU": 5},
    }


def test_a_file_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert read_counts([0], tmp_path) == {}
    (tmp_path / "softirqs").write_text("", encoding="utf-8")
    assert read_counts([0], tmp_path) == {"softirqs": {}}


def test_only_what_came_between_is_kept() -> None:
    before = {"interrupts": {"LOC": 10, "RES": 5, "old": 3}, "softirqs": {}}
    after = {"interrupts": {"LOC": 12, "RES": 5, "old": 1, "new": 4}}
    assert added(before, after) == {"interrupts": {"LOC": 2, "new": 4}}


def test_this_machine_can_be_read() -> None:
    assert all(count >= 0 for lines in read_counts([0]).values() for count in lines.values())


def test_a_round_notes_what_came_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([{"interrupts": {"LOC": 10}}, {"interrupts": {"LOC": 12}}] * 2)
    monkeypatch.setattr(runner, "read_counts", lambda _cpus: next(readings))
    with runfolder.create(tmp_path, MACHINE, run_record(tiny_plan(["good/events"]))) as folder:
        runner.Runner(fault_engine(), folder).run()
    record = runfolder.read_round_record(schema.round_file(folder.path, 2))
    assert record["worker"]["interrupts"] == {"interrupts": {"LOC": 2}}
