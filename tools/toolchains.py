"""`make toolchains`: the suite with every compiler and Python that is here; writes docs/toolchains.md.

Each compiler compiles the engine, the libraries and all kernels, every warning an error, at several levels of
optimization. The program that comes of it runs some kernels and their checks. Each C++ compiler compiles a kernel file
as `--kernel` does, and the engine loads it. Each Python builds, installs, and measures a kernel.

A row is green, or refused with its reason. Exit status 1: a row failed.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "toolchains.md"
STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", "-Icsrc")
LEVELS = (("-O2",), ("-O3",), ("-O2", "-flto"))
KERNELS = ("clock/read", "pipeline/chain", "memory/chase", "lock/hold", "branch/penalty", "ring/spsc")
"""Of several kinds: instructions of our own, data, threads, atomics."""
BEGIN, END = "<!-- toolchains: begin -->", "<!-- toolchains: end -->"
PATIENCE_S = 900


@dataclass(frozen=True)
class Row:
    """What came of a toolchain: `result` begins with green, refused or failed."""

    tool: str
    version: str
    options: str
    result: str

    @property
    def failed(self) -> bool:
        """Whether somebody has to look at it."""
        return self.result.startswith("failed")


def numbered(name: str) -> list[str]:
    """Commands such as gcc-12 that are here, by their number; the one without a number where there is no other."""
    pattern = re.compile(rf"{re.escape(name)}-\d+")
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    there = (path.name for folder in folders if folder.is_dir() for path in folder.iterdir())
    found = {command for command in there if pattern.fullmatch(command)}
    ordered = sorted(found, key=lambda command: int(command.rpartition("-")[2]))
    return ordered or ([name] if shutil.which(name) else [])


def call(
    command: Sequence[str | Path], cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that does not end in time counts as failed."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd or ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"did not end within {PATIENCE_S} s")


def version_of(command: str) -> str:
    """The version that a compiler or an interpreter tells of itself."""
    said = call([command, "--version"])
    lines = (said.stdout + said.stderr).splitlines()
    match = re.search(r"\d+(?:\.\d+)+", lines[0] if lines else "")
    return match[0] if match else "unknown"


def first_fault(done: subprocess.CompletedProcess[str]) -> str:
    """The line that tells why a command failed, fit for a cell of a table."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    told = next((line for line in lines if re.search(r"error|undefined|cannot|not ok|refuse", line)), None)
    said = told or (lines[-1] if lines else f"exit status {done.returncode}")
    return said.replace("|", "/").replace(str(ROOT), ".")[:160]


# ---- C ----


def sources() -> list[Path]:
    """Engine, libraries, kernels and the self-test."""
    patterns = ("engine/*.c", "lib/*/*.c", "kernels/*/*.c")
    return sorted(path for pattern in patterns for path in (ROOT / "csrc").glob(pattern))


@functools.cache
def lto_fault(compiler: str) -> str:
    """Why this compiler cannot optimize at link time here; empty where it can."""
    with tempfile.TemporaryDirectory(prefix="fencepost-lto-") as scratch:
        source = Path(scratch) / "empty.c"
        source.write_text("int main(void) { return 0; }\n", encoding="ascii")
        done = call([compiler, "-flto", *linker(compiler), source, "-o", Path(scratch) / "empty"])
    if done.returncode == 0:
        return ""
    number = compiler.rpartition("-")[2]
    return f"the linker has no plugin for it; install lld-{number}"


def linker(compiler: str) -> tuple[str, ...]:
    """Options for clang to link what it optimizes at link time by LLVM's own linker, where that is here."""
    number = compiler.rpartition("-")[2]
    is_there = "clang" in compiler and shutil.which(f"ld.lld-{number}")
    return (f"-fuse-ld=lld-{number}",) if is_there else ()


def musl_headers(scratch: Path) -> tuple[str, ...]:
    """Musl comes without the headers of Linux's system calls: those of the system, behind its own."""
    folder = scratch / "linux-headers"
    folder.mkdir()
    machine = call(["gcc", "-dumpmachine"]).stdout.strip()
    for name, place in (("linux", "linux"), ("asm-generic", "asm-generic"), ("asm", f"{machine}/asm")):
        (folder / name).symlink_to(Path("/usr/include") / place)
    return ("-idirafter", str(folder))


def built_with(compiler: str, options: tuple[str, ...]) -> str:
    """Compile all that is C with one compiler, and run some kernels: the result of a row."""
    if "-flto" in options and (fault := lto_fault(compiler)):
        return f"refused: {fault}"
    with tempfile.TemporaryDirectory(prefix="fencepost-toolchain-") as name:
        scratch = Path(name)
        more = (*options, *(musl_headers(scratch) if "musl" in compiler else ()))
        jobs = [(source, scratch / f"{number}.o") for number, source in enumerate(sources())]

        def compiled(job: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
            return call([compiler, *STRICT, *more, "-c", job[0].relative_to(ROOT), "-o", job[1]])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in pool.map(compiled, jobs):
                if done.returncode:
                    return f"failed: {first_fault(done)}"
        program = scratch / "selftest"
        link: list[str | Path] = [
            compiler,
            *more,
            *linker(compiler),
            "-pthread",
            "-rdynamic",
            "-o",
            program,
            *(made for _, made in jobs),
        ]
        done = call([*link, "-lm", "-ldl"])
        if done.returncode:
            return f"failed: {first_fault(done)}"
        done = call([program, *KERNELS])
    if done.returncode:
        return f"failed: {first_fault(done)}"
    return f"green, {len(jobs)} files, {sum(line.startswith('ok') for line in done.stdout.splitlines())} cases"


# ---- C++ ----

_LOAD = """
import sys
from pathlib import Path
from fencepost.bench import objects
from fencepost.bench.catalog import read_object
from fencepost.bench.engine import load
engine, file = load(), Path(sys.argv[1])
found = objects.build(file, file.name)
engine.load_object(file.name, found.path)
warned = found.warnings.splitlines()[:1]
print(len(read_object(engine, file.name)), "kernel loaded", *(f"({line})" for line in warned))
"""


def loaded_from(compiler: str) -> str:
    """Compile a kernel file in C++ as `--kernel` does, and load it: the result of a row."""
    file = ROOT / "examples" / "own" / "lookup.cc"
    with tempfile.TemporaryDirectory(prefix="fencepost-toolchain-") as scratch:
        done = call([sys.executable, "-c", _LOAD, file], CXX=compiler, XDG_CACHE_HOME=scratch)
    return f"failed: {first_fault(done)}" if done.returncode else f"green, {done.stdout.strip()}".replace("|", "/")


# ---- Python ----


def pythons() -> list[str]:
    """Interpreters that are here: python3.11 and newer, with and without the lock of the interpreter."""
    names = [f"python3.{minor}{kind}" for minor in range(11, 21) for kind in ("", "t")]
    return [name for name in names if shutil.which(name)]


def copy_checkout(copy: Path) -> None:
    """Copy all that is committed or could be, and nothing that was built or measured."""
    names = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", "_kernels*", ".*_cache")

    def skipped(folder: str, there: list[str]) -> set[str]:
        # `analysis/runs` is a package, and `results/runs` holds what was measured.
        return set(there) if Path(folder) == ROOT / "results" else names(folder, there)

    shutil.copytree(ROOT, copy, symlinks=True, ignore=skipped)


def installed_by(python: str) -> str:
    """Build and install a copy of the checkout with an interpreter, and measure a kernel: the result of a row."""
    refused = call(["sh", "tools/preflight.sh", "build"], PYTHON=python)
    if refused.returncode:
        return f"refused: {refused.stderr.strip().removeprefix('fencepost: ').replace('|', '/')}"
    with tempfile.TemporaryDirectory(prefix="fencepost-toolchain-") as name:
        copy = Path(name) / "copy"
        copy_checkout(copy)
        done = call(["sh", "tools/install.sh", "runtime"], copy, PYTHON=python)
        if done.returncode == 0:
            program = copy / ".venv" / "bin" / "fencepost"
            done = call([program, "run", "clock/read", "--profile", "quick", "--rounds", "2", "--out", "runs"], copy)
    return f"failed: {first_fault(done)}" if done.returncode else "green, built, installed, measured"


# ---- the page ----


def rows(only: str) -> Iterable[Row]:
    """All rows whose tool is called as `only` says, a regular expression; all of them where it is empty."""
    suite: list[tuple[str, str, Callable[[], str]]] = []
    for compiler in (*numbered("gcc"), *numbered("clang"), *(["musl-gcc"] if shutil.which("musl-gcc") else [])):
        for options in LEVELS:
            suite.append((compiler, " ".join(options), functools.partial(built_with, compiler, options)))
    for compiler in (*numbered("g++"), *numbered("clang++")):
        suite.append((compiler, "a kernel file in C++", functools.partial(loaded_from, compiler)))
    for python in pythons():
        suite.append((python, "the package", functools.partial(installed_by, python)))
    for tool, told, result in suite:
        if re.fullmatch(only or ".*", tool):
            row = Row(tool, version_of(tool), told, result())
            sys.stdout.write(f"{row.tool} {row.version} {row.options}: {row.result}\n")
            sys.stdout.flush()
            yield row


HEAD = ["| tool | version | options | result | day, system |", "| --- | --- | --- | --- | --- |"]


def updated(page: str, row: Row) -> str:
    """The page with this row in its table, in the place of the one for the same tool and options."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    told = f"{datetime.now(UTC):%Y-%m-%d}, {system}, {platform.machine()}"
    new = f"| {row.tool} | {row.version} | {row.options} | {row.result} | {told} |"
    lines = [line for line in old.strip().splitlines() if line.startswith("| ") and line not in HEAD]
    places = {_key(line): place for place, line in enumerate(lines)}
    place = places.get(_key(new), len(lines))
    lines[place : place + 1] = [new]
    return f"{before}{BEGIN}\n\n" + "\n".join([*HEAD, *lines]) + f"\n\n{END}{after}"


def _key(line: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in line.split("|")]
    return cells[1], cells[3]


def main() -> int:
    """Make all rows, and write them into the page."""
    parser = argparse.ArgumentParser(prog="make toolchains", description="Try every compiler and Python that is here.")
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="a regular expression for names of tools; other rows stay"
    )
    given = parser.parse_args()
    failed = False
    for row in rows(given.only):
        failed |= row.failed
        # At once: an hour's work must not be lost to an interrupt.
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), row), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
