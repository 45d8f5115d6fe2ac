"""A fleet of namespaces is measured by the playbook: nothing is lost and nothing measured twice, whatever is cut."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet.hosts import Fleet, Host, contents, fleet_of, require, until

from fencepost.bench.errors import EXIT_MEASURE

pytestmark = pytest.mark.slow

ROUNDS = 30


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two hosts that were measured once."""
    require()
    with fleet_of(tmp_path_factory.mktemp("two"), "web1", "web2", rounds=3) as fleet:
        done = fleet.measure()
        assert done.returncode == 0, done.stdout
        yield fleet


def test_each_run_arrives_whole_and_nothing_stays_on_the_target(two: Fleet) -> None:
    for name, host in two.hosts.items():
        assert len(two.require_whole(name)) == 3
        assert host.processes("fencepost") == []
        assert not (host.series / "runs.tar").exists()
    assert list((two.place / "runs" / ".fetched").iterdir()) == []


def test_the_same_command_measures_nothing_twice_and_fetches_what_was_lost_here(two: Fleet) -> None:
    before = contents(two.require_whole("web2"))
    shutil.rmtree(two.runs("web2")[0].parent)
    done = two.measure()
    assert done.returncode == 0, done.stdout
    assert contents(two.require_whole("web2")) == before
    assert len(two.require_whole("web1")) == 3


def cut(fleet: Fleet, host: Host) -> None:
    host.cut()


def cut_for_a_moment(fleet: Fleet, host: Host) -> None:
    host.cut()
    until(lambda: len(host.rounds()) >= ROUNDS * 2 // 3)
    host.mend()


def kill(fleet: Fleet, host: Host) -> None:
    host.inside("kill", "-9", *map(str, host.processes("measure.sh job") + host.processes("fencepost run")))


def reboot(fleet: Fleet, host: Host) -> None:
    host.reboot()


@pytest.mark.parametrize("fault", [cut, cut_for_a_moment, kill, reboot], ids=lambda fault: fault.__name__)
def test_a_fault_in_mid_run_loses_nothing(fault: object, tmp_path: Path) -> None:
    require()
    assert callable(fault)
    with fleet_of(tmp_path, "web1", rounds=ROUNDS) as fleet:
        host = fleet.hosts["web1"]
        process = fleet.begin()
        until(lambda: len(host.rounds()) >= ROUNDS // 3)
        before = contents(host.rounds())
        fault(fleet, host)
        out, _ = process.communicate(timeout=250)
        if fault is cut:
            # The target is not reached any more, and goes on.
            assert process.returncode == EXIT_MEASURE and "the same command again completes them" in out
            until(lambda: len(host.rounds()) == ROUNDS)
            host.mend()
            again = fleet.measure()
            assert again.returncode == 0, again.stdout
        else:
            assert process.returncode == 0, out
        after = contents(fleet.require_whole("web1"))
        assert len(after) == ROUNDS and {name: after[name] for name in before} == before


def test_a_full_disk_is_named_and_the_rest_is_measured_later(tmp_path: Path) -> None:
    require()
    with Fleet(tmp_path) as fleet:
        host = fleet.add("web1", small_disk="8m")
        fleet.prepare(ROUNDS)
        process = fleet.begin()
        until(lambda: len(host.rounds()) >= 2)
        host.inside("dd", "if=/dev/zero", f"of={host.home}/filler", "bs=4k")
        out, _ = process.communicate(timeout=250)
        assert process.returncode == EXIT_MEASURE and "no space left on its disk" in out, out
        host.inside("rm", f"{host.home}/filler")
        done = fleet.measure()
        assert done.returncode == 0, done.stdout
        assert len(fleet.require_whole("web1")) == ROUNDS


def test_a_wrong_clock_and_equal_names_are_told(tmp_path: Path) -> None:
    require()
    with Fleet(tmp_path) as fleet:
        fleet.add("web1")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        clock = {"LD_PRELOAD": str(library), "FAKETIME": "+5h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        fleet.add("web2", "web1", clock)
        fleet.prepare(3)
        done = fleet.measure()
        assert done.returncode == 0, done.stdout
        said = " ".join(done.stdout.split())
        assert "web2: its clock is 5 h ahead" in said and "web1 and web2 call themselves web1" in said
        for name in fleet.hosts:
            assert len(fleet.require_whole(name)) == 3
