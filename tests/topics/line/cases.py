"""Cases of the topic line with a known truth."""

from __future__ import annotations

from collections.abc import Mapping

from runs.write import Case, crowd_cases, pair_case


def pingpong_cases(one_way: Mapping[tuple[int, int], tuple[str, float]]) -> list[Case]:
    """Ping-pong by pair of CPUs: relation, and half of the round trip in ns."""
    parameters = {"variant": "load_store", "pause": "no"}
    return [
        Case("line/pingpong", parameters, ns=2 * ns, cpus=pair, relation=relation)
        for pair, (relation, ns) in one_way.items()
    ]


def stride_cases(line: int = 64, shared: float = 30.0, alone: float = 6.0) -> list[Case]:
    """Two words at a distance: `shared` ns an access within a line of `line` bytes, `alone` beyond."""
    return [Case("line/alone", {"op": "atomic_add"}, ns=alone)] + [
        pair_case("line/false_sharing", {"op": "atomic_add", "stride": stride}, shared if stride < line else alone)
        for stride in (8, 32, 56, 64, 128, 512)
    ]


def line_cases() -> list[Case]:
    """All kernels of the topic line."""
    cases = [*pingpong_cases({(0, 1): ("same_l3", 44), (1, 0): ("same_l3", 45)}), *stride_cases()]
    for op in ("fetch_add", "cas"):
        cases += crowd_cases("line/contended", {"op": op, "between": 0}, {1: 2, 2: 10, 4: 30}, fairness=0.4)
    for op, ns in {"load": 30.0, "store": 2.0}.items():
        for state, factor in {"modified": 1.0, "own": 0.05}.items():
            cases.append(pair_case("line/state", {"state": state, "op": op}, ns * factor, kind="events"))
    for every in (0, 1, 100):
        cases.append(pair_case("line/read_mostly", {"guard": "atomic", "reads_per_write": every}, 1 + every / 100))
    return cases
