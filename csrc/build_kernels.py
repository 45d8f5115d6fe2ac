"""The cffi script: all of csrc (engine, libraries, kernels), found by where it lies, as one extension module.

The declarations that Python sees are the part of kernel.h between the marks ``cffi: begin`` and ``cffi: end``, so that
there is no second list of them. A new kernel is a new file in a folder of kernels/ and nothing else: the folders
themselves are dependencies, so that a deleted file rebuilds as well.
"""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from pathlib import Path

import cffi

CSRC = Path(__file__).resolve().parent
ROOT = CSRC.parent

FLAGS = [
    "-std=gnu11",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    # Without a declaration gcc makes an external call out of a builtin that only clang has, and measures that.
    "-Werror=implicit-function-declaration",
    # Functions and loops at fixed alignment: a neighbour's size must not decide whether a loop straddles a fetch block.
    "-falign-functions=64",
    "-falign-loops=32",
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-pthread",
]


def declarations() -> str:
    """The part of kernel.h that cffi reads, comments removed."""
    text = (CSRC / "kernel.h").read_text(encoding="utf-8")
    match = re.search(r"/\* cffi: begin \*/(.*)/\* cffi: end \*/", text, re.DOTALL)
    if match is None:
        raise SystemExit("csrc/kernel.h: the marks 'cffi: begin' and 'cffi: end' are missing")
    return re.sub(r"/\*.*?\*/", "", match.group(1), flags=re.DOTALL)


def engine_files() -> list[Path]:
    """The engine and the libraries: all that is compiled but the kernels. The self-test is a program of its own."""
    engine = sorted(path for path in (CSRC / "engine").glob("*.c") if path.name != "selftest.c")
    return [*engine, *sorted((CSRC / "lib").glob("*/*.c"))]


def sources() -> list[str]:
    """Engine, libraries and kernels, relative to the project's root (setuptools refuses absolute paths)."""
    files = [*engine_files(), *sorted((CSRC / "kernels").glob("*/*.c"))]
    return [str(path.relative_to(ROOT)) for path in files]


def dependencies() -> list[str]:
    """What the extension is rebuilt for, beyond its sources."""
    rooms = [CSRC / name for name in ("engine", "lib", "kernels")]
    folders = [*rooms, *(path for room in rooms for path in room.rglob("*") if path.is_dir())]
    return sorted(str(path.relative_to(ROOT)) for path in [*CSRC.rglob("*.h"), CSRC / "build_kernels.py", *folders])


def stated_flags() -> str:
    """What run.json says about the compiler's flags: Python's own and the user's come first, ours override them."""
    return " ".join([sysconfig.get_config_var("CFLAGS") or "", os.environ.get("CFLAGS", ""), *FLAGS]).strip()


def without_folder(folder: Path | str, shown: str) -> list[str]:
    """The option by which `folder` is called `shown` in what is compiled, such as the lines for a debugger."""
    return [f"-ffile-prefix-map={folder}={shown}"]


ffibuilder = cffi.FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "fencepost.bench._kernels",
    '#include "kernel.h"\n',
    sources=sources(),
    depends=dependencies(),
    include_dirs=["csrc"],
    # No folder of this machine gets into the engine: its hash stands for its code, wherever it was built. setup.py adds
    # the folder of the build.
    extra_compile_args=[*FLAGS, *without_folder(ROOT, "."), *without_folder(sysconfig.get_path("include"), "python")],
    # Symbolic: what the engine shows to objects loaded beside it is not looked up by name when it calls itself.
    extra_link_args=["-pthread", "-Wl,-Bsymbolic", "-Wl,--build-id=none"],
    libraries=["m", "dl"],
    define_macros=[("FENCEPOST_FLAGS", f'"{stated_flags()}"')],
    py_limited_api=platform.python_implementation() == "CPython",
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
