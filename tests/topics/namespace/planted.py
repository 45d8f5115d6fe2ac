"""What has to be planted in stored rows for each verdict on namespaces."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def refused(without: Change, alone: Change = 0.0) -> Plant:
    """So many per cent of the calls are refused without the capability, and with it alone."""
    return lambda run: run.put("refused_without_pct", without, "namespace/capability", call="nice").put(
        "refused_alone_pct", alone, "namespace/capability", call="nice"
    )


def network(factor: Change) -> Plant:
    """A network namespace takes so many times what it took."""
    return lambda run: run.scale(factor, "namespace/unshare", kind="net")


PLANTED: Planted = {
    "namespace/capability": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: refused(100.0, alone=100.0),
        Outcome.UNDECIDED: refused(in_turn(0.0, 100.0)),
        Outcome.REFUTED: refused(0.0),
    },
    "namespace/net": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: network(0.1),
        Outcome.UNDECIDED: network(in_turn(0.1, 2.0)),
        Outcome.REFUTED: network(0.001),
    },
}
