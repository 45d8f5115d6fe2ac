"""What has to be planted in stored rows for each verdict on namespaces."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def network(factor: Change) -> Plant:
    """A network namespace takes so many times what it took."""
    return lambda run: run.scale(factor, "namespace/unshare", kind="net")


PLANTED: Planted = {
    "namespace/net": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: network(0.1),
        Outcome.UNDECIDED: network(in_turn(0.1, 2.0)),
        Outcome.REFUTED: network(0.001),
    },
}
