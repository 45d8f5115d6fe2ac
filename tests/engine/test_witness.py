"""The witnesses beside each batch: what they say, and what they let the sampler do."""

from __future__ import annotations

import math
import os

import pytest
from engine.build import Engine, compile_engine
from kernels.disassemble import TOOLCHAINS, Toolchain, functions, loops

KERNELS = """
static int fine(struct trial *trial) { (void)trial; return 0; }
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n; i++)
        __asm__ volatile("");
}
KERNEL(one, .name = "test/one", .summary = "s", .unit = "u", .threads = {1, 1}, .run = spin, .check = fine)
KERNEL(two, .name = "test/two", .summary = "s", .unit = "u", .threads = {2, 2}, .run = spin, .check = fine)
"""

NEVER, ALWAYS = 1e-9, 1e9
"""Width limits that no batch meets, and that each does."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_engine(tmp_path_factory.mktemp("witness"), KERNELS)


@pytest.fixture
def has_chains(engine: Engine) -> None:
    found = engine.ffi.new("struct witnessed[1]")
    if not engine.lib.witness_series(1_000_000, found, 1):
        pytest.skip("this architecture has no witness")


@pytest.mark.usefixtures("has_chains")
def test_additions_are_faster_than_multiplications(engine: Engine) -> None:
    found = engine.ffi.new("struct witnessed[1000]")
    count = engine.lib.witness_series(20_000_000, found, 1000)
    assert 1 <= count <= 1000
    # Three cycles against a third of one at most: a disturbed reading does not turn that round in most of them.
    assert sum(0 < found[i].width_ticks < found[i].clock_ticks for i in range(count)) > count / 2
    begins = [found[i].begin_ticks for i in range(count)]
    assert begins == sorted(set(begins))


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=str)
def test_each_turn_of_the_short_loop_is_a_taken_branch(toolchain: Toolchain) -> None:
    """Unrolled, it would take a branch now and then, and no longer see what the front end gives."""
    (loop,) = loops(functions("../engine/witness.c", toolchain)["branches"])
    assert len(loop) <= 3
    assert not any(instruction.has_memory_operand for instruction in loop)
    assert [instruction.target for instruction in loop if instruction.target is not None] == [loop[0].address]


@pytest.mark.usefixtures("has_chains")
def test_each_batch_has_its_witnesses(engine: Engine) -> None:
    measured = engine.trial("test/one")
    assert measured.status == 0
    assert all(sample.width_ticks > 0 and sample.clock_ticks > 0 for sample in measured.samples)
    # Half of the width: the rest are its branches, which take some time as well.
    assert all(0 < sample.additions_ticks < 2 * sample.width_ticks for sample in measured.samples)
    assert all(math.isnan(sample.distance_ticks) for sample in measured.samples)


@pytest.mark.usefixtures("has_chains")
@pytest.mark.parametrize(
    ("limit", "quiet"),
    [(NEVER, 0), (0.0, -1)],
    ids=["never free", "limit unknown"],
)
def test_nobody_waits_for_a_neighbour_to_go(engine: Engine, limit: float, quiet: int) -> None:
    measured = engine.trial("test/one", quiet_batches=2, most_batches=12, width_limit=limit)
    assert (measured.status, len(measured.samples)) == (0, 3)
    assert [sample.batch for sample in measured.samples] == list(range(3))
    assert measured.outcome.quiet_batches == quiet


@pytest.mark.usefixtures("has_chains")
def test_going_on_is_bounded(engine: Engine) -> None:
    measured = engine.trial("test/one", quiet_batches=10_000, most_batches=12, width_limit=ALWAYS)
    assert measured.status == 0
    assert 3 <= len(measured.samples) <= 12


@pytest.mark.usefixtures("has_chains")
def test_going_on_ends_with_enough_quiet_batches(engine: Engine) -> None:
    """The clock may move in any batch, so that the numbers are not known. They fit each other."""
    measured = engine.trial("test/one", batches=1, quiet_batches=1, most_batches=10_000, width_limit=ALWAYS)
    assert measured.status == 0
    # The batch in the middle of three free ones.
    assert measured.outcome.quiet_batches == (len(measured.samples) >= 3)
    assert len(measured.samples) < 10_000


def test_several_threads_never_go_on(engine: Engine) -> None:

    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    measured = engine.trial("test/two", cpus=cpus[:2], quiet_batches=2, most_batches=12, width_limit=NEVER)
    assert (measured.status, len(measured.samples), measured.outcome.quiet_batches) == (0, 2 * 3, -1)


def test_two_threads_have_a_distance(engine: Engine) -> None:

    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    measured = engine.trial("test/two", cpus=cpus[:2])
    assert measured.status == 0
    assert all(sample.distance_ticks > 0 for sample in measured.samples if sample.thread == 0)


def test_threads_that_share_a_cpu_have_no_distance(engine: Engine) -> None:

    cpu = min(os.sched_getaffinity(0))
    measured = engine.trial("test/two", cpus=[cpu, cpu])
    assert measured.status == 0
    assert all(math.isnan(sample.distance_ticks) for sample in measured.samples)
