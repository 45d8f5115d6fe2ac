"""The C sources and headers, where this package has them, and what its build knows: flags and compilers."""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from fencepost.bench.errors import MeasureError

CSRC = Path(__file__).resolve().parent.parent / "csrc"
"""Headers and sources: csrc/ of a checkout, or the copy that an installed package carries."""
PEERS = CSRC.parent / "examples" / "peers"
"""Files for the queues of other libraries, likewise."""
_INCLUDE_VARIABLES = ("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
_COMPILERS = {"c": ("CC", ("cc", "gcc", "clang")), "c++": ("CXX", ("c++", "g++", "clang++"))}


@functools.cache
def build_script() -> ModuleType:
    """csrc/build_kernels.py as a module: the one place that knows sources and flags.

    Raises
    ------
    MeasureError
        when this installation has no C sources.
    """
    path = CSRC / "build_kernels.py"
    if not path.is_file():
        raise MeasureError(f"{CSRC}: this installation has no C sources and headers; install fencepost again")
    spec = importlib.util.spec_from_file_location("build_kernels", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernel_flags() -> list[str]:
    """The flags that the suite's kernels are compiled with."""
    flags: Sequence[str] = build_script().FLAGS
    return list(flags)


@contextmanager
def headers_in(folders: Sequence[Path]) -> Iterator[None]:
    """Let the compiler find ``#include <…>`` in these folders too, as headers of the system, which it does not warn of.

    By its variables rather than by options: those are stored with a run, and a run names no folder of its machine.
    """
    before = {name: os.environ.get(name) for name in _INCLUDE_VARIABLES}
    for name, value in before.items():
        given = [str(folder.resolve()) for folder in folders] + ([value] if value else [])
        if folders:
            os.environ[name] = os.pathsep.join(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def find_compiler(language: str) -> list[str]:
    """The command of a compiler for ``c`` or ``c++``: CC or CXX where that is set, otherwise the first that is there.

    Raises
    ------
    MeasureError
        when there is none, or the variable that names it cannot be read.
    """
    variable, names = _COMPILERS[language]
    try:
        given = shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        fault = str(error).lower()
        raise MeasureError(
            f"{variable}={os.environ[variable]}: cannot be read ({fault}); correct or unset it"
        ) from error
    if given:
        if shutil.which(given[0]) is None:
            raise MeasureError(f"{variable}={os.environ[variable]}: no such compiler; correct or unset it")
        return given
    for name in names:
        if shutil.which(name):
            return [name]
    kind = {"c": "C", "c++": "C++"}[language]
    raise MeasureError(
        f"no {kind} compiler ({', '.join(names)}); install one, or name it in {variable}. "
        "The kernels of the suite need none"
    )
