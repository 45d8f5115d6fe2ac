"""The benchmark for PerfKitBenchmarker, which is in no registry. Its modules are stood in for, and so is the VM."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from runs.measure import fencepost_inside

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fleet" / "perfkit_fencepost.py"
WHEEL = "wheels/fencepost-9-py3-none-any.whl"


@dataclass
class Vm:
    """Notes what it is asked for. Its fencepost has a kernel that works and one that fails."""

    folder: Path
    asked: list[str] = field(default_factory=list)
    result: str = ""

    def InstallPackages(self, packages: str) -> None:  # noqa: N802 -- the names are those of PerfKitBenchmarker
        self.asked.append(f"install {packages}")

    def PushFile(self, source: str, there: str) -> None:  # noqa: N802
        self.asked.append(f"push {source} to {there}")

    def RemoteCommand(self, command: str) -> tuple[str, str]:  # noqa: N802
        self.asked.append(command)
        if "fencepost run" not in command:
            return "", ""
        words = command.partition("fencepost ")[2].partition(" ||")[0].split()
        done = fencepost_inside(*words, cwd=self.folder)
        assert done.returncode == 1 and command.endswith("|| [ $? = 1 ]")
        self.result = done.stdout
        return done.stdout, done.stderr


@pytest.fixture
def perfkit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as PerfKitBenchmarker loads it."""
    given = {"fencepost_wheel": WHEEL, "fencepost_words": "good/steady bad/wrong --rounds 2"}
    absl, flags = ModuleType("absl"), ModuleType("absl.flags")
    flags.DEFINE_string = lambda name, default, text: SimpleNamespace(value=given[name])  # type: ignore[attr-defined]
    absl.flags = flags  # type: ignore[attr-defined]
    stand_in = ModuleType("perfkitbenchmarker")
    stand_in.sample = SimpleNamespace(Sample=lambda *words: words)  # type: ignore[attr-defined]
    stand_in.configs = SimpleNamespace(LoadConfig=lambda *words: words)  # type: ignore[attr-defined]
    for module in (absl, flags, stand_in):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = importlib.util.spec_from_file_location("perfkit_fencepost", EXAMPLE)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_each_case_that_was_measured_is_a_sample(perfkit: Any, tmp_path: Path) -> None:
    vm = Vm(tmp_path)
    spec = SimpleNamespace(vms=[vm])
    perfkit.Prepare(spec)
    assert vm.asked == [
        "install python3-venv",
        f"push {WHEEL} to {Path(WHEEL).name}",
        f"python3 -m venv fp && fp/bin/pip install --quiet './{Path(WHEEL).name}[analysis]'",
    ]
    samples = perfkit.Run(spec)
    rows = {row["case"]: row for row in json.loads(vm.result)["rows"]}
    assert {case for case, *_ in samples} == {case for case in rows if case.startswith("good/steady")}
    for case, value, unit, told in samples:
        row = rows[case]
        assert (value, unit, told["low"], told["high"]) == (row["ns"], "ns", row["ns_low"], row["ns_high"])
        assert (tmp_path / "fp" / "runs" / told["run"]).is_dir()
    perfkit.Cleanup(spec)
    assert vm.asked[-1] == "rm -rf fp"


def test_its_configuration_is_one_of_its_own_name(perfkit: Any) -> None:
    text = perfkit.BENCHMARK_CONFIG.replace("*default_dual_core", "default_dual_core")  # an alias of theirs
    assert list(yaml.safe_load(text)) == [perfkit.BENCHMARK_NAME]
    assert perfkit.GetConfig({}) == (perfkit.BENCHMARK_CONFIG, {}, perfkit.BENCHMARK_NAME)
