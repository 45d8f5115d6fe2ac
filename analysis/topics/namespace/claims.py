"""What the notes say of namespaces."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, refuted

A_NETWORK = 20.0
"""So many times a host name is more than an entry in a table: devices, routes and tables of their own."""


@claim(
    "namespace/net",
    "netns 虛擬網路 namespace",
    "netns: a namespace with a virtual network",
    ["namespace/unshare"],
    "each child gets a network namespace of its own, which costs at least 20 times one of the host name",
    failure=refuted,
)
@needs("namespace/unshare", kind=("uts", "net"))
def net(analysis: Analysis) -> Verdict:
    """A whole network, beside a name."""
    name, network = (_row(analysis, kind) for kind in ("uts", "net"))
    dearer = ratio(analysis, network.case, name.case)
    figure = f"{dearer.text()} times a namespace of the host name"
    said = f"A network namespace takes {network.time.ns_text()}, one of the host name {name.time.ns_text()}."
    number = measure(dearer, "1", 1.0, A_NETWORK)
    more, far = side(dearer, 1.0), side(dearer, A_NETWORK)
    if Side.TOUCHES in (more, far):
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval it is open. {said}", number)
    if far is Side.ABOVE:
        return Verdict(Outcome.CONFIRMED, figure, f"It is a network, and no mere name. {said}", number)
    if more is Side.ABOVE:
        return Verdict(Outcome.DEPENDS, figure, f"It is dearer, and not by much. {said}", number)
    return Verdict(Outcome.REFUTED, figure, f"It costs no more than a name. {said}", number)


def _row(analysis: Analysis, kind: str) -> Row:
    return next(row for row in analysis.decided("namespace/unshare") if row.has(kind=kind))
