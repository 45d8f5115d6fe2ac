"""`fencepost tune`: a command on a tuned machine, and what stays afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from machines import build
from runs.measure import PATIENCE_S, command, fencepost_inside, wait_for

from fencepost.bench.sysfs import Tree
from fencepost.bench.tuning import journal, tuner

ASLR = "proc/sys/kernel/randomize_va_space"
THP = "sys/kernel/mm/transparent_hugepage/enabled"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {journal.BOOT_ID: "a", ASLR: 0, THP: "[always] madvise never", "proc/self/status": "Cpus_allowed_list:\t0"}
    return build(tmp_path / "root", [[0], [1]], more=files)


def aslr(root: Path) -> str:
    return (root / ASLR).read_text().strip()


def test_the_command_sees_the_settings_and_its_exit_code_is_kept(root: Path) -> None:
    script = f"cat {ASLR} {THP} /proc/self/timerslack_ns > seen; exit 7"
    done = fencepost_inside("tune", "--root", ".", "--", "sh", "-c", script, cwd=root)
    assert (done.returncode, done.stdout) == (7, "")
    assert (root / "seen").read_text() == "2\nalways [madvise] never\n1\n"
    assert "thp set from always to madvise (/sys/kernel/mm/transparent_hugepage/enabled)" in done.stderr
    assert "2 files put back" in done.stderr
    assert (aslr(root), (root / THP).read_text()) == ("0", "[always] madvise never\n")
    assert Path("/proc/self/timerslack_ns").read_text() != "1\n"


def test_a_signal_ends_the_command_and_everything_comes_back(root: Path) -> None:
    done = fencepost_inside("tune", "--root", ".", "sh", "-c", "kill -USR1 $$", cwd=root)
    assert (done.returncode, aslr(root)) == (128 + signal.SIGUSR1, "0")


def test_the_end_is_seen_though_another_thread_took_the_signal(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, spawn, over = signal.sigtimedwait, os.posix_spawnp, threading.Event()
    started: list[int] = []

    def spawned(*arguments: Any, **others: Any) -> int:
        started.append(spawn(*arguments, **others))
        return started[-1]

    def late(*arguments: Any) -> object:
        # The command has ended before anybody waits for its signal.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, started[-1], os.WEXITED | os.WNOWAIT)
        return real(*arguments)

    monkeypatch.setattr(os, "posix_spawnp", spawned)
    monkeypatch.setattr(signal, "sigtimedwait", late)
    monkeypatch.setattr(tuner, "LOOK_S", 0.01)
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        done = fencepost_inside("tune", "--root", ".", "sh", "-c", "exit 5", cwd=root)
    finally:
        over.set()
        thread.join()
    assert (done.returncode, aslr(root)) == (5, "0")


def test_a_dry_run_prints_and_sets_nothing(root: Path) -> None:
    done = fencepost_inside("tune", "--dry-run", "--root", ".", cwd=root)
    assert (done.returncode, aslr(root)) == (0, "0")
    assert done.stdout.splitlines() == [
        "would set thp from always to madvise: /sys/kernel/mm/transparent_hugepage/enabled",
        "would set aslr from 0 to 2: /proc/sys/kernel/randomize_va_space",
    ]
    (root / ASLR).write_text("2\n")
    (root / THP).unlink()
    assert fencepost_inside("tune", "--dry-run", "--root", ".", cwd=root).stdout == "nothing to set\n"


def test_a_refused_setting_is_one_line_and_the_command_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def closed(path: str | Path, flags: int, *rest: int) -> int:
        if str(path).endswith("randomize_va_space") and flags & os.O_WRONLY:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", closed)
    done = fencepost_inside("tune", "--root", ".", "true", cwd=root)
    assert done.returncode == 0
    said = "aslr cannot be set to 2 (/proc/sys/kernel/randomize_va_space: permission denied); root may set it"
    assert done.stderr.count("cannot") == 1 and said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "no command; write"),
        (("no-such-command",), "no-such-command: no such command, so nothing was set"),
        (("--restore", "true"), "--restore takes neither"),
        (("--root", "nowhere", "true"), "nowhere: no such folder"),
    ],
)
def test_wrong_use_sets_nothing(arguments: tuple[str, ...], sentence: str, root: Path) -> None:
    done = fencepost_inside("tune", "--root", str(root), *arguments, cwd=root)
    assert (done.returncode, aslr(root)) == (2, "0")
    assert sentence in done.stderr


def test_the_second_of_two_is_refused(root: Path) -> None:
    with journal.lock(Tree(root)):
        done = fencepost_inside("tune", "--root", ".", "touch", "ran", cwd=root)
    assert done.returncode == 3 and "another `fencepost tune` is at work" in done.stderr
    assert not (root / "ran").exists()


@pytest.mark.slow  # processes of their own
def test_what_a_killed_tune_left_is_put_back_by_the_next(root: Path) -> None:
    assert "no tune has left anything" in fencepost_inside("tune", "--restore", "--root", ".", cwd=root).stderr
    for arguments in (("--restore",), ("true",)):
        process = subprocess.Popen(
            command("tune", "--root", ".", "sh", "-c", "echo > ready; exec sleep 1000"),
            cwd=root,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for((root / "ready").exists)
        assert aslr(root) == "2"
        process.kill()
        process.wait(PATIENCE_S)
        os.killpg(process.pid, signal.SIGKILL)
        done = fencepost_inside("tune", "--root", ".", *arguments, cwd=root)
        assert done.returncode == 0 and "2 files that a killed tune had left put back" in done.stderr
        assert aslr(root) == "0"
        (root / "ready").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command(number: signal.Signals, root: Path) -> None:
    script = f"trap 'echo told > told; exit 5' {number.name[3:]}; echo > ready; while :; do sleep 0.01; done"
    process = subprocess.Popen(
        command("tune", "--root", ".", "sh", "-c", script), cwd=root, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for((root / "ready").exists)
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 5
    assert (root / "told").exists() and aslr(root) == "0"


def test_a_signal_before_the_command_starts_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fencepost.bench.tuning import tuner

    monkeypatch.setattr(tuner, "waiting", lambda: signal.SIGTERM)
    done = fencepost_inside("tune", "--root", ".", "touch", "ran", cwd=root)
    assert (done.returncode, aslr(root)) == (128 + signal.SIGTERM, "0")
    assert not (root / "ran").exists()


def _live() -> str:
    """Why the settings of this machine cannot be tried; empty where they can."""
    path = Path("/", ASLR)
    if os.geteuid() != 0 or not os.access(path, os.W_OK):
        return "needs root, and /proc/sys to write to"
    return "" if path.read_text().strip() == "2" else "the address layout is not random here"


@pytest.mark.slow  # it sets this machine for a second
@pytest.mark.skipif(bool(_live()), reason=_live())
def test_this_machine_is_set_and_put_back(tmp_path: Path) -> None:
    path = Path("/", ASLR)
    path.write_text("1\n")
    try:
        done = fencepost_inside("tune", "sh", "-c", f"cat {path} > seen", cwd=tmp_path)
        assert (done.returncode, (tmp_path / "seen").read_text(), path.read_text()) == (0, "2\n", "1\n")
    finally:
        path.write_text("2\n")
