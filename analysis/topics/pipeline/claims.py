"""What the notes say of the pipeline."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known, measure, noise_of
from fencepost.analysis.topics.control import Control, times_of


@claim(
    "pipeline/dependence",
    "假如某條指令需要依賴前面一條指令的執行結果數據，那麼 pipeline 便失去作用，因為第二條指令必須等待第一條指令完成。",
    "If an instruction depends on the result of the one before it, the pipeline loses its effect. The second must "
    "wait for the first to finish",
    ["pipeline/chain"],
    "each of one chain of dependent instructions takes longer than each of several independent chains",
    control=Control(
        "an instruction takes no longer in eight chains than in four, so the chains are apart",
        times_of("pipeline/chain", {"op": "imul", "chains": 8}, {"op": "imul", "chains": 4}),
        "times",
        below=1.1,
    ),
)
def dependence(analysis: Analysis) -> Verdict:
    """One chain against several independent ones: the same instructions, with and without waiting."""
    factors: dict[str, Interval] = {}
    by_op: dict[str, dict[float, Row]] = {}
    for row in analysis.measured("pipeline/chain"):
        by_op.setdefault(str(row.parameter("op")), {})[row.number("chains")] = row
    for op, rows in by_op.items():
        several = [row for chains, row in rows.items() if chains > 1]
        if 1 in rows and several:
            factors[op] = ratio(analysis, rows[1].case, min(several, key=lambda row: row.time.value).case)
    known(factors, "needs one chain and several of the same instruction in one run.")
    figure = "; ".join(f"{op} ×{value.text()}" for op, value in factors.items())
    limit, noise = 1 + 5 * SAME, noise_of(analysis, "pipeline/chain")
    sides = {op: side(value, limit, noise) for op, value in factors.items()}
    slower = {op for op, where in sides.items() if where is Side.ABOVE}
    number = measure(min(factors.values(), key=lambda value: value.value), "1", limit)
    if slower == set(factors):
        because = (
            "Each instruction that waits for the one before it takes its full latency. Independent ones overlap. "
            "Only the dependent chain waits. Other chains run on beside it, out of order."
        )
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if Side.TOUCHES in sides.values():
        close = ", ".join(sorted(op for op, where in sides.items() if where is Side.TOUCHES))
        because = f"Within the noise of this run it is open whether waiting costs anything for {close}."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if slower:
        return Verdict(
            Outcome.DEPENDS,
            figure,
            f"It depends on the instruction: waiting costs for {', '.join(sorted(slower))}, not for "
            f"{', '.join(sorted(set(factors) - slower))}.",
            number,
        )
    return Verdict(Outcome.REFUTED, figure, "Dependent instructions took no longer than independent ones.", number)
