"""A fleet of two namespaces is measured by the playbook, with faults here; test_faults.py plants faults in hosts.

`make fleet-faults` runs all. Without FAULTS=all in the environment, some are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator

import pytest
from fleet.hosts import FENCEPOST, KERNEL, Fleet, contents, require, until

from fencepost.bench.errors import EXIT_MEASURE

pytestmark = pytest.mark.slow

ROUNDS = 12

left_out = pytest.mark.skipif(os.environ.get("FAULTS") != "all", reason="left to `make fleet-faults`")


class Two:
    """Two hosts that were measured once, and what was said. The second has another version, which it tells in a word
    that Ansible would run if it took it for a template."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.harm = fleet.folder / "harm"
        other = fleet.folder / "other"
        version = f"fencepost 9.9 {{{{ lookup('pipe', 'touch {self.harm}') }}}}"
        other.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\nexec {FENCEPOST} "$@"\n')
        other.chmod(0o755)
        fleet.prepare(3, {"web2": {"fencepost_command": str(other)}}, fencepost_runs=2)
        self.done = fleet.measure()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    require()
    with Fleet(tmp_path_factory.mktemp("two")) as fleet:
        for name in ("web1", "web2"):
            fleet.add(name)
        yield Two(fleet)


def test_each_run_arrives_whole_and_nothing_stays_on_the_target(two: Two) -> None:
    assert two.done.returncode == 0, two.done.stdout
    for name, host in two.fleet.hosts.items():
        assert len(two.fleet.require_whole(name, runs=2)) == 6
        assert host.processes("fencepost") == []
        assert not (host.series() / "runs.tar").exists()
    assert list((two.fleet.place / "runs" / ".fetched").iterdir()) == []


def test_two_versions_are_told_and_what_a_target_says_is_not_executed(two: Two) -> None:
    said = " ".join(two.done.stdout.split())
    assert "the targets have different versions of fencepost" in said and "9.9" in said
    assert not two.harm.exists()


def test_the_same_command_measures_nothing_twice_and_fetches_what_was_lost_here(two: Two) -> None:
    fleet = two.fleet
    before = contents(fleet.require_whole("web2", runs=2))
    lost, half = (path.parent for path in fleet.runs("web2"))
    shutil.rmtree(lost)
    (half / "rounds" / "0002.parquet").unlink()
    done = fleet.measure()
    assert done.returncode == 0 and f"{half}: not whole" in " ".join(done.stdout.split()), done.stdout
    assert contents(fleet.require_whole("web2", runs=2)) == before
    assert len(fleet.require_whole("web1", runs=2)) == 6


def one_run(series: str, rounds: int = ROUNDS) -> tuple[str, ...]:
    """Options for one run of the first host in a series of its own."""
    arguments = [KERNEL, "--rounds", str(rounds)]
    variables = {"fencepost_series": series, "fencepost_runs": 1, "fencepost_arguments": arguments}
    return "--limit", "web1", "--extra-vars", json.dumps(variables)


@pytest.mark.parametrize(
    "sent", [pytest.param(signal.SIGINT, marks=left_out), signal.SIGKILL], ids=lambda sent: sent.name.lower()
)
def test_a_command_that_is_killed_here_is_given_again(sent: signal.Signals, two: Two) -> None:
    series = sent.name.lower()
    host = two.fleet.hosts["web1"]
    process = two.fleet.begin(*one_run(series))
    until(lambda: len(host.rounds(series)) >= ROUNDS // 3)
    before = contents(host.rounds(series))
    os.killpg(process.pid, sent)
    process.communicate(timeout=60)
    done = two.fleet.measure(*one_run(series))
    assert done.returncode == 0, done.stdout
    after = contents(two.fleet.require_whole("web1", series=series))
    assert len(after) == ROUNDS and {name: after[name] for name in before} == before


@left_out
def test_the_same_command_twice_at_once_measures_once(two: Two) -> None:
    processes = [two.fleet.begin(*one_run("twice")) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=120)
    done = two.fleet.measure(*one_run("twice"))
    assert done.returncode == 0, done.stdout
    assert len(two.fleet.require_whole("web1", series="twice")) == ROUNDS


@left_out
def test_a_full_disk_here_loses_nothing(two: Two) -> None:
    place = two.fleet.place / "runs"
    small = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=16k none {place} && exec "$0" "$@"')
    done = two.fleet.measure(*one_run("small"), within=small)
    assert done.returncode == EXIT_MEASURE and "No space left on device" in done.stdout, done.stdout
    before = contents(two.fleet.hosts["web1"].rounds("small"))
    assert len(before) == ROUNDS
    again = two.fleet.measure(*one_run("small"))
    assert again.returncode == 0, again.stdout
    assert contents(two.fleet.require_whole("web1", series="small")) == before


def test_a_hostile_run_of_a_target_gets_no_place(two: Two) -> None:
    fleet, host = two.fleet, two.fleet.hosts["web1"]
    there = {path.name for path in (fleet.place / "runs" / "web1").iterdir()}
    run = next((host.series() / "runs").iterdir())
    hostile = host.series("hostile")
    shutil.copytree(run, hostile / "runs" / run.name)
    (hostile / "done").mkdir()
    (hostile / "done" / run.name).touch()
    round_file = hostile / "runs" / run.name / "rounds" / "0002.parquet"
    round_file.unlink()
    round_file.symlink_to("/etc/passwd")
    done = fleet.measure(*one_run("hostile", 3))
    assert done.returncode == EXIT_MEASURE
    assert "has a link, a device or a pipe" in " ".join(done.stdout.split()), done.stdout
    assert {path.name for path in (fleet.place / "runs" / "web1").iterdir()} == there
