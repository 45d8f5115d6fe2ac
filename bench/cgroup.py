"""The limits that control groups put on this process: quota, throttling, cpuset, memory; version 1, 2 and both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fencepost.bench.sysfs import Tree

NO_LIMIT_BYTES = 1 << 60
"""Version 1 says "no limit" by the largest multiple of a page below 2^63. No machine has this much memory."""


@dataclass(frozen=True)
class Cgroup:
    """What the groups of a process allow. None: not limited, or not readable.

    `version` is "1", "2" or "1+2" (both mounted); `readable` says whether the group's folder is there, so that no quota
    means none; `quota_cpus` is the tightest quota on the way to the root group, in CPUs; `quota_path`, `stat_path` and
    `cpuset_path` name the files as they are called on that machine; `memory_bytes` is the tightest limit of memory.
    """

    version: str | None = None
    readable: bool = False
    quota_cpus: float | None = None
    quota_path: str | None = None
    stat_path: str | None = None
    throttled_periods: int | None = None
    throttled_us: int | None = None
    cpuset: tuple[int, ...] | None = None
    cpuset_path: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class _Mount:
    """Where a hierarchy of groups is mounted, and which of its groups is the top of what is seen there."""

    point: str
    root: str
    version: str
    options: frozenset[str]

    def way_up(self, group: str) -> list[str] | None:
        """Folders from a group to the top of the mount, or None where the group is not below it.

        Both paths are told from the root of this process's cgroup namespace. What lies outside of it begins with "..".
        """
        group_parts, root_parts = _parts(group), _parts(self.root)
        below = group_parts[len(root_parts) :]
        if group_parts[: len(root_parts)] != root_parts or ".." in below:
            return None
        return ["/".join([self.point, *below[:count]]) for count in range(len(below), -1, -1)]


def read_cgroup(tree: Tree) -> Cgroup:
    """Read the limits of the process that ``proc/self`` stands for below the tree's root."""
    mounts = _mounts(tree)
    own = _own_groups(tree)
    versions = {mount.version for mount in mounts}
    _, way_up = _hierarchy(mounts, own, "cpu")
    cpuset_mount, cpuset_way = _hierarchy(mounts, own, "cpuset")
    quota, quota_path = _quota(tree, way_up)
    stat_path, statistics = _statistics(tree, way_up)
    throttled_us = statistics.get("throttled_usec")
    if throttled_us is None and "throttled_time" in statistics:
        throttled_us = statistics["throttled_time"] // 1000
    cpuset, cpuset_path = _cpuset(
        tree, cpuset_way, bare=cpuset_mount is not None and "noprefix" in cpuset_mount.options
    )
    return Cgroup(
        version="+".join(sorted(versions)) or None,
        readable=any(tree.exists(folder) for folder in way_up),
        quota_cpus=quota,
        quota_path=quota_path,
        stat_path=stat_path,
        throttled_periods=statistics.get("nr_throttled"),
        throttled_us=throttled_us,
        cpuset=cpuset,
        cpuset_path=cpuset_path,
        memory_bytes=_memory_bytes(tree, _hierarchy(mounts, own, "memory")[1]),
    )


def _mounts(tree: Tree) -> list[_Mount]:
    """All mounts of hierarchies, from mountinfo, which alone tells their top, or from the older list."""
    text = tree.text("proc/self/mountinfo")
    found = []
    if text is not None:
        for line in text.splitlines():
            before, _, after = line.partition(" - ")
            fields, kind = before.split(), after.split()
            if len(fields) >= 5 and len(kind) >= 3:
                found.append((fields[4], fields[3], kind[0], kind[2]))
    else:
        lines = (tree.text("proc/self/mounts") or tree.text("proc/mounts") or "").splitlines()
        found = [(fields[1], "/", fields[2], fields[3]) for fields in map(str.split, lines) if len(fields) >= 4]
    mounts = [mount for point, root, kind, options in found if (mount := _mount(point, root, kind, options))]
    if not mounts and tree.exists("sys/fs/cgroup/cgroup.controllers"):
        mounts = [_Mount("sys/fs/cgroup", "/", "2", frozenset())]
    return mounts


def _mount(point: str, root: str, kind: str, options: str) -> _Mount | None:
    words = frozenset(options.split(","))
    if kind == "cpuset":  # the oldest form, before there were other controllers
        kind, words = "cgroup", frozenset(("cpuset", "noprefix"))
    version = {"cgroup": "1", "cgroup2": "2"}.get(kind)
    return _Mount(_plain(point).strip("/"), _plain(root), version, words) if version else None


def _plain(path: str) -> str:
    """A path of a list of mounts, in which white space is written as an octal number."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _own_groups(tree: Tree) -> dict[str, str]:
    """The group of this process by controller; "" stands for version 2."""
    own = {}
    for line in (tree.text("proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(","):
            own[controller] = path
    cpuset = tree.text("proc/self/cpuset")
    if cpuset and not own:
        own["cpuset"] = cpuset
    return own


def _hierarchy(mounts: Iterable[_Mount], own: dict[str, str], controller: str) -> tuple[_Mount | None, list[str]]:
    """The mount that shows this process's group of a controller, and the folders from the group to its top.

    Version 1 where the controller is there. Of several mounts, the one that shows least above the group. Where no mount
    shows the group, the top of one is the last that can be read, unless the group is known to lie outside of it.
    """
    older = [mount for mount in mounts if mount.version == "1" and controller in mount.options]
    newer = [mount for mount in mounts if mount.version == "2"]
    for candidates, group in ((older, own.get(controller)), (newer, own.get(""))):
        if not candidates or group is None:
            continue
        ways = [(mount, way) for mount in candidates if (way := mount.way_up(group)) is not None]
        if ways:
            return min(ways, key=lambda found: len(found[1]))
        outside = ".." in _parts(group)
        return candidates[0], [] if outside else [candidates[0].point]
    return None, []


def _quota(tree: Tree, folders: list[str]) -> tuple[float | None, str | None]:
    limits = []
    for folder in folders:
        quota, period = [*(tree.text(f"{folder}/cpu.max") or "").split(), "", ""][:2]
        path = f"/{folder}/cpu.max"
        if not quota:
            quota = tree.text(f"{folder}/cpu.cfs_quota_us") or ""
            period = tree.text(f"{folder}/cpu.cfs_period_us") or ""
            path = f"/{folder}/cpu.cfs_quota_us"
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            limits.append((int(quota) / int(period), path))
    return min(limits, default=(None, None))


def _statistics(tree: Tree, folders: list[str]) -> tuple[str | None, dict[str, int]]:
    for folder in folders:
        text = tree.text(f"{folder}/cpu.stat")
        if text is not None and "nr_throttled" in text:
            pairs = (line.split() for line in text.splitlines())
            return f"/{folder}/cpu.stat", {p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].isdecimal()}
    return None, {}


def _cpuset(tree: Tree, folders: list[str], *, bare: bool) -> tuple[tuple[int, ...] | None, str | None]:
    """CPUs of the nearest group that sets a limit. `bare`: the names of its files lack the controller's."""
    names = ("effective_cpus", "cpus") if bare else ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")
    for folder in folders:
        for name in names:
            cpus = tree.cpulist(f"{folder}/{name}")
            if cpus:  # empty: this group sets no limit of its own
                return cpus, f"/{folder}/{name}"
    return None, None


def _memory_bytes(tree: Tree, folders: list[str]) -> int | None:
    limits = [
        limit
        for folder in folders
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := tree.integer(f"{folder}/{name}")) is not None and 0 < limit < NO_LIMIT_BYTES
    ]
    return min(limits, default=None)
