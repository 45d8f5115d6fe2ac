"""What make promises: help, one clear sentence for whatever is missing, an installation that is never half done."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import measure as runtime

ROOT = Path(__file__).resolve().parent.parent
# What the shell scripts use; a PATH of only these has no Python and no compiler.
ORDINARY = [
    "sh",
    "cat",
    "cksum",
    "dirname",
    "flock",
    "grep",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "sleep",
    "tail",
    "touch",
    "uname",
]


@pytest.fixture(autouse=True)
def _heeds_signals() -> Iterator[None]:
    with runtime.heeding_signals():
        yield


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the ordinary commands, to be the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ORDINARY:
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder


def environment(path: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(path), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **more}


def preflight(path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "tools/preflight.sh", *(arguments or ("build",))],
        cwd=ROOT,
        env=environment(path, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(
    path: Path, *, version: str = "3.11", venv: bool = True, headers: bool = True, threaded: bool = False
) -> Path:
    """A Python that answers the questions of preflight.sh."""
    include = path.parent / "include"
    include.mkdir(parents=True, exist_ok=True)
    if headers:
        (include / "Python.h").touch()
    return script(
        path,
        f"""case "$2" in
*version_info*) echo {version} ;;
*ensurepip*) exit {0 if venv else 1} ;;
*Py_GIL_DISABLED*) exit {int(threaded)} ;;
*sysconfig*) echo "{include}" ;;
esac""",
    )


def test_a_free_threaded_build_is_refused(bare: Path) -> None:
    fake_python(bare / "python3.14t", version="3.14", threaded=True)
    text = sentence(preflight(bare, PYTHON="python3.14t"))
    assert "a free-threaded build" in text and "make PYTHON=python3.14'" in text


def test_setup_refuses_a_free_threaded_build() -> None:
    code = "import sysconfig, runpy; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1; runpy.run_path('setup.py')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert (
        run.stderr.startswith("fencepost: this Python is a free-threaded build") and len(run.stderr.splitlines()) == 1
    )


def sentence(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that it failed with."""
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("fencepost: ")
    return lines[0]


def test_help_is_the_default_and_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    # env: a make that runs these tests passes its own flags on
    output = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=environment(Path(os.environ["PATH"]))
    ).stdout
    for target in phony.group(1).split():
        if target not in {"install", "install-dev"}:
            assert re.search(rf"^  make {target} +\w", output, re.MULTILINE), target
    for target in ("bench", "test", "report", "lint", "sanitize", "arch-check", "wheel", "clean"):
        assert f"make {target} " in output


def test_preflight_is_content(bare: Path) -> None:
    fake_python(bare / "python3")
    script(bare / "gcc", "exit 0")
    run = preflight(bare)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "python3\ngcc\n"


def test_clang_alone_will_do(bare: Path) -> None:
    fake_python(bare / "python3")
    script(bare / "clang", "exit 0")
    assert preflight(bare).stdout == "python3\nclang\n"


def test_no_python(bare: Path) -> None:
    text = sentence(preflight(bare))
    assert "python3 was not found" in text
    assert "apt-get install python3 python3-venv python3-dev" in text
    assert "dnf install python3-devel" in text


def test_a_python_that_does_not_run(bare: Path) -> None:
    script(bare / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    assert "python3.12 does not run" in sentence(preflight(bare, PYTHON="python3.12"))


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.10"])
def test_old_python(bare: Path, version: str) -> None:
    fake_python(bare / "python3", version=version)
    text = sentence(preflight(bare))
    assert f"python3 is Python {version}, and fencepost needs 3.11 or newer" in text
    assert "python3.11-venv" in text
    assert "PYTHON=" not in text


def test_old_python_beside_a_newer_one(bare: Path) -> None:
    fake_python(bare / "python3", version="3.9")
    fake_python(bare / "python3.12", version="3.12")
    assert "'make PYTHON=python3.12' would do" in sentence(preflight(bare))


def test_no_venv_module(bare: Path) -> None:
    fake_python(bare / "python3", venv=False)
    text = sentence(preflight(bare))
    assert "venv and ensurepip are missing" in text
    assert "apt-get install python3-venv" in text


def test_package_names_follow_the_python_that_was_asked_for(bare: Path) -> None:
    fake_python(bare / "python3.12", version="3.12", headers=False)
    text = sentence(preflight(bare, PYTHON="python3.12"))
    assert "Python.h does not exist" in text
    assert "apt-get install python3.12-dev" in text


def test_no_python_headers(bare: Path) -> None:
    fake_python(bare / "python3", headers=False)
    assert "apt-get install python3-dev" in sentence(preflight(bare))


def test_no_compiler(bare: Path) -> None:
    fake_python(bare / "python3")
    text = sentence(preflight(bare))
    assert "no C compiler was found" in text
    assert "apt-get install gcc libc6-dev" in text


def test_a_compiler_of_another_name(bare: Path) -> None:
    fake_python(bare / "python3")
    script(bare / "gcc", "exit 0")
    assert "C compiler gcc-99 (from the variable CC) was not found" in sentence(preflight(bare, CC="gcc-99 -m64"))


def test_a_compiler_without_header_files(bare: Path) -> None:
    fake_python(bare / "python3")
    script(bare / "gcc", "echo 'probe.c:1: fatal error: pthread.h: No such file' >&2; exit 1")
    text = sentence(preflight(bare))
    assert "fatal error: pthread.h" in text
    assert "libc6-dev" in text


def test_tools_are_named_with_their_packages(bare: Path) -> None:
    assert "qemu-riscv64 was not found: install it with 'apt-get install qemu-user'" in sentence(
        preflight(bare, "tools", "sed", "qemu-riscv64")
    )
    assert preflight(bare, "tools", "sed", "grep").returncode == 0


class Checkout:
    """A copy of what install.sh looks at, with a Python that only takes notes of what it is asked to do."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root, self.path = root, path
        (root / "csrc" / "kernels" / "topic").mkdir(parents=True)
        (root / "bench").mkdir()
        shutil.copytree(ROOT / "tools", root / "tools")
        for name in ("pyproject.toml", "setup.py", "csrc/build_kernels.py", "csrc/kernel.h", "csrc/kernels/topic/a.c"):
            (root / name).write_text(f"{name}\n", encoding="utf-8")
        self.notes = path.parent / "notes"
        include = path.parent / "include"
        include.mkdir()
        (include / "Python.h").touch()
        script(path / "gcc", "exit 0")
        script(
            path / "python3",
            f"""case "$*" in
*version_info*) echo 3.11 ;;
*Py_GIL_DISABLED*) exit 0 ;;
*sysconfig*) echo "{include}" ;;
"-m venv "*) echo venv >>"{self.notes}"; mkdir -p "$3/bin"; cat "$0" >"$3/bin/python"; chmod +x "$3/bin/python" ;;
"- "*) echo anything ;;
*"--requirement"*)
    echo packages >>"{self.notes}"
    [ ! -e slow ] || sleep 1000
    [ ! -e broken ] || {{ echo 'pip: no network'; exit 1; }} ;;
*"--editable"*)
    echo extension >>"{self.notes}"
    [ ! -e uncompilable ] || {{ echo 'a.c:1: error'; exit 1; }}
    touch bench/_kernels.abi3.so ;;
esac""",
        )
        chmod = shutil.which("chmod")
        assert chmod is not None
        (path / "chmod").symlink_to(chmod)

    def command(self, level: str = "runtime") -> list[str]:
        return ["/bin/sh", "tools/install.sh", level]

    def install(self, level: str = "runtime", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(level),
            cwd=self.root,
            env=environment(self.path, **more),
            capture_output=True,
            text=True,
            check=False,
        )

    def steps(self, level: str = "runtime", **more: str) -> list[str]:
        """What one successful installation did."""
        self.notes.write_text("", encoding="utf-8")
        run = self.install(level, **more)
        assert run.returncode == 0, run.stderr
        return self.notes.read_text(encoding="utf-8").split()


@pytest.fixture
def checkout(bare: Path, tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a folder's name, with spaces", bare)


def test_the_second_installation_does_nothing(checkout: Checkout) -> None:
    assert checkout.steps() == ["venv", "packages", "extension"]
    assert checkout.steps() == []
    assert checkout.install().stderr == ""


def test_development_needs_more_once(checkout: Checkout) -> None:
    checkout.steps()
    assert checkout.steps("dev")[0] == "packages"
    assert checkout.steps("dev") == []
    assert checkout.steps("runtime") == []


@pytest.mark.parametrize("name", ["csrc/kernels/topic/a.c", "csrc/kernel.h", "csrc/build_kernels.py", "setup.py"])
def test_a_change_rebuilds_the_extension_only(checkout: Checkout, name: str) -> None:
    checkout.steps()
    (checkout.root / name).write_text("changed\n", encoding="utf-8")
    assert checkout.steps() == ["extension"]
    assert checkout.steps() == []


def test_the_set_of_kernels_counts(checkout: Checkout) -> None:
    checkout.steps()
    (checkout.root / "csrc/kernels/topic/b.c").touch()
    assert checkout.steps() == ["extension"]
    (checkout.root / "csrc/kernels/topic/b.c").rename(checkout.root / "csrc/kernels/topic/c.c")
    assert checkout.steps() == ["extension"]
    (checkout.root / "csrc/kernels/topic/c.c").unlink()
    assert checkout.steps() == ["extension"]
    assert checkout.steps() == []


def test_compiler_and_flags_count(checkout: Checkout) -> None:
    checkout.steps()
    assert checkout.steps(CFLAGS="-O1") == ["extension"]
    assert checkout.steps() == ["extension"]


def test_a_lost_extension_is_rebuilt(checkout: Checkout) -> None:
    checkout.steps()
    (checkout.root / "bench/_kernels.abi3.so").unlink()
    assert checkout.steps() == ["extension"]


def test_a_change_of_pyproject_installs_again(checkout: Checkout) -> None:
    checkout.steps()
    (checkout.root / "pyproject.toml").write_text("changed\n", encoding="utf-8")
    assert checkout.steps() == ["packages", "extension"]
    assert checkout.steps() == []


def test_a_moved_checkout_gets_a_new_environment(checkout: Checkout, tmp_path: Path) -> None:
    checkout.steps()
    checkout.root = checkout.root.rename(tmp_path / "elsewhere")
    assert checkout.steps() == ["venv", "packages", "extension"]


def test_another_python_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.steps()
    (checkout.path / "python3.12").symlink_to(checkout.path / "python3")
    assert checkout.steps(PYTHON="python3.12") == ["venv", "packages", "extension"]
    assert checkout.steps(PYTHON="python3.12") == []
    assert checkout.steps() == []  # without a wish, the one that is there will do


def test_a_failed_installation_shows_why_and_is_tried_again(checkout: Checkout) -> None:
    broken = checkout.root / "broken"
    broken.touch()
    run = checkout.install()
    assert run.returncode == 2
    assert "pip: no network" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("fencepost: pip could not install the packages")
    assert checkout.install().returncode == 2
    broken.unlink()
    assert checkout.steps() == ["packages", "extension"]


def test_a_failed_build_leaves_no_old_extension(checkout: Checkout) -> None:
    checkout.steps()
    bad = checkout.root / "uncompilable"
    bad.touch()
    (checkout.root / "csrc/kernels/topic/a.c").write_text("changed\n", encoding="utf-8")
    run = checkout.install()
    assert run.returncode == 2
    assert "a.c:1: error" in run.stderr
    assert not (checkout.root / "bench/_kernels.abi3.so").exists()
    bad.unlink()
    assert checkout.steps() == ["extension"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_installation_is_not_taken_for_finished(checkout: Checkout, name: str) -> None:
    slow = checkout.root / "slow"
    slow.touch()
    process = subprocess.Popen(
        checkout.command(),
        cwd=checkout.root,
        env=environment(checkout.path),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    runtime.wait_for(lambda: checkout.notes.exists() and "packages" in checkout.notes.read_text(encoding="utf-8"))
    # Again until it ends, as a user would: a signal may meet a shell between two of its children.
    while process.poll() is None:
        os.killpg(process.pid, signal.Signals[name])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
    assert process.returncode != 0
    slow.unlink()
    assert checkout.steps() == ["packages", "extension"]


def test_a_foreign_environment_is_not_removed(checkout: Checkout) -> None:
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv" / "precious").touch()
    run = checkout.install()
    assert run.returncode == 2
    assert ".venv exists, but has no working Python" in run.stderr
    assert (checkout.root / ".venv" / "precious").exists()


def test_outside_of_a_checkout(bare: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        ["/bin/sh", str(ROOT / "tools/install.sh")],
        cwd=tmp_path,
        env=environment(bare),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "not a checkout of fencepost" in run.stderr


@pytest.mark.parametrize(("status", "reports"), [(0, True), (1, True), (2, False), (3, False)])
def test_make_bench_reports_what_was_measured_and_ends_as_the_run_did(
    status: int, reports: bool, tmp_path: Path
) -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    script(tmp_path / "tools" / "install.sh", "exit 0")
    notes = tmp_path / "notes"
    script(tmp_path / ".venv" / "bin" / "fencepost", f'echo "$*" >>"{notes}"; [ "$1" != run ] || exit {status}')
    run = subprocess.run(["make", "bench"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert notes.read_text() == "run --profile standard\n" + ("report latest\n" if reports else "")
    # make itself ends with 2 whatever a recipe ends with, and names that.
    assert (run.returncode == 0) == (status == 0)
    assert status == 0 or f"Error {status}" in run.stderr


def test_the_installed_command_is_this_checkout() -> None:
    command = Path(sys.executable).parent / "fencepost"
    if not command.exists():
        pytest.skip("fencepost is not installed beside this Python: make test installs it")
    run = subprocess.run([str(command), "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "report" in run.stdout
