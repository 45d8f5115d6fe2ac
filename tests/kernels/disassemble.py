"""What a compiler made of a kernel file: its functions, instruction by instruction, and their loops.

A kernel is compiled by itself, with the suite's own flags, by every toolchain at hand: the native gcc and clang, and
the cross compilers of the other architectures. What tests assert on it is what the kernel's header comment promises.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from compile import CSRC, compile_once
from engine.build import build_script

_LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S.*)$")
_FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
_PREFIXES = {"lock", "rep", "repz", "repnz", "notrack", "bnd", "data16", "cs", "ds"}
_JUMP = {
    "x86_64": re.compile(r"j[a-z]+"),
    "aarch64": re.compile(r"b|b\.\w+|cbn?z|tbn?z"),
    "riscv64": re.compile(r"j|b(eq|ne|lt|ge|gt|le)u?z?"),
}
_NEVER_GOES_ON = {"jmp", "ret", "ud2", "hlt", "b", "br", "udf", "j", "jr", "unimp", "ebreak"}
_TARGET = re.compile(r"(?:^|[\s,])([0-9a-f]+) <")


@dataclass(frozen=True)
class Toolchain:
    """A compiler, the objdump that reads what it makes, the architecture it makes it for."""

    name: str
    objdump: str
    arch: str


TOOLCHAINS = (
    Toolchain("gcc", "objdump", platform.machine()),
    Toolchain("clang", "objdump", platform.machine()),
    Toolchain("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objdump", "aarch64"),
    Toolchain("riscv64-linux-gnu-gcc", "riscv64-linux-gnu-objdump", "riscv64"),
)


@dataclass(frozen=True)
class Instruction:
    """One instruction, as objdump writes it (AT&T order on x86: the destination comes last)."""

    address: int
    mnemonic: str
    operands: str
    target: int | None
    """Where it jumps to; None if it does not, or not to an address in the same file."""

    @property
    def registers(self) -> list[str]:
        """Registers it names, in order. On x86 without the percent sign."""
        return re.findall(r"%(\w+)", self.operands) or re.findall(r"\b([a-z]+\d*\w*)\b", self.operands)

    @property
    def has_memory_operand(self) -> bool:
        """Whether it reads or writes memory through a register."""
        return re.search(r"\[|\((?!\d)", self.operands) is not None  # %st(7) is a register

    def __str__(self) -> str:
        return f"{self.address:x}: {self.mnemonic} {self.operands}"


def usable(toolchain: Toolchain) -> Toolchain:
    """`toolchain`, or a skip that names what is missing; where CI=true a missing one is a failure."""
    for tool in (toolchain.name, toolchain.objdump):
        if shutil.which(tool) is None:
            reason = f"needs {tool}, to look at what {toolchain.name} makes of the kernels"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
    return toolchain


@functools.cache
def flags() -> tuple[str, ...]:
    """The suite's flags for the compiler, from csrc/build_kernels.py."""
    return tuple(build_script().FLAGS)


@functools.cache
def functions(source: str, toolchain: Toolchain) -> dict[str, list[Instruction]]:
    """Functions of csrc/kernels/`source`, as `toolchain` compiles it. Skips where the toolchain is missing."""
    usable(toolchain)
    with tempfile.TemporaryDirectory(prefix="fencepost-") as folder:
        made = Path(folder) / "kernel.so"
        command = [toolchain.name, *flags(), "-g0", "-fPIC", f"-I{CSRC}", "-shared", "-nostdlib"]
        # Linked, and not only an object file: in one, jumps of RISC-V have no target yet.
        compile_once(made, [*command, CSRC / "kernels" / source])
        listing = subprocess.run(
            [toolchain.objdump, "-d", "-w", "--no-show-raw-insn", str(made)], check=True, capture_output=True, text=True
        ).stdout
    return _parse(listing, toolchain.arch)


def loops(instructions: Sequence[Instruction]) -> list[list[Instruction]]:
    """Loops of a function: from where a jump leads back to, up to the jump, which can be reached from there."""
    return [
        [inside for inside in instructions if jump.target <= inside.address <= jump.address]
        for jump in instructions
        if jump.target is not None
        and instructions[0].address <= jump.target <= jump.address
        and jump.address in reachable(instructions, jump.target)
    ]


def reachable(instructions: Sequence[Instruction], start: int) -> set[int]:
    """Addresses that control may get to from `start`, inside the function.

    A jump back need not be a loop: compilers move rare blocks to the end, from where they jump back to the rest.
    """
    after = {before.address: following.address for before, following in pairwise(instructions)}
    at = {instruction.address: instruction for instruction in instructions}
    found: set[int] = set()
    waiting = [start]
    while waiting:
        address = waiting.pop()
        if address in found or address not in at:
            continue
        found.add(address)
        instruction = at[address]
        if instruction.target is not None:
            waiting.append(instruction.target)
        if instruction.mnemonic not in _NEVER_GOES_ON and address in after:
            waiting.append(after[address])
    return found


def innermost_loops(instructions: Sequence[Instruction]) -> list[list[Instruction]]:
    """Loops that contain no other."""
    found = loops(instructions)
    return [
        loop
        for loop in found
        if not any(other is not loop and other[0] in loop and other[-1] in loop for other in found)
    ]


def only_loop(source: str, toolchain: Toolchain, function: str) -> list[Instruction]:
    """The one loop of a function that has exactly one."""
    found = loops(functions(source, toolchain)[function])
    assert len(found) == 1, f"{function} ({toolchain.name}) has {len(found)} loops"
    return found[0]


def _parse(listing: str, arch: str) -> dict[str, list[Instruction]]:
    result: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in listing.splitlines():
        header = _FUNCTION.match(line)
        if header:
            current = result.setdefault(header[1], [])
        match = _LINE.match(line)
        if match:
            words = match[2].split(None, 1)
            mnemonic, operands = words[0], words[1].strip() if len(words) > 1 else ""
            while mnemonic.split()[-1] in _PREFIXES and operands:
                following = operands.split(None, 1)
                mnemonic, operands = f"{mnemonic} {following[0]}", following[1] if len(following) > 1 else ""
            target = _TARGET.search(operands) if _JUMP[arch].fullmatch(mnemonic) else None
            current.append(Instruction(int(match[1], 16), mnemonic, operands, int(target[1], 16) if target else None))
    return result
