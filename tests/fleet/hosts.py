"""Machines to measure, made of namespaces of this one: each with its network, processes, name, home and sshd.

All of a host goes with its first process, and that goes with the process of the tests, however it ends: no namespace
has a name, so nothing of it stays. The controller is in a namespace too. No address of this machine changes.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from fencepost.bench import runfolder, schema

TOOLS = ("ip", "nsenter", "unshare", "sshd", "ssh", "ssh-keygen", "flock", "tar", "rsync", "faketime")
FENCEPOST = Path(sys.executable).with_name("fencepost")
KERNEL = "clock/read"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_UNSHARED = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]


def require(*more: str) -> None:
    """Skip the test where this machine cannot make hosts, or lacks `more` tools. In CI that is a failure."""
    missing = [tool for tool in (*TOOLS, *more) if not shutil.which(tool, path=_PATH)]
    if os.geteuid() != 0:
        reason = "namespaces and daemons need root"
    elif missing:
        reason = f"not installed: {', '.join(missing)}"
    elif subprocess.run([*_UNSHARED, "true"], capture_output=True, check=False).returncode:
        reason = "this machine allows no namespaces"
    else:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _dies_with_us() -> None:
    """Have Linux end this process when that of the tests ends, also by a signal."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def tool_path() -> str:
    """Where tools are found, those of root among them."""
    return _PATH


def unshared(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[str]:
    """A command in new namespaces, which end with it and with the process of the tests."""
    return subprocess.Popen(
        [*_UNSHARED, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(env),
        cwd=cwd,
        preexec_fn=_dies_with_us,
    )


def _call(*words: str | int | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, env={**os.environ, "PATH": _PATH})


class Host:
    """One machine of a fleet. Its home outlives a reboot."""

    def __init__(self, fleet: Fleet, number: int, name: str, own_name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.own_name = own_name
        self.address = f"10.77.{number}.2"
        self.home = fleet.folder / "homes" / name
        self._fleet = fleet
        self._number = number
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.home.mkdir(parents=True)

    def series(self, name: str = "first") -> Path:
        """Where the role keeps the runs of a series."""
        return self.home / ".local/share/fencepost/series" / name

    def start(self, small_disk: str = "") -> None:
        """Boot: network, sshd. With `small_disk` its home has so much space and is gone after a reboot."""
        place = self._fleet.folder / "etc" / self.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "passwd").write_text(
            f"root:x:0:0:root:{self.home}:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        settings = [
            f"HostKey {self._fleet.folder}/host_key",
            f"AuthorizedKeysFile {self._fleet.folder}/key.pub",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "Subsystem sftp internal-sftp",
            *(
                [f"SetEnv {words}"]
                if (words := " ".join(f"{key}={value}" for key, value in self._environment.items()))
                else []
            ),
        ]
        (place / "sshd_config").write_text("\n".join(settings) + "\n")
        disk = f"mount -t tmpfs -o size={small_disk} none {self.home}" if small_disk else ":"
        script = f"""set -e
hostname {self.own_name}
mount --bind {place}/passwd /etc/passwd
mount -t tmpfs none /run
mkdir -p /run/sshd
{disk}
echo ready
read go
ip link set lo up
ip link set eth0 up
ip address add {self.address}/30 dev eth0
ip route add default via 10.77.{self._number}.1
exec $(command -v sshd) -D -e -f {place}/sshd_config
"""
        with (place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_UNSHARED, "/bin/sh", "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": _PATH},
                preexec_fn=_dies_with_us,
            )
        assert self._process.stdout is not None and self._process.stdin is not None
        assert self._process.stdout.readline() == b"ready\n", (place / "log").read_text()
        self._fleet.link(self._number, self.first_process)
        self._process.stdin.write(b"\n")
        self._process.stdin.close()
        until(lambda: "Server listening" in (place / "log").read_text())

    @property
    def first_process(self) -> int:
        """The process that all others of the host go with, by its number here."""
        assert self._process is not None
        (child,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(child)

    def cut(self) -> None:
        """Take the link down."""
        self._fleet.on_hub("ip", "link", "set", f"h{self._number}", "down")

    def mend(self) -> None:
        """Take it up again."""
        self._fleet.on_hub("ip", "link", "set", f"h{self._number}", "up")

    def stop(self) -> None:
        """Power off: all processes are killed at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reboot(self) -> None:
        """Power off, and boot again."""
        self.stop()
        self.start()

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command on the host."""
        enter = ["nsenter", "--target", str(self.first_process), "--all"]
        return subprocess.run([*enter, *words], capture_output=True, text=True, check=False, env={"PATH": _PATH})

    def processes(self, *words: str) -> list[int]:
        """Processes of the host, by their numbers there, whose command has one of `words`."""
        code = f"""
import pathlib
for path in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        command = (path / "cmdline").read_bytes().replace(b"\\0", b" ").decode()
    except OSError:
        continue
    if any(word in command for word in {words!r}) and "pathlib" not in command:
        print(path.name)
"""
        return [int(line) for line in self.inside(sys.executable, "-c", code).stdout.split()]

    def kill(self, signal_name: str, *words: str) -> None:
        """Send a signal to the processes whose command has one of `words`. There has to be one."""
        found = self.processes(*words)
        assert found, words
        self.inside("kill", signal_name, *map(str, found))

    def rounds(self, series: str = "first") -> list[Path]:
        """Complete rounds that are on the host."""
        found = self.inside("find", str(self.series(series) / "runs"), "-path", "*/rounds/[0-9]*.parquet").stdout
        return [Path(line) for line in found.split()]

    def digests(self) -> dict[str, str]:
        """The contents of the complete rounds that are on the host, by their names."""
        lines = self.inside("sha256sum", *map(str, self.rounds())).stdout.splitlines()
        return {Path(path).name: digest for digest, path in (line.split() for line in lines)}


class Fleet:
    """Hosts, and the folder from which they are measured. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "fleet"
        self.hosts: dict[str, Host] = {}
        self._sockets = tempfile.mkdtemp(prefix="fp-")  # paths of sockets are short
        self._hub: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for name in ("host_key", "key"):
            _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        self._hub = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", "echo ready; read forever"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=_dies_with_us,
        )
        assert self._hub.stdout is not None and self._hub.stdout.readline() == b"ready\n"
        self.on_hub("ip", "link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts.values():
            host.stop()
        if self._hub is not None:
            self._hub.kill()
            self._hub.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def on_hub(self, *words: str | int) -> None:
        """Run a command in the network of the controller."""
        assert self._hub is not None
        _call("nsenter", "--target", self._hub.pid, "--net", *words)

    def link(self, number: int, process: int) -> None:
        """Connect a host with the controller."""
        self.on_hub("ip", "link", "add", f"h{number}", "type", "veth", "peer", "name", "eth0", "netns", process)
        self.on_hub("ip", "address", "add", f"10.77.{number}.1/30", "dev", f"h{number}")
        self.on_hub("ip", "link", "set", f"h{number}", "up")

    def add(
        self, name: str, own_name: str = "", environment: Mapping[str, str] | None = None, small_disk: str = ""
    ) -> Host:
        """Boot one more host."""
        host = self.hosts[name] = Host(self, len(self.hosts) + 1, name, own_name or name, environment or {})
        host.start(small_disk)
        return host

    def prepare(self, rounds: int = 20, of_hosts: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> None:
        """Write what `fencepost fleet init` writes, for these hosts and a run of a few seconds.

        Parameters
        ----------
        of_hosts
            variables of single hosts.
        more
            variables of all.
        """
        from fencepost.cli.main import run

        assert run(["fleet", "init", str(self.place)]) == 0
        common = f"-F /dev/null -o UserKnownHostsFile={self.folder}/known -o StrictHostKeyChecking=accept-new"
        inventory = {
            "all": {
                "hosts": {
                    name: {"ansible_host": host.address, **(of_hosts or {}).get(name, {})}
                    for name, host in self.hosts.items()
                },
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_private_key_file": str(self.folder / "key"),
                    "ansible_ssh_common_args": common,
                    "ansible_python_interpreter": sys.executable,
                    "fencepost_python": sys.executable,
                    "fencepost_command": str(FENCEPOST),
                    "fencepost_retries": 3,
                    **more,
                },
            }
        }
        (self.place / "inventory.yml").write_text(json.dumps(inventory))
        playbook = (self.place / "playbook.yml").read_text()
        words = json.dumps([KERNEL, "--rounds", str(rounds)])
        runs = "fencepost_runs: 1"
        assert "[--profile, quick]" in playbook and runs in playbook
        playbook = playbook.replace(runs, f"fencepost_runs: {more.get('fencepost_runs', 1)}")
        (self.place / "playbook.yml").write_text(playbook.replace("[--profile, quick]", words))
        settings = self.place / "ansible.cfg"
        # A dead link is noticed within seconds.
        settings.write_text(
            settings.read_text()
            .replace("ServerAliveInterval=20", "ServerAliveInterval=2")
            .replace("ConnectTimeout=10", "ConnectTimeout=3")
        )

    def on_controller(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[str]:
        """Start a command in the network of the controller."""
        assert self._hub is not None
        return subprocess.Popen(
            ["nsenter", "--target", str(self._hub.pid), "--net", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(env),
            cwd=cwd,
            preexec_fn=_dies_with_us,
            start_new_session=True,  # so that it can be killed with all that it started
        )

    def begin(self, *options: str, within: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start `fencepost fleet run`; `within` is a command that starts it."""
        more = {
            "PATH": _PATH,
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": self._sockets,
            "NO_COLOR": "1",
        }
        command = [*within, str(FENCEPOST), "fleet", "run", str(self.place), *options]
        return self.on_controller(command, {**os.environ, **more}, self.folder)

    def measure(self, *options: str, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """`fencepost fleet run`, to its end."""
        process = self.begin(*options, within=within)
        out, _ = process.communicate(timeout=280)
        return subprocess.CompletedProcess(process.args, process.returncode, out, "")

    def runs(self, name: str) -> list[Path]:
        """The runs that were fetched from a host."""
        return sorted(self.place.glob(f"runs/{name}/*/{schema.RUN_FILE}"))

    def require_whole(self, name: str, runs: int = 1, series: str = "first") -> list[Path]:
        """See that what was fetched from a host is whole, and that nothing was measured twice; returns the rounds."""
        fetched = [path.parent for path in self.runs(name)]
        found = [folder for folder in fetched if schema.read_run(folder)["labels"]["series"] == series]
        assert len(found) == runs, (name, found)
        files = []
        for folder in found:
            with runfolder.resume(folder) as run:
                assert run.complete_rounds() == list(range(1, run.plan.rounds + 1))
                assert run.run["labels"] == {"host": name, "series": series}
            files += [path for _, path in sorted(schema.round_files(folder).items())]
        place = self.place / "runs" / name
        assert {path.name for path in place.iterdir()} == {folder.name for folder in fetched}
        begun = self.hosts[name].inside("ls", str(self.hosts[name].series(series) / "runs")).stdout.split()
        assert sorted(begun) == sorted(folder.name for folder in found)
        return files


def until(condition: Any, seconds: float = 120) -> None:
    """Wait until `condition` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def contents(files: Sequence[Path]) -> dict[str, bytes]:
    """Rounds by their names."""
    return {path.name: path.read_bytes() for path in files}
