"""kernels/system.h: what the kernels that measure the operating system share."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

import pytest
from kernels.program import program


def test_a_thread_is_charged_for_its_faults_and_switches(tmp_path: Path) -> None:
    (line,) = program(
        tmp_path,
        "system.h",
        """
    char *pages = private_pages(64 * (size_t)sysconf(_SC_PAGESIZE), 0);
    const struct thread_counts before = thread_counts();
    for (int i = 0; i < 64; i++)
        ((volatile char *)pages)[i * sysconf(_SC_PAGESIZE)] = 1;
    usleep(1000);
    const struct thread_counts after = thread_counts();
    printf("%d %d\\n", (int)(after.minor_faults - before.minor_faults), (int)(after.voluntary - before.voluntary));
""",
    )
    faults, switches = map(int, line.split())
    assert 64 <= faults < 128  # one a page, and those of the stack and of usleep()
    assert switches >= 1


def test_fields_of_procfs_are_found_by_name(tmp_path: Path) -> None:
    stated = tmp_path / "stated"
    stated.write_text("first: 12 kB\nfirst_of_all: 3\nlast 99\nword: none\nempty:\n", encoding="utf-8")
    names = ("first", "first_of_all", "last", "firs", "word", "empty", "")
    lines = program(
        tmp_path,
        "system.h",
        "".join(f'printf("%d\\n", (int)procfs_field("{stated}", "{name}"));' for name in names)
        + f'printf("%d\\n", (int)procfs_field("{tmp_path}/absent", "first"));'
        + 'printf("%d\\n", procfs_field("/proc/self/status", "Pid") == getpid());',
    )
    assert list(map(int, lines)) == [12, 3, 99, *[-errno.ENODATA] * 4, -errno.ENOENT, 1]


def test_resident_memory_grows_by_what_is_touched(tmp_path: Path) -> None:
    (line,) = program(
        tmp_path,
        "system.h",
        """
    const double before = resident_bytes();
    memset(private_pages(16 << 20, 0), 1, 16 << 20);
    printf("%f\\n", (resident_bytes() - before) / (1 << 20));
""",
    )
    assert 15 < float(line) < 24


@pytest.mark.parametrize("huge", [0, 1])
@pytest.mark.parametrize("size", [4096, 100_000, 4 << 20, (4 << 20) + 1])
def test_private_pages_are_of_their_kind_and_no_more_than_asked_for(tmp_path: Path, huge: int, size: int) -> None:
    """Mapped are whole pages, and nothing beside them: what was mapped to align huge pages has gone again."""
    (line,) = program(
        tmp_path,
        "system.h",
        f"""
    char *pages = private_pages({size}, {huge});
    memset(pages, 1, {size});
    pages[0] = 2;
    FILE *maps = fopen("/proc/self/smaps", "r");
    char text[512];
    uintptr_t low = 0, high = 0, begin, end;
    int advised = 0, mapped = 0;
    while (fgets(text, sizeof text, maps)) {{
        if (sscanf(text, "%" SCNxPTR "-%" SCNxPTR " ", &low, &high) == 2) {{
            begin = low, end = high;
            if (begin <= (uintptr_t)pages && end > (uintptr_t)pages)
                mapped = begin == (uintptr_t)pages ? (int)(end - begin) : -1;
        }} else if (begin <= (uintptr_t)pages && end > (uintptr_t)pages && strncmp(text, "VmFlags:", 8) == 0)
            advised = strstr(text, " hg") ? 1 : strstr(text, " nh") ? 0 : -1;
    }}
    printf("%d %d %d %d\\n", mapped, advised, (uintptr_t)pages % (2 << 20) == 0, munmap(pages, {size}));
""",
    )
    mapped, advised, aligned, unmapped = map(int, line.split())
    page = resource.getpagesize()
    assert mapped == -(-size // page) * page
    assert advised == huge or not Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert aligned or not huge
    assert unmapped == 0
