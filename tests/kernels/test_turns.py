"""Each loop of the suite beside itself: two trials side by side keep out of each other's way, or the kernel says so."""

from __future__ import annotations

import pytest
from kernels.measure import CPUS, ENOTSUP, built_engine, catalog

NAMES = sorted(info.name for info in catalog(built_engine()).kernels.values() if info.kind == "loop")

APART = {"ipc/throughput"}
"""Their workers are processes, so the engine measures one after the other."""


@pytest.mark.parametrize("name", NAMES)
def test_two_trials_of_a_loop_pass_their_checks(name: str) -> None:
    engine = built_engine()
    info = catalog(engine).get(name)
    if not engine.lib.trial_takes_turns(engine.kernel(name)):
        pytest.skip("takes no turns")
    if info.threads_min > len(CPUS):
        pytest.skip(f"needs {info.threads_min} CPUs")
    values = tuple(parameter.initial for parameter in info.parameters)
    sides = engine.trial_in_turns((name, name), (values, values), most_turn_bytes=1 << 40)
    for side in sides:
        if side.status == ENOTSUP:
            pytest.skip(side.reason)
        assert side.status == 0, side.reason
        assert len(side.samples) >= 4
    turns = [side.outcome.turn_batches for side in sides]
    assert turns == ([0, 0] if name in APART else [2, 2])
