"""The groups of CPUs that we read from sysfs against those of hwloc (Debian: hwloc-nox), which reads the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from machines import NAMES, OWN_NAMES, snapshot

from fencepost.bench.sysfs import parse_cpulist, parse_cpumask
from fencepost.bench.topology import read_topology

pytestmark = [pytest.mark.slow]

KEPT = ("core", "package", "cache")
"""Objects that hwloc leaves out by default where they add nothing to the structure."""


@pytest.fixture(autouse=True)
def hwloc() -> None:
    if shutil.which("lstopo-no-graphics") is None:
        assert os.environ.get("CI") != "true", "CI needs hwloc (Debian: hwloc-nox)"
        pytest.skip("needs lstopo-no-graphics (Debian: hwloc-nox)")


def by_hwloc(root: Path) -> dict[str, list[tuple[int, ...]]]:
    filters = [word for kind in KEPT for word in ("--filter", f"{kind}:all")]
    command = ["lstopo-no-graphics", "--input", str(root), "--if", "fsroot", "--of", "xml", "--disallowed", "--no-io"]
    done = subprocess.run([*command, *filters], capture_output=True, text=True, check=True)
    groups: dict[str, set[tuple[int, ...]]] = {}
    for found in ElementTree.fromstring(done.stdout).iter("object"):
        mask = found.get("cpuset")
        if mask is not None:
            groups.setdefault(found.attrib["type"], set()).add(
                parse_cpumask(",".join(word or "0" for word in mask.replace("0x", "").split(",")))
            )
    return {kind: sorted(found) for kind, found in groups.items()}


MASKS = {"shared_cpu_list": "shared_cpu_map", "cpulist": "cpumap"}


def with_masks(root: Path, copy: Path) -> Path:
    """A copy in which each list of CPUs of a group has its mask beside it: hwloc reads masks only."""
    shutil.copytree(root, copy)
    system = copy / "sys/devices/system"
    for path in [*system.glob("cpu/cpu*/*/**/*_list"), *system.glob("node/node*/cpulist")]:
        mask = path.with_name(MASKS.get(path.name, path.name.removesuffix("_list")))
        if not mask.exists():
            bits = f"{sum(1 << cpu for cpu in parse_cpulist(path.read_text())):032x}"
            mask.write_text(",".join(bits[at : at + 8] for at in range(0, len(bits), 8)) + "\n")
    if not (system / "node/online").exists():
        nodes = (path.name.removeprefix("node") for path in system.glob("node/node*"))
        (system / "node/online").write_text(",".join(sorted(nodes, key=int)) + "\n")
    return copy


def differences(root: Path) -> set[str]:
    """The kinds of groups that hwloc reads in another way."""
    topology, theirs = read_topology(root), by_hwloc(root)
    ours = {
        "PU": [(cpu,) for cpu in topology.cpus],
        "Core": topology.cores,
        "Package": topology.packages,
        "L2Cache": topology.l2,
        "L3Cache": topology.l3,
    }
    found = {kind for kind, groups in ours.items() if list(groups) != theirs.get(kind, [])}
    # hwloc gives a node without CPUs those of the nodes near it.
    if not {cpus for cpus in topology.numa.values() if cpus} <= set(theirs["NUMANode"]):
        found.add("NUMANode")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_hwloc_reads_the_same_groups(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = snapshot(name, tmp_path_factory)
    if name in OWN_NAMES:
        root = with_masks(root, tmp_path / "copy")
    assert differences(root) == set()


EXPLAINED = {
    # Its firmware says that CPUs 0 to 3 are a package, and CPUs 0, 4, 8 ... another: damage, which is named.
    "40intel64-4n10c+pci-conflicts": {"Package", "L3Cache"},
    # Threads of one core whose first-level caches are apart: as in a module of AMD, they are two cores to us.
    "fakecpuid1f-64intel64-2p4d2n2c2t": {"Core"},
}
"""Snapshots in the sources of hwloc that it reads in another way, and why: see docs/crosscheck.md."""


def test_hwloc_s_own_snapshots(tmp_path: Path) -> None:
    folder = os.environ.get("SNAPSHOTS")
    if not folder:
        pytest.skip("SNAPSHOTS names no folder tests/hwloc of the sources of hwloc")
    files = [*Path(folder).glob("linux/*.tar.bz2"), *Path(folder).glob("x86+linux/*.tar.bz2")]
    assert files
    found = {}
    for file in files:
        name = file.name.removesuffix(".tar.bz2")
        with tarfile.open(file) as tar:
            tar.extractall(tmp_path / name, filter="tar")
        roots = {path.parents[2] for path in tmp_path.joinpath(name).glob("**/sys/devices/system")}
        if differing := differences(roots.pop()):
            found[name] = differing
    assert found == EXPLAINED
