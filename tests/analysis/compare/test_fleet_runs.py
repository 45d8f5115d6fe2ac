"""Runs of a fleet: what is odd about a host is said, and the other hosts count."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from runs.fleets import START, FleetWriter
from runs.measure import fencepost_inside

from fencepost.analysis.compare.fleet_runs import FleetError, Host, collect, fleet_hosts
from fencepost.bench import schema

ONES = np.ones((3, 2, 2))


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> FleetWriter:
    return FleetWriter(tmp_path_factory.mktemp("fleet"), 2)


@pytest.fixture
def base(writer: FleetWriter, tmp_path: Path) -> Path:
    return writer.fleet(tmp_path / "fleet", ONES)


def hosts_of(base: Path, key: str = "", *, anyway: bool = False) -> tuple[dict[str, Host], str]:
    with collect(base, 1) as collected:
        hosts, notes = fleet_hosts(base, collected, key, anyway=anyway, now=START + timedelta(days=1))
    return {host.name: host for host in hosts}, "\n".join(notes)


def test_each_folder_is_a_host_and_an_ordinary_fleet_has_no_notes(base: Path) -> None:
    hosts, notes = hosts_of(base)
    assert {name: [run.id for run in host.runs] for name, host in hosts.items()} == {
        f"h0{number}": [f"h0{number}-run0", f"h0{number}-run1"] for number in range(3)
    }
    assert notes == ""


def test_runs_in_one_folder_are_told_apart_by_what_they_say_of_their_host(writer: FleetWriter, tmp_path: Path) -> None:
    for name in ("web1", "web2"):
        writer.write(tmp_path / "all" / f"{name}-run", np.ones(2), labels={"host": name})
    writer.write(tmp_path / "all" / "nobody", np.ones(2))
    hosts, notes = hosts_of(tmp_path / "all")
    assert list(hosts) == ["web1", "web2"]
    assert "nobody: left out, it lies in no folder of a host and names no host" in notes


def test_half_fetched_folders_are_named(base: Path) -> None:
    (base / "h00" / "run0" / schema.RUN_FILE).unlink()
    (base / "h01" / "run1" / "machine.json").write_text("{")
    (base / "h03").mkdir()
    (base / "h04" / "run9" / schema.ROUNDS_FOLDER).mkdir(parents=True)
    hosts, notes = hosts_of(base)
    assert {name: len(host.runs) for name, host in hosts.items()} == {"h00": 1, "h01": 1, "h02": 2}
    assert f"{base}/h00/run0: left out, it has no run.json; fetch it again" in notes
    assert f"{base}/h04/run9: left out, it has no run.json; fetch it again" in notes
    assert f"{base}/h03: left out, it is empty; fetch its runs again" in notes
    assert f"{base}/h01/run1/machine.json" in notes
    assert len(notes.splitlines()) == 4


def test_a_run_without_all_its_rounds_counts_and_is_named(writer: FleetWriter, base: Path) -> None:
    plan = {**writer.run["plan"], "rounds": 20}
    writer.write(base / "h09" / "cut", np.ones(2), plan=plan)
    hosts, notes = hosts_of(base)
    assert "h09" in hosts
    assert f"{base}/h09/cut: has 6 of 20 rounds, which count; fetch it again" in notes


def test_equal_names_and_equal_runs(writer: FleetWriter, base: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer.write(base / name / "run", np.ones(2), labels={"host": "clone"})
    shutil.copytree(base / "h00" / "run0", base / "h01" / "copied")
    hosts, notes = hosts_of(base)
    assert {"a", "b"} < set(hosts)
    assert "a, b: all say that their host is clone; they are told apart by their folders" in notes
    assert f"{base}/h01/copied: left out, it is the same run as {base}/h00/run0" in notes


def test_another_engine_is_left_out_unless_it_is_asked_for(writer: FleetWriter, base: Path) -> None:
    engine = {**writer.run["engine"], "sha256": "1" * 64}
    writer.write(base / "h09" / "run", np.ones(2), engine=engine)
    hosts, notes = hosts_of(base)
    assert list(hosts) == ["h00", "h01", "h02"]
    assert "h09: runs of another engine than most hosts have are left out." in notes
    assert list(hosts_of(base, anyway=True)[0]) == ["h00", "h01", "h02", "h09"]


def test_a_host_of_two_makes_is_two_hosts(writer: FleetWriter, base: Path) -> None:
    writer.write(base / "h00" / "other", np.ones(2), machine_key="other-0123abcd")
    hosts, notes = hosts_of(base)
    assert list(hosts)[:2] == ["h00 [other-0123abcd]", "h00 [synthetic-0123abcd]"]
    assert "h00: its runs are of several makes of machine" in notes


def test_clocks_apart_are_told(writer: FleetWriter, base: Path) -> None:
    writer.write(base / "late" / "run", np.ones(2), created=START + timedelta(hours=9))
    writer.write(base / "wrong" / "run", np.ones(2), created=START + timedelta(days=400))
    notes = hosts_of(base)[1]
    assert "late: measured up to 9 hours apart from the others" in notes
    assert "wrong: runs begin in the future" in notes


def test_a_label_that_is_asked_for(writer: FleetWriter, base: Path) -> None:
    writer.write(base / "h00" / "labelled", np.ones(2), labels={"bios": "new"})
    hosts, notes = hosts_of(base, "bios")
    assert [run.label for host in hosts.values() for run in host.runs] == ["new"]
    assert notes.count("has no label bios") == 6


def test_a_folder_without_a_usable_run(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="has no run folders"):
        hosts_of(tmp_path)
    (tmp_path / "web1" / "run").mkdir(parents=True)
    (tmp_path / "web1" / "run" / schema.RUN_FILE).write_text("{}")
    with pytest.raises(FleetError, match=r"no run of a host that can be used; left out: .*run\.json"):
        hosts_of(tmp_path)


def test_a_hostile_run_costs_itself_only(base: Path) -> None:
    hostile = base / "h01" / "evil\x1b[2J"
    shutil.copytree(base / "h00" / "run0", hostile)
    (hostile / schema.RUN_FILE).unlink()
    (hostile / schema.RUN_FILE).symlink_to("/dev/zero")
    (base / "h02" / "round").symlink_to(base)
    done = fencepost_inside("fleet", "report", str(base), cwd=base)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "its run.json is not an ordinary file; fetch it again" in done.stdout
    assert "3 hosts, 6 runs" in done.stdout


def test_the_command_says_the_same(base: Path) -> None:
    done = fencepost_inside("fleet", "report", str(base), "--json", cwd=base)
    assert [make["hosts"] for make in json.loads(done.stdout)["makes"]] == [["h00", "h01", "h02"]]
    done = fencepost_inside("fleet", "report", str(base / "none"), cwd=base)
    assert (done.returncode, "no such folder" in done.stderr) == (2, True)
    done = fencepost_inside("fleet", "rport", cwd=base)
    assert (done.returncode, "did you mean report?" in done.stderr) == (2, True)
