"""The engine of `fencepost run --profile pgo`: the suite as usual, and the loops of branch/pgo with measured profiles.

gcc compiles csrc/kernels/branch/pgo/loop.c three times: plainly, and with the profile of a training run over data that
is all false or all true. Everything happens in a folder that the caller throws away afterwards.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from fencepost.bench.engine import MODULE
from fencepost.bench.errors import EngineError, MeasureError
from fencepost.bench.files import words_of
from fencepost.bench.sources import CSRC, build_script

LOOP = CSRC / "kernels" / "branch" / "pgo" / "loop.c"
TRAINER = CSRC / "kernels" / "branch" / "pgo" / "train.c"
TRAININGS = {"pgo_false": (), "pgo_true": ("true",)}
"""Names of the loops that have a profile, and the arguments of the training run that makes it."""
PLAIN = "pgo_none"


def build_engine(folder: Path) -> Path:
    """Build the engine with the loops of branch/pgo in `folder`; returns the path of the shared object.

    Raises
    ------
    MeasureError
        without gcc, or without the C sources.
    EngineError
        when gcc fails, or a training run leaves no profile, or the compiler does not take it.
    """
    gcc = find_gcc()
    build = _build_script()
    loops = [_compile_loop(gcc, build.FLAGS, folder, PLAIN)]
    loops += [trained_loop(gcc, build.FLAGS, folder, name) for name in TRAININGS]
    return _link(gcc, build, folder, loops)


def find_gcc() -> str:
    """The compiler of profiles: CC where that is a gcc, otherwise ``gcc``."""
    for candidate in (*os.environ.get("CC", "").split()[:1], "gcc"):
        path = shutil.which(candidate)
        if path is not None and "Free Software Foundation" in _run([path, "--version"]):
            return path
    raise MeasureError("branch/pgo needs gcc, whose profiles it is about; install gcc, or leave out --profile pgo")


def trained_loop(gcc: str, flags: Sequence[str], folder: Path, name: str) -> Path:
    """Compile the loop `name` with the profile of its training run; returns the object file."""
    instrumented = _compile_loop(gcc, flags, folder, name, "-fprofile-generate")
    profile = instrumented.with_suffix(".gcda")
    profile.unlink(missing_ok=True)
    trainer = instrumented.with_name("train")
    # Only the loop is instrumented: the trainer must not be told apart from it by a profile of its own.
    _run([gcc, "-std=gnu11", "-O1", f"-DNAME={name}", "-c", "-o", f"{trainer}.o", str(TRAINER)])
    _run([gcc, "-fprofile-generate", "-o", str(trainer), f"{trainer}.o", str(instrumented)])
    _run([str(trainer), *TRAININGS[name]])
    if not profile.is_file() or profile.stat().st_size == 0:
        raise EngineError(
            f"the training run of {name} left no profile ({profile.name}); is the folder {folder} writable?"
        )
    # A profile that is missing, or of other code, is otherwise passed over in silence.
    strict = ("-Wmissing-profile", "-Werror=missing-profile", "-Werror=coverage-mismatch")
    return _compile_loop(gcc, flags, folder, name, "-fprofile-use", *strict)


def _compile_loop(gcc: str, flags: Sequence[str], folder: Path, name: str, *more: str) -> Path:
    # gcc looks for the profile of loop.o beside it, under the same name: each loop has a folder of its own.
    made = folder / name / "loop.o"
    made.parent.mkdir(exist_ok=True)
    _run([gcc, *flags, "-fPIC", f"-I{CSRC}", f"-DNAME={name}", *more, "-c", "-o", str(made), str(LOOP)])
    return made


def _link(gcc: str, build: ModuleType, folder: Path, loops: Sequence[Path]) -> Path:
    """Everything that build_kernels.py lists, compiled with FENCEPOST_PGO, and the loops, as one extension module."""
    flags = [*build.FLAGS, "-g0", "-DFENCEPOST_PGO"]
    wrapper = folder / "_kernels.c"
    with contextlib.redirect_stdout(io.StringIO()):  # cffi says "generating …"
        build.ffibuilder.emit_c_code(str(wrapper))
    include = [f"-I{CSRC}", f"-I{sysconfig.get_path('include')}", f"-ffile-prefix-map={folder}=."]
    define = f'-DFENCEPOST_FLAGS="{" ".join(flags)}"'
    sources = [wrapper, *(build.ROOT / source for source in build.sources())]
    # Numbered: sources in different folders may have the same name.
    objects = [folder / f"{number}-{source.stem}.o" for number, source in enumerate(sources)]
    commands = [
        [gcc, *flags, define, "-fPIC", *include, "-c", "-o", str(made), str(source)]
        for source, made in zip(sources, objects, strict=True)
    ]
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_run, commands))
    made = folder / f"{MODULE.rpartition('.')[2]}.abi3.so"
    # Nothing in it names this folder: the same sources give the same file, and an interrupted run can be resumed.
    _run(
        [
            gcc,
            "-shared",
            "-pthread",
            "-s",
            "-Wl,--build-id=none",
            "-Wl,-Bsymbolic",
            "-o",
            str(made),
            *map(str, objects),
            *map(str, loops),
            "-lm",
            "-ldl",
        ]
    )
    return made


def _build_script() -> ModuleType:
    if not LOOP.is_file():
        raise MeasureError(
            f"branch/pgo needs the C sources, which this installation has not in {CSRC}; run it from a checkout"
        )
    return build_script()


def _run(command: Sequence[str]) -> str:
    """Output of a command; an `EngineError` with its first complaint when it fails."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"building the loops of branch/pgo: {words_of(error, named=True)}") from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:300])
        name = Path(command[0]).name
        raise EngineError(f"building the loops of branch/pgo: {name} ended with status {done.returncode}: {said}")
    return done.stdout
