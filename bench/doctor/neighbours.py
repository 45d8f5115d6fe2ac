"""What a second of witnesses says about neighbours: the doctor's first row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fencepost.bench.doctor.finding import Finding, percent, unreadable
from fencepost.bench.errors import MeasureError
from fencepost.bench.sysfs import format_cpulist

if TYPE_CHECKING:
    from fencepost.bench.engine import Engine
    from fencepost.bench.neighbours import Shares
    from fencepost.bench.topology import Topology

KNOB = "neighbours"
SOURCE = "witnesses of one second"

SECONDS = 1.0

FEW_CPUS = 4
"""So many CPUs are named one by one, more by their range."""

SELDOM_DISTURBED = 0.9
"""Above this share of quiet readings a case has its quiet batches in hardly more than the planned time."""

SELDOM_QUIET = 0.1
"""Below this share a case meets its most batches before enough of them were quiet."""

NOTHING_TAKEN = 0.03
"""So much of the width a free core misses too: one step of a coarse counter."""


def look_at_neighbours(engine: Engine, cpus: Sequence[int], topology: Topology) -> Finding:
    """Measure these CPUs for a second, and say what was found."""
    from fencepost.bench import neighbours

    try:
        return finding(neighbours.measure(neighbours.meter_of(engine, cpus, topology), SECONDS))
    except MeasureError as error:
        return unreadable(KNOB, SOURCE, str(error))


def finding(found: Sequence[Shares]) -> Finding:
    """The row about neighbours, from what each CPU had."""
    known = [(one.cpu, one.quiet, one.never_quiet) for one in found if one.quiet is not None]
    if not known:
        return unreadable(KNOB, SOURCE, "too few witnesses had a steady clock")
    value = _free([(cpu, quiet) for cpu, quiet, _ in known])
    most = max(one.taken_most or 0.0 for one in found)
    if most > NOTHING_TAKEN:
        whose = "its" if len(known) == 1 else "a core's"
        value += f"; a neighbour took up to {percent(most)} of {whose} width"
    never = [cpu for cpu, _, nothing in known if nothing]
    if len(never) == len(known):
        effect = "no batch will be quiet, so every figure includes a neighbour"
        return Finding(KNOB, SOURCE, value, effect, severity="hurts")
    least = min(quiet for _, quiet, _ in known)
    if least >= SELDOM_DISTURBED:
        return Finding(KNOB, SOURCE, value, "hardly any other work shares a core")
    effect = "other work shares a core, and times may double; only quiet batches show the cost alone"
    return Finding(KNOB, SOURCE, value, effect, severity="hurts" if least < SELDOM_QUIET else "note")


def _free(known: Sequence[tuple[int, float]]) -> str:
    """How often the cores were free."""
    if len(known) == 1:
        return f"the core was free in {percent(known[0][1])} of a second"
    if len(known) <= FEW_CPUS:
        said = [f"{percent(quiet)} (CPU {cpu})" for cpu, quiet in known]
        return f"the core was free in {', '.join(said[:-1])} and {said[-1]} of a second"
    least, most = (pick(quiet for _, quiet in known) for pick in (min, max))
    cpus = format_cpulist([cpu for cpu, _ in known])
    return f"the cores of CPUs {cpus} were free in {percent(least)} to {percent(most)} of a second"
