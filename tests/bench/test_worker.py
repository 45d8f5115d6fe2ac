"""The worker as a process: frames, failing cases, and its end when the parent dies."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import measure as runtime
from runs.measure import any_cpu, tiny_plan, wait_for

from fencepost.bench import worker
from fencepost.bench.attempt import Attempt
from fencepost.bench.engine import backend_path
from fencepost.bench.frames import FrameReader, decode_buckets, decode_samples
from fencepost.bench.plan import Plan
from fencepost.bench.runner import WORKER

CPU = any_cpu()


def spec_of(plan: Plan, **changes: Any) -> dict[str, Any]:
    return {
        "parent": os.getpid(),
        "spawn_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        "engine": str(runtime.engine_path()),
        "backend": str(backend_path()),
        "settings": plan.settings,
        "energy": None,
        "part_batches": 4,
        "again_ns": plan.again_ns,
        "cases": [
            {
                "case": c.case,
                "kernel": c.kernel,
                "values": c.values,
                "cpus": c.cpus,
                "metrics": len(c.metrics),
                "quiet_rounds": 0,
                "in_turns": False,
                "visits": c.visits,
            }
            for c in plan.cases
        ],
        **changes,
    }


def start(spec: dict[str, Any], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WORKER)], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
        )
    assert process.stdin is not None
    process.stdin.write(json.dumps(spec).encode())
    process.stdin.close()
    return process


def frames(output: Path) -> list[tuple[Any, bytes, bytes]]:
    with output.open("rb") as file:
        return list(FrameReader(file.fileno()).read())


def run(patterns: list[str], tmp_path: Path, **changes: Any) -> list[tuple[Any, bytes, bytes]]:
    process = start(spec_of(tiny_plan(patterns), **changes), tmp_path / "frames")
    assert process.wait(runtime.PATIENCE_S) == 0
    return frames(tmp_path / "frames")


def test_the_worker_imports_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = (
        f"import sys, runpy; runpy.run_path({str(WORKER)!r})\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - set(sys.stdlib_module_names) - {'__main__'}))"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_process_knows_whether_it_is_traced() -> None:

    child = os.fork()
    if child == 0:
        asked = ctypes.CDLL(None).ptrace(0, 0, None, None)  # PTRACE_TRACEME
        os._exit(2 if asked else 0 if worker.traced() else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 2:
        pytest.skip("ptrace is forbidden here")
    assert status == 0


def test_frames_of_a_round(tmp_path: Path) -> None:
    got = run(["good/steady", "good/events"], tmp_path)
    kinds = [record["kind"] for record, _, _ in got]
    assert kinds == ["hello", *["begin", "case"] * 4, "end"]
    hello = got[0][0]
    assert hello["tick_hz"] > 0
    assert hello["startup_ms"] > 0
    assert set(hello["cpus"]) == os.sched_getaffinity(0)
    by_case = {
        record["case"]: (record, samples, buckets) for record, samples, buckets in got if record["kind"] == "case"
    }
    record, samples, buckets = by_case[f"good/steady[size=2MiB,mode=plain]@cpu{CPU}"]
    assert record["status"] == "ok"
    assert record["metrics"][0] == 2097152
    array = decode_samples(runtime.fault_engine(), samples)
    assert list(array["batch"]) == [0, 1]
    assert set(array["cpu_begin"]) == {CPU}
    assert all(operations > 0 for operations in array["operations"])
    assert buckets == b""


def test_sides_of_a_row_take_turns(tmp_path: Path) -> None:
    cases = spec_of(tiny_plan(["good/steady"]))["cases"][:2]
    cases[0]["in_turns"] = True
    settings = {**tiny_plan(["good/steady"]).settings, "most_turn_bytes": 1 << 20}
    got = run(["good/steady"], tmp_path, cases=cases, settings=settings)
    begin, *both = [record for record, _, _ in got[1:-1]]
    names = [case["case"] for case in cases]
    assert (begin["kind"], begin["case"], begin["beside"]) == ("begin", *names)
    assert [(record["kind"], record["case"], record["status"]) for record in both] == [
        ("case", name, "ok") for name in names
    ]
    assert [record["turn_batches"] for record in both] == [2, 2]
    arrays = [decode_samples(runtime.fault_engine(), samples) for _, samples, _ in got[2:-1]]
    assert [list(array["batch"]) for array in arrays] == [[0, 1], [0, 1]]


def test_cases_that_take_no_turns_are_measured_one_by_one(tmp_path: Path) -> None:
    cases = spec_of(tiny_plan(["good/events", "good/steady"]))["cases"][:2]
    cases[0]["in_turns"] = True
    got = run(["good/steady"], tmp_path, cases=cases)
    assert [record["kind"] for record, _, _ in got] == ["hello", *["begin", "case"] * 2, "end"]
    assert not any("beside" in record for record, _, _ in got)


def visits_of(got: list[tuple[Any, bytes, bytes]]) -> list[str]:
    return [record["case"] for record, _, _ in got if record["kind"] == "case"]


def test_each_visit_of_a_case_with_several_takes_a_part_of_its_batches(tmp_path: Path) -> None:
    plan = tiny_plan(["good/steady"])
    cases = spec_of(plan)["cases"]
    cases = [case | {"visits": 2} for case in cases[:1]] * 2 + cases[1:2]
    got = run([], tmp_path, cases=cases, settings={**plan.settings, "batches": 7}, part_batches=4)
    taken = [(record["case"], samples) for record, samples, _ in got if record["kind"] == "case"]
    found = [(name, len(decode_samples(runtime.fault_engine(), samples))) for name, samples in taken]
    first, second = cases[0]["case"], cases[2]["case"]
    assert found[:3] == [(first, 4), (first, 4), (second, 7)]


LACKING = {"quiet_batches": 10**6, "width_limit": 1e-9}
"""No batch is quiet, and very many are wanted."""


def test_cases_that_lack_quiet_batches_are_visited_again(tmp_path: Path) -> None:
    plan = tiny_plan(["good/steady", "good/events", "good/once"])
    cases = [
        {
            "case": case.case,
            "kernel": case.kernel,
            "values": case.values,
            "cpus": case.cpus,
            "metrics": len(case.metrics),
            # Those of 2 MiB had quiet rounds enough.
            "quiet_rounds": worker.ENOUGH_ROUNDS * ("2MiB" in case.case),
            "in_turns": False,
            "visits": case.visits,
        }
        for case in plan.cases
    ]
    got = run([], tmp_path, cases=cases, settings={**plan.settings, **LACKING}, again_ns=10**12)
    visits = visits_of(got)
    assert list(dict.fromkeys(visits)) == [case["case"] for case in cases]
    again = [name for place, name in enumerate(visits) if name in visits[:place]]
    # Events and what is measured once have no quiet batches by design.
    assert {name.partition("[")[0] for name in again} == {"good/steady"}
    assert "2MiB" not in again[-worker.HOPELESS]
    assert len(again) % worker.HOPELESS == 0
    assert len(again) <= worker.LOOKS * worker.HOPELESS
    assert got[-1][0]["kind"] == "end"
    assert got[-1][0]["again_ns"] > 0


def test_what_is_nearest_to_alone_comes_first() -> None:
    rounds_and_cost = [(5, 9), (1, 1), (1, 2), (0, 1), (9, 1), (6, 1), (12, 1), (10, 1)]
    assert sorted(set(rounds_and_cost), key=lambda one: worker.urgency(*one)) == rounds_and_cost


@pytest.mark.parametrize(
    ("limits", "again_ns"),
    [({"quiet_batches": 0}, 10**9), (LACKING, 0), ({**LACKING, "width_limit": 0.0}, 10**9)],
    ids=["enough", "no time", "limit unknown"],
)
def test_nothing_is_visited_again_without_need_time_or_witness(
    tmp_path: Path, limits: dict[str, float], again_ns: int
) -> None:
    plan = tiny_plan(["good/steady"])
    got = run(["good/steady"], tmp_path, settings={**plan.settings, **limits}, again_ns=again_ns)
    assert visits_of(got) == [case.case for case in plan.cases]


def test_sides_of_a_comparison_stay_together(tmp_path: Path) -> None:
    plan = tiny_plan(["good/steady"])
    spec = spec_of(plan)
    old, new, _ = spec["cases"]
    got = run([], tmp_path, cases=[old, new, new, old], settings={**plan.settings, **LACKING}, again_ns=10**12)
    assert visits_of(got)[:4] == [old["case"], new["case"], new["case"], old["case"]]
    assert len(visits_of(got)) == 4 + worker.HOPELESS


def test_events_come_with_their_histogram(tmp_path: Path) -> None:
    record, samples, buckets = next(frame for frame in run(["good/events"], tmp_path) if frame[0]["kind"] == "case")
    histogram = decode_buckets(runtime.fault_engine(), buckets)
    assert histogram["ticks"] == [100, 101, 102]
    assert sum(histogram["count"]) == record["events"]
    assert set(decode_samples(runtime.fault_engine(), samples)["ticks"]) == {101}


def test_failing_cases_have_reasons_and_the_others_go_on(tmp_path: Path) -> None:
    got = run(["bad/wrong", "bad/lacking", "good/once"], tmp_path)
    by_kernel = {r["case"].partition("@")[0]: r for r, _, _ in got if r["kind"] == "case"}
    assert by_kernel["bad/wrong"]["status"] == "failed"
    assert "check" in by_kernel["bad/wrong"]["reason"]
    assert by_kernel["bad/lacking"]["status"] == "unsupported"
    assert "a unicorn" in by_kernel["bad/lacking"]["reason"]
    assert by_kernel["good/once"]["status"] == "ok"
    assert got[-1][0]["kind"] == "end"


def test_an_unknown_kernel_is_a_failed_case(tmp_path: Path) -> None:
    case = {
        "case": "gone",
        "kernel": "no/such",
        "values": [],
        "cpus": [CPU],
        "metrics": 0,
        "in_turns": False,
        "visits": 1,
    }
    got = run(["good/once"], tmp_path, cases=[case])
    assert got[2][0]["status"] == "failed"
    assert "not in this engine" in got[2][0]["reason"]


def test_an_engine_that_does_not_load_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"nonsense")
    process = start(spec_of(tiny_plan(["good/once"]), engine=str(tmp_path / "broken.so")), tmp_path / "frames")
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(runtime.PATIENCE_S) == worker.EXIT_ENGINE
    assert b"broken.so" in errors
    assert b"Traceback" not in errors


def test_a_worker_whose_parent_has_gone_does_nothing(tmp_path: Path) -> None:
    process = start(spec_of(tiny_plan(["bad/hang"]), parent=1), tmp_path / "frames")
    assert process.wait(runtime.PATIENCE_S) == worker.EXIT_ORPHAN
    assert frames(tmp_path / "frames") == []


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    spec = json.dumps(spec_of(tiny_plan(["bad/hang"])))
    code = (
        "import json, os, subprocess, sys\n"
        "spec = json.loads(sys.stdin.read()); spec['parent'] = os.getpid()\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1]], stdin=subprocess.PIPE,"
        " stdout=open(sys.argv[2], 'wb'))\n"
        "child.stdin.write(json.dumps(spec).encode()); child.stdin.close()\n"
        "print(child.pid, flush=True); child.wait()"
    )
    output = tmp_path / "frames"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(WORKER), str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None and parent.stdout is not None
    parent.stdin.write(spec)
    parent.stdin.close()
    child = int(parent.stdout.readline())
    wait_for(lambda: any(record["kind"] == "begin" for record, _, _ in frames(output)))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("cut", [0, 1, 10, 60])
def test_a_truncated_stream_gives_its_whole_frames_only(tmp_path: Path, cut: int) -> None:
    run(["good/steady"], tmp_path)
    data = (tmp_path / "frames").read_bytes()
    whole = frames(tmp_path / "frames")
    (tmp_path / "cut").write_bytes(data[: len(data) - cut])
    got = frames(tmp_path / "cut")
    assert got == whole[: len(got)]
    assert (len(got) == len(whole)) == (cut == 0)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"case","samples_bytes":Infinity}',
        b'{"kind":"case","samples_bytes":1e400}',
        b'{"kind":"case","buckets_bytes":[1]}',
        b'{"kind":"case","samples_bytes":-36}',  # back to its own begin
        b'{"kind":"case","samples_bytes":"4"}',
        b"[1]",
        b"[" * 100_000,
        b"x",
    ],
)
def test_what_a_kernel_writes_there_is_no_frame(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "frames").write_bytes(line + b"\n")
    with (tmp_path / "frames").open("rb") as file:
        reader = FrameReader(file.fileno())
        attempt = Attempt()
        attempt.take(reader, {})
    assert attempt.fault is not None and attempt.fault.startswith("wrote something that is not a frame (")


def test_frames_are_read_as_they_grow(tmp_path: Path) -> None:
    run(["good/steady", "good/events"], tmp_path)
    data = (tmp_path / "frames").read_bytes()
    growing = tmp_path / "growing"
    with growing.open("wb") as writing, growing.open("rb") as reading:
        reader = FrameReader(reading.fileno())
        got = []
        for start_at in range(0, len(data), 97):
            writing.write(data[start_at : start_at + 97])
            writing.flush()
            got += list(reader.read())
    assert got == frames(tmp_path / "frames")
