"""What the compiler made of the kernels of clock."""

from __future__ import annotations

import pytest
from kernels.disassemble import TOOLCHAINS, Instruction, Toolchain, functions
from topics.clock.labels import (
    LENGTHS,
    PAIRS,
    READS,
    architecture_of,
)

WORDS = {
    "x86_64": {"rdtsc", "rdtscp", "lfence", "mfence", "serialize", "cpuid"},
    "aarch64": {"isb", "mrs"},
    "riscv64": {"fence", "rdtime"},
}
MULTIPLY = {"x86_64": "imul", "aarch64": "mul", "riscv64": "mul"}
SETTLE = {"x86_64": "lfence", "aarch64": "isb", "riscv64": "fence"}
TICK_NOW = {
    "x86_64": ["lfence", "rdtsc", "lfence"],
    "aarch64": ["isb", "mrs", "isb"],
    "riscv64": ["fence", "rdtime", "fence"],
}
TICK_END = {**TICK_NOW, "x86_64": ["rdtscp", "lfence"]}


def each_toolchain(*archs: str) -> pytest.MarkDecorator:
    """All compilers, or those for some architectures."""
    chosen = [toolchain for toolchain in TOOLCHAINS if not archs or toolchain.arch in archs]
    return pytest.mark.parametrize("toolchain", chosen, ids=lambda toolchain: str(toolchain.name))


def instructions_of(name: str) -> list[str]:
    """What a variant's name promises, in order."""
    return name.replace("cntvct", "mrs").split("_")


def native(labels: list[str], toolchain: Toolchain) -> list[str]:
    found = [label for label in labels if architecture_of(label) == toolchain.arch]
    assert found
    return found


def mnemonics(instructions: list[Instruction], wanted: set[str]) -> list[str]:
    return [instruction.mnemonic for instruction in instructions if instruction.mnemonic in wanted]


def between(instructions: list[Instruction], wanted: set[str]) -> list[Instruction]:
    """From the first to the last instruction of a kind."""
    places = [index for index, instruction in enumerate(instructions) if instruction.mnemonic in wanted]
    return instructions[places[0] : places[-1] + 1]


def memory_accesses(instructions: list[Instruction]) -> list[str]:
    """Loads and stores; padding looks like one on x86-64."""
    return [
        str(line)
        for line in instructions
        if line.has_memory_operand and "nop" not in f"{line.mnemonic} {line.operands}"
    ]


def is_repetition(found: list[str], of: list[str]) -> bool:
    """Compilers may unroll a loop: then its body stands there several times."""
    return bool(found) and found == of * (len(found) // len(of))


@each_toolchain()
def test_read_holds_the_instructions_of_its_name(toolchain: Toolchain) -> None:
    listing = functions("clock/read.c", toolchain)
    for read in native(READS, toolchain):
        for function in (f"loop_{read}", f"deltas_{read}", f"once_{read}"):
            found = mnemonics(listing[function], WORDS[toolchain.arch])
            assert is_repetition(found, instructions_of(read)), function


@each_toolchain("x86_64")
def test_cpuid_asks_for_leaf_zero(toolchain: Toolchain) -> None:
    loop = functions("clock/read.c", toolchain)["loop_cpuid_rdtsc"]
    before = loop[[instruction.mnemonic for instruction in loop].index("cpuid") - 1]
    assert (before.mnemonic, before.registers) == ("xor", ["eax", "eax"])


@each_toolchain()
def test_window_holds_its_multiplications_and_no_memory_access(toolchain: Toolchain) -> None:
    listing = functions("clock/bias.c", toolchain)
    multiply, settle, words = MULTIPLY[toolchain.arch], SETTLE[toolchain.arch], WORDS[toolchain.arch]
    for pair in native(PAIRS, toolchain):
        start, end = map(instructions_of, pair.split("_to_"))
        for k in LENGTHS:
            window = listing[f"window_{pair}_{k}"]
            assert mnemonics(window, {*words, multiply}) == [settle, *start, *[multiply] * k, *end, settle], (pair, k)
            inside = between(window, words)
            assert memory_accesses(inside) == [], (pair, k)
            assert all(line.target is None and not line.mnemonic.startswith("call") for line in inside), (pair, k)


@each_toolchain()
def test_chain_is_carried_through_one_register(toolchain: Toolchain) -> None:
    chain = functions("clock/core.c", toolchain)["timed_chain"]
    multiply, words = MULTIPLY[toolchain.arch], WORDS[toolchain.arch]
    found = mnemonics(chain, {*words, multiply})
    blocks = found.count(multiply)
    assert blocks % 64 == 0
    assert found == [*TICK_NOW[toolchain.arch], *[multiply] * blocks, *TICK_END[toolchain.arch]]
    multiplications = [line for line in chain if line.mnemonic == multiply]
    assert len({line.operands for line in multiplications}) == 1
    factor, product = multiplications[0].registers[-1], multiplications[0].registers[0]
    if toolchain.arch == "x86_64":
        factor, product = product, factor
    assert factor != product
    assert memory_accesses(between(chain, words)) == []


@each_toolchain("x86_64")
def test_burst_is_512_bits_wide(toolchain: Toolchain) -> None:
    listing = functions("clock/core.c", toolchain)
    burst = next(body for body in listing.values() if any("zmm" in line.operands for line in body))
    assert sum(line.mnemonic == "vfmadd231pd" and "zmm" in line.operands for line in burst) == 1024
    assert any(line.mnemonic == "vzeroupper" for line in burst)


@each_toolchain()
def test_empty_window_holds_one_indirect_call(toolchain: Toolchain) -> None:
    window = functions("clock/empty.c", toolchain)["window"]
    call = {"x86_64": "call", "aarch64": "blr", "riscv64": "jalr"}[toolchain.arch]
    found = mnemonics(window, {*WORDS[toolchain.arch], call, "bl", "jal"})
    assert found == [*TICK_NOW[toolchain.arch], call, *TICK_END[toolchain.arch]]
    if call == "call":
        assert any(line.mnemonic == call and line.operands.startswith("*") for line in window)
