"""The plugin of pytest with kernels that the user wrote."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from inner_pytest import run_pytest

PASSES, FAILS = "return 0;", 'return trial_fault(trial, "two and two are %d", 5);'
# Sessions of pytest within pytest.
pytestmark = pytest.mark.slow

HEAD = """
#include <stdlib.h>
#include "kernel.h"
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n; i++)
        OPAQUE(i);
}
static void crash(struct worker *worker, uint64_t n)
{
    (void)worker, (void)n;
    abort();
}
"""
CHECKED = """
static int checkID(struct trial *trial)
{
    trial->metric[0] = (double)trial->value[0];
    CHECK
}
KERNEL(nameID, .name = "NAME", .summary = "s", .unit = "u", .threads = {1, 1}, MORE
       .parameters = {{"size", "bytes", "s", NULL, 4096, "1KiB 2KiB", NULL, NULL},
                      {"mode", "", "s", "plain fancy", 0, "*", NULL, NULL}},
       .metrics = {{"echo", "1", "s"}}, .run = RUN, .check = checkID)
"""


def kernels(*rows: tuple[str, str], run: str = "spin", more: str = "") -> str:
    """A kernel file with a kernel for each name and body of its check."""
    text = HEAD if run == "crash" else HEAD[: HEAD.index("static void crash")]
    for number, (name, check) in enumerate(rows):
        one = CHECKED.replace("ID", str(number)).replace("NAME", name).replace("CHECK", check).replace("MORE", more)
        text += one.replace("RUN", run)
    return text


USER = """
import pytest

def test_one(fencepost_benchmark):
    row = fencepost_benchmark.kernel("mine.c")
    # Alone it has a sample of each process whose core was free for a while: most of the eight, or it is as found.
    assert 4 <= len(row.samples) <= 8 and row.extra_info["ns"] > 0

@pytest.mark.parametrize("size", [64, "8KiB"])
@pytest.mark.benchmark(group="sizes")
def test_value(fencepost_benchmark, size):
    fencepost_benchmark.extra_info["note"] = "mine"
    fencepost_benchmark.kernel(["mine.c", "two.c"], "two/b", mode="fancy", size=size)

def test_cpus(fencepost_benchmark):
    import os
    fencepost_benchmark.kernel("mine.c", cpus=[max(os.sched_getaffinity(0))], size=CPU)

FAULTS = {
    "compile": lambda kernel: kernel("broken.c"),
    "crash": lambda kernel: kernel("crash.c"),
    "check": lambda kernel: kernel("two.c", "two/wrong"),
    "several": lambda kernel: kernel("two.c"),
    "unknown": lambda kernel: kernel("two.c", "two/c"),
    "values": lambda kernel: kernel("mine.c", size="1KiB,2KiB"),
    "value": lambda kernel: kernel("mine.c", mode="plainn"),
    "parameter": lambda kernel: kernel("mine.c", sise=1),
    "cpus": lambda kernel: kernel("mine.c", cpus=[0, 1, 2]),
    "cflags": lambda kernel: kernel("mine.c", cflags="'"),
    "gone": lambda kernel: kernel("gone.c"),
    "lacking": lambda kernel: kernel("lacking.c"),
}

@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fencepost_benchmark, fault):
    FAULTS[fault](fencepost_benchmark.kernel)
"""
FAULTS = {
    "compile": r"broken.c: does not compile:\n(.*\n)*.*no_such_function",
    "crash": r"own/crash.*: failed in 8 of 8 rounds: the worker was killed by SIGABRT",
    "check": r"two/wrong.*: check failed: two and two are 5",
    "several": "two.c: has two/b, two/wrong, and a test is one row; name the kernel after the file",
    "unknown": "two.c: no kernel 'two/c'; it has two/b, two/wrong",
    "values": "size=1KiB,2KiB is several values, and a test is one row",
    "value": "no value 'plainn'; did you mean plain",
    "parameter": "no parameter 'sise'; did you mean size",
    "cpus": r"kernel own/one: not placed on cpus=\[0, 1, 2\]; its placements here are \[[0-9]+\]",
    "cflags": "--cflags ': cannot be read",
    "gone": "gone.c: cannot be read \\(no such file or directory\\)",
}


class Own(NamedTuple):
    """A session over kernels of a user's own."""

    rows: dict[str, dict[str, Any]]
    outcomes: dict[str, str]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    """With the real suite beside, so that there are control cases, and from another folder than the test's."""
    cwd = tmp_path_factory.mktemp("own")
    folder = cwd / "user" / "tests"
    folder.mkdir(parents=True)
    foreign = "NEED_X86_64" if platform.machine() != "x86_64" else "NEED_RISCV64"
    files = {
        "mine.c": kernels(("own/one", PASSES)),
        "two.c": kernels(("two/b", PASSES), ("two/wrong", FAILS)),
        "broken.c": kernels(("own/broken", PASSES)).replace("OPAQUE(i)", "no_such_function()"),
        "crash.c": kernels(("own/crash", PASSES), run="crash"),
        "lacking.c": kernels(("own/lacking", PASSES), more=f".needs = {foreign},"),
        "test_mine.py": USER.replace("CPU", "2048"),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = run_pytest(
        cwd,
        *("user/tests", "-q", "-rA", "--benchmark-json", "all.json", "--junit-xml", "all.xml"),
        FENCEPOST_ENGINE=None,
        XDG_CACHE_HOME=str(cwd / "cache"),
    )
    assert (cwd / "all.json").exists(), done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads((cwd / "all.json").read_text())["benchmarks"]}
    outcomes = {}
    for case in ElementTree.parse(cwd / "all.xml").iter("testcase"):
        outcomes[str(case.get("name"))] = " ".join(f"{one.tag}: {one.get('message')} {one.text}" for one in case)
    return Own(rows, outcomes, done)


def test_a_kernel_of_ones_own_is_a_row(own: Own) -> None:
    assert [own.outcomes[name] for name in ("test_one", "test_value[64]", "test_value[8KiB]", "test_cpus")] == [""] * 4
    one = own.rows["test_one"]
    assert 4 <= one["stats"]["rounds"] <= 8
    # Of two equal modes the figure is one of them, and the median of the samples lies between.
    low, high = one["stats"]["min"], one["stats"]["max"]
    if "modes" not in one["extra_info"]["flags"]:
        low = high = one["stats"]["median"]
    assert low * (1 - 1e-6) <= one["extra_info"]["ns"] / 1e9 <= high * (1 + 1e-6)
    assert one["extra_info"]["kernel"] == "own/one"
    assert one["extra_info"]["parameters"] == {"size": 4096, "mode": "plain"}  # the defaults, not the profile's sweep
    assert len(one["extra_info"]["objects"]["mine.c"]["sha256"]) == 64
    # Measured beside it, in the same processes: by these one sees whether the machine has moved.
    controls = one["extra_info"]["controls_ns"]
    assert any(case.startswith("pipeline/imul100") for case in controls)
    assert all(ns > 0 for ns in controls.values())
    assert one["extra_info"]["noise_floor_pct"] >= 0


def test_parameters_files_and_cpus_are_as_asked(own: Own) -> None:
    for name, size in (("test_value[64]", 64), ("test_value[8KiB]", 8192)):
        row = own.rows[name]
        info = row["extra_info"]
        assert (info["kernel"], info["parameters"], info["note"]) == ("two/b", {"size": size, "mode": "fancy"}, "mine")
        assert info["metrics"]["echo"]["value"] == size
        assert row["group"] == "sizes"
        assert set(info["objects"]) == {"mine.c", "two.c"}
    assert own.rows["test_cpus"]["extra_info"]["cpus"] == [max(os.sched_getaffinity(0))]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_kernel_is_one_failure(own: Own, fault: str) -> None:
    outcome = own.outcomes[f"test_fault[{fault}]"]
    assert outcome.startswith("failure: "), outcome
    assert re.search(FAULTS[fault], outcome), outcome
    assert "Traceback" not in outcome
    assert f"test_fault[{fault}]" not in own.rows


def test_a_kernel_that_this_machine_cannot_run_is_skipped(own: Own) -> None:
    assert own.outcomes["test_fault[lacking]"].startswith("skipped: not measurable here: needs")
    assert f"{len(FAULTS)} failed, 4 passed, 1 skipped" in own.done.stdout
    assert "fixture was not used" not in own.done.stdout


def test_what_the_compiler_warns_of_is_a_warning(own: Own) -> None:
    assert re.search(r"test_fault\[crash\]\n.*UserWarning: .*crash.c: the compiler warns:\n.*'?spin", own.done.stdout)
