"""The size of a huge page is the one that the system tells: 2 MiB on pages of 4 KiB, and more on larger ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.measure import EILSEQ, ENOTSUP, measure
from kernels.plant import compile_broken

OF_SYSTEM = '"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"'
ALLOCATED = "    chase->lines = trial_alloc_pages(trial, (size_t)size, trial->value[PAGES] == HUGE_PAGES);\n"


def told(folder: Path, text: str) -> str:
    """A file in place of the system's, as a string of C."""
    (folder / "size").write_text(text)
    return f'"{folder / "size"}"'


@pytest.mark.parametrize(
    ("kernel", "values", "size", "found"),
    [
        ("memory/fault", {"access": "huge"}, 8 << 20, 4),
        ("memory/cow", {"write": "reuse", "pages": "huge"}, 4 << 20, 2),
    ],
)
def test_faults_are_expected_by_the_size(
    kernel: str, values: dict[str, str], size: int, found: int, tmp_path: Path
) -> None:
    """Of huge pages of this size one would do for what is counted. Those of this machine are smaller."""
    places = {"system.h": [(OF_SYSTEM, told(tmp_path, f"{size}\n"))], f"{kernel}.c": []}
    # With 15 batches the memory of memory/cow is one such page, and full.
    measured = measure(compile_broken(tmp_path, places, only=f"{kernel}.c"), kernel, values, batches=15)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert (measured.status, measured.outcome.count[0].found) == (EILSEQ, found), measured.reason
    assert f"{found} faults instead of 1" in measured.reason


@pytest.mark.parametrize("text", ["", "x", "0", "3145728", "1099511627776"])
def test_no_size_is_that_of_small_base_pages(text: str, tmp_path: Path) -> None:
    places = {"system.h": [(OF_SYSTEM, told(tmp_path, text))], "memory/fault.c": []}
    measured = measure(compile_broken(tmp_path, places, only="memory/fault.c"), "memory/fault", {"access": "huge"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason


def test_the_memory_of_a_trial_begins_at_a_huge_page(tmp_path: Path) -> None:
    place = "if ((uintptr_t)chase->lines % (512 << 20)) return -EILSEQ;\n"
    faults = {"memory/chase.c": [(ALLOCATED, ALLOCATED + place)]}
    otherwise = {"memory.c": [f"-DHUGE_PAGE_FILE={told(tmp_path, '536870912')}"]}
    measured = measure(compile_broken(tmp_path, faults, otherwise=otherwise), "memory/chase", {"size": 4096})
    assert measured.status in (0, ENOTSUP), measured.reason
