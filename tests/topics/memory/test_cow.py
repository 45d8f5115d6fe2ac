"""memory/cow: pages that nobody shares are found out, and so is a child that sees its parent's writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

COW = "memory/cow.c"
SHARED = "memory->first = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);"
COUNTED = "int64_t faults = -thread_counts().minor_faults;"
FAULTED = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("pages", ["small", "huge"])
@pytest.mark.parametrize("write", ["copy", "reuse", "zero", "resident"])
def test_faults_are_those_of_shared_pages(engine: Engine, write: str, pages: str) -> None:
    measured = measure(engine, "memory/cow", {"write": write, "pages": pages}, batches=4)
    if measured.status == ENOTSUP and pages == "huge":
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 4
    assert not any(sample.flags & FAULTED for sample in measured.samples)
    faults = measured.metrics["faults_per_page"]
    # What else this thread does may have a fault or two of its own among 256 pages.
    if write in ("copy", "zero") or (write == "reuse" and pages == "small"):
        assert 1 <= faults < 1.1
        assert measured.outcome.count[0].found == 1024
    else:
        assert faults < 0.1
        assert measured.outcome.count[0].found < 1024


@pytest.mark.parametrize(
    ("write", "whole", "broken", "said"),
    [
        # Without a child nobody shares the pages.
        ("copy", "error = begin_child(trial, memory);", "error = 0;", "the child ended with 0 instead of 3"),
        # Memory that parent and child both write to is no copy.
        ("copy", "memory->first = private_pages(memory->bytes, huge);", SHARED, "the child ended with 4 instead of 3"),
        ("zero", "else if (*page != 0)", "else if ((*page = 0) != 0)", "some were not shared"),
        ("resident", "*page = OLD;", "(void)page;", "pages that were there"),
        (
            "copy",
            "*(volatile unsigned char *)page = NEW;",
            "*(volatile unsigned char *)page = OLD;",
            "was written to it",
        ),
        # The pages that are counted: written to before, shared with nobody, and never written to.
        ("copy", COUNTED, "write_pages(&fresh), fresh.written = 0;\n" + COUNTED, "960 faults instead of 1024"),
        ("zero", COUNTED, "memset(fresh.first, OLD, fresh.bytes);\n" + COUNTED, "0 faults instead of 1024"),
        ("reuse", "while (!error && fresh.written < fresh.count)", "while (0)", "0 faults instead of 1024"),
        # Pages that are no longer there fault once; pages that are read again before they are written to fault twice.
        (
            "resident",
            COUNTED,
            "madvise(fresh.first, fresh.bytes, MADV_DONTNEED);\n" + COUNTED,
            "1024 faults instead of 0",
        ),
        (
            "copy",
            COUNTED,
            COUNTED
            + "for (size_t i = 0; i < fresh.count; i++) madvise(fresh.first + i * fresh.page_bytes, 1, MADV_DONTNEED),"
            " (void)*(volatile unsigned char *)(fresh.first + i * fresh.page_bytes);",
            "2048 faults instead of 1024",
        ),
    ],
)
def test_a_kernel_that_shares_otherwise_fails(tmp_path: Path, write: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {COW: [(whole, broken)]})
    measured = measure(faulty, "memory/cow", {"write": write})
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_child_that_dies_fails_the_case(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {COW: [("prctl(PR_SET_PDEATHSIG, SIGKILL);", "raise(SIGKILL);")]})
    measured = measure(faulty, "memory/cow", {"write": "copy"})
    assert measured.status == EILSEQ
    assert "the child ended with 265 instead of 3" in measured.reason
