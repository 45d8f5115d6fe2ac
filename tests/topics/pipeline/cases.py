"""Cases of the topic pipeline with a known truth."""

from __future__ import annotations

from runs.write import CYCLE, Case


def pipeline_cases() -> list[Case]:
    """All kernels of the topic pipeline."""
    cases = []
    for op, (latency, throughput) in {"add": (1, 0.25), "imul": (3, 1), "fadd": (3, 0.5), "load": (4, 0.5)}.items():
        for chains in range(1, 9):
            cycles = max(latency / chains, throughput)
            cases.append(Case("pipeline/chain", {"op": op, "chains": chains}, ns=cycles * CYCLE, unit=op))
    cases.append(Case("pipeline/imul100", ns=300 * CYCLE, unit="100 imul"))
    for fill in ("nop", "add"):
        distances = {f"k{k}_ns": 90 + 0.05 * k + (85 if k >= 320 else 0) for k in range(32, 672, 32)}
        cases.append(Case("pipeline/window", {"fill": fill}, ns=100, unit="iteration", metrics=distances))
    return cases
