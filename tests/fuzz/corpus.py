"""Good inputs, from which hostile ones are made. Each is built once, and children of the process inherit it."""

from __future__ import annotations

import functools
import io
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import machines
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.mutate import VALUES, changed_document
from runs.publish import measured, published
from runs.write import Case, plain_cases, write_run

from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.bench import objects, schema

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

HARMLESS = ("list", "compare", "history", "export", "import", "schema", "doctor", "completion", "config")
"""Commands that are carried out: they measure nothing, and what they write lies where they are told."""


@functools.cache
def _home() -> Path:
    """A folder for what is built once; it goes with the process that built it."""
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="fencepost-corpus-"))
    owner = os.getpid()

    def clear() -> None:
        if os.getpid() == owner:  # not a child
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(clear)
    return folder


def prepare() -> None:
    """Build all that takes time, so that children of this process find it built."""
    for build in (_run, _rows, _published, kernel_object):
        build()


# ---- machines ----

_V1 = {
    "proc/self/mountinfo": "30 25 0:26 /docker/a /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "proc/self/cgroup": "4:cpu,cpuacct:/docker/a/b\n3:cpuset:/c\n2:memory:/m",
    "sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_quota_us": "150000",
    "sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/cpu,cpuacct/b/cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 9000000",
    "sys/fs/cgroup/cpuset/c/cpuset.cpus": "0-3,8",
    "sys/fs/cgroup/memory/m/memory.limit_in_bytes": "1073741824",
}
_V2 = {
    "proc/self/mountinfo": "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate",
    "proc/self/cgroup": "0::/job/step",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory",
    "sys/fs/cgroup/job/cpu.max": "50000 100000",
    "sys/fs/cgroup/job/step/cpu.max": "max 100000",
    "sys/fs/cgroup/job/step/cpu.stat": "usage_usec 1\nnr_throttled 7\nthrottled_usec 90000",
    "sys/fs/cgroup/job/cpuset.cpus.effective": "0-1",
    "sys/fs/cgroup/job/memory.max": "536870912",
}
_PROC = {
    "proc/meminfo": "MemTotal: 16384 kB\nSwapTotal: 0 kB\nHugePages_Total: 0\nHugepagesize: 2048 kB",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz isolcpus=1 nohz_full=1 mitigations=off",
    "proc/version": "Linux version 6.1.0 (gcc 12) #1 SMP",
    "proc/stat": "cpu 1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\ncpu1 1 2 3 4 5 6 7 8",
    "proc/loadavg": "0.50 0.40 0.30 1/100 1234",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 1024 12 100",
    "proc/interrupts": "      CPU0 CPU1\n LOC: 10 20 Local timer interrupts\n 36: 1 2 PCI-MSI 5 edge virtio1-req.0",
    "proc/softirqs": "      CPU0 CPU1\n TIMER: 5 6\n RCU: 7 8",
}


_CPU = "sys/devices/system/cpu"
_SMALL = {
    f"{_CPU}/online": "0-1",
    f"{_CPU}/present": "0-1",
    f"{_CPU}/possible": "0-3",
    f"{_CPU}/offline": "2-3",
    f"{_CPU}/isolated": "1",
    f"{_CPU}/smt/active": "0",
    "sys/devices/system/node/online": "0",
    "sys/devices/system/node/node0/cpulist": "0-1",
    "sys/devices/system/node/node0/distance": "10",
    "proc/cpuinfo": machines.cpuinfo((0, 1)),
} | {
    f"{_CPU}/cpu{cpu}/{path}": content.format(cpu=cpu, mask=1 << cpu)
    for cpu in (0, 1)
    for path, content in {
        "topology/core_id": "{cpu}",
        "topology/physical_package_id": "0",
        "topology/core_cpus_list": "{cpu}",
        "topology/thread_siblings": "0000000{mask}",
        "topology/package_cpus_list": "0-1",
        "cpu_capacity": "1024",
        "cpufreq/scaling_governor": "performance",
        "cpufreq/cpuinfo_max_freq": "3700000",
        "cache/index0/level": "1",
        "cache/index0/type": "Data",
        "cache/index0/size": "48K",
        "cache/index0/coherency_line_size": "64",
        "cache/index0/shared_cpu_list": "{cpu}",
        "cache/index3/level": "3",
        "cache/index3/type": "Unified",
        "cache/index3/size": "32M",
        "cache/index3/shared_cpu_map": "3",
    }.items()
}


@functools.cache
def trees(kind: str) -> dict[str, dict[str, bytes]]:
    """Trees by name, each as files: of "machines" all of it, of "groups" what control groups say."""
    groups = {"v1": _V1, "v2": _V2}
    if kind == "groups":
        return {name: _encoded(files) for name, files in groups.items()}
    made_up = {"small": _encoded({**_SMALL, **_PROC, **_V2})}
    for name in machines.OWN_NAMES:
        files = machines.unpack((machines.MADE_UP / f"{name}.txt").read_text(encoding="utf-8"))
        made_up[name] = _encoded({**files, **_PROC, **_V2})
    return made_up


def _encoded(files: dict[str, str]) -> dict[str, bytes]:
    return {path: f"{content}\n".encode() for path, content in files.items()}


def write_tree(root: Path, files: dict[str, bytes]) -> None:
    """Write the files of a tree below `root`."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


# ---- run folders ----


@functools.cache
def _run() -> Path:
    events = Case("plain/events", {"n": 1}, ns=80.0, kind="events")
    seen = Case("plain/seen", {"n": 2}, ns=3.0, neighbour=0.3, metrics={"share_pct": 5.0}, counts={"lost": 0})
    folder = write_run(_home() / "run", [*plain_cases(1), plain_cases(1)[0].twin(), events, seen], rounds=2, batches=4)
    for path in (folder / schema.ROUNDS_FOLDER).iterdir():  # with the hash that a run's rounds have
        table = pq.read_table(path)
        record = json.loads(table.schema.metadata[schema.ROUND_KEY])
        path.write_bytes(written(table.replace_schema_metadata(schema.record_metadata(record))))
    return folder


def copy_run(folder: Path) -> Path:
    """A run folder with two rounds."""
    shutil.copytree(_run(), folder)
    return folder


@functools.cache
def _rows() -> bytes:
    return encode_rows(reduce_run(_run()))


def copy_reduced(folder: Path) -> Path:
    """The same run, reduced to rows.parquet."""
    copy_run(folder)
    shutil.rmtree(folder / schema.ROUNDS_FOLDER)
    (folder / schema.ROWS_FILE).write_bytes(_rows())
    return folder


def round_record() -> Any:
    """The record of a round."""
    return json.loads(pq.read_schema(schema.round_file(_run(), 1)).metadata[schema.ROUND_KEY])


def rows_record() -> Any:
    """The record of rows.parquet."""
    return json.loads(pq.read_schema(io.BytesIO(_rows())).metadata[schema.ROUND_KEY])


@functools.cache
def _published() -> Path:
    folder = _home() / "gallery"
    folder.mkdir()
    return published(folder / "results", measured(folder / "run"))


def copy_published(folder: Path) -> Path:
    """A published folder."""
    target = folder / _published().name
    shutil.copytree(_published(), target)
    return target


def dumped(document: Any) -> bytes:
    """A document as JSON, with what no writer of ours would let through."""
    return json.dumps(document).encode("utf-8", "surrogatepass")


# ---- Parquet ----


def table_of(path: Path) -> pa.Table:
    """A Parquet file as a table."""
    return pq.read_table(path)


def written(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", write_page_checksum=True)
    return sink.getvalue()


def changed_table(rng: random.Random, table: pa.Table) -> pa.Table:
    """A table with one or two of its columns, or its record, changed, and the hash of the record made anew."""
    for _ in range(rng.choice((1, 1, 2))):
        if rng.random() < 0.4:
            table = _changed_record(rng, table)
        elif table.num_columns:
            table = _changed_column(rng, table, rng.randrange(table.num_columns))
    return table


def _changed_record(rng: random.Random, table: pa.Table) -> pa.Table:
    metadata = table.schema.metadata or {}
    try:
        document = json.loads(metadata.get(schema.ROUND_KEY, b"{}"))
    except ValueError:
        return table
    document = changed_document(rng, document)
    if isinstance(document, dict) and rng.random() < 0.9:
        try:
            return table.replace_schema_metadata(schema.record_metadata(document))
        except (ValueError, RecursionError):  # NaN, which JSON has not
            pass
    return table.replace_schema_metadata({schema.ROUND_KEY: dumped(document)})


_EXTREMES = (0, -1, 1, 2**31 - 1, -(2**31), 2**62, 1e308, -1e308, float("nan"), float("inf"), 1e-320, "", "x", None)


def _changed_column(rng: random.Random, table: pa.Table, at: int) -> pa.Table:
    field, column = table.schema.field(at), table.column(at)
    kind = rng.randrange(8)
    if kind == 0:
        return table.remove_column(at)
    if kind == 1:
        return table.append_column(field, column)
    if kind == 2:
        return table.slice(rng.randrange(table.num_rows + 1), rng.randrange(4))
    if kind == 3:
        return pa.concat_tables([table, table])
    values = column.to_pylist()
    for _ in range(rng.choice((1, 1, 3, len(values)))):
        if values:
            values[rng.randrange(len(values))] = rng.choice(_EXTREMES if rng.random() < 0.7 else VALUES[:20])
    if kind == 4:  # of another type
        try:
            array = pa.array([None if value is None else str(value) for value in values])
        except (ValueError, UnicodeEncodeError):
            return table
        return table.set_column(at, field.name, array)
    try:
        return table.set_column(at, field, pa.array(values, field.type))
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return table.set_column(at, field, column.take(pa.array([rng.randrange(len(values)) for _ in values])))


# ---- files of other tools ----


@functools.cache
def imported() -> tuple[Any, ...]:
    """A document, or a text, of each tool whose files are read."""
    mean = {"name": "b_mean", "run_name": "b", "run_type": "aggregate", "aggregate_name": "mean"}
    google = [
        {"name": "a", "iterations": 100, "real_time": 5.0, "cpu_time": 4.0, "time_unit": "ns"},
        {"name": "b", "run_name": "b", "run_type": "iteration", "iterations": 7, "real_time": 2.5, "time_unit": "us"},
        {**mean, "iterations": 3, "real_time": 9.0, "time_unit": "ms"},
        {"name": "c", "run_name": "c", "run_type": "iteration", "error_occurred": True, "error_message": "no"},
        {"name": "d_BigO", "run_type": "aggregate", "cpu_coefficient": 1.0, "big_o": "N", "time_unit": "ns"},
    ]
    stats = {"min": 1e-6, "max": 3e-6, "mean": 2e-6, "median": 2e-6, "rounds": 3, "iterations": 1}
    item = {"name": "test_a", "fullname": "t.py::test_a", "stats": {**stats, "data": [1e-6, 2e-6, 3e-6]}}
    pytest_file = {
        "machine_info": {"cpu": {"brand_raw": "CPU A"}, "python_version": "3.12.1"},
        "commit_info": {"id": "abc"},
        "benchmarks": [item, {**item, "name": "test_b", "fullname": "t.py::test_b", "stats": stats}],
        "version": "5.1.0",
    }
    runs = [{"values": [1e-6, 2e-6]}, {"values": [2e-6], "warmups": [[1, 3e-6]]}]
    pyperf = {
        "version": "1.0",
        "metadata": {"python_version": "3.12.1", "unit": "second", "cpu_model_name": "CPU A"},
        "benchmarks": [{"metadata": {"name": "work"}, "runs": runs}],
    }
    times = [
        {"command": "sleep 0", "times": [0.5, 0.25], "exit_codes": [0, 0], "parameters": {"n": "3"}},
        {"command": "old", "mean": 1.0, "median": 2.0, "min": 0.5},
    ]
    bmf = {"a": {"latency": {"value": 5.0, "lower_value": 4.0}}, "b": {"throughput": {"value": 1}}}
    matrix = "CPU: Some CPU, 2 cores\nNum cores: 3\n\n,,\n10.5,,\n11,12.25,\n"
    context = {"date": "2026-01-01T00:00:00+00:00", "num_cpus": 2, "library_build_type": "release"}
    return ({"context": context, "benchmarks": google}, pytest_file, pyperf, {"results": times}, bmf, matrix)


# ---- commands ----


def command_home(scratch: Path) -> Path:
    """A folder with what the command lines name, deep enough that no way out of it leaves `scratch`."""
    home = scratch / "a" / "b" / "c"
    home.mkdir(parents=True)
    copy_run(home / "run")
    copy_reduced(home / "reduced")
    (home / "file.json").write_bytes(dumped(imported()[0]))
    for name, files in trees("machines").items():
        write_tree(home / "machine", files)
        if name:
            break
    return home


def command_lines() -> tuple[list[str], ...]:
    """Good command lines."""
    lines = (
        "list memory/* --json",
        "list --topic clock",
        "compare run reduced --json",
        "compare run reduced --fail-on regression",
        "history run reduced --json",
        "export run --format csv --out out.csv",
        "export reduced --format pyperf",
        "import file.json --out imported --label here --json",
        "schema run",
        "doctor --root machine --json",
        "completion bash",
        "config --cflags",
        "run memory/chase --set size=4K,1M --cpus 0,1 --rounds 3 --seed 7 --dry-run",
        "run --profile quick --max-time 10m --out out --label here",
        "ab one.c two.c --rounds 10 --margin 2",
        "show memory/chase --json",
        "report run --out report.html --no-pictures",
        "publish run --results results --check",
        "selfcheck --repeats 10",
        "neighbours --seconds 3",
        "new own/kernel --out file.c",
        "claims run --json",
        "peers examples --rounds 2",
    )
    return tuple(line.split() for line in lines)


@functools.cache
def options(name: str) -> tuple[str, ...]:
    """Options of a command."""
    from fencepost.cli.main import cli

    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    found = [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    return tuple(option for option in found if option not in ("-v", "--verbose")) or ("--help",)


# ---- objects and frames ----


@functools.cache
def kernel_object() -> bytes:
    """A shared object with kernels."""
    os.environ["XDG_CACHE_HOME"] = str(_home() / "cache")
    return objects.build(EXAMPLES / "own" / "division.c", "division.c").path.read_bytes()


def descriptor_place(data: bytes) -> tuple[int, int]:
    """Offset and size in bytes of the sections of an object that hold descriptors, their pointers and their words."""
    count, at = int.from_bytes(data[60:62], "little"), int.from_bytes(data[40:48], "little")
    strings = at + 64 * int.from_bytes(data[62:64], "little")
    names = int.from_bytes(data[strings + 24 : strings + 32], "little")
    sections = {}
    for place in range(at, at + 64 * count, 64):
        begin = names + int.from_bytes(data[place : place + 4], "little")
        name = data[begin : data.index(b"\0", begin)].decode()
        kind = int.from_bytes(data[place + 4 : place + 8], "little")
        if kind != 8:  # SHT_NOBITS: no bytes in the file
            sections[name] = tuple(
                int.from_bytes(data[place + 24 + 8 * i : place + 32 + 8 * i], "little") for i in (0, 1)
            )
    wanted = [sections[name] for name in (".data.rel.ro", ".rodata", ".rela.dyn", ".data") if name in sections]
    begin, size = max(wanted, key=lambda section: section[1])
    return begin, size


@functools.cache
def frames() -> bytes:
    """What a worker writes of a round of one case."""
    lines = (
        (b'{"kind": "hello", "pid": 7, "cpus": [0]}', b""),
        (b'{"kind": "begin", "case": "a/b@cpu0"}', b""),
        (
            b'{"kind": "case", "case": "a/b@cpu0", "status": "ok", "samples_bytes": 128, "buckets_bytes": 16}',
            bytes(144),
        ),
        (b'{"kind": "end"}', b""),
    )
    return b"".join(line + b"\n" + data for line, data in lines)
