"""branch/*: jumps stay jumps and their twins have none, patterns are what they are called, checks notice faults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from engine.build import Engine, Measured, compile_files
from kernels.disassemble import Instruction, Toolchain, functions, innermost_loops, loops
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure, names, parameters
from kernels.plant import KERNELS, compile_broken
from kernels.program import program
from topics.branch.instructions import CHOOSES, HINTS, each_toolchain

FILES = sorted(KERNELS.glob("branch/*.c"))
HAS_LOADED = {"x86_64", "aarch64"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def expect_measured(measured: Measured) -> None:
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason


def test_the_family_is_complete(engine: Engine) -> None:
    assert engine.fault() is None
    variants = ("pattern", "capacity", "learning", "penalty", "penalty_loaded", "footprint", "likely", "pgo")
    assert {name for name in names(engine) if name.startswith("branch/")} == {
        f"branch/{variant}" for variant in variants
    }


# ---- what the compiler made of it ----

# The loop of branch/pattern, branch/capacity and branch/learning, and its twin, instruction by instruction.
JUMPING = {
    "x86_64": ["movzbl", "test", "jne", "add", "add", "cmp", "jb"],
    "aarch64": ["ldrb", "cbnz", "add", "cmp", "b.cc"],
    "riscv64": ["lbu", "add", "bnez", "add", "bltu"],
}
BRANCH_FREE = {
    "x86_64": ["movzbl", "xor", "test", "cmove", "add", "add", "cmp", "jb"],
    "aarch64": ["ldrb", "cmp", "cinc", "cmp", "b.cc"],
    "riscv64": ["lbu", "add", "seqz", "add", "bltu"],
}


def mnemonics(instructions: Sequence[Instruction]) -> list[str]:
    # Some versions of objdump write addi where others write add.
    return [re.sub(r"^addi$", "add", step.mnemonic) for step in instructions]


def jumps(instructions: Sequence[Instruction]) -> list[Instruction]:
    return [step for step in instructions if step.target is not None]


def loops_like(source: str, toolchain: Toolchain, wanted: list[str]) -> dict[str, list[list[Instruction]]]:
    """Innermost loops made of just these instructions, by function."""
    found = {
        name: [loop for loop in innermost_loops(body) if mnemonics(loop) == wanted]
        for name, body in functions(source, toolchain).items()
        if body
    }
    return {name: which for name, which in found.items() if which}


@each_toolchain
@pytest.mark.parametrize(
    ("source", "function"),
    [("branch/pattern.c", "walk_branch"), ("branch/capacity.c", "step"), ("branch/learning.c", "walk_once")],
)
def test_there_is_one_jump_on_an_outcome(source: str, function: str, toolchain: Toolchain) -> None:
    if toolchain.arch not in JUMPING:
        pytest.skip(f"the loop is not written for {toolchain.arch}")
    found = loops_like(source, toolchain, JUMPING[toolchain.arch])
    # In one place: a second copy would be a second jump, of which the predictor learns nothing from the first.
    assert list(found) == [function]
    (loop,) = found[function]
    assert len(jumps(loop)) == 2
    assert not any(CHOOSES.match(step.mnemonic) for step in loop)
    assert loop[0].address % 32 == 0
    data, back = jumps(loop)
    skipped = [step for step in loop if data.address < step.address < (data.target or 0)]
    assert mnemonics(skipped) == ["add"], "the jump leads over the count and nothing else"
    assert back.target == loop[0].address


@each_toolchain
def test_the_twin_has_no_jump_but_its_own(toolchain: Toolchain) -> None:
    if toolchain.arch not in BRANCH_FREE:
        pytest.skip(f"the loop is not written for {toolchain.arch}")
    found = loops_like("branch/pattern.c", toolchain, BRANCH_FREE[toolchain.arch])
    (loop,) = found["walk_branch_free"]
    assert [step.address for step in jumps(loop)] == [loop[-1].address]
    assert sum(CHOOSES.match(step.mnemonic) is not None for step in loop) == 1
    assert loop[0].address % 32 == 0


SLOT = {
    "x86_64": ["shr", "jb", "add"],
    "aarch64": ["mov", "lsr", "tbnz", "add"],
    "riscv64": ["and", "srl", "bnez", "add"],
}


@each_toolchain
def test_a_block_is_64_conditional_jumps(toolchain: Toolchain) -> None:
    if toolchain.arch not in SLOT:
        pytest.skip(f"the block is not written for {toolchain.arch}")
    slot = SLOT[toolchain.arch]
    (block,) = loops(functions("branch/penalty.c", toolchain)["toss"])
    assert [step.target for step in jumps(block)][-1] == block[0].address
    assert len(jumps(block)) == 64 + 1
    jump = slot.index(mnemonics(jumps(block))[0])
    first = next(i for i, step in enumerate(block) if step.target is not None) - jump
    inside = block[first : first + 64 * len(slot)]
    assert [re.sub(r"^(andi|srli)$", lambda match: match[0][:-1], word) for word in mnemonics(inside)] == slot * 64
    for i in range(64):
        tested, counted = inside[i * len(slot) + jump], inside[i * len(slot) + len(slot) - 1]
        following = block[first + (i + 1) * len(slot)]
        assert tested.target == following.address, "a jump leads over its own count and nothing else"
        assert counted.address < following.address
    assert not any(step.has_memory_operand for step in inside), "a condition is not in a register"


@each_toolchain
def test_the_loaded_condition_is_a_jump_on_a_byte(toolchain: Toolchain) -> None:
    if toolchain.arch not in HAS_LOADED:
        pytest.skip(f"the loop is not written for {toolchain.arch}")
    (loop,) = innermost_loops(functions("branch/penalty_loaded.c", toolchain)["run"])
    assert len(jumps(loop)) == 2
    assert sum(step.has_memory_operand for step in loop) == 1
    load = next(i for i, step in enumerate(loop) if step.has_memory_operand)
    assert loop[load + 1].target is not None
    assert not any(CHOOSES.match(step.mnemonic) for step in loop)


@each_toolchain
def test_a_run_is_16384_jumps_8_bytes_apart(toolchain: Toolchain) -> None:
    if toolchain.arch not in HAS_LOADED:
        pytest.skip(f"the runs are not written for {toolchain.arch}")
    listing = functions("branch/footprint.c", toolchain)
    for run, jump, filler in (
        ("taken", {"jmp", "b"}, {"int3", "udf"}),
        ("never", {"jb", "cbnz"}, {"xchg", "nop"}),
    ):
        body = listing[f"footprint_{run}"]
        end = next(i for i, step in enumerate(body) if step.mnemonic == "ret")
        found = [step for step in body[:end] if step.mnemonic in jump]
        first = found[0].address
        assert first % 64 == 0
        assert [step.address for step in found] == list(range(first, first + 16384 * 8, 8))
        assert body[end].address == first + 16384 * 8
        assert {step.mnemonic for step in body[:end]} - jump <= filler
        if run == "taken":
            assert all(step.target == step.address + 8 for step in found)
        elif toolchain.arch == "x86_64":  # out of the run, into a trap: a jump that went astray would be seen
            assert {step.target for step in found} == {listing["footprint_stray"][0].address}
            assert listing["footprint_stray"][0].mnemonic == "ud2"


# ---- behaviour ----


@pytest.mark.parametrize("form", ["branch", "cmov"])
@pytest.mark.parametrize("pattern", ["sorted", "alternating", "periodic", "random"])
@pytest.mark.parametrize("taken_pct", [0, 5, 35, 50, 100])
def test_a_pattern_has_the_share_it_is_asked_for(engine: Engine, pattern: str, taken_pct: int, form: str) -> None:
    measured = measure(engine, "branch/pattern", {"pattern": pattern, "taken_pct": taken_pct, "form": form})
    expect_measured(measured)
    found = measured.metrics["array_taken_pct"]
    # A million coins: six standard deviations are 0.3 %.
    assert found == pytest.approx(taken_pct, abs=0.3 if pattern == "random" else 1e-9)
    if taken_pct in (0, 100):
        assert found == taken_pct


PATTERN = """
    const int64_t values[] = {%d, %d, 0};
    if (trial_begin(&trial, &kernel_pattern, values, sizeof values)) { puts("unsupported"); return 0; }
    struct walk *walk = trial.state;
    for (uint64_t i = 0; i < 4000; i++)
        putchar('0' + walk->outcomes[walk->size / 2 - 2000 + i]);
    putchar(10);
"""


@pytest.mark.parametrize(("pattern", "taken_pct"), [(0, 50), (1, 50), (1, 20), (2, 50), (2, 5), (3, 50)])
def test_a_pattern_is_what_it_is_called(pattern: int, taken_pct: int, tmp_path: Path) -> None:
    lines = program(tmp_path, "branch/pattern.c", PATTERN % (pattern, taken_pct))
    if lines == ["unsupported"]:
        pytest.skip("the loop is not written for this architecture")
    (outcomes,) = lines
    changes = sum(one != two for one, two in pairwise(outcomes))
    if pattern == 0:
        assert outcomes == "0" * 2000 + "1" * 2000
    elif pattern == 1:
        period = 100 // taken_pct
        assert set(re.findall("10*", outcomes)[1:-1]) == {"1" + "0" * (period - 1)}
    elif pattern == 2:
        assert outcomes[20:] == outcomes[:-20]
        assert outcomes[:20].count("1") == taken_pct * 20 // 100
    else:
        assert 1800 < changes < 2200  # 2000 expected, standard deviation 32
        assert all(outcomes[lag:] != outcomes[:-lag] for lag in range(1, 2000))


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("branch/pattern", {"taken_pct": 101}, "taken_pct is 101"),
        ("branch/pattern", {"taken_pct": -1}, "taken_pct is -1"),
        ("branch/capacity", {"period": 1}, "period is 1"),
        ("branch/capacity", {"period": 2**26 + 1}, "period is 67108865"),
        ("branch/learning", {"n": 99}, "n is 99"),
        ("branch/learning", {"n": 2**20 + 1}, "n is 1048577"),
        ("branch/penalty_loaded", {"size": 5000}, "size is 5000 bytes, it must be a power of two"),
        ("branch/penalty_loaded", {"size": 2048}, "size is 2048 bytes"),
        ("branch/penalty_loaded", {"size": -4096}, "size is -4096 bytes"),
        ("branch/footprint", {"jumps": 0}, "jumps is 0"),
        ("branch/footprint", {"jumps": 16385}, "jumps is 16385"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    engine: Engine, name: str, values: dict[str, str | int], says: str
) -> None:
    measured = measure(engine, name, values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EINVAL
    assert says in measured.reason


def no_counter(engine: Engine) -> bool:
    return not engine.lib.capabilities() & engine.lib.NEED_HARDWARE_PMU


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("branch/pattern", {}),
        ("branch/capacity", {"period": 64}),
        ("branch/learning", {"n": 200}),
        ("branch/penalty", {}),
        ("branch/penalty_loaded", {}),
        ("branch/footprint", {"jumps": 64}),
        ("branch/likely", {"data": "random"}),
    ],
)
def test_mispredictions_are_counted_or_not_a_number(engine: Engine, name: str, values: dict[str, str | int]) -> None:
    assert engine.kernel(name).flags & engine.lib.KERNEL_MISSES
    measured = measure(engine, name, values)
    expect_measured(measured)
    found = measured.metrics["misses_per_branch"]
    if no_counter(engine):
        assert math.isnan(found)
    else:
        assert math.isnan(found) or 0 <= found < 2


COUNTED = """
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

static int setup(struct trial *trial)
{
    const int64_t readings[] = {1000, 1700};

    if (!trial->value[0])
        return 0;
    /* In place of a counter: a file that is read once before the batches, and once after. */
    trial->miss_counter = memfd_create("counter", MFD_CLOEXEC);
    if (write(trial->miss_counter, readings, sizeof readings) != sizeof readings)
        return -EIO;
    return lseek(trial->miss_counter, 0, SEEK_SET) ? -EIO : 0;
}

static void run(struct worker *worker, uint64_t operations)
{
    (void)worker;
    for (uint64_t i = 0; i < operations; i++)
        __asm__ volatile("");
}

static int check(struct trial *trial)
{
    trial->metric[0] = trial->misses_per_operation;
    trial->metric[1] = branch_misses(trial); /* a third reading: there is none */
    return 0;
}

KERNEL(counted, .name = "test/counted", .summary = "s", .unit = "u", .threads = {1, 1},
       .parameters = {{"counter", "", "s", "no yes"}}, .metrics = {{"misses", "1", "s"}, {"none", "1", "s"}},
       .setup = setup, .run = run, .check = check)
"""


def test_mispredictions_are_those_between_two_readings(tmp_path: Path) -> None:
    source = tmp_path / "counted.c"
    source.write_text(COUNTED, encoding="utf-8")
    engine = compile_files(tmp_path, [source])
    counted = engine.trial("test/counted", (1,), batches=4)
    assert counted.status == 0, counted.reason
    operations = sum(sample.operations for sample in counted.samples)
    assert counted.outcome.metric[0] == pytest.approx(700 / operations)
    assert math.isnan(counted.outcome.metric[1])
    assert math.isnan(engine.trial("test/counted", (0,)).outcome.metric[0])


@pytest.mark.parametrize("slots", ["shuffled", "first"])
def test_penalty_has_a_figure_for_each_number_of_coins(engine: Engine, slots: str) -> None:
    measured = measure(engine, "branch/penalty", {"slots": slots})
    expect_measured(measured)
    found = measured.metrics
    assert [name for name in found if name.endswith("_ticks")] == [f"k{k}_ticks" for k in range(0, 65, 8)]
    assert all(found[f"k{k}_ticks"] > 0 for k in range(0, 65, 8))
    assert measured.outcome.events == 40
    if no_counter(engine):
        assert all(math.isnan(found[f"k{k}_misses"]) for k in range(0, 65, 8))


def test_slots_are_drawn_anew_or_stay(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "branch/penalty.c",
        """
    uint64_t seed = 7, any = 0;
    int right = 1;
    for (unsigned k = 0; k <= 64; k++)
        for (int i = 0; i < 100; i++)
            right &= (unsigned)__builtin_popcountll(draw_slots(&seed, k)) == k;
    for (int i = 0; i < 1000; i++)
        any |= draw_slots(&seed, 8);
    printf("%d %d\\n", right, any == UINT64_MAX);
    for (int64_t choice = SHUFFLED; choice <= FIRST; choice++) {
        if (trial_begin(&trial, &kernel_penalty, &choice, sizeof choice)) { puts("unsupported"); return 0; }
        struct coins *state = trial.state;
        uint64_t used = 0;
        for (int i = 0; i < 400; i++) {
            state->batch = 0;
            toss_window(&trial, 1);
            for (int j = 0; j < BLOCKS; j++)
                used |= state->words[j];
        }
        printf("%d\\n", __builtin_popcountll(used));
    }
""",
    )
    if "unsupported" in lines:
        pytest.skip("the block is not written for this architecture")
    assert lines == ["1 1", "64", "8"]


def test_learning_has_a_figure_for_each_pass(engine: Engine) -> None:
    measured = measure(engine, "branch/learning", {"n": 300})
    expect_measured(measured)
    found = measured.metrics
    passes = [int(name[4:-6]) for name in found if name.endswith("_ticks")]
    assert passes == [1, 2, 3, 5, 10, 20, 50, 100]
    assert measured.outcome.events == 15


@pytest.mark.parametrize("jumps_", [1, 64, 16384])
@pytest.mark.parametrize("kind", ["never", "taken"])
def test_a_run_is_made_whole(engine: Engine, kind: str, jumps_: int) -> None:
    measured = measure(engine, "branch/footprint", {"jumps": jumps_, "kind": kind})
    expect_measured(measured)
    assert all(sample.operations % jumps_ == 0 for sample in measured.samples)


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("data", ["false", "true", "random"])
def test_every_hint_is_measured_on_all_data(engine: Engine, hint: str, data: str) -> None:
    expect_measured(measure(engine, "branch/likely", {"hint": hint, "data": data}))


def test_sweeps_are_those_of_the_question(engine: Engine) -> None:
    def sweep(name: str, index: int, profile: str) -> list[str]:
        words = engine.ffi.string(getattr(engine.kernel(name).parameters[index], profile)).decode().split()
        return [str(word) for word in words]

    assert sweep("branch/pattern", 1, "standard") == [str(pct) for pct in range(0, 101, 5)]
    assert sweep("branch/capacity", 0, "rigorous") == [str(2**n) for n in range(4, 21)]
    assert {"64", "16384"} <= set(sweep("branch/footprint", 0, "standard"))
    assert parameters(engine, "branch/likely")["hint"] == list(HINTS)


def test_pgo_says_what_it_needs_in_an_ordinary_build(engine: Engine) -> None:
    assert engine.kernel("branch/pgo").flags & engine.lib.KERNEL_OPT_IN
    measured = measure(engine, "branch/pgo")
    assert measured.status == ENOTSUP
    assert measured.reason == "needs a build with profiles: fencepost run --profile pgo"


# ---- checks notice what they are there for ----

FAULTS = {
    "branch/pattern": ("branch/outcomes.h", "zeros += count_zeros(walk->outcomes + position, n);", "zeros += n;"),
    "branch/learning": ("branch/learning.c", "lessons->zeros += counted;", "lessons->zeros += counted + (pass == 7);"),
    "branch/penalty": ("branch/penalty.c", "for (int i = 0; i < BLOCKS; i++) {\n        uint64_t word",
                       "for (int i = 1; i < BLOCKS; i++) {\n        uint64_t word"),
    "branch/penalty_loaded": ("branch/penalty_loaded.c", "field->zeros += zeros;", "field->zeros += zeros + 1;"),
    "branch/footprint": ("branch/footprint.c", "footprint->calls += calls;", "footprint->calls += calls - 1;"),
    "branch/likely": ("branch/likely_loop.h", "*rare += count;", "*rare += count + 1;"),
}  # fmt: skip


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The same kernels, each with one fault."""
    faults: dict[str, list[tuple[str, str]]] = {}
    for file, whole, broken in FAULTS.values():
        faults.setdefault(file, []).append((whole, broken))
    return compile_broken(tmp_path_factory.mktemp("faulty"), faults)


@pytest.mark.parametrize("name", [*FAULTS, "branch/capacity"])  # capacity walks as pattern does
def test_check_notices_a_fault(faulty: Engine, name: str) -> None:
    measured = measure(faulty, name)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ, measured.reason
    assert "instead of" in measured.reason or " are" in measured.reason or "asked for" in measured.reason


def test_check_of_likely_notices_a_loop_that_does_less(tmp_path: Path) -> None:
    faults = {"branch/likely_loop.h": [("sum += i;", "sum += i & ~UINT64_C(1);")]}
    measured = measure(compile_broken(tmp_path, faults), "branch/likely")
    assert measured.status == EILSEQ
    assert "sum is wrong" in measured.reason
