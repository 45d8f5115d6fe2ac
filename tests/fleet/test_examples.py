"""The examples without Ansible: ssh and rsync, Slurm, ReFrame. Each is cut in mid-run, and the same command goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleet.hosts import FENCEPOST, KERNEL, Fleet, contents, require, tool_path, unshared, until

from fencepost.bench import runfolder, schema

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "fleet"
ROUNDS = 30


def whole(folder: Path) -> dict[str, bytes]:
    """The rounds of the only run in a folder, all of which are there."""
    (run,) = (path for path in folder.iterdir() if not path.name.startswith("."))
    with runfolder.resume(run) as opened:
        assert opened.complete_rounds() == list(range(1, ROUNDS + 1))
    return contents(list(schema.round_files(run).values()))


def rounds(folder: Path) -> list[Path]:
    return list(folder.glob("*/rounds/[0-9]*.parquet"))


def test_ssh_and_rsync_complete_what_a_cut_link_left(tmp_path: Path) -> None:
    require()
    with Fleet(tmp_path) as fleet:
        host = fleet.add("web1", environment={"PATH": f"{FENCEPOST.parent}:{tool_path()}"})
        settings = f"-F /dev/null -i {tmp_path}/key -o UserKnownHostsFile={tmp_path}/known"
        settings += (
            " -o StrictHostKeyChecking=accept-new -o ConnectTimeout=2 -o ServerAliveInterval=1 -o LogLevel=ERROR"
        )
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "ssh").write_text(
            f'#!/bin/sh\nfor word; do shift; [ "$word" = web1 ] && word={host.address}; set -- "$@" "$word"; done\n'
            f'exec {shutil.which("ssh")} {settings} "$@"\n'
        )
        (tools / "ssh").chmod(0o755)
        env = {"PATH": f"{tools}:{tool_path()}", "WORDS": f"{KERNEL} --rounds {ROUNDS}", "HOME": str(tmp_path)}
        command = ["sh", str(EXAMPLES / "gather.sh"), "web1"]
        process = fleet.on_controller(command, env, tmp_path)
        there = host.home / "fp" / "runs"
        until(lambda: len(rounds(there)) >= ROUNDS // 3)
        host.cut()
        out, _ = process.communicate(timeout=200)
        assert "web1: not complete; the same command again continues" in out
        until(lambda: len(rounds(there)) == ROUNDS)
        before = contents(rounds(there))
        host.mend()
        for _ in range(2):
            out, _ = fleet.on_controller(command, env, tmp_path).communicate(timeout=200)
            assert out == ""
            assert whole(tmp_path / "runs" / "web1") == before == contents(rounds(there))


SLURM = """set -e
hostname node1
ip link set lo up
ip link add d0 type veth peer name d1
ip link set d1 up
ip address add 10.78.0.1/24 dev d0
ip link set d0 up
mkdir -p spool state munge
chmod 700 munge
head -c 1024 /dev/urandom >munge/key
chmod 600 munge/key
munged --force --key-file=$PWD/munge/key --socket=$PWD/munge/socket --pid-file=$PWD/munge/pid \
    --log-file=$PWD/munge/log --seed-file=$PWD/munge/seed
cat >slurm.conf <<CONF
ClusterName=test
SlurmctldHost=node1(10.78.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$PWD/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
SlurmctldPidFile=$PWD/controller.pid
SlurmdPidFile=$PWD/node.pid
SlurmctldLogFile=$PWD/controller.log
SlurmdLogFile=$PWD/node.log
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=1
KillWait=5
NodeName=node1 NodeAddr=10.78.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=node1 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$PWD/slurm.conf
slurmctld
slurmd -N node1
until [ "$(sinfo --noheader --format=%t)" = idle ]; do sleep 0.5; done
sh -c "$COMMAND"
while [ -n "$(squeue --noheader)" ] || [ ! -e end ]; do
    if [ -e requeue ]; then
        rm requeue
        scontrol requeue 1
        again=yes
    fi
    # Slurm waits for two minutes before it starts such a job again. A job that runs refuses this.
    [ -z "${again:-}" ] || scontrol update JobId=1 StartTime=now 2>/dev/null || true
    sleep 0.5
done
"""
"""Slurm with one node, in namespaces that end with this script. Requeues the first job when asked to by a file."""


def slurm(folder: Path, command: str) -> subprocess.Popen[str]:
    env = {
        "PATH": f"{FENCEPOST.parent}:{tool_path()}",
        "COMMAND": command,
        "WORDS": f"{KERNEL} --rounds {ROUNDS}",
        "HOME": str(folder),
    }
    return unshared(["sh", "-c", SLURM], env, folder)


def test_a_job_of_slurm_that_is_requeued_completes_its_run(tmp_path: Path) -> None:
    require("slurmctld", "slurmd", "sbatch", "munged")
    process = slurm(tmp_path, f"sbatch --nodelist=node1 {EXAMPLES}/slurm.sh")
    try:
        runs = tmp_path / "runs" / "node1"
        until(lambda: len(rounds(runs)) >= ROUNDS // 3)
        before = contents(rounds(runs))
        (tmp_path / "requeue").touch()
        until(lambda: len(rounds(runs)) == ROUNDS, 200)
        (tmp_path / "end").touch()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    after = whole(runs)
    assert {name: after[name] for name in before} == before
    assert "interrupted by SIGTERM" in (tmp_path / "node1.log").read_text()


def test_reframe_measures_each_node(tmp_path: Path) -> None:
    reframe = Path(sys.executable).with_name("reframe")
    require("slurmctld", "slurmd", "sbatch", "munged")
    assert reframe.exists()
    (tmp_path / "settings.py").write_text(
        "site_configuration = {'systems': [{'name': 'test', 'hostnames': ['.*'], 'partitions': [{'name': 'all', "
        "'scheduler': 'squeue', 'launcher': 'local', 'environs': ['builtin']}]}], "
        "'environments': [{'name': 'builtin', 'cc': 'cc'}], "
        "'logging': [{'handlers': [{'type': 'stream', 'level': 'info', 'format': '%(message)s'}]}]}\n"
    )
    words = f"-C {tmp_path}/settings.py -c {EXAMPLES}/reframe_fencepost.py --prefix {tmp_path}/reframe -r"
    report = f"--distribute=idle --report-file={tmp_path}/report.json"
    (tmp_path / "end").touch()
    process = slurm(tmp_path, f"{reframe} {words} {report}")
    try:
        out, _ = process.communicate(timeout=250)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == 0, out[-3000:]
    (case,) = json.loads((tmp_path / "report.json").read_text())["runs"][0]["testcases"]
    assert case["result"] == "pass" and case["job_nodelist"] == ["node1"]
    assert any(KERNEL in name for name in json.dumps(case["perfvalues"]).split('"')), case["perfvalues"]


@pytest.mark.parametrize("script", ["gather.sh", "slurm.sh"])
def test_scripts_are_short(script: str) -> None:
    lines = (EXAMPLES / script).read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) <= 15
