"""What has to be planted in stored rows for each verdict on rings."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored

from fencepost.analysis.topics.claim import Outcome

BURST = "1002 records lost in 20 bursts instead of 50 in each, 0 others wrong"
TORN = "8011 records written, 7071 read, 940 lost, 9 torn or in disorder"
LOCKLESS = ("ring/spsc", "ring/naive", "ring/seq_cst")


def _at_other_prices(run: Stored, factors: tuple[float, float, float]) -> Stored:
    for kernel, factor in zip(LOCKLESS, factors, strict=True):
        run.scale(factor, kernel)
    return run


PLANTED: Planted = {
    "ring/lockless": {
        Outcome.CONFIRMED: lambda run: _at_other_prices(run, (1, 1, 0.1)).drop("ring/one_cpu_spin"),
        Outcome.DEPENDS: as_stored,
        Outcome.UNDECIDED: lambda run: run.drop("ring/one_cpu_spin"),
        Outcome.REFUTED: lambda run: _at_other_prices(run, (100, 100, 100)),
    },
    "ring/early_boot": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.rounds(5),
        Outcome.REFUTED: lambda run: run.fail(BURST, "ring/overwrite_burst", burst_pct=150),
    },
    "ring/printk": {
        Outcome.CONFIRMED: lambda run: run.fail(TORN, "ring/printk", design="lockless"),
        Outcome.UNDECIDED: lambda run: run.put("read_meanwhile", 0.0, "ring/printk"),
        Outcome.REFUTED: as_stored,
    },
}
