"""The kernels of the self-check: their work is in proportion, and their checks notice a part that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, SHARING, built_engine, catalog, kernel, measure
from kernels.plant import compile_broken
from kernels.program import program

from fencepost.analysis.compare.selfcheck import TRUE_EFFECT

KERNELS = sorted(name for name in catalog(built_engine()).kernels if name.startswith("selfcheck/"))
FAULTS = {
    "selfcheck/chain.c": [("product->multiplications += n * operations;", "product->multiplications += n;")],
    "selfcheck/locked.c": [("&sum->value, 1,", "&sum->value, left != 1,")],
    "selfcheck/ring.h": [("for (uint64_t left = steps;", "for (uint64_t left = steps - LOADS;")],
    "selfcheck/syscall.c": [("left = calls; left > 0;", "left = calls; left > 1;")],
    "selfcheck/mutex.c": [("guarded->inside++;", "guarded->inside += left != 1;")],
    "selfcheck/branch.c": [("taken++;", "taken += left % 8 != 0;")],
    "selfcheck/memcpy.c": [("memcpy(copied->target,", "if (number % 64) memcpy(copied->target,")],
    "selfcheck/malloc.c": [("if (!piece)", "if (!piece || left == 1)")],
    "selfcheck/fault.c": [("        madvise((void *)page", "        if (left != 1) madvise((void *)page")],
}
"""A part of the work is left out."""


def values(name: str, *, more: bool) -> dict[str, str]:
    """The first parameter of a kernel at its default, or 2 % above it."""
    work = kernel(name).parameters[0]
    amount = int(work.word(work.initial))
    assert amount % 50 == 0, "2 % more of it is no whole number"
    return {work.name: str(amount + amount // 50 if more else amount)}


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_each_has_a_version_with_two_per_cent_more(name: str, more: bool) -> None:
    measured = measure(built_engine(), name, values(name, more=more))
    assert measured.status == 0, measured.reason


def test_two_per_cent_is_what_the_verdicts_are_held_against() -> None:
    for name in KERNELS:
        (less,), (more,) = (list(values(name, more=more).values()) for more in (False, True))
        assert int(more) == int(less) * (1 + TRUE_EFFECT)


def test_none_is_planned_unless_it_is_asked_for() -> None:
    assert len(KERNELS) == 12
    assert all(kernel(name).opt_in for name in KERNELS)


def test_hand_overs_end_on_one_cpu_too() -> None:
    measured = measure(built_engine(), "selfcheck/pingpong", {"trips": "50"}, SHARING)
    assert measured.status == 0, measured.reason


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_broken(tmp_path_factory.mktemp("broken"), FAULTS)


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "selfcheck/pingpong"])
def test_check_notices_work_that_was_left_out(broken: Engine, name: str) -> None:
    measured = measure(broken, name)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert measured.reason


def test_check_notices_hand_overs_that_are_missing_or_out_of_order(tmp_path: Path) -> None:
    """By hand: with such a fault in the loop the two threads would wait for each other."""
    lines = program(
        tmp_path,
        "selfcheck/pingpong.c",
        """
    if (trial_begin(&trial, &kernel_pingpong, (int64_t[]){100}, 8)) { puts("setup failed"); return 0; }
    struct table *table = trial.state;
    table->side[0].trips = table->side[1].trips = 5;
    table->ball = 10;
    printf("%d\\n", check(&trial));
    table->ball = 9;
    printf("%d\\n", check(&trial) != 0);
    table->ball = 10, table->side[1].trips = 4;
    printf("%d\\n", check(&trial) != 0);
    table->side[1].trips = 5, table->side[1].disorder = 2;
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines == ["0", "1", "1", "1"]


def test_check_notices_pages_that_were_there_before(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "selfcheck/fault.c",
        """
    struct sample sample = {.operations = 3, .minor_faults = 150};
    if (trial_begin(&trial, &kernel_fault, (int64_t[]){50}, 8)) { puts("setup failed"); return 0; }
    run(&worker, 3);
    trial.samples = &sample, trial.sample_count = 1;
    printf("%d\\n", check(&trial));
    sample.minor_faults = 149;
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines == ["0", "1"]


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "selfcheck/chain"])
def test_amounts_out_of_range_are_refused(name: str) -> None:
    work = kernel(name).parameters[0].name
    for amount in ("0", "-8", "10000000"):
        measured = measure(built_engine(), name, {work: amount})
        assert measured.status == EINVAL
        assert f"{work}={amount}" in measured.reason
