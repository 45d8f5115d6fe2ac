"""kernels/memory_limits.h: the least of what the machine has and of what each control group allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.program import program

MIB = 1 << 20
MEMINFO = "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n"
UNLIMITED = "9223372036854771712\n"
"""How version 1 says that there is no limit."""


MOUNTS = """25 1 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
26 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
"""


def told(folder: Path, files: dict[str, str]) -> list[str]:
    """What is left and what there is, on a system with these files."""
    root = folder / "root"
    for name, text in {"proc/self/mountinfo": MOUNTS, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    fake = f"""
static FILE *fake_fopen(const char *path, const char *mode)
{{
    char where[4096];

    snprintf(where, sizeof where, "{root}%s", path);
    return fopen(where, mode);
}}
#define fopen fake_fopen
"""
    return program(
        folder,
        "memory_limits.h",
        'printf("%" PRId64 "\\n%" PRId64 "\\n", available_bytes(), memory_there_is());',
        '#include "kernel.h"' + fake,
    )


def test_a_group_of_version_2_counts_and_those_above_it(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": f"{500 * MIB}\n",
        "sys/fs/cgroup/a/memory.current": f"{100 * MIB}\n",
        "sys/fs/cgroup/a/memory.stat": f"anon 1\ninactive_file {50 * MIB}\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": f"{100 * MIB}\n",
    }
    assert told(tmp_path, files) == [str(450 * MIB), str(500 * MIB)]
    files["sys/fs/cgroup/a/memory.max"] = "max\n"
    assert told(tmp_path, files) == [str(8000000 * 1024), str(9000000 * 1024)]


@pytest.mark.parametrize("controllers", ["memory", "cpu,memory", "memory,hugetlb"])
def test_a_group_of_version_1_counts(tmp_path: Path, controllers: str) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": f"9:name=systemd:/\n4:{controllers}:/a\n1:cpu:/x\n0::/\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{300 * MIB}\n",
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": f"{200 * MIB}\n",
        "sys/fs/cgroup/memory/a/memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED,
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
    }
    assert told(tmp_path, files) == [str(110 * MIB), str(300 * MIB)]


@pytest.mark.parametrize(
    ("mounts", "group", "holder"),
    [
        # A container without a namespace of its own, whose mount shows the part below its group.
        ("/docker/1 /g", "/docker/1/job", "g/job"),
        ("/docker/1 /g", "/docker/1", "g"),
        # Another container's mount, and then the one that shows the group.
        ("/docker/12 /other|/docker/1 /g", "/docker/1/job", "g/job"),
        # Two mounts that show it: the second from nearer above.
        ("/ /all|/docker /g", "/docker/1", "g/1"),
        # No mount shows it: the top of one is all there is to read.
        ("/docker/2 /g", "/docker/1", "g"),
        ("/.. /g", "/", "g"),
        # Outside of the namespace: the limit of its root is not that of the group.
        ("/ /g", "/../job", None),
    ],
)
def test_a_group_is_read_where_it_is_mounted(mounts: str, group: str, holder: str | None, tmp_path: Path) -> None:
    lines = [f"2{n} 1 0:2{n} {mount} rw - cgroup2 none rw" for n, mount in enumerate(mounts.split("|"))]
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": f"0::{group}\n",
        "proc/self/mountinfo": "\n".join(lines),
        f"{holder or 'g'}/memory.max": f"{500 * MIB}\n",
        f"{holder or 'g'}/memory.current": f"{100 * MIB}\n",
        "other/memory.max": "1\n",
        "all/memory.max": "1\n",
        "other/memory.current": "0\n",
    }
    there = 500 * MIB if holder else 9000000 * 1024
    assert told(tmp_path, files)[1] == str(there)


def test_other_controllers_are_not_asked(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:memories,cpu:/a\n3:name=memory:/a\nno colon\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{300 * MIB}\n",
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "5\n",
    }
    assert told(tmp_path, files) == [str(8000000 * 1024), str(9000000 * 1024)]


def test_a_system_that_says_nothing_has_no_limit(tmp_path: Path) -> None:
    assert told(tmp_path, {}) == [str(2**63 - 1)] * 2
