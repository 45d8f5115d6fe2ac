"""The CPU limits that control groups put on this process: quota, throttling, cpuset; version 1 and 2."""

from __future__ import annotations

from dataclasses import dataclass

from fencepost.bench.sysfs import Tree


@dataclass(frozen=True)
class Cgroup:
    """What the groups of a process allow. None: not limited, or not readable.

    `version` is "1", "2" or "1+2" (both mounted); `readable` says whether the group's folder is there, so that no quota
    means none; `quota_cpus` is the tightest quota on the way to the root group, in CPUs; `quota_path`, `stat_path` and
    `cpuset_path` name the files as they are called on that machine.
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


def read_cgroup(tree: Tree) -> Cgroup:
    """Read the limits of the process that ``proc/self`` stands for below the tree's root."""
    unified, legacy = _mounts(tree)
    own = _own_groups(tree)
    version = {(True, False): "2", (False, True): "1", (True, True): "1+2"}.get((unified is not None, bool(legacy)))
    cpu_mount, cpu_group = legacy.get("cpu"), own.get("cpu")
    if cpu_mount is None or cpu_group is None:
        cpu_mount, cpu_group = unified, own.get("")
    set_mount, set_group = legacy.get("cpuset"), own.get("cpuset")
    if set_mount is None or set_group is None:
        set_mount, set_group = unified, own.get("")
    way_up = _way_up(cpu_mount, cpu_group)
    readable = any(tree.exists(folder) for folder in way_up)
    quota, quota_path = _quota(tree, way_up)
    stat_path, statistics = _statistics(tree, way_up)
    throttled_us = statistics.get("throttled_usec")
    if throttled_us is None and "throttled_time" in statistics:
        throttled_us = statistics["throttled_time"] // 1000
    cpuset, cpuset_path = _cpuset(tree, _way_up(set_mount, set_group))
    return Cgroup(
        version,
        readable,
        quota,
        quota_path,
        stat_path,
        statistics.get("nr_throttled"),
        throttled_us,
        cpuset,
        cpuset_path,
    )


def _mounts(tree: Tree) -> tuple[str | None, dict[str, str]]:
    """Mount point of version 2, and those of version 1 by controller."""
    unified: str | None = None
    legacy: dict[str, str] = {}
    for line in (tree.text("proc/self/mounts") or tree.text("proc/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        point = fields[1].replace("\\040", " ").lstrip("/")
        if fields[2] == "cgroup2":
            unified = unified or point
        elif fields[2] == "cgroup":
            for option in fields[3].split(","):
                legacy.setdefault(option, point)
    if unified is None and not legacy and tree.exists("sys/fs/cgroup/cgroup.controllers"):
        unified = "sys/fs/cgroup"
    return unified, legacy


def _own_groups(tree: Tree) -> dict[str, str]:
    """The group of this process by controller; "" stands for version 2."""
    own = {}
    for line in (tree.text("proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(","):
            own[controller] = path.strip("/")
    return own


def _way_up(mount: str | None, group: str | None) -> list[str]:
    """Folders from the process's group to the root of its hierarchy.

    In a container the group's path may be the host's, while the mount shows only the container's own part: then the
    last folder, the mount itself, is the only one that is there.
    """
    if mount is None or group is None:
        return []
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    return ["/".join([mount, *parts[:count]]) for count in range(len(parts), -1, -1)]


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


def _cpuset(tree: Tree, folders: list[str]) -> tuple[tuple[int, ...] | None, str | None]:
    for folder in folders:
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            cpus = tree.cpulist(f"{folder}/{name}")
            if cpus:  # empty: this group sets no limit of its own
                return cpus, f"/{folder}/{name}"
    return None, None
