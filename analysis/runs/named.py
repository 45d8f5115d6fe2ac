"""What a machine is called, so that several can be told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fencepost.analysis.runs.clock import core_clock_of_rounds
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import called, identity_of, label_of
from fencepost.analysis.runs.machine import microarchitecture
from fencepost.analysis.text.escape import one_line
from fencepost.bench.labels import HOST

_ACRONYM = 4
"""Letters of a hypervisor's name, such as KVM or QEMU, up to which it is written in capitals."""
_LONGEST = 80
"""Characters of a processor's name. Those of vendors have 50 at most."""


def processor(machine: Mapping[str, object]) -> str:
    """The processor with its microarchitecture: ``AMD EPYC (Zen 4)``."""
    kind = microarchitecture(machine)
    model = one_line(str(machine.get("cpu_model") or "unknown processor"), _LONGEST)
    return f"{model} ({kind})" if kind else model


def machine_name(analysis: Analysis) -> str:
    """A machine in a line that tells it from others: label, processor, CPUs, measured clock, hypervisor."""
    machine = analysis.machine
    ghz = core_clock_of_rounds(analysis)[0].value
    present = machine.get("cpus_present")
    cpus = len(present) if isinstance(present, Sequence) else 0
    parts = [
        called(analysis.run, processor(machine)),
        "" if not cpus else "1 CPU" if cpus == 1 else f"{cpus} CPUs",
        "" if math.isnan(ghz) else f"{ghz:.2f} GHz",
        _guest(machine.get("hypervisor")),
    ]
    return ", ".join(part for part in parts if part)


def _guest(hypervisor: object) -> str:
    """``KVM guest``; nothing where no hypervisor is known."""
    if not (isinstance(hypervisor, Mapping) and hypervisor.get("guest")):
        return ""
    kind = str(hypervisor.get("kind") or "")
    return f"{kind.upper() if len(kind) <= _ACRONYM else kind.capitalize()} guest".strip()


def short_names(runs: Sequence[Analysis]) -> list[str]:
    """A name for each of several runs, as short as tells them apart: label or processor, host, two of these, the
    machine's key with both, or the run's id.
    """
    schemes = (
        [label_of(run.run) or processor(run.machine) for run in runs],
        [label_of(run.run, HOST) or label_of(run.run) or processor(run.machine) for run in runs],
        [called(run.run, processor(run.machine)) for run in runs],
        [str(identity_of(run.run)) for run in runs],
    )
    ids = [one_line(str(run.run["id"]), _LONGEST) for run in runs]
    return next((names for names in schemes if len(set(names)) == len(names)), ids)
