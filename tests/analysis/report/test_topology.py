"""The picture of the topology."""

from __future__ import annotations

import re
from typing import cast

import pytest
from machines import NAMES, expected
from runs.write import machine_document

from fencepost.analysis.report.topology import topology_figure
from fencepost.bench.documents import MachineJson

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("topology", "drawn"),
    [
        ({"cpus": [0, 1], "cores": [[0, 1]], "packages": [[0, 1]], "l3": [[0, 1]], "numa": {"0": [0, 1]}}, True),
        ({"cpus": [0, 1, 2], "cores": [], "packages": [], "l3": [], "numa": {}}, True),
        ({"cpus": [0, 1], "cores": "none", "numa": {"0": [0], "1": [1]}}, True),
        ({"cpus": list(range(4096))}, False),
        ({"cpus": ["0"]}, False),
        ({"cpus": []}, False),
        ({}, False),
        (None, False),
    ],
)
def test_the_topology_is_drawn_where_the_machine_tells_it(topology: object, drawn: bool) -> None:
    figure = topology_figure(cast(MachineJson, {"topology": topology}), [0])
    assert (figure is not None) == drawn
    if figure is not None:
        assert figure.table.rows and "Filled: the CPUs that this run may use (0)" in figure.description


@pytest.mark.drawn
@pytest.mark.parametrize("name", NAMES)
def test_topologies_of_whole_machines_are_drawn_within_their_picture(name: str) -> None:
    topology = expected(name)
    figure = topology_figure(machine_document(topology=topology, caches=[]), topology["cpus"][:2])
    assert figure is not None
    for cpu in topology["cpus"]:
        assert re.search(rf">{cpu}</text>", figure.svg)
    assert len(figure.table.rows) >= len(topology["l3"] or [1])
    alone = {cpu: core for core in topology["cores"] for cpu in core}
    shared = [group for group in topology["l2"] if any(alone.get(cpu) != alone.get(group[0]) for cpu in group)]
    assert figure.svg.count(">L2</text>") == len(shared)
