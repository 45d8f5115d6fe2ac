"""Faults planted in hosts that one command measures: no complete round is lost, and none is measured twice.

`make fleet-faults` plants all. Without FAULTS=all in the environment, some are planted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from fleet.hosts import Fleet, require
from fleet.plantings import CLOCKS, DISKS, MACHINES, NETWORK, PROCESSES, ROUNDS, Planting, Stage

from fencepost.bench.errors import EXIT_MEASURE

pytestmark = pytest.mark.slow

ALL = {"network": NETWORK, "processes": PROCESSES, "machines": MACHINES, "disks": DISKS, "clocks": CLOCKS}
SOME = {
    "some": {
        "cut": NETWORK["cut"],
        "cut for a moment": NETWORK["cut for a moment"],
        "all killed": PROCESSES["all killed"],
        "reboot": MACHINES["reboot"],
        "full": DISKS["full"],
        "five hours ahead": CLOCKS["five hours ahead"],
    }
}
GROUPS = ALL if os.environ.get("FAULTS") == "all" else SOME


def test_twenty_faults_are_planted() -> None:
    steps = [planting.steps for group in ALL.values() for planting in group.values()]
    assert len(steps) >= 20 and len({name for group in ALL.values() for name in group}) == len(steps)


def booted(fleet: Fleet, plantings: Mapping[str, Planting]) -> dict[str, Stage]:
    """A host for each planting."""
    stages = {}
    for number, (name, planting) in enumerate(plantings.items(), 1):
        host = f"host{number}"
        home = fleet.folder / "homes" / host
        environment = {key: value.format(home=home) for key, value in planting.environment.items()}
        if environment:
            (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
            environment["LD_PRELOAD"] = str(library)
        stages[name] = Stage(fleet, fleet.add(host, planting.own_name, environment, planting.small_disk))
    return stages


@pytest.mark.parametrize("plantings", GROUPS.values(), ids=GROUPS)
def test_nothing_is_lost_and_nothing_measured_twice(plantings: Mapping[str, Planting], tmp_path: Path) -> None:
    require()
    with Fleet(tmp_path) as fleet:
        stages = booted(fleet, plantings)
        fleet.prepare(ROUNDS)
        left = {name: plantings[name].steps(stage) for name, stage in stages.items()}
        waiting = {name: next(steps) for name, steps in left.items()}

        def step() -> None:
            for name, condition in list(waiting.items()):
                if condition():
                    del waiting[name]
                    if (then := next(left[name], None)) is not None:
                        waiting[name] = then

        process = fleet.begin()
        while process.poll() is None:
            step()
            time.sleep(0.05)
        said = " ".join(process.stdout.read().split()) if process.stdout else ""
        in_mid_run = {name for name, condition in waiting.items() if condition.__name__ != Stage.ended.__name__}
        assert in_mid_run == set(), f"the command ended before these faults were planted: {in_mid_run}\n{said}"
        for name, planting in plantings.items():
            assert planting.told in said, (name, said)
            assert not planting.whole or fleet.runs(stages[name].host.name), (name, said)
        assert process.returncode == (0 if all(one.whole for one in plantings.values()) else EXIT_MEASURE), said
        deadline = time.monotonic() + 120
        for stage in stages.values():
            stage.over = True
        while waiting:
            assert time.monotonic() < deadline, waiting
            step()
            time.sleep(0.05)
        again = fleet.measure()
        assert again.returncode == 0, again.stdout
        for name, stage in stages.items():
            after = {path.name: sha256(path.read_bytes()).hexdigest() for path in fleet.require_whole(stage.host.name)}
            assert len(after) == ROUNDS, name
            assert {number: after[number] for number in stage.before} == stage.before, name
