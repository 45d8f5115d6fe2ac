"""Source and machine code of the kernels of a run, for pages: analysis reads no engine, so they are handed to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

MOST_LETTERS = 6000
"""Machine code of a kernel up to here has its other functions too. Of all kernels this is 0.2 MB of a page."""

MOST_INNER_LETTERS = 800
"""Of a kernel's loops, what a page has as plain text. Of all kernels this is 0.1 MB of a page."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fencepost.analysis.report.code import Code, KernelCode
    from fencepost.bench.catalog import KernelInfo
    from fencepost.cli.disassembly import Binary, Function


def code_of(folder: Path) -> Code:
    """The kernels of a run that this installation has.

    The machine code is that of the run only where this engine measured it. With another build it is left out.
    """
    from dataclasses import replace

    from fencepost.analysis.report.code import NO_CODE, packed_code
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.engine import load
    from fencepost.bench.errors import EngineError
    from fencepost.bench.schema import RUN_FILE, read_file
    from fencepost.cli.disassembly import hot_functions

    try:
        run = json.loads(read_file(folder / RUN_FILE))
        same_as = run["engine"]["sha256"]
        wanted = {case["kernel"] for case in run["plan"]["cases"]}
        engine = load()
        catalog = read_catalog(engine)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, EngineError):
        # What is wrong with a run its report says. An installation without an engine can still read runs.
        return NO_CODE
    same = same_as == engine.sha256
    kernels = [kernel for kernel in catalog.kernels.values() if kernel.name in wanted]
    binary = _binary(engine.file_of("")) if same and kernels else None
    found = []
    for kernel in kernels:
        loop, inner, missing = "", "", ""
        if same:
            code = hot_functions(engine, kernel, binary)
            loop, missing = _loop(kernel.name, code.functions), code.missing or ""
            inner = _inner(kernel.name, code.functions)
        found.append(replace(_kernel_code(kernel, loop, missing), inner=inner))
    return packed_code(found, same_build=same)


def _loop(kernel: str, functions: Sequence[Function]) -> str:
    """Machine code of a kernel: what its descriptor names as a whole, and of its other functions what has room."""
    from fencepost.cli.disassembly import SAME_FILE
    from fencepost.cli.listing import listing

    shown: list[str] = []
    for function in sorted(functions, key=lambda function: function.role == SAME_FILE):
        text = f"{function.name} ({function.role}), {function.bytes} bytes\n{listing(function.text, function.name)}"
        if function.role != SAME_FILE or sum(map(len, shown)) + len(text) < MOST_LETTERS:
            shown.append(text)
    left = len(functions) - len(shown)
    if left:
        shown.append(f"{left} more function{'s' * (left > 1)} of its file: fencepost show {kernel}")
    return "\n\n".join(shown)


def _inner(kernel: str, functions: Sequence[Function]) -> str:
    """The innermost loops of what a kernel's descriptor names; of functions without a loop, all."""
    from fencepost.cli.disassembly import SAME_FILE
    from fencepost.cli.listing import inner_loops, listing

    named = [(item.name, listing(item.text, item.name)) for item in functions if item.role != SAME_FILE]
    loops = [(name, loop) for name, text in named for loop in inner_loops(text)] or named
    parts: list[str] = []
    left = 0
    for name, text in loops:
        part = f"{name}\n{text.replace(f'<{name}+', '<+')}"
        if sum(map(len, parts)) + len(part) <= MOST_INNER_LETTERS:
            parts.append(part)
        else:
            left += 1
    if left:
        parts.append(f"{left} more loop{'s' * (left > 1)}: fencepost show {kernel}")
    return "\n\n".join(parts)


def _binary(path: Path) -> Binary | None:
    """The engine's machine code, read once for all kernels; None where it cannot be read, as each kernel says."""
    import subprocess

    from fencepost.cli.disassembly import Binary, missing_tool

    if missing_tool():
        return None
    try:
        return Binary(path, whole=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _kernel_code(kernel: KernelInfo, loop: str, missing: str) -> KernelCode:
    from fencepost.analysis.report.code import KernelCode
    from fencepost.bench.sources import CSRC
    from fencepost.cli.kernels import header_comment

    path = kernel.source()
    source = path.read_text(encoding="utf-8", errors="replace") if path else ""
    shown = f"csrc/{path.relative_to(CSRC)}" if path and path.is_relative_to(CSRC) else path.name if path else ""
    return KernelCode(kernel.name, kernel.summary, header_comment(source) or "", shown, source, loop, missing)
