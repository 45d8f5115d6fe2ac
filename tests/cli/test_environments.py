"""In odd surroundings a command does its work, or says in one sentence what is missing.

The environments are a table: a new one is a line.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from runs.write import plain_cases, write_run

from fencepost.bench.errors import EXIT_MEASURE, MeasureError
from fencepost.bench.launch import affinity
from fencepost.bench.sources import find_compiler
from fencepost.cli import faults, main

HERE = Path(__file__).parent
LIST = ("list", "pipeline", "--json")
RUN = ("run", "pipeline/imul100", "--rounds", "1", "-q", "--out", "out")
OWN = ("list", "--kernel", "mine.c", "--json")
EXPORT = ("export", "{run}", "--format", "csv")


@dataclass(frozen=True)
class Surroundings:
    """What a command is started in: variables (None takes one away), what the child does first, and its streams."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None
    command: tuple[str, ...] = LIST
    stdout: str | None = None
    folder: str | None = None
    root_only: bool = False


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


def closed(*descriptors: int) -> Callable[[], None]:
    return lambda: [*map(os.close, descriptors)].clear()


def ignored(*signals: int) -> Callable[[], None]:
    return lambda: [signal.signal(number, signal.SIG_IGN) for number in signals].clear()


def as_nobody() -> None:
    os.setgroups([])
    os.setresgid(12345, 12345, 12345)
    os.setresuid(12345, 12345, 12345)


NARROW = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NO_HOME: dict[str, str | None] = {"HOME": None, "XDG_CACHE_HOME": None}
REFUSED = ("fsync", "sched_setaffinity", "memfd_create", "open")

ENVIRONMENTS: dict[str, Surroundings] = {
    # streams
    "stdin closed": Surroundings(before=closed(0)),
    "stdout closed": Surroundings(before=closed(1)),
    "stderr closed": Surroundings(before=closed(2)),
    "all closed": Surroundings(before=closed(0, 1, 2)),
    "stdout full": Surroundings(stdout="/dev/full"),
    "export to a full stdout": Surroundings(stdout="/dev/full", command=EXPORT),
    # letters
    **{f"LC_ALL={name}": Surroundings({"LC_ALL": name, **NARROW}) for name in ("C", "POSIX", "en_US.ISO-8859-1", "xx")},
    **{f"output in {name}": Surroundings({"PYTHONIOENCODING": name}) for name in ("ascii", "latin-1", "cp437")},
    "export in ASCII": Surroundings({"LC_ALL": "C", **NARROW}, command=EXPORT),
    "a variable that is not UTF-8": Surroundings({"ODD": os.fsdecode(b"\xff\xfe")}),
    # home and user
    "HOME unset": Surroundings(NO_HOME, command=OWN),
    "HOME gone": Surroundings({**NO_HOME, "HOME": "/nonexistent"}, command=OWN),
    "HOME a file": Surroundings({**NO_HOME, "HOME": "/etc/passwd"}, command=OWN),
    "HOME relative": Surroundings({**NO_HOME, "HOME": "x"}, command=OWN),
    "unknown user": Surroundings(NO_HOME, before=as_nobody, command=OWN, root_only=True),
    "unknown user lists": Surroundings(NO_HOME, before=as_nobody, root_only=True),
    "cache relative": Surroundings({"XDG_CACHE_HOME": "x"}, command=OWN),
    "cache a file": Surroundings({"XDG_CACHE_HOME": "/etc/passwd"}, command=OWN),
    "no variable at all": Surroundings(dict.fromkeys(os.environ)),
    # signals
    "SIGCHLD ignored": Surroundings(before=ignored(signal.SIGCHLD), command=RUN),
    "SIGCHLD ignored, own kernel": Surroundings(before=ignored(signal.SIGCHLD), command=OWN),
    "SIGINT and SIGTERM ignored": Surroundings(before=ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
    "SIGPIPE at its default": Surroundings(before=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)),
    "all signals blocked": Surroundings(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ),
    "a session of its own": Surroundings(before=os.setsid),
    # limits
    **{
        f"{most} MB of addresses": Surroundings(before=limited(resource.RLIMIT_AS, most << 20), command=command)
        for most, command in ((1000, RUN), (300, RUN), (300, EXPORT), (150, EXPORT))
    },
    "100 MB of data": Surroundings(before=limited(resource.RLIMIT_DATA, 100 << 20)),
    "512 KiB of stack": Surroundings(before=limited(resource.RLIMIT_STACK, 512 << 10)),
    **{
        f"{most} open files": Surroundings(before=limited(resource.RLIMIT_NOFILE, most), command=command)
        for most, command in ((64, RUN), (20, RUN), (12, RUN), (8, LIST), (20, EXPORT))
    },
    "no further process": Surroundings(before=limited(resource.RLIMIT_NPROC, 1)),
    **{
        f"files of {most} bytes": Surroundings(before=limited(resource.RLIMIT_FSIZE, most), command=command)
        for most, command in ((0, RUN), (4096, RUN), (0, OWN))
    },
    "nothing locked": Surroundings(before=limited(resource.RLIMIT_MEMLOCK, 0)),
    "no pending signal": Surroundings(before=limited(resource.RLIMIT_SIGPENDING, 0)),
    # folders
    "TMPDIR gone": Surroundings({"TMPDIR": "/nonexistent"}, command=OWN),
    "TMPDIR a file": Surroundings({"TMPDIR": "/etc/passwd"}, command=OWN),
    "folder gone": Surroundings(folder="gone"),
    "folder read only": Surroundings(folder="/proc", command=RUN),
    "nothing may be made": Surroundings(before=lambda: os.umask(0o777), command=RUN),
    # terminals
    "TERM unset": Surroundings({"TERM": None}, command=("list",)),
    "TERM dumb": Surroundings({"TERM": "dumb"}, command=("list",)),
    "TERM odd": Surroundings({"TERM": "\x1b[2J"}, command=("list",)),
    **{
        f"COLUMNS={width}": Surroundings({"COLUMNS": width}, command=("list",))
        for width in ("0", "-5", "x", "1", "99999999999", "1e3", "")
    },
    "LINES odd": Surroundings({"LINES": "x"}, command=("list",)),
    "colours forced": Surroundings({"FORCE_COLOR": "1", "NO_COLOR": "1"}, command=("list",)),
    # tools
    "PATH empty": Surroundings({"PATH": ""}, command=OWN),
    "PATH unset": Surroundings({"PATH": None}, command=OWN),
    "CC fails": Surroundings({"CC": "/bin/false"}, command=OWN),
    "CC with one quote": Surroundings({"CC": "'"}, command=OWN),
    "TZ odd": Surroundings({"TZ": "Not/AZone"}, command=RUN),
    "threads odd": Surroundings({"OMP_NUM_THREADS": "x", "OPENBLAS_NUM_THREADS": "0"}, command=EXPORT),
    "optimised": Surroundings({"PYTHONOPTIMIZE": "2"}),
    "one CPU": Surroundings(before=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}), command=RUN),
    "idle": Surroundings(before=lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))),
    # calls
    **{f"{name} refused": Surroundings({"REFUSE": name}, command=RUN) for name in REFUSED},
    "memfd_create refused, own kernel": Surroundings({"REFUSE": "memfd_create"}, command=OWN),
    "sysfs refused": Surroundings({"REFUSE": "open"}, command=("doctor", "--json")),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and a library that refuses calls, where an unknown user may read them."""
    folder = tmp_path_factory.mktemp("environments")
    write_run(folder / "run", plain_cases(1), rounds=6)
    library = ["-shared", "-fPIC", str(HERE / "refusing.c"), "-o", str(folder / "refusing.so"), "-ldl"]
    subprocess.run([*find_compiler("c"), *library], check=True)
    return folder


NOBODY = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Where a folder of root's keeps others from this Python, the unknown user needs this right to start it."""


def start(
    what: Surroundings, shelf: Path, cwd: Path, through: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    kernel = HERE.parents[1] / "examples" / "own" / "division.c"
    (cwd / "mine.c").write_bytes(kernel.read_bytes())
    cwd.chmod(0o777)
    folder = Path(what.folder or ".")
    variables: dict[str, Any] = {**os.environ, **what.variables}
    if "REFUSE" in variables:
        variables["LD_PRELOAD"] = str(shelf / "refusing.so")

    def first() -> None:
        if what.folder == "gone":
            (cwd / "gone").mkdir()
            os.chdir(cwd / "gone")
            (cwd / "gone").rmdir()
        what.before()

    words = [word.replace("{run}", str(shelf / "run")) for word in what.command]
    with Path(what.stdout or os.devnull).open("wb") as out:
        return subprocess.run(
            [*through, Path(sys.executable).with_name("fencepost"), *words],
            cwd=cwd if what.folder in (None, "gone") else folder,
            env={name: value for name, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            preexec_fn=first,
            timeout=120,
            check=False,
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_surroundings_are_no_fault_of_ours(name: str, shelf: Path, tmp_path: Path) -> None:
    what = ENVIRONMENTS[name]
    if what.root_only and os.geteuid() != 0:
        pytest.skip("only root may be somebody else")
    try:
        done = start(what, shelf, tmp_path)
    except PermissionError:
        assert what.before is as_nobody
        done = start(replace(what, before=lambda: None), shelf, tmp_path, (*NOBODY, *READS_ALL))
    said = done.stderr.decode("utf-8", "replace").strip()
    assert done.returncode in (0, 1, 2, 3), said
    assert "internal error" not in said and "Traceback" not in said, said
    assert len(said.splitlines()) <= 1 or "does not compile:" in said, said  # the compiler's own words follow
    if done.returncode > 1 and "closed" not in name:
        assert said.startswith("fencepost: "), said


def test_there_are_sixty_of_them() -> None:
    assert len(ENVIRONMENTS) >= 60


# ---- the sentences, in this process ----

LACKING: dict[str, tuple[BaseException, str]] = {
    "memory": (MemoryError(), "ulimit -v"),
    "memory of a library": (ImportError("x.so: failed to map segment from shared object"), "ulimit -v"),
    "memory of numpy": (RuntimeError("Cannot allocate memory"), "ulimit -v"),
    "threads": (RuntimeError("can't start new thread"), "ulimit -u"),
    "processes": (BlockingIOError(11, "Resource temporarily unavailable"), "ulimit -u"),
    "files": (OSError(24, "Too many open files", "x"), "x: too many open files; raise its limit"),
    "home": (RuntimeError("Could not determine home directory."), "set HOME"),
    "temporary folder": (FileNotFoundError(2, "No usable temporary directory found in ['/x']"), "set TMPDIR"),
}


@pytest.mark.parametrize("kind", LACKING)
def test_what_is_lacking_is_said_with_the_way_out(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, words = LACKING[kind]
    assert faults.report(error) == EXIT_MEASURE
    said = capsys.readouterr().err
    assert words in said and "internal error" not in said and len(said.splitlines()) == 1


def test_a_fault_of_ours_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    faults.report(KeyError("x"))
    assert "internal error" in capsys.readouterr().err


def test_a_limit_below_which_nothing_can_be_said(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    before = resource.getrlimit

    def small(kind: int) -> tuple[int, int]:
        return (64 << 10, 64 << 10) if kind == resource.RLIMIT_STACK else before(kind)

    monkeypatch.setattr(resource, "getrlimit", small)
    assert main.run(["list"]) == EXIT_MEASURE
    assert "the limit of stack is 64 KiB, and fencepost needs 1024; raise it (`ulimit -s`)" in capsys.readouterr().err


def test_a_forbidden_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refused)
    with pytest.raises(MeasureError, match="sched_setaffinity: operation not permitted"), affinity({0}):
        pass
