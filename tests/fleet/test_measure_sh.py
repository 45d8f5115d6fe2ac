"""The script that runs on a target, with a fencepost that only writes files: jobs that end, are killed, and go on."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from runs.measure import wait_for

from fencepost.cli.fleet_hosts.commands import ROLES

SCRIPT = ROLES / "fencepost" / "files" / "measure.sh"

FAKE = """#!/bin/sh
# run [--resume RUN] [--out FOLDER] ...: three rounds
echo "$*" >>"$LOG"
case "$*" in --version) echo "fencepost 9"; exit ;; esac
case "$*" in *--dry-run*) echo '{"rounds": 3, "expected_calm_ns": 7, "expected_most_ns": 8}'; exit ;; esac
while [ $# -gt 0 ]; do
    case $1 in
    --resume) run=$2 ;;
    --out) run=$2/run$(ls "$2" | wc -l) ;;
    esac
    shift
done
mkdir -p "$run/rounds"
[ "${FAIL:-}" = early ] && exit 3
touch "$run/run.json" "$run/machine.json"
for round in 1 2 3; do
    [ -e "$run/rounds/000$round.parquet" ] && continue
    echo "$run $round" >>"$LOG.rounds"
    touch "$run/rounds/000$round.parquet"
    [ "${FAIL:-}" = "$round" ] && { echo "fencepost: no space left" >&2; exit 3; }
    [ "${HANG:-}" = "$round" ] && sleep 100
done
exit "${CODE:-0}"
"""


class Target:
    """A folder of a series, and the script."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.tools = tmp_path / "series", tmp_path / "tools"
        self.tools.mkdir()
        self.fencepost = self.tool("fencepost", FAKE)
        self.tool("systemd-run", "#!/bin/sh\nexit 1\n")
        self.log = tmp_path / "log"

    def tool(self, name: str, text: str) -> Path:
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def call(self, *words: object, **environment: str) -> str:
        path = f"{self.tools}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "LOG": str(self.log), **environment}
        command = ["sh", str(SCRIPT), *map(str, words)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout

    def measure(self, runs: int = 1, here: str = "", **environment: str) -> str:
        self.call("start", self.folder, runs, here, self.fencepost, "good/steady", **environment)
        return self.call("wait", self.folder, here, 50)

    @property
    def rounds(self) -> list[str]:
        text = Path(f"{self.log}.rounds").read_text()
        return [f"{Path(line.split()[0]).name} {line.split()[1]}" for line in text.splitlines()]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


WHOLE = ["run0 1", "run0 2", "run0 3"]


def test_it_tells_name_version_plan_and_clock(target: Target) -> None:
    name, version, plan, clock = target.call("ask", target.fencepost, "good/steady").splitlines()
    assert name == os.uname().nodename and version == "fencepost 9" and plan == "3 7 8" and clock.isdigit()


PYTHON = """#!/bin/sh
# -m venv --clear FOLDER
rm -rf "$4"
mkdir -p "$4/bin"
printf '%s\\n' '#!/bin/sh' '[ -z "${FAIL:-}" ] && echo "$*" >>"$LOG.pip"' >"$4/bin/pip"
chmod +x "$4/bin/pip"
"""


class Installed:
    """A target on which a Python makes environments whose pip only tells what it was asked for."""

    def __init__(self, target: Target, tmp_path: Path) -> None:
        self.target, self.base, self.wheel = target, tmp_path / "base", tmp_path / "fencepost-9.whl"
        self.python = target.tool("python3", PYTHON)
        self.wheel.write_text("first")

    def install(self, what: object = "", links: str = "", **environment: str) -> str:
        told = self.target.call("install", self.base, what or self.wheel, links, **environment)
        return told.strip()

    @property
    def calls(self) -> list[str]:
        return Path(f"{self.target.log}.pip").read_text().splitlines()


@pytest.fixture
def installed(target: Target, tmp_path: Path) -> Installed:
    return Installed(target, tmp_path)


def test_a_wheel_is_installed_once_and_again_where_its_content_is_new(installed: Installed) -> None:
    for _ in range(2):
        assert installed.install(links="/wheels") == ""
    assert [line.split()[-4:] for line in installed.calls] == [
        ["--no-index", "--find-links", "/wheels", str(installed.wheel)]
    ]
    installed.wheel.write_text("second")
    installed.install()
    installed.install("fencepost==9")
    installed.install("fencepost==9", PYTHON=str(installed.python))
    assert [line.split()[-1] for line in installed.calls[1:]] == [str(installed.wheel), "fencepost==9", "fencepost==9"]
    assert not any("--no-index" in line for line in installed.calls[1:])


def test_an_installation_that_failed_is_made_again(installed: Installed) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        installed.install(FAIL="1")
    assert failed.value.returncode == 3
    installed.install()
    assert len(installed.calls) == 1


def test_a_job_that_measures_keeps_its_fencepost(installed: Installed) -> None:
    installed.install()
    installed.wheel.write_text("second")
    series = installed.base / "series" / "first"
    series.mkdir(parents=True)
    with (series / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert installed.install() == "a job measures here, so the fencepost that it uses stays"
        assert len(installed.calls) == 1
    assert installed.install() == "" and len(installed.calls) == 2


@pytest.mark.parametrize("code", ["0", "1"])
def test_a_series_is_measured_once(code: str, target: Target) -> None:
    assert target.measure(2, CODE=code).splitlines()[0] == "2 6"
    assert target.measure(2).splitlines()[0] == "2 6"
    assert target.rounds == [*WHOLE, "run1 1", "run1 2", "run1 3"]


@pytest.mark.parametrize("fault", ["early", "1", "2"])
def test_what_failed_is_continued(fault: str, target: Target) -> None:
    state = target.measure(FAIL=fault)
    assert state.split()[0] == "0" and (fault == "early" or "no space left" in state.splitlines()[-1])
    assert target.measure().splitlines()[0] == "1 3"
    assert target.rounds == WHOLE


def test_a_killed_job_is_continued_and_nobody_measures_beside_it(target: Target) -> None:
    target.call("start", target.folder, 1, "", target.fencepost, "good/steady", HANG="2")
    wait_for(lambda: Path(f"{target.log}.rounds").exists() and len(target.rounds) == 2)
    asked = target.log.read_text()
    target.call("start", target.folder, 1, "", target.fencepost, "good/steady")
    found = subprocess.run(["pgrep", "-f", f"job {target.folder}"], capture_output=True, text=True, check=False)
    job = min(map(int, found.stdout.split()))
    assert os.getsid(job) == job  # in a session without a terminal
    os.killpg(job, signal.SIGKILL)
    assert target.call("wait", target.folder, "", 50).splitlines()[0] == "0 2"
    assert target.log.read_text() == asked
    assert target.measure().splitlines()[0] == "1 3"
    assert target.rounds == WHOLE


def test_runs_that_were_fetched_from_a_lost_disk_are_not_measured_again(target: Target) -> None:
    assert target.measure(2, here="lost").splitlines()[0] == "2 3"
    assert target.rounds == WHOLE


def test_packed_is_what_is_complete_and_not_yet_fetched(target: Target) -> None:
    target.measure(2)
    (target.folder / "runs" / "run2").mkdir()
    target.call("pack", target.folder, "run0")
    with tarfile.open(target.folder / "runs.tar") as tar:
        assert {Path(name).parts[0] for name in tar.getnames()} == {"run1"}
        assert "run1/rounds/0003.parquet" in tar.getnames()


def test_systemd_gets_the_job_where_it_runs(target: Target) -> None:
    """As root, or where the user may linger."""
    target.tool("systemd-run", f'#!/bin/sh\necho "$*" >>{target.log}.systemd\ntouch {target.folder}/started\n')
    target.tool("loginctl", "#!/bin/sh\necho yes\n")
    target.call("start", target.folder, 1, "", target.fencepost)
    words = Path(f"{target.log}.systemd").read_text()
    assert f"job {target.folder} 1" in words and ("--user" in words) == (os.geteuid() != 0)
    assert not target.log.exists()
