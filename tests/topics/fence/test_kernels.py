"""fence/*: each loop holds its own fence and no other, the chain is unbroken, checks notice faults."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from engine.build import Engine, Measured
from kernels.disassemble import TOOLCHAINS, Instruction, Toolchain, functions, loops
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure, names, parameters
from kernels.plant import KERNELS, compile_broken
from kernels.program import program

FILES = sorted(KERNELS.glob("fence/*.c"))
CONTEXTS = ("bare", "store_hit", "load_miss", "store_miss", "chain")
PORTABLE = ("none", "compiler", "c11_acquire", "c11_release", "c11_seq_cst", "c11_xchg", "c11_fetch_add")

# What each fence is made of, where it stands in a loop: one instruction, or several in a row (regular expressions).
FULL_X86 = r"mfence|lock or[lq] \$0x0,.*\(%rsp\)"  # clang's and gcc's ways to say the same
FENCES: dict[str, dict[str, str]] = {
    "x86_64": {
        "none": "",
        "compiler": "",
        "c11_acquire": "",
        "c11_release": "",
        "c11_seq_cst": FULL_X86,
        "c11_xchg": r"xchg %\w+,.*\(%\w+\)",
        "c11_fetch_add": r"lock (addq \$0x1|xadd %\w+|incq ?),?.*\(%\w+\)",
        "sfence": "sfence",
        "lfence": "lfence",
        "mfence": "mfence",
        "lock_add": r"lock addl \$0x0,-0x40\(%rsp\)",
        "xchg": r"xchg %\w+,.*\(%\w+\)",
        "lock_inc": r"lock incq .*\(%\w+\)",
        "lock_xadd": r"lock xadd %\w+,.*\(%\w+\)",
        "cmpxchg_ok": r"lock cmpxchg %\w+,.*\(%\w+\)",
        "cmpxchg_fail": r"lock cmpxchg %\w+,.*\(%\w+\)",
        "serialize": r"serialize|\(bad\).*",
    },
    "aarch64": {
        "none": "",
        "compiler": "",
        "c11_acquire": "dmb ishld",
        "c11_release": "dmb ish",
        "c11_seq_cst": "dmb ish",
        "c11_xchg": r"bl .*<__aarch64_swp8_acq_rel|swpal .*|ldaxr .*",
        "c11_fetch_add": r"bl .*<__aarch64_ldadd8_relax|(ld|st)add .*|ldxr .*",
        "dmb_ish": "dmb ish",
        "dmb_ishld": "dmb ishld",
        "dmb_ishst": "dmb ishst",
        "dsb_ish": "dsb ish",
        "isb": "isb",
        "ldar": r"ldar x\d+, \[x\d+\]",
        "stlr": r"stlr xzr, \[x\d+\]",
    },
    "riscv64": {
        "none": "",
        "compiler": "",
        "c11_acquire": r"fence|fence r,rw",
        "c11_release": r"fence|fence rw,w",
        "c11_seq_cst": r"fence|fence rw,rw",
        "c11_xchg": r"amoswap\.d.*",
        "c11_fetch_add": r"amoadd\.d .*",
        "fence_rw_rw": "fence rw,rw",
        "fence_r_r": "fence r,r",
        "fence_w_w": "fence w,w",
        "fence_tso": "fence.tso",
    },
}
ANY_FENCE = re.compile(
    r"[lms]fence|lock .*|xchg %\w+,.*\(.*|serialize|\(bad\)"
    r"|dmb .*|dsb .*|isb|lda.*|stl.*|swp.*|(ld|st)add.*|ldxr.*|bl .*<__aarch64_.*"
    r"|fence.*|amo.*|lr\..*"
)
MULTIPLY = {"x86_64": "imul", "aarch64": "mul", "riscv64": "mul"}

each_toolchain = pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_the_family_is_complete(engine: Engine) -> None:
    assert engine.fault() is None
    assert {name for name in names(engine) if name.startswith("fence/")} == {"fence/cost", "fence/split_lock"}


def test_every_label_is_a_fence_of_some_architecture(engine: Engine) -> None:
    known = {fence for fences in FENCES.values() for fence in fences}
    assert set(parameters(engine, "fence/cost")["fence"]) == known
    assert parameters(engine, "fence/cost")["context"] == list(CONTEXTS)


# ---- what the compiler made of it ----


def wording(step: Instruction) -> str:
    return re.sub(r"\s*(//|#).*", "", f"{step.mnemonic} {step.operands}".strip())


def fences_in(instructions: Sequence[Instruction]) -> list[str]:
    """Everything in a loop that orders or locks. xchg between registers is padding."""
    return [wording(step) for step in instructions if ANY_FENCE.fullmatch(wording(step))]


def turns_in(context: str, loop: Sequence[Instruction]) -> int:
    """How many turns of the source are one of the loop: clang unrolls some, and each turn draws its own line."""
    if "miss" not in context:
        return 1
    return sum(step.mnemonic in {"imul", "mul", "madd"} for step in loop)


def loop_of(context: str, fence: str, toolchain: Toolchain) -> list[Instruction]:
    found = loops(functions("fence/cost.c", toolchain)[f"{context}_{fence}"])
    assert found, f"{context}_{fence} has no loop"
    return max(found, key=len)  # aarch64 without LSE may have a small retry loop inside


@each_toolchain
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_loop_holds_its_fence_and_no_other(context: str, toolchain: Toolchain) -> None:
    if toolchain.arch not in FENCES:
        pytest.skip(f"the fences are not written for {toolchain.arch}")
    for fence, pattern in FENCES[toolchain.arch].items():
        loop = loop_of(context, fence, toolchain)
        found = fences_in(loop)
        if not pattern:
            assert found == [], f"{fence} in {context}"
            continue
        wanted = [text for text in found if re.fullmatch(f"(?:{pattern}).*", text)]
        assert len(wanted) == turns_in(context, loop) >= 1, f"{fence} in {context}: {found}"
        # On RISC-V and Arm the compiler may spell an exchange as several instructions; nowhere else.
        extra = [text for text in found if text not in wanted]
        assert not extra or (fence.startswith("c11_") and toolchain.arch != "x86_64"), f"{fence} in {context}: {found}"


@each_toolchain
def test_the_chain_is_ten_multiplications_in_one_register(toolchain: Toolchain) -> None:
    if toolchain.arch not in FENCES:
        pytest.skip(f"the fences are not written for {toolchain.arch}")
    multiply = MULTIPLY[toolchain.arch]
    for fence in FENCES[toolchain.arch]:
        loop = loop_of("chain", fence, toolchain)
        places = [i for i, step in enumerate(loop) if step.mnemonic == multiply]
        assert places == list(range(places[0], places[0] + 10)), f"chain_{fence}: something stands between"
        assert len({loop[i].operands for i in places}) == 1
        factor, product = loop[places[0]].registers[-1], loop[places[0]].registers[0]
        if toolchain.arch == "x86_64":
            factor, product = product, factor
        assert factor != product, f"chain_{fence} is no chain"


@each_toolchain
def test_a_context_holds_what_it_is_called(toolchain: Toolchain) -> None:
    if toolchain.arch not in FENCES:
        pytest.skip(f"the fences are not written for {toolchain.arch}")
    x86 = toolchain.arch == "x86_64"

    def stores(loop: Sequence[Instruction]) -> list[Instruction]:
        if x86:
            return [step for step in loop if re.fullmatch(r"mov %\w+,.*\(.*", wording(step))]
        return [step for step in loop if re.match(r"st(r|ur)$|sd$", step.mnemonic)]

    def loads(loop: Sequence[Instruction]) -> list[Instruction]:
        if x86:
            return [step for step in loop if re.fullmatch(r"mov [^%]*\(%r[a-z0-9]+(,.*)?\),%\w+", wording(step))]
        return [step for step in loop if re.match(r"ldr$|ldur$|ld$", step.mnemonic)]

    control = {context: loop_of(context, "none", toolchain) for context in CONTEXTS}
    assert not any(step.has_memory_operand for step in control["bare"])
    assert not any(step.has_memory_operand for step in control["chain"])
    assert len(stores(control["store_hit"])) == 1
    assert len(stores(control["store_miss"])) == turns_in("store_miss", control["store_miss"]) >= 1
    assert stores(control["load_miss"]) == []
    assert len(loads(control["load_miss"])) >= turns_in("load_miss", control["load_miss"]) >= 1


# ---- behaviour ----


def expect(measured: Measured, fence: str) -> None:
    if fence not in FENCES.get(platform.machine(), PORTABLE):
        assert measured.status == ENOTSUP
        assert measured.reason == "needs another architecture: this one has no such instruction"
    elif fence == "serialize" and measured.status == ENOTSUP:
        assert "SERIALIZE" in measured.reason
    else:
        assert measured.status == 0, measured.reason


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("fence", sorted({fence for fences in FENCES.values() for fence in fences}))
def test_a_fence_is_measured_or_says_that_it_is_foreign(engine: Engine, fence: str, context: str) -> None:
    expect(measure(engine, "fence/cost", {"fence": fence, "context": context}), fence)


@pytest.mark.parametrize("context", CONTEXTS)
def test_it_states_the_memory_that_other_cores_share(engine: Engine, context: str) -> None:
    measured = measure(engine, "fence/cost", {"fence": "none", "context": context})
    assert measured.metrics["footprint_bytes"] == (64 << 20 if context.endswith("miss") else 0)


CHECK = """
    int64_t values[2] = {0, %s};
    const char *const names[] = {%s};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (values[0] = 0; !is_label(FENCES, values[0], names[i]); values[0]++) {}
        if (trial_begin(&trial, &kernel_cost, values, sizeof values)) { puts("unsupported"); continue; }
        struct yard *yard = trial.state;
        trial.run(&worker, 77);
        printf("%%d ", check(&trial));
        %s;
        printf("%%d\\n", check(&trial) != 0);
    }
"""
FAULTS = [
    ("STORE_HIT", "none c11_seq_cst", "yard->stored -= 1"),
    ("CHAIN", "none c11_seq_cst", "yard->chain += 2"),
    ("CHAIN", "none c11_seq_cst", "yard->turns += 1"),
    ("BARE", "c11_fetch_add lock_inc lock_xadd cmpxchg_ok", "yard->cell += 1"),
    ("LOAD_MISS", "c11_fetch_add lock_inc lock_xadd cmpxchg_ok", "yard->turns += 1"),
    ("BARE", "c11_xchg xchg", "yard->cell = 0"),
    ("BARE", "none mfence cmpxchg_fail", "yard->cell = 1"),
]


@pytest.mark.parametrize(("context", "fences", "fault"), FAULTS)
def test_check_notices(context: str, fences: str, fault: str, tmp_path: Path) -> None:
    listed = ", ".join(f'"{fence}"' for fence in fences.split())
    lines = program(tmp_path, "fence/cost.c", CHECK % (context, listed, fault))
    assert len(lines) == len(fences.split())
    assert set(lines) <= {"0 1", "unsupported"}
    assert "0 1" in lines


def test_check_notices_an_operation_without_its_lock_prefix(tmp_path: Path) -> None:
    """Not by its effect, which is the same with one thread: that is what the look into the loop is for."""
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64, whose instructions have prefixes")
    fault = ('"lock incq %0"', '"nop # %0"')
    measured = measure(compile_broken(tmp_path, {"fence/cost.c": [fault]}), "fence/cost", {"fence": "lock_inc"})
    assert measured.status == EILSEQ
    assert "the cell holds 0 instead of" in measured.reason


# ---- fence/split_lock: never without consent ----


def test_split_lock_refuses_without_consent(engine: Engine) -> None:
    assert engine.kernel("fence/split_lock").flags & engine.lib.KERNEL_OPT_IN
    measured = measure(engine, "fence/split_lock")
    assert measured.status == ENOTSUP
    if platform.machine() == "x86_64":
        assert "your consent" in measured.reason
        assert "--set fence/split_lock.consent=yes" in measured.reason
    else:
        assert "x86-64" in measured.reason


def test_split_lock_stays_below_a_thousand(engine: Engine) -> None:
    kernel = engine.kernel("fence/split_lock")
    most_rounds = 40  # of the profile rigorous
    assert most_rounds * kernel.batches * kernel.events_per_batch <= 1000
    assert not any(parameter.quick or parameter.standard or parameter.rigorous for parameter in kernel.parameters)


def test_split_lock_check_notices(tmp_path: Path) -> None:
    """Without a single split lock: the count is put across the border by hand."""
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64")
    lines = program(
        tmp_path,
        "fence/split_lock.c",
        """
    const int64_t consent = 1;
    const uint64_t count = 7;
    if (trial_begin(&trial, &kernel_split_lock, &consent, sizeof consent)) { puts("setup failed"); return 0; }
    struct split *split = trial.state;
    printf("%d\\n", (int)((uintptr_t)(split->lines + LINE_BYTES) % LINE_BYTES));
    memcpy(split->lines + LINE_BYTES - 4, &count, sizeof count);
    split->done = 7;
    printf("%d\\n", check(&trial));
    split->done = 8;
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines == ["0", "0", "1"]


@pytest.mark.parametrize("toolchain", TOOLCHAINS[:2], ids=lambda toolchain: toolchain.name)
def test_split_lock_is_one_locked_addition_in_a_window(toolchain: Toolchain) -> None:
    if toolchain.arch != "x86_64":
        pytest.skip("needs x86-64")
    body = functions("fence/split_lock.c", toolchain)["events"]
    assert [step.mnemonic for step in body if step.mnemonic.startswith("lock")] == ["lock addq"]
