"""What the notes say of processes."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs


@claim(
    "process/vfork",
    "vfork - create a child process and block parent 鳩佔鵲巢",
    "vfork creates a child process and blocks the parent: the cuckoo in the magpie's nest",
    ["process/spawn"],
    "every child of vfork has ended when the call returns in the parent, and not every child of fork has",
)
@needs("process/spawn", how=("vfork", "fork"), touched=0)
def vfork(analysis: Analysis) -> Verdict:
    """In which order child and parent went on, in every process."""
    shares, times = {}, {}
    for how in ("vfork", "fork"):
        row = next(row for row in analysis.measured("process/spawn") if row.has(how=how, touched=0))
        shares[how] = row.metric("waited_pct")
        times[how] = row.time.ns_text()
        parent = f"Their parent had {plain(row.metric('resident_mib').value, 3)} MiB resident."
    figure = ", ".join(
        f"{how}: {plain(share[0], 3)} % of children had ended before the call returned" for how, share in shares.items()
    )
    prices = f"With the wait for the child a vfork takes {times['vfork']}, a fork {times['fork']}. {parent}"
    number = measure(shares["vfork"], "%", 100.0)
    if shares["vfork"].high < 100:
        because = f"Here the parent of a vfork went on before its child ended. {prices}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if not all(share.bounded for share in shares.values()) or shares["vfork"].low < 100:
        because = f"Too few processes, or processes that differ: who goes on first is open. {prices}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if shares["fork"][2] >= 100:
        return Verdict(
            Outcome.DEPENDS,
            figure,
            f"The parent of a vfork waits; but here the child of a fork ran first as well, on the one CPU. {prices}",
            number,
        )
    because = f"The parent waits in the call, and lends its memory. {prices}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)
