"""Kernel files as they are, and with faults planted in them, in an engine of their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from compile import CSRC
from engine.build import Engine, compile_files
from runs.measure import wait_for

KERNELS = CSRC / "kernels"


def engine_of(folder: Path, source: str, *replacements: tuple[str, str]) -> Engine:
    """An engine with csrc/kernels/`source`, in which each first text (it must be there) is replaced by the second."""
    text = (CSRC / "kernels" / source).read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, f"{source} has no {old!r}: the planted fault has to be put anew"
        text = text.replace(old, new)
    made = folder / Path(source).name
    made.write_text(text, encoding="utf-8")
    # The file moves away from the headers beside it.
    return compile_files(folder, [made], include=[(CSRC / "kernels" / source).parent])


def compile_broken(
    folder: Path,
    faults: Mapping[str, Sequence[tuple[str, str]]],
    only: str | None = None,
    otherwise: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Engine:
    """Kernel files with faults planted in them: what stands there and what the fault makes of it.

    By path below csrc/kernels. Of a header's topic all kernel files are compiled that include it, or `only` this one.
    `otherwise` is as in `compile_files`.
    """
    copied = folder / "kernels"
    broken = {KERNELS / file for file in faults}
    touched = {path for file in broken for path in file.parent.glob("*.c") if path in broken or _includes(path, broken)}
    if only is not None:
        touched &= {KERNELS / only}
    for path in [*KERNELS.rglob("*.h"), *touched]:
        name = path.relative_to(KERNELS).as_posix()
        source = path.read_text(encoding="utf-8")
        for whole, fault in faults.get(name, ()):
            assert source.count(whole) == 1, f"{name} no longer has once what this test breaks: {whole}"
            source = source.replace(whole, fault)
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text(source, encoding="utf-8")
    return compile_files(folder, sorted(copied.glob("*/*.c")), include=[folder], otherwise=otherwise)


def _includes(path: Path, headers: Collection[Path]) -> bool:
    """Whether a file includes one of these headers, by itself or through others."""
    for name in re.findall(r'^#include "(.+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
        found = next((place / name for place in (path.parent, CSRC) if (place / name).is_file()), None)
        if found is not None and (found.resolve() in headers or _includes(found, headers)):
            return True
    return False


def threads() -> set[str]:
    """Numbers of this process's threads."""
    return {path.name for path in Path("/proc/self/task").iterdir()}


def expect_no_thread_more_than(before: set[str]) -> None:
    """What was started since is gone. A joined thread leaves the list a moment later, when the system gets to it."""
    wait_for(lambda: threads() <= before)
