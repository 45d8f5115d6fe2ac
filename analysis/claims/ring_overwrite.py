"""What the notes say of printk and of the log of early boot."""

from __future__ import annotations

from fencepost.analysis.claims import Outcome, Verdict, claim
from fencepost.analysis.estimate import Analysis, records
from fencepost.analysis.sharing import OVERSUBSCRIBED, value_of
from fencepost.analysis.tables import count, ns_with_bounds


@claim(
    "ring/early_boot",
    "實作上是ring buffer，log太多會有遺失",
    "It is implemented as a ring buffer; with too many logs some are lost",
    ["ring/overwrite_burst"],
    "a burst longer than the capacity loses exactly the difference, and the oldest",
)
def early_boot(analysis: Analysis) -> Verdict:
    """Counts, not times: the kernel's check has compared each record that was left."""
    rows = analysis.kernel("ring/overwrite_burst")
    told = []
    for row in records(rows[rows["ns"].notna()]):
        burst = f"{row['parameters'].get('burst_pct')} % of {row['parameters'].get('capacity')}"
        told.append((burst, value_of(row, "lost")[0], value_of(row, "expected")[0]))
    figure = "; ".join(f"burst of {burst}: {count(lost)} lost" for burst, lost, _ in told)
    wrong = [burst for burst, lost, expected in told if lost != expected]
    if wrong:
        return Verdict(Outcome.REFUTED, figure, f"Not burst less capacity: {', '.join(wrong)}.")
    if not any(expected for *_, expected in told):
        return Verdict(Outcome.NOT_MEASURABLE, figure, "No burst of this run is longer than the capacity.")
    return Verdict(
        Outcome.CONFIRMED,
        figure,
        "Each burst lost exactly its length less the capacity, the oldest records first; what was left came whole.",
    )


@claim(
    "ring/printk",
    "訊息完整顯示不會被截斷，代表printk有mutex lock",
    "Messages are shown whole and are not cut, which means that printk has a mutex lock",
    ["ring/printk"],
    "whole messages need a lock around the log (printk itself has had a lockless log since Linux 5.10)",
)
def printk(analysis: Analysis) -> Verdict:
    """Several writers into one log, with a lock and without: whether records came back whole, and what they cost."""
    rows = analysis.kernel("ring/printk")
    found = [row for row in records(rows[rows["ns"].notna()]) if row["relation"] != OVERSUBSCRIBED]
    most = max((len(row["cpus"]) for row in found), default=0)
    by = {str(row["parameters"].get("design")): row for row in found if len(row["cpus"]) == most}
    if most < 2 or set(by) != {"lock", "lockless"}:
        return Verdict(Outcome.NOT_MEASURABLE, "", "needs two writers on CPUs of their own, with each design.")
    figure = "; ".join(
        f"{name}: {ns_with_bounds(row['ns'], row['ns_low'], row['ns_high'])} a record, "
        f"{count(value_of(row, 'torn')[0])} torn of {count(value_of(row, 'read')[0])} read back"
        for name, row in by.items()
    )
    if value_of(by["lockless"], "torn")[0]:
        return Verdict(Outcome.CONFIRMED, figure, "Without a lock records were torn.")
    return Verdict(
        Outcome.REFUTED,
        f"{most} writers, {figure}",
        "Records are whole without a lock, too. printk's log took one until Linux 5.9; the console still does.",
    )
