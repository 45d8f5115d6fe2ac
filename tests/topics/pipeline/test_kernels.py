"""pipeline/*: the instructions are the ones promised, and the checks notice when the work was not done."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from kernels.disassemble import TOOLCHAINS, Instruction, Toolchain, only_loop
from kernels.measure import ENOTSUP, built_engine, kernel, measure
from kernels.program import program

OPS = ("imul", "add", "fadd", "load")
MNEMONICS = {
    "x86_64": {"imul": "imul", "add": "add", "fadd": "addsd", "load": "mov"},
    "aarch64": {"imul": "mul", "add": "add", "fadd": "fadd", "load": "ldr"},
    "riscv64": {"imul": "mul", "add": "add", "fadd": "fadd.d", "load": "ld"},
}
ROUNDS = 64
OVERHEAD = 3
"""Instructions of a loop around what it is for: count, compare, jump."""

each_toolchain = pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)


def destination(instruction: Instruction, toolchain: Toolchain) -> str:
    return instruction.registers[-1 if toolchain.arch == "x86_64" else 0]


@each_toolchain
@pytest.mark.parametrize("op", OPS)
def test_chain_loop_holds_the_promised_instructions(op: str, toolchain: Toolchain) -> None:
    if toolchain.arch not in MNEMONICS:
        pytest.skip(f"the chains are not written for {toolchain.arch}")
    mnemonic = MNEMONICS[toolchain.arch][op]
    for chains in range(1, 9):
        loop = only_loop("pipeline/chain.c", toolchain, f"{op}_{chains}")
        assert len(loop) <= ROUNDS * chains + OVERHEAD
        # The loop's own counter may be an add too: with an immediate operand ("$-64", "#0x40", "-64").
        steps = [step for step in loop if step.mnemonic == mnemonic and not re.search(r"[$#]|,-?\d+$", step.operands)]
        assert len(steps) == ROUNDS * chains, f"{op}_{chains}: {len(steps)} times {mnemonic}"
        order = [destination(step, toolchain) for step in steps]
        assert len(set(order)) == chains, f"{op}_{chains}: chains share registers {sorted(set(order))}"
        assert order == order[:chains] * ROUNDS
        for step in steps:
            if op == "load":
                assert set(step.registers) == {destination(step, toolchain)}, f"{step} does not feed itself"
            else:
                assert destination(step, toolchain) in step.registers[:-1] or toolchain.arch == "x86_64"
                assert len(set(step.registers)) == 2, f"{step} takes no second register"
        memory = [step for step in loop if step.has_memory_operand]
        assert len(memory) == (ROUNDS * chains if op == "load" else 0), "a chain is spilled to the stack"


@each_toolchain
def test_imul100_is_one_chain_of_100(toolchain: Toolchain) -> None:
    if toolchain.arch not in MNEMONICS:
        pytest.skip(f"the multiplications are not written for {toolchain.arch}")
    loop = only_loop("pipeline/imul100.c", toolchain, "run")
    steps = [step for step in loop if step.mnemonic == MNEMONICS[toolchain.arch]["imul"]]
    assert len(steps) == 100
    assert len({destination(step, toolchain) for step in steps}) == 1
    assert len(loop) <= 100 + OVERHEAD
    assert not any(step.has_memory_operand for step in loop)


def distances() -> list[int]:
    names = [metric.name for metric in kernel("pipeline/window").metrics]
    return [int(name.removeprefix("k").removesuffix("_ticks")) for name in names if name.endswith("_ticks")]


FILLERS = {
    "x86_64": {"nop": ["nop"], "add": ["add"], "mix": ["add", "paddq", "ffree", "ffree"]},
    "aarch64": {"nop": ["nop"], "add": ["add"], "mix": ["add", "add", "nop", "nop"]},
}


@each_toolchain
@pytest.mark.parametrize("fill", ["nop", "add", "mix"])
def test_window_has_k_fillers_after_each_load(fill: str, toolchain: Toolchain) -> None:
    if toolchain.arch not in FILLERS:
        pytest.skip(f"the window is not written for {toolchain.arch}")
    expected = FILLERS[toolchain.arch][fill]
    load = MNEMONICS[toolchain.arch]["load"]
    assert len(distances()) >= 16
    for k in distances():
        loop = only_loop("pipeline/window.c", toolchain, f"{fill}_{k}")
        assert len(loop) <= 2 * k + 2 + OVERHEAD
        loads = [i for i, step in enumerate(loop) if step.has_memory_operand]
        assert [loop[i].mnemonic for i in loads] == [load, load]
        first, second = loop[loads[0]], loop[loads[1]]
        assert len(set(first.registers)) == len(set(second.registers)) == 1
        assert first.registers[0] != second.registers[0]
        between = loop[loads[0] + 1 : loads[1]]
        after = loop[loads[1] + 1 : loads[1] + 1 + k]
        for fillers in (between, after):
            assert [step.mnemonic for step in fillers] == expected * (k // len(expected)), f"{fill}_{k}"
            used = {register for step in fillers for register in step.registers}
            assert not used & {first.registers[0], second.registers[0]}, "a filler waits for a load"


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("chains", ["1", "5", "8"])
def test_chain_is_measured_and_checked(op: str, chains: str) -> None:
    measured = measure(built_engine(), "pipeline/chain", {"op": op, "chains": chains})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert len(measured.samples) == 3
    for ticks, operations in ((sample.ticks, sample.operations) for sample in measured.samples):
        assert ticks > 0
        assert operations % (int(chains) * ROUNDS) == 0


@pytest.mark.parametrize("chains", ["0", "9", "-1"])
def test_chain_refuses_a_number_of_chains_that_it_has_not(chains: str) -> None:
    measured = measure(built_engine(), "pipeline/chain", {"chains": chains})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status < 0
    assert f"chains={chains}" in measured.reason


def test_imul100_is_measured_twice_a_round() -> None:
    assert kernel("pipeline/imul100").twin
    measured = measure(built_engine(), "pipeline/imul100")
    assert measured.status in (0, ENOTSUP), measured.reason


@pytest.mark.parametrize("fill", ["nop", "add", "mix"])
def test_window_gives_a_figure_for_each_distance(fill: str) -> None:
    measured = measure(built_engine(), "pipeline/window", {"fill": fill})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert list(measured.metrics) == [*(f"k{k}_ticks" for k in distances()), "footprint_bytes"]
    assert all(ticks > 0 for ticks in measured.metrics.values())
    assert distances() == sorted(set(distances()))
    assert all(low < high for low, high in pairwise(distances()))
    assert measured.outcome.events > 0


CHAIN = """
    const int64_t values[] = {%d, 3};
    if (trial_begin(&trial, &kernel_chain, values, sizeof values)) { puts("unsupported"); return 0; }
    struct chains *chains = trial.state;
    trial.run(&worker, 30 * 3 * ROUNDS);
    printf("%%d\\n", check(&trial));
    %s;
    printf("%%d\\n", check(&trial) != 0);
    puts(trial.explanation);
"""


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        (0, "chains->imul[2] *= BY_INTEGER"),  # one step too many
        (1, "chains->add[0] -= BY_INTEGER"),  # one too few
        (2, "chains->fadd[1] += 1"),
        (3, "chains->load[2] = *(uint64_t *)chains->load[2]"),
        (0, "chains->imul[7] += 2"),  # a chain that was not to be touched
        (1, "chains->operations += 3"),
    ],
)
def test_chain_check_notices(op: int, fault: str, tmp_path: Path) -> None:
    lines = program(tmp_path, "pipeline/chain.c", CHAIN % (op, fault))
    if lines == ["unsupported"]:
        pytest.skip("no chains for this architecture")
    assert lines[:2] == ["0", "1"]
    assert "steps make of it" in lines[2]


def test_imul100_check_notices_a_block_left_out(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "pipeline/imul100.c",
        """
    if (trial_begin(&trial, &kernel_imul100, (int64_t[]){0}, 8)) { puts("unsupported"); return 0; }
    run(&worker, 77);
    printf("%d\\n", check(&trial));
    ((struct product *)trial.state)->blocks++;
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines in (["0", "1"], ["unsupported"])


def test_window_check_notices_a_chase_astray(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "pipeline/window.c",
        """
    if (trial_begin(&trial, &kernel_window, (int64_t[]){0}, 8)) { puts("unsupported"); return 0; }
    struct window *window = trial.state;
    int64_t ticks[1];
    uint64_t line = 0;
    unsigned char seen[2 * NODES] = {0};
    for (int chase = 0; chase < 2; chase++)
        for (unsigned i = 0; i < NODES; i++)
            seen[(node(window, chase, i) - window->lines) / LINE_BYTES]++;
    for (unsigned i = 0; i < 2 * NODES; i++)
        line += seen[i] == 1;
    printf("%d\\n", line == 2 * NODES);
    events(&worker, ticks, 1);
    printf("%d\\n", check(&trial));
    window->b = *(uint64_t *)window->b;
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines in (["1", "0", "1"], ["unsupported"])
