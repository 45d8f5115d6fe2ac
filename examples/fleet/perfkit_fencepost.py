"""fencepost as a benchmark of PerfKitBenchmarker. Copy this file into perfkitbenchmarker/linux_benchmarks/, and:

./pkb.py --benchmarks=fencepost --fencepost_wheel=fencepost-0.1.0-cp311-abi3-manylinux_2_34_x86_64.whl
"""

import json
from pathlib import Path

from absl import flags
from perfkitbenchmarker import configs, sample

WHEEL = flags.DEFINE_string("fencepost_wheel", "fencepost", "Path of a wheel here, or a name for pip.")
WORDS = flags.DEFINE_string("fencepost_words", "--profile quick", "Words for `fencepost run`.")

BENCHMARK_NAME = "fencepost"
BENCHMARK_CONFIG = """
fencepost:
  description: What basic operations of systems code cost, in ns.
  vm_groups:
    default:
      vm_spec: *default_dual_core
"""


def GetConfig(user_config):
    return configs.LoadConfig(BENCHMARK_CONFIG, user_config, BENCHMARK_NAME)


def Prepare(benchmark_spec):
    vm = benchmark_spec.vms[0]
    vm.InstallPackages("python3-venv")
    what = WHEEL.value
    if what.endswith(".whl"):
        vm.PushFile(what, Path(what).name)
        what = f"./{Path(what).name}"
    vm.RemoteCommand(f"python3 -m venv fp && fp/bin/pip install --quiet '{what}[analysis]'")


def Run(benchmark_spec):
    """A sample for each case. The exit code is 1 where cases failed, and these have no figure."""
    command = f"fp/bin/fencepost run {WORDS.value} --json --out fp/runs || [ $? = 1 ]"
    stdout, _ = benchmark_spec.vms[0].RemoteCommand(command)
    found = json.loads(stdout)
    return [
        sample.Sample(
            row["case"],
            row["ns"],
            "ns",
            {"low": row["ns_low"], "high": row["ns_high"], "basis": row["basis"], "run": found["run"]},
        )
        for row in found["rows"]
        if row.get("ns") is not None
    ]


def Cleanup(benchmark_spec):
    benchmark_spec.vms[0].RemoteCommand("rm -rf fp")
