"""memory/file: pages are where they should be, their faults are counted, and nothing of the file stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

FILE = "memory/file.c"
FAULTED = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize(
    ("access", "minor", "major", "count"),
    [("around", None, 0, None), ("apart", 1, 0, 256), ("major", 0, 1, 256), ("again", 0, 0, 0)],
)
def test_each_page_has_its_faults(
    engine: Engine, access: str, minor: float | None, major: float, count: int | None
) -> None:
    measured = measure(engine, "memory/file", {"access": access})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert not any(sample.flags & FAULTED for sample in measured.samples)
    # What else this thread does may have a fault or two of its own.
    if minor is None:
        assert 0 < measured.metrics["minor_per_page"] < 0.6
    else:
        assert minor <= measured.metrics["minor_per_page"] < minor + 0.1
    assert major <= measured.metrics["major_per_page"] < major + 0.1
    if count is not None:
        assert measured.outcome.count[0].found == count


def test_no_file_stays(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    measured = measure(engine, "memory/file", {"access": "apart"})
    assert measured.status == 0, measured.reason
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("access", "whole", "broken", "said"),
    [
        # Pages that were there, pages that were not dropped, and pages of another file.
        ("apart", "    begin = tick_begin();", "    touch(cached);\n    begin = tick_begin();", "in sum instead of"),
        (
            "major",
            "    const struct thread_counts before = thread_counts();",
            "    touch(cached), cached->touched -= 16;\n    const struct thread_counts before = thread_counts();",
            "some were in memory",
        ),
        ("apart", "cached->sum += *(volatile", "cached->sum += 2 * *(volatile", "in sum instead of"),
        (
            "apart",
            "page < end; page += cached->stride)",
            "page < end; page += 2 * cached->stride)",
            "in sum instead of",
        ),
        ("again", "if (access == AGAIN) {", "if (access == AROUND) {", "instead of 0"),
    ],
)
def test_pages_that_are_elsewhere_fail(tmp_path: Path, access: str, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {FILE: [(whole, broken)]}), "memory/file", {"access": access})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_pages_that_are_not_dropped_are_a_need(tmp_path: Path) -> None:
    kept = [("posix_fadvise(cached->file, 0, 0, POSIX_FADV_DONTNEED)", "0")]
    measured = measure(compile_broken(tmp_path, {FILE: kept}), "memory/file", {"access": "major"})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs a f")


def test_a_file_system_in_memory_has_no_major_faults(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {FILE: [("(on_a_device && in_memory_only(folders[i]))", "on_a_device")]})
    measured = measure(faulty, "memory/file", {"access": "major"})
    assert (measured.status, measured.reason) == (
        ENOTSUP,
        "needs a folder on a device that it may write to (tmpfs has none)",
    )
    assert measure(faulty, "memory/file", {"access": "around"}).status == 0
