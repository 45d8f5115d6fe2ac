"""branch/likely: one source, five texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from kernels.disassemble import Instruction, Toolchain, functions, loops, reachable
from topics.branch.instructions import CHOOSES, HINTS, each_toolchain


def hinted(hint: str, toolchain: Toolchain) -> list[Instruction]:
    """Everything that belongs to one loop of branch/likely: gcc puts what is cold into a part of its own."""
    listing = functions("branch/likely.c", toolchain)
    parts = [body for name, body in listing.items() if name in (f"loop_{hint}", f"loop_{hint}.cold")]
    assert parts
    return sorted((step for part in parts for step in part), key=lambda step: step.address)


def wording(hint: str, toolchain: Toolchain) -> list[str]:
    """The text of a loop's function, addresses left out; targets count from the function's beginning."""
    body = functions("branch/likely.c", toolchain)[f"loop_{hint}"]
    lines = []
    for step in body:
        if "nop" in f"{step.mnemonic} {step.operands}" or step.mnemonic == "xchg":
            continue  # padding
        where = f"+{step.target - body[0].address:x}" if step.target is not None else ""
        lines.append(f"{step.mnemonic} {re.sub(r'[0-9a-f]+ <.*', '', step.operands)}{where}")
    return lines


def data_jump(body: Sequence[Instruction]) -> Instruction:
    """The conditional jump after the load of the outcome."""
    load = next(i for i, step in enumerate(body) if step.mnemonic in {"cmpb", "movzbl", "ldrb", "lbu"})
    return next(step for step in body[load:] if step.target is not None)


def taken_jumps(body: Sequence[Instruction], outcome: bool) -> int:
    """Jumps that are taken in one turn of the loop, if every outcome is this one."""
    after = {one.address: two.address for one, two in pairwise(body)}
    at = {step.address: step for step in body}
    test = data_jump(body)
    jumps_on_zero = test.mnemonic in {"je", "cbz", "beqz", "b.eq"}
    step, taken = test, 0
    for _ in range(100):
        if step.target is None:
            goes = False
        elif step.address == test.address:
            goes = jumps_on_zero != outcome
        elif step.mnemonic in {"jmp", "b", "j"}:
            goes = True
        else:  # the end of the loop: on to the next turn, wherever that is
            goes = test.address in reachable(body, step.target) and (
                step.target <= test.address or test.address not in reachable(body, after[step.address])
            )
        taken += goes
        step = at[step.target if goes and step.target is not None else after[step.address]]
        if step.address == test.address:
            return taken
    raise AssertionError("the loop does not come back to its test")


@each_toolchain
@pytest.mark.parametrize("hint", HINTS)
def test_each_text_holds_a_jump(hint: str, toolchain: Toolchain) -> None:
    body = hinted(hint, toolchain)
    assert data_jump(body).mnemonic in {"je", "jne", "cbz", "cbnz", "beqz", "bnez", "b.eq", "b.ne"}
    inside = {step.address for loop in loops(body) for step in loop}
    assert not any(CHOOSES.match(step.mnemonic) for step in body if step.address in inside)


@each_toolchain
def test_texts_differ_where_they_should(toolchain: Toolchain) -> None:
    texts = {hint: wording(hint, toolchain) for hint in HINTS}
    assert texts["unlikely"] != texts["plain"]
    assert texts["unlikely"] != texts["likely"]
    assert texts["cold"] != texts["plain"]
    # Neither gcc 12 nor clang 14 makes a difference between no hint and a probability of one half.
    assert texts["even"] == texts["plain"]


@each_toolchain
def test_the_hint_decides_who_has_to_jump(toolchain: Toolchain) -> None:
    plain, likely, unlikely = (
        [taken_jumps(hinted(hint, toolchain), outcome) for outcome in (False, True)]
        for hint in ("plain", "likely", "unlikely")
    )
    assert unlikely == [1, 3], "the block is out of the way: there and back again when it is wanted"
    assert likely == [2, 1], "the block is in the way: over it when it is not wanted"
    assert taken_jumps(hinted("cold", toolchain), False) == 1
    # Nothing said: gcc leaves the block in the way, clang 14 puts it at the end of the turn: one jump either way.
    assert plain == ([1, 1] if toolchain.name == "clang" else [2, 1])
