"""kernels/memory_limits.h: the least of what the machine has and of what each control group allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.program import program

MIB = 1 << 20
MEMINFO = "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n"
UNLIMITED = "9223372036854771712\n"
"""How version 1 says that there is no limit."""


def told(folder: Path, files: dict[str, str]) -> list[str]:
    """What is left and what there is, on a system with these files."""
    root = folder / "root"
    for name, text in files.items():
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
