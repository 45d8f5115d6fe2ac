"""Energy of a package beside rows: where it is looked for, what is taken off, and where it is shown."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from runs import measure as runtime
from runs.measure import MACHINE, TINY, any_cpu, run_record, tiny_plan
from runs.write import Case
from topics.analysed import analysed

from fencepost.analysis.report.beside import beside_tables
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.tables import topic_tables
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.text.table import DASH
from fencepost.bench import runfolder, schema
from fencepost.bench.doctor.examine import examine
from fencepost.bench.energy import EVENT, POWERCAP, find_energy
from fencepost.bench.runner import Runner
from fencepost.bench.sysfs import Tree
from fencepost.bench.worker import energy_of

NAMES = {"energy_w", "energy_idle_w", "energy_extra_w"}
RANGE_UJ = 1_000_000
WATT = 10
COLUMN = "beyond sleep"


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def powercap(root: Path, zones: dict[str, str], energy_uj: str = "0\n") -> Path:
    """A tree in which powercap has these zones, by the name of the folder."""
    for zone, name in zones.items():
        put(root, f"{POWERCAP}/{zone}/name", f"{name}\n")
        put(root, f"{POWERCAP}/{zone}/max_energy_range_uj", f"{RANGE_UJ}\n")
        put(root, f"{POWERCAP}/{zone}/energy_uj", energy_uj)
    for cpu in (0, 1):
        put(root, f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id", f"{cpu}\n")
    return root


def perf(root: Path, scale: str = "2.5e-10") -> Path:
    """The same with an event of perf, which CPUs 0 and 1 read."""
    put(root, f"{EVENT}/type", "31\n")
    put(root, f"{EVENT}/events/energy-pkg", "event=0x02\n")
    put(root, f"{EVENT}/events/energy-pkg.scale", f"{scale}\n")
    put(root, f"{EVENT}/cpumask", "0-1\n")
    return powercap(root, {})


@pytest.mark.parametrize(("cpu", "zone"), [(0, "intel-rapl:0"), (1, "intel-rapl:1")])
def test_the_counter_is_that_of_the_cpus_package(tmp_path: Path, cpu: int, zone: str) -> None:
    root = powercap(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl:2": "psys"})
    path = str(root / POWERCAP / zone / "energy_uj")
    assert find_energy(Tree(root), cpu) == {"kind": "file", "path": path, "range_uj": RANGE_UJ}


def test_a_die_of_the_package_is_as_good(tmp_path: Path) -> None:
    found = find_energy(Tree(powercap(tmp_path, {"intel-rapl:4": "package-1-die-0"})), 1)
    assert found is not None and found["kind"] == "file" and "intel-rapl:4" in found["path"]


@pytest.mark.parametrize("cpu", [0, 1])
def test_without_a_file_there_is_an_event(tmp_path: Path, cpu: int) -> None:
    event = {"kind": "event", "type": 31, "config": 2, "joules": 2.5e-10, "cpu": cpu}
    assert find_energy(Tree(perf(tmp_path)), cpu) == event


@pytest.mark.parametrize("text", ["", "none\n"])
def test_what_cannot_be_read_is_no_counter(tmp_path: Path, text: str) -> None:
    assert find_energy(Tree(powercap(tmp_path / "file", {"intel-rapl:0": "package-0"}, text)), 0) is None
    assert find_energy(Tree(perf(tmp_path / "event", text)), 0) is None
    assert find_energy(Tree(tmp_path / "nothing"), 0) is None


def test_an_event_of_perf_is_read_as_joules() -> None:
    """A clock of Linux's stands in for the package: it counts each ns of a CPU, here as a nJ."""
    lib = runtime.fault_engine().lib
    if lib.energy_open_event(1, 0, 1e-9, any_cpu()):  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK
        pytest.skip("needs permission to count events of a CPU")
    assert lib.energy_idle_watts(20_000_000) == pytest.approx(1.0, rel=0.05)
    # Less than three steps of a package's counter say nothing. On a busy machine most sleeps take longer.
    assert any(math.isnan(lib.energy_idle_watts(100_000)) for _ in range(200))


def test_a_source_that_does_not_open_is_an_error(tmp_path: Path) -> None:
    assert runtime.fault_engine().lib.energy_open_file(bytes(tmp_path / "none"), 1.0) == -errno.ENOENT


def test_what_sleep_takes_is_taken_off() -> None:
    assert energy_of(15.0, 11.0) == {"energy_w": 15.0, "energy_idle_w": 11.0, "energy_extra_w": 4.0}
    assert energy_of(float("nan"), 11.0) == energy_of(15.0, float("nan")) == {}


@contextlib.contextmanager
def steady(file: Path) -> Iterator[None]:
    """A counter of 10 W that begins anew each 0.1 s, renewed as often as this machine can."""
    ended = threading.Event()
    begin = time.monotonic()

    def renew() -> None:
        with file.open("r+b", buffering=0) as shown:
            while not ended.wait(0.0005):
                uj = int((time.monotonic() - begin) * WATT * 1e6) % RANGE_UJ
                shown.seek(0)
                shown.write(f"{uj:8d}\n".encode())

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds on a machine whose package has a counter."""
    base = tmp_path_factory.mktemp("energy")
    root = powercap(base / "root", {"intel-rapl:0": "package-0"}, "       0\n")
    for cpu in range(64):  # whichever the run has
        put(root, f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id", "0\n")
    # Batches that last: of less than 3 ms nothing is said.
    plan = tiny_plan(["good/steady"], profile=replace(TINY, batches=10, batch_ns=1_000_000))
    made = runfolder.create(base, MACHINE, run_record(plan))
    with runtime.heeding_signals(), steady(root / POWERCAP / "intel-rapl:0" / "energy_uj"):
        Runner(runtime.fault_engine(), made, root=root).run()
    return made.path


def test_a_row_has_the_power_of_the_package(folder: Path) -> None:
    cases = runfolder.read_round_record(schema.round_file(folder, 1))["cases"]
    found = [case["metrics"] for case in cases.values() if set(case["metrics"]) >= NAMES]
    assert found
    for metrics in found:
        power, idle, extra = (metrics[name] for name in ("energy_w", "energy_idle_w", "energy_extra_w"))
        assert power is not None and idle is not None and power > 0 and idle > 0
        assert extra == pytest.approx(power - idle)
    assert any("energy_extra_w" in row.metrics for row in analyse(folder).rows)
    assert any("energy_extra_w" in row["metrics"] for row in json.loads(json.dumps(as_json(folder)))["rows"])


def test_a_machine_without_a_counter_has_none(tmp_path: Path) -> None:
    made = runfolder.create(tmp_path, MACHINE, run_record(tiny_plan(["good/steady"])))
    with runtime.heeding_signals():
        Runner(runtime.fault_engine(), made, root=tmp_path / "nothing").run()
    cases = runfolder.read_round_record(schema.round_file(made.path, 1))["cases"].values()
    assert cases and not any(NAMES & set(case["metrics"]) for case in cases)


def test_the_report_has_a_column_where_some_row_has_any() -> None:
    metrics = {"energy_w": 14.2, "energy_idle_w": 10.0, "energy_extra_w": 4.2, "own_pct": 5.0}
    cases = [
        Case("mine/loop", ns=2.0, metrics=metrics, metric_noise=0.0, process_noise=0.0),
        Case("mine/events", ns=2.0, kind="events", metrics=metrics, metric_noise=0.0),
        Case("mine/other"),
    ]
    run = analysed(cases, rounds=6)
    (estimates,) = (item for item in topic_tables(run, "mine") if item.caption.startswith("Estimates"))
    column = estimates.header.index(COLUMN)
    cells = {row[0].partition("@")[0]: row[column] for row in estimates.rows}
    assert cells["mine/loop"].startswith("4.20 W; 8.4") and cells["mine/loop"].endswith(" nJ")
    assert (cells["mine/events"], cells["mine/other"]) == ("4.20 W", DASH)
    # Not a second time among the figures beside time.
    (beside, _) = beside_tables(run, "mine")
    assert len(beside.header) == 2


def test_the_doctor_says_whether_it_is_measurable(tmp_path: Path) -> None:
    put(tmp_path, "sys/devices/system/cpu/present", "0\n")
    (told,) = (item for item in examine(tmp_path).findings if item.knob == "energy")
    assert told.severity == "note" and told.effect.startswith("energy is not measurable here: ")
    powercap(tmp_path, {"intel-rapl:0": "package-0"})
    (told,) = (item for item in examine(tmp_path).findings if item.knob == "energy")
    assert told.severity == "ok" and "the power of the package" in told.effect
