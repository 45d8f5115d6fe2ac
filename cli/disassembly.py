"""The machine code of a kernel's loop, read from the shared object by binutils (nm, objdump)."""

from __future__ import annotations

import bisect
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fencepost.bench.files import words_of

if TYPE_CHECKING:
    from fencepost.bench.catalog import KernelInfo
    from fencepost.bench.engine import Engine

# Functions outside the window: of these, nothing is timed.
_OUTSIDE = ("setup", "check", "teardown", "cost_ns")
_TIMEOUT_S = 30

SAME_FILE = "in the same file"
"""Role of a function that the descriptor does not name. A setup may put it in the place of one that it does."""


@dataclass(frozen=True)
class Function:
    """One function of a kernel. `role` says what it is to the kernel; `address` is the one in the file."""

    name: str
    role: str
    address: int
    bytes: int
    text: str

    def as_json(self) -> dict[str, object]:
        """As `fencepost show --json` prints it."""
        return {
            "name": self.name,
            "role": self.role,
            "address": self.address,
            "bytes": self.bytes,
            "text": self.text,
        }


@dataclass(frozen=True)
class Disassembly:
    """What was found; where nothing was, `missing` says why and what to do."""

    functions: tuple[Function, ...]
    missing: str | None = None


@dataclass(frozen=True)
class _Symbol:
    name: str
    address: int
    size: int
    file: str | None


class Binary:
    """A shared object with kernels: its functions, where it is loaded, and, if `whole`, all of its machine code.

    Raises
    ------
    OSError, ValueError, subprocess.SubprocessError
        where it cannot be read.
    """

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        self.path = path
        self.symbols = _symbols(path)
        self.base = _load_address(path)
        self._lines = _code_lines(path, []) if whole else None

    def code(self, symbol: _Symbol) -> str:
        """The machine code of a function."""
        stop = symbol.address + (symbol.size or 512)
        if self._lines is None:
            limits = [f"--start-address={symbol.address:#x}", f"--stop-address={stop:#x}"]
            return "\n".join(text for _, text in _code_lines(self.path, limits))
        low, high = (bisect.bisect_left(self._lines, (address, "")) for address in (symbol.address, stop))
        return "\n".join(text for _, text in self._lines[low:high])


def missing_tool() -> str | None:
    """What is not installed, and the package that holds it; None where nothing is missing."""
    gone = next((tool for tool in ("objdump", "nm") if shutil.which(tool) is None), None)
    return f"{gone} is not installed; install the package binutils" if gone else None


def hot_functions(engine: Engine, kernel: KernelInfo, binary: Binary | None = None) -> Disassembly:
    """Machine code of the functions of `kernel` that may run inside the timed window.

    That is its ``run``, its ``events`` and ``control``, or its ``work``, and every other function of the same C file
    that belongs neither to setup and check nor to another kernel of that file: a setup may put a specialised loop in
    place of ``run``. `binary` is the object that holds the kernel, where it was read before.
    """
    missing = missing_tool()
    if missing is not None:
        return Disassembly((), missing)
    descriptors = engine.descriptors(kernel.object)
    try:
        binary = binary or Binary(engine.file_of(kernel.object))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Disassembly((), f"cannot be read ({words_of(error).splitlines()[0]:.200})")
    symbols, base = binary.symbols, binary.base
    main = _pointers(engine, descriptors[kernel.index], base)
    outside_names = tuple(_OUTSIDE)
    outside = {address for name, address in main.items() if name in outside_names}
    others: set[int] = set()
    for index, descriptor in enumerate(descriptors):
        if index != kernel.index:
            others |= set(_pointers(engine, descriptor, base).values())
    others -= set(main.values())
    loops = {address: name for name, address in main.items() if name not in outside_names}
    by_address = {symbol.address: symbol for symbol in symbols}
    chosen: list[tuple[_Symbol, str]] = []
    for address, role in loops.items():
        chosen.append((by_address.get(address) or _unknown(role, address, symbols), role))
    basename = Path(kernel.file).name
    for symbol in symbols:
        if symbol.file is None or Path(symbol.file).name != basename or symbol.size == 0:
            continue
        belongs_elsewhere = symbol.address in outside | others | set(loops)
        # The cold part of a function, and a specialised copy, carry the function's name and a suffix.
        if not belongs_elsewhere and symbol.name.partition(".")[0] not in outside_names:
            chosen.append((symbol, SAME_FILE))
    functions: list[Function] = []
    for symbol, role in chosen:
        try:
            text = binary.code(symbol)
        except (OSError, subprocess.SubprocessError) as error:
            return Disassembly(tuple(functions), f"objdump failed ({words_of(error):.200})")
        functions.append(Function(symbol.name, role, symbol.address, symbol.size, text))
    return Disassembly(tuple(functions), None if functions else "no function of this kernel was found")


def _pointers(engine: Engine, descriptor: Any, base: int) -> dict[str, int]:
    """Addresses in the file of the functions that a kernel's descriptor names."""
    found = {}
    for name in ("run", "events", "control", "work", *_OUTSIDE):
        pointer = getattr(descriptor, name)
        if pointer:
            found[name] = int(engine.ffi.cast("uintptr_t", pointer)) - base
    return found


def _load_address(path: Path) -> int:
    """Where the dynamic linker put the shared object: the mapping of its first byte."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path) and int(fields[2], 16) == 0:
            return int(fields[0].partition("-")[0], 16)
    raise ValueError(f"{path} is not in /proc/self/maps")


def _symbols(path: Path) -> list[_Symbol]:
    """Functions in the symbol table, with the source file of each where debugging information tells."""
    output = _call(["nm", "--defined-only", "-S", "-l", str(path)])
    symbols = []
    for line in output.splitlines():
        match = re.match(r"([0-9a-f]+) (?:([0-9a-f]+) )?[tTwW] (\S+)(?:\t(.*):[0-9?]+)?$", line)
        if match:
            size = int(match[2], 16) if match[2] else 0
            symbols.append(_Symbol(match[3], int(match[1], 16), size, match[4]))
    return sorted(symbols, key=lambda symbol: symbol.address)


def _unknown(role: str, address: int, symbols: list[_Symbol]) -> _Symbol:
    """A stand-in for a function without a symbol (a stripped object): up to the next symbol, 512 bytes at most."""
    following = [symbol.address for symbol in symbols if symbol.address > address]
    return _Symbol(role, address, min([512, *(f - address for f in following)]), None)


def _code_lines(path: Path, limits: list[str]) -> list[tuple[int, str]]:
    """Instructions with their addresses, which go up."""
    output = _call(["objdump", "-d", "--no-show-raw-insn", *limits, str(path)])
    found = []
    for line in output.splitlines():
        match = re.match(r"\s+([0-9a-f]+):\s", line)
        if match:
            found.append((int(match[1], 16), line.rstrip().expandtabs()))
    return sorted(found, key=lambda pair: pair[0])


def _call(command: list[str]) -> str:
    # LC_ALL=C: what is parsed here must not be translated.
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=True, env=_environment()
    )
    return result.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "LC_ALL": "C"}
