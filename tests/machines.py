"""Machines to read in tests: made-up ones kept as text, small trees built on the spot, and snapshots of real ones.

A made-up machine is a file of tests/data/machines, and beside it stands what has to be read from it. Each line is
``path: content``. Numbers before the path make one file for each of them, with the number in place of ``{}``. A path
that comes again adds a line to its file. ``\\t`` and ``\\n`` in a content are a tab and a new line.

Snapshots of real machines are tried as well where the variable FENCEPOST_SNAPSHOTS names a folder with them:
``NAME.tar.bz2``, and in ``NAME.expected.json`` what has to be read from it.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fencepost.bench.sysfs import parse_cpulist

MADE_UP = Path(__file__).resolve().parent / "data" / "machines"
OWN_NAMES = ("arm-clusters", "hybrid-laptop", "two-node-server")
"""The made-up machines: tests that name one find it here always."""


def _real() -> dict[str, Path]:
    """The snapshots of real machines that this computer has, by name."""
    folder = os.environ.get("FENCEPOST_SNAPSHOTS")
    found = sorted(Path(folder).glob("*.tar.bz2")) if folder else []
    archives = {path.name.removesuffix(".tar.bz2"): path for path in found}
    return {name: path for name, path in archives.items() if path.with_name(f"{name}.expected.json").exists()}


REAL = _real()
NAMES = (*OWN_NAMES, *REAL)

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
    """The unpacked files of a machine of `NAMES`, to be read only."""
    if name not in _unpacked:  # some hold thousands of files
        folder = factory.mktemp("snapshot")
        if name in REAL:
            with tarfile.open(REAL[name]) as tar:
                tar.extractall(folder, filter="tar")
            (folder,) = (path for path in folder.iterdir() if path.is_dir())
        else:
            write(folder, unpack((MADE_UP / f"{name}.txt").read_text(encoding="utf-8")))
        _unpacked[name] = folder
    return _unpacked[name]


def unpack(text: str) -> dict[str, str]:
    """The files of a made-up machine: path and content; see the top of this file."""
    lines: dict[str, list[str]] = {}
    blocks: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        path, _, content = line.partition(": ")
        content = content.replace("\\t", "\t").replace("\\n", "\n")
        numbers, _, numbered = path.rpartition(" ")
        if not numbers:
            lines.setdefault(path, []).append(content)
            continue
        for number in map(str, parse_cpulist(numbers)):
            # Lines for the same file stand together by number: a block of /proc/cpuinfo for each CPU.
            own = blocks.setdefault(numbered.replace("{}", number), {})
            own.setdefault(number, []).append(content.replace("{}", number))
    for path, by_number in blocks.items():
        lines.setdefault(path, []).extend(line for block in by_number.values() for line in block)
    return {path: "\n".join(found) for path, found in lines.items()}


def expected(name: str) -> dict[str, Any]:
    """What has to be read from a machine: reasoned from the files of a made-up one, as hwloc reads a real one."""
    beside = REAL[name] if name in REAL else MADE_UP / name
    facts: dict[str, Any] = json.loads(beside.with_name(f"{name}.expected.json").read_text(encoding="utf-8"))
    facts.pop("source", None)
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
        files[f"{at}/cache/index0/shared_cpu_list"] = ",".join(str(c) for core in cores if cpu in core for c in core)
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
