"""coroutine/switch: each coroutine counts when its turn comes, and each way leaves as its name says."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.disassemble import TOOLCHAINS, Toolchain, functions
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

SWITCH, CONTEXTS = "coroutine/switch.c", "coroutine/contexts.h"
OWN = ["jump", "ret", "jump_fp"]
WAYS = ["call", *OWN, "longjmp", "swapcontext", "boost"]
LEAVES = {
    "x86_64": {"jump": "jmp", "ret": "ret"},
    "aarch64": {"jump": "br", "ret": "ret"},
    "riscv64": {"jump": "jr", "ret": "ret"},
}

CONTROLS = {
    "x86_64": (["stmxcsr", "fnstcw"], ["ldmxcsr", "fldcw"]),
    "aarch64": (["mrs"], ["msr"]),
    "riscv64": (["frcsr"], ["fscsr"]),
}
"""What saves the control words of floating point, and what takes up those of the other side."""
SAVES, LOADS = ({name for both in CONTROLS.values() for name in both[i]} for i in range(2))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("stacks", ["coloured", "aligned"])
@pytest.mark.parametrize("coroutines", [1, 7])
@pytest.mark.parametrize("by", WAYS)
def test_coroutines_come_in_turn(engine: Engine, by: str, coroutines: int, stacks: str) -> None:
    measured = measure(engine, "coroutine/switch", {"by": by, "coroutines": coroutines, "stacks": stacks})
    if measured.status == ENOTSUP and (by != "boost" or os.environ.get("CI") != "true"):
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize("coroutines", [-1, 0, 10_001])
def test_as_many_coroutines_as_there_may_be(engine: Engine, coroutines: int) -> None:
    measured = measure(engine, "coroutine/switch", {"coroutines": coroutines})
    assert measured.status == EINVAL
    assert f"coroutines={coroutines} is not 1 to 10000" in measured.reason


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=str)
@pytest.mark.parametrize("by", OWN)
def test_the_last_instruction_is_what_the_name_says(toolchain: Toolchain, by: str) -> None:
    code = functions(SWITCH, toolchain)[f"coroutine_{by}"]
    ends = [one for one in code if one.mnemonic in {"ret", "jmp", "br", "jr"}]
    assert [one.mnemonic for one in ends] == [LEAVES[toolchain.arch]["ret" if by == "ret" else "jump"]]
    saved = [one.mnemonic for one in code if one.mnemonic in SAVES]
    loaded = [one.mnemonic for one in code if one.mnemonic in LOADS]
    assert saved == (CONTROLS[toolchain.arch][0] if by == "jump_fp" else [])
    assert loaded == (CONTROLS[toolchain.arch][1] if by == "jump_fp" else [])


@pytest.mark.parametrize(
    ("file", "by", "whole", "broken", "said"),
    [
        # A coroutine that does not come back to where it was, or that is left out.
        (SWITCH, "jump", "&room->coroutines[room->next];", "&room->coroutines[0];", "coroutine 0 was resumed"),
        (SWITCH, "call", "coroutine->made++;\n    OPAQUE", "OPAQUE", "counted 0"),
        (SWITCH, "ret", "        coroutine_ret(from, to);", "        OPAQUE(to);", "counted 0"),
        (SWITCH, "jump", "        coroutine->made++;\n        yield", "        yield", "counted 0"),
    ],
)  # fmt: skip
def test_what_does_otherwise_fails(tmp_path: Path, file: str, by: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "coroutine/switch", {"by": by, "coroutines": 3}, batches=4)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


RESTORES = r'pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n" leave'
"""How the code of x86-64 takes up the registers of the other side."""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the fault is planted in code of x86-64")
@pytest.mark.parametrize(("by", "register"), [("jump", "r15"), ("ret", "rbx"), ("jump_fp", "rbp")])
def test_a_register_that_is_not_kept_is_found(tmp_path: Path, by: str, register: str) -> None:
    broken = RESTORES.replace(f"pop %{register}", "pop %rcx")
    faulty = compile_broken(tmp_path, {CONTEXTS: [(RESTORES, broken)]})
    measured = measure(faulty, "coroutine/switch", {"by": by})
    assert measured.status == EILSEQ, measured.reason
    assert "did not survive a switch" in measured.reason
