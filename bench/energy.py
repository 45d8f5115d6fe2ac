"""Where this machine tells the energy of a package: a file of powercap, or an event of perf."""

from __future__ import annotations

import re

from fencepost.bench.messages import EnergySource
from fencepost.bench.sysfs import Tree
from fencepost.bench.topology import CPU

POWERCAP = "sys/class/powercap"
EVENT = "sys/bus/event_source/devices/power"


def find_energy(tree: Tree, cpu: int) -> EnergySource | None:
    """The counter of the package that `cpu` belongs to; None where there is none to read.

    Intel and AMD name it alike in powercap, and only root may read it. perf may have it for others.
    """
    package = tree.integer(f"{CPU}/cpu{cpu}/topology/physical_package_id") or 0
    return _in_powercap(tree, package) or _in_perf(tree, package)


def _in_powercap(tree: Tree, package: int) -> EnergySource | None:
    for zone in tree.entries(POWERCAP, r"intel-rapl:\d+"):
        path = f"{POWERCAP}/{zone}"
        range_uj = tree.integer(f"{path}/max_energy_range_uj")
        # A package of several dies has a counter for each. The first of them is as good as any.
        named = re.fullmatch(rf"package-{package}(-die-\d+)?", tree.text(f"{path}/name") or "")
        if named and range_uj and tree.integer(f"{path}/energy_uj") is not None:
            return {"kind": "file", "path": str(tree.root / path / "energy_uj"), "range_uj": range_uj}
    return None


def _in_perf(tree: Tree, package: int) -> EnergySource | None:
    kind, told = tree.integer(f"{EVENT}/type"), tree.text(f"{EVENT}/events/energy-pkg") or ""
    event = re.fullmatch(r"event=(0x[0-9a-f]+)", told)
    # One CPU a package reads for it.
    readers = [
        reader
        for reader in tree.cpulist(f"{EVENT}/cpumask") or ()
        if (tree.integer(f"{CPU}/cpu{reader}/topology/physical_package_id") or 0) == package
    ]
    if kind is None or event is None or not readers:
        return None
    try:
        joules = float(tree.text(f"{EVENT}/events/energy-pkg.scale") or "")
    except ValueError:
        return None
    return {"kind": "event", "type": kind, "config": int(event[1], 16), "joules": joules, "cpu": readers[0]}
