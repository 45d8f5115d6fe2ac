"""What the tests of the runtime share: an engine made of tests/engine/fault_kernels.c, and commands that use it."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from compile import UNTIMED

from fencepost.bench import plan as plans
from fencepost.bench import profiles, schema
from fencepost.bench.case import Case
from fencepost.bench.catalog import KernelInfo, read_catalog
from fencepost.bench.documents import MachineJson, RunFactsJson
from fencepost.bench.engine import Engine, load_from
from fencepost.bench.launch import MARK
from fencepost.bench.placement import Placement, Placements, Shortage
from fencepost.bench.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
TINY = profiles.Profile(
    "quick", rounds=2, batches=2, warmup_batches=1, batch_ns=20_000, quiet_batches=0, most_batches=0
)
PATIENCE_S = 300.0
"""After so long a test takes for hung what it waits for: all is done within 10 s, on a machine of one's own."""
MACHINE: MachineJson = {
    "schema": schema.SCHEMA_VERSION,
    "key": "test-1cpu-00000000",
    "cpu_model": "test",
    "arch": "test",
    "topology": {},
    "kernel": "0",
}


@functools.cache
def engine_path() -> Path:
    """The extension with the kernels of tests/engine/fault_kernels.c; built once for all processes of this checkout."""
    spec = importlib.util.spec_from_file_location("fencepost_build", ROOT / "csrc" / "build_kernels.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    import cffi

    sources = build.engine_files()
    inputs = [
        *sources,
        *(ROOT / "csrc").glob("**/*.h"),
        ROOT / "tests" / "engine" / "fault_kernels.c",
        ROOT / "csrc" / "build_kernels.py",
        Path(__file__),
    ]
    folder = ROOT / "build" / "fault_engine"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "_kernels.abi3.so"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists() or target.stat().st_mtime < max(path.stat().st_mtime for path in inputs):
            with tempfile.TemporaryDirectory() as scratch:
                ffi = cffi.FFI()
                ffi.cdef(build.declarations())
                ffi.set_source(
                    "_kernels",
                    '#include "kernel.h"\n',
                    sources=[*map(str, sources), str(ROOT / "tests" / "engine" / "fault_kernels.c")],
                    include_dirs=[str(ROOT / "csrc")],
                    extra_compile_args=[*build.FLAGS, *UNTIMED],
                    libraries=["m", "dl"],
                    # An engine that this process opened globally must not stand in for this one.
                    extra_link_args=["-pthread", "-Wl,-Bsymbolic"],
                    py_limited_api=True,
                )
                Path(ffi.compile(tmpdir=scratch)).replace(folder / "new.so")
            (folder / "new.so").replace(target)
    return target


@functools.cache
def fault_engine() -> Engine:
    """That extension, loaded into this process."""
    return load_from(engine_path())


def any_cpu() -> int:
    """A CPU that this process may use."""
    return max(os.sched_getaffinity(0))


def one_cpu(kernel: KernelInfo) -> Placements | Shortage:
    """Places every kernel of one thread on one CPU, whatever the machine has."""
    if kernel.threads_min > 1:
        return Shortage(kernel.threads_min, 1, 1)
    return Placements((Placement((any_cpu(),), None),), False, 1)


def tiny_plan(patterns: Sequence[str], **options: Any) -> plans.Plan:
    """A plan of two rounds of next to nothing."""
    engine = fault_engine()
    placer: Callable[[KernelInfo], Placements | Shortage] = options.pop("placer", one_cpu)
    return plans.make_plan(
        engine, read_catalog(engine), options.pop("profile", TINY), placer, patterns=patterns, **{"seed": 1, **options}
    )


def run_record(plan: plans.Plan) -> RunFactsJson:
    """What run.json holds for `plan`."""
    engine = fault_engine()
    return {
        "command": ["fencepost", "run"],
        "launcher": "taskset",
        "versions": {},
        "engine": {"arch": "test", "compiler": "test", "flags": "", "sha256": engine.sha256},
        "plan": plan.as_json(),
        "plan_sha256": plan.sha256(),
    }


def command(*arguments: str) -> list[str]:
    """`fencepost` with these arguments, as a process of its own."""
    return [sys.executable, "-c", "from fencepost.cli.main import main; main()", *arguments]


def environment(**changes: str | None) -> dict[str, str]:
    """Environment in which `command` uses the engine of fault_kernels.c."""
    merged = {**os.environ, "FENCEPOST_ENGINE": str(engine_path()), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def fencepost(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `fencepost` to its end."""
    return subprocess.run(
        [*prefix, *command(*arguments)],
        cwd=cwd,
        env=environment() if env is None else env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    returncode: int
    stdout: str
    stderr: str


def fencepost_inside(*arguments: str, cwd: Path, load: Callable[[], Engine] = fault_engine) -> Answer:
    """The same inside of this process, a tenth of a second faster, with the engine that `load` gives."""
    from fencepost.bench import engine
    from fencepost.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["fencepost", *arguments])
        patch.setattr(engine, "load", load)
        code = run(list(arguments))
    return Answer(code, out.getvalue(), err.getvalue())


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def children(pid: int) -> list[int]:
    """Processes that `pid` has started and that still run."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def left(cwd: Path) -> list[str]:
    """What a run in `cwd`, with its temporary files in ``tmp``, leaves outside of its folder: files and processes."""
    found = [path.name for path in (cwd / "tmp").iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                f"{MARK}=".encode() in (process / "environ").read_bytes()
                and (process / "cwd").resolve() == cwd.resolve()
            ):
                found.append(process.name)
    return found


def impatient(patch: pytest.MonkeyPatch, kernel: str) -> None:
    """Let a run wait for half a second for each case of `kernel`, which hangs, and for the others as long as they take:
    a machine that is away for a second is no reason to leave one out.
    """

    def limit_s(_self: Runner, cases: Mapping[str, Case], under_way: str | None) -> float:
        case = cases.get(under_way or "")
        return 0.5 if case is not None and case.kernel == kernel else PATIENCE_S

    patch.setattr(Runner, "_limit_s", limit_s)


def shorten(folder: Path, rounds: int) -> None:
    """As if the run in `folder` had been begun with so few rounds."""
    path = folder / schema.RUN_FILE
    run = json.loads(path.read_text())
    run["plan"]["rounds"] = rounds
    run["plan_sha256"] = plans.plan_from_json(run["plan"]).sha256()
    run["sha256"] = schema.hash_of(run)
    path.write_text(json.dumps(run))


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """Heed the signals that end a run, in this process and in those that it starts: whom a shell starts in the
    background ignores SIGINT, and whom nohup starts SIGHUP.
    """
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
