"""What the notes say of namespaces."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, refuted, row_of
from fencepost.analysis.topics.control import Control, largest, metric_of, times_of

A_NETWORK = 20.0
"""So many times a host name is more than an entry in a table: devices, routes and tables of their own."""

NONE_PCT, ALL_PCT = 1.0, 99.0
"""Of a hundred calls one would be between them."""


@claim(
    "namespace/net",
    "netns 虛擬網路 namespace",
    "netns: a namespace with a virtual network",
    ["namespace/unshare"],
    "each child gets a separate network namespace, which costs at least 20 times one of the host name",
    failure=refuted,
    control=Control(
        "the call that makes no namespace takes less than one of the host name",
        times_of("namespace/unshare", {"kind": "none"}, {"kind": "uts"}),
        "times",
        below=1.0,
    ),
)
@needs("namespace/unshare", kind=("uts", "net"))
def net(analysis: Analysis) -> Verdict:
    """A whole network, beside a name."""
    name, network = (row_of(analysis, "namespace/unshare", kind=kind) for kind in ("uts", "net"))
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


@claim(
    "namespace/capability",
    "在特定時間下資源限制的給予process能力",
    "(capability:) gives a process an ability, at a certain time and limited to a resource",
    ["namespace/capability"],
    "of calls that take a capability all are refused while a process has given up this one, and none while it has this "
    "one alone",
    failure=refuted,
    control=Control(
        "with all capabilities no call is refused",
        largest(
            *(
                metric_of("namespace/capability", "refused_with_pct", call=call)
                for call in ("nice", "hostname", "chroot")
            )
        ),
        "%",
        below=NONE_PCT,
    ),
)
@needs("namespace/capability")
def capability(analysis: Analysis) -> Verdict:
    """Refused calls of one process, with a capability and without it."""
    rows = list(analysis.decided("namespace/capability"))
    without = min((row.metric("refused_without_pct") for row in rows), key=lambda found: found.value)
    with_it = max(
        (row.metric(f"refused_{when}_pct") for row in rows for when in ("with", "alone")), key=lambda found: found.value
    )
    calls = ", ".join(str(row.parameter("call")) for row in rows)
    figure = f"refused: {without.text('%')} of the calls without it, {with_it.text('%')} with it"
    said = f"Of several calls ({calls}) these are the worst figures."
    number = measure(without, "%", NONE_PCT, ALL_PCT)
    sides = side(without, NONE_PCT), side(without, ALL_PCT), side(with_it, NONE_PCT)
    if Side.TOUCHES in sides:
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what was refused. {said}", number)
    if sides == (Side.ABOVE, Side.ABOVE, Side.BELOW):
        return Verdict(Outcome.CONFIRMED, figure, f"The ability comes and goes with the capability. {said}", number)
    if sides[0] is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"The calls succeed without the capability. {said}", number)
    return Verdict(Outcome.DEPENDS, figure, f"Something else decides over some calls. {said}", number)
