"""Machines to read in tests: snapshots of real ones, where they are at hand, and small trees built on the spot."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

SNAPSHOTS = Path(__file__).resolve().parents[2] / "shared" / "topologies"
NAMES = (
    "128arm-2pa2n8cluster4co",
    "16em64t-4s2c2t-offlines",
    "20em64t-hybrid-1p6c2t+2ca4co1t",
    "8em64t-2s2ca2c",
    "96em64t-4no4pa3ca2co",
)

X86_BLOCK = """processor\t: {cpu}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 106
model name\t: Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz
stepping\t: 6
microcode\t: 0xd0003a5
cpu MHz\t\t: {mhz}
physical id\t: 0
flags\t\t: fpu tsc lm constant_tsc nonstop_tsc{flags}
bogomips\t: 5200.00
"""


_unpacked: dict[str, Path] = {}


def snapshot(name: str, factory: pytest.TempPathFactory) -> Path:
    """The unpacked snapshot of a real machine, to be read only; skips where the snapshots are not at hand."""
    archive = SNAPSHOTS / f"{name}.tar.bz2"
    if not archive.exists():
        pytest.skip("the snapshots of real machines (../shared/topologies) are not part of the project and not here")
    if name not in _unpacked:  # some hold thousands of files
        folder = factory.mktemp("snapshot")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="tar")
        (_unpacked[name],) = (path for path in folder.iterdir() if path.is_dir())
    return _unpacked[name]


def expected(name: str) -> dict[str, Any]:
    """What hwloc reads from a snapshot."""
    facts: dict[str, Any] = json.loads((SNAPSHOTS / f"{name}.expected.json").read_text())
    del facts["source"]
    return facts


def write(root: Path, files: Mapping[str, object]) -> Path:
    """Write `files` (path below root: contents) as sysfs would show them."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{content}\n")
    return root


def cpuinfo(cpus: Iterable[int], mhz: float = 2600.0, flags: str = "") -> str:
    return "\n".join(X86_BLOCK.format(cpu=cpu, mhz=mhz, flags=flags) for cpu in cpus)


def build(
    root: Path,
    cores: Iterable[Iterable[int]],
    *,
    packages: Iterable[Iterable[int]] | None = None,
    l2: Iterable[Iterable[int]] | None = None,
    l3: Iterable[Iterable[int]] | None = None,
    numa: Iterable[Iterable[int]] | None = None,
    more: Mapping[str, object] | None = None,
) -> Path:
    """A machine with these cores (each a group of SMT siblings), below `root`."""
    cores = [sorted(core) for core in cores]
    cpus = sorted(cpu for core in cores for cpu in core)
    groups = {
        "topology/core_cpus_list": cores,
        "topology/package_cpus_list": packages or [cpus],
        "cache/index2/shared_cpu_list": l2 or cores,
        "cache/index3/shared_cpu_list": [cpus] if l3 is None else l3,
    }
    system = "sys/devices/system"
    files: dict[str, object] = {
        f"{system}/cpu/online": ",".join(map(str, cpus)),
        f"{system}/cpu/present": ",".join(map(str, cpus)),
        "proc/cpuinfo": cpuinfo(cpus),
    }
    for cpu in cpus:
        at = f"{system}/cpu/cpu{cpu}"
        files[f"{at}/cache/index0/level"] = 1
        files[f"{at}/cache/index0/type"] = "Data"
        files[f"{at}/cache/index0/size"] = "48K"
        files[f"{at}/cache/index0/coherency_line_size"] = 64
        files[f"{at}/cache/index0/shared_cpu_list"] = cpu
        for path, kind in groups.items():
            for group in map(list, kind):
                if cpu in group:
                    files[f"{at}/{path}"] = ",".join(map(str, group))
                    if path.startswith("cache"):
                        level = int(path[len("cache/index")])
                        files[f"{at}/cache/index{level}/level"] = level
                        files[f"{at}/cache/index{level}/type"] = "Unified"
                        files[f"{at}/cache/index{level}/size"] = f"{level}M"
    for node, members in enumerate(numa or [cpus]):
        files[f"{system}/node/node{node}/cpulist"] = ",".join(map(str, members))
    return write(root, {**files, **(more or {})})
