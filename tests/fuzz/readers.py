"""Everything of fencepost that reads a file or an argument from outside, as things to be tried with hostile input."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import corpus
from fuzz.mutate import TOKENS, changed_bytes, changed_document, changed_files, changed_text
from fuzz.oracle import Trial, WrongError

from fencepost.analysis.exchange.importing import import_files, parse
from fencepost.analysis.gallery.check import TOLERANCE, check_folder
from fencepost.analysis.gallery.entry import REPORT, SUMMARY
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import decode_rows, read_reduced
from fencepost.bench import loading, schema
from fencepost.bench.catalog import read_catalog, read_object
from fencepost.bench.cgroup import read_cgroup
from fencepost.bench.doctor.examine import examine
from fencepost.bench.engine import load
from fencepost.bench.errors import UsageError
from fencepost.bench.frames import FrameReader
from fencepost.bench.interrupts import read_counts
from fencepost.bench.machine import machine_key
from fencepost.bench.sysfs import LARGEST_CPU, Tree, parse_cpulist, parse_cpumask
from fencepost.bench.topology import read_topology


@dataclass(frozen=True)
class Reader:
    """A reader: how inputs for it are made and read, and how many of a million it gets."""

    name: str
    of_million: int
    what: str
    make: Callable[[Path], Trial]


def _finite(analysis: Analysis) -> None:
    """Refuse figures that are no numbers, and intervals that do not hold their value."""
    for row in analysis.measured():
        time = row.time
        if not math.isfinite(time.value):
            raise WrongError(f"{row.case[:80]!r} has {time.value} ns")
        if time.bounded and not (math.isfinite(time.low) and time.low <= time.value <= time.high < math.inf):
            raise WrongError(f"{row.case[:80]!r} has {time.value} ns in {time.low} to {time.high}")


# ---- lists, masks, trees ----


def cpu_lists(_scratch: Path) -> Trial:
    texts = ("0-3,8", "0-15:2/4", "", "(null)", "0", "0-63,128-191", "00000000,00000101", "ff", "0xffffffff,00000000")

    def trial(rng: random.Random) -> None:
        text = changed_text(rng, rng.choice(texts))
        cpus = rng.choice((parse_cpulist, parse_cpumask))(text)
        if list(cpus) != sorted(set(cpus)) or (cpus and not 0 <= cpus[0] <= cpus[-1] <= LARGEST_CPU):
            raise WrongError(f"{text!r:.80} became {cpus!r:.80}")

    return trial


def _tree(read: Callable[[Path], None], kind: str = "machines") -> Callable[[Path], Trial]:
    """Read a tree of the corpus with one to three of its files changed."""

    def make(scratch: Path) -> Trial:
        trees = []
        for name, files in corpus.trees(kind).items():
            corpus.write_tree(scratch / name, files)
            trees.append((scratch / name, files, list(files)))

        def trial(rng: random.Random) -> None:
            # Most are of the first, which is small: the time of a tree is that of its files.
            root, files, names = trees[0] if rng.random() < 0.9 else rng.choice(trees)
            changed = [changed_files(rng, files, names) for _ in range(rng.choice((1, 1, 2, 3)))]
            try:
                for name, content in changed:
                    if content is None:
                        (root / name).unlink(missing_ok=True)
                    else:
                        (root / name).write_bytes(content)
                read(root)
            finally:
                for name, _ in changed:
                    (root / name).write_bytes(files[name])

        return trial

    return make


def _read_topology(root: Path) -> None:
    topology = read_topology(root)
    json.dumps(topology.as_dict(), allow_nan=False)
    if any(not 0 <= cpu <= LARGEST_CPU for cpu in topology.cpus):
        raise WrongError(f"CPUs: {topology.cpus!r:.80}")


def _read_cgroup(root: Path) -> None:
    found = read_cgroup(Tree(root))
    if found.quota_cpus is not None and not 0 <= found.quota_cpus < math.inf:
        raise WrongError(f"a quota of {found.quota_cpus} CPUs")
    if found.memory_bytes is not None and found.memory_bytes <= 0:
        raise WrongError(f"a limit of {found.memory_bytes} bytes")


def _read_doctor(root: Path) -> None:
    diagnosis = examine(root)
    json.dumps(diagnosis.as_dict(), allow_nan=False)
    read_counts((0, 1), root / "proc")


# ---- run folders ----


def documents(scratch: Path) -> Trial:
    """run.json and machine.json, and the records of rounds and rows: as text and as documents."""
    folder = corpus.copy_run(scratch / "run")
    good = {name: json.loads((folder / name).read_bytes()) for name in (schema.RUN_FILE, schema.MACHINE_FILE)}
    good[schema.RUN_FILE]["sha256"] = schema.hash_of(good[schema.RUN_FILE])
    records = {"round": corpus.round_record(), "rows": corpus.rows_record()}
    readers = {"round": schema.parse_round_record, "rows": schema.parse_rows_record}

    def stored(rng: random.Random, name: str) -> None:
        document = changed_document(rng, good[name])
        if name == schema.RUN_FILE and isinstance(document, dict) and rng.random() < 0.7:
            with contextlib.suppress(ValueError, RecursionError):
                document["sha256"] = schema.hash_of(document)
        text = corpus.dumped(document)
        (folder / name).write_bytes(changed_bytes(rng, text) if rng.random() < 0.2 else text)
        if name == schema.MACHINE_FILE:
            schema.read_machine(folder)
            return
        found = schema.read_run(folder)
        if "sha256" in found and found["sha256"] != schema.hash_of(found):
            raise WrongError("run.json was read, and its hash differs")

    def trial(rng: random.Random) -> None:
        name = rng.choice((*good, *records))
        if name in good:
            stored(rng, name)
            return
        text = corpus.dumped(changed_document(rng, records[name]))
        metadata = {schema.ROUND_KEY: text}
        if rng.random() < 0.5:
            metadata = {schema.ROUND_KEY: changed_bytes(rng, text)}
        readers[name](Path("round.parquet"), metadata)

    return trial


def round_bytes(scratch: Path) -> Trial:
    """Rounds of which some bytes differ: what is read all the same gives the same figures."""
    return _same_figures(corpus.copy_run(scratch / "run"), "rounds/0001.parquet", lambda folder: reduce_run(folder))


def rows_bytes(scratch: Path) -> Trial:
    """rows.parquet of which some bytes differ."""
    return _same_figures(corpus.copy_reduced(scratch / "run"), schema.ROWS_FILE, read_reduced)


def _same_figures(folder: Path, name: str, read: Callable[[Path], Any]) -> Trial:
    good = (folder / name).read_bytes()
    truth = read(folder).processes[["ns", "floor_ns"]].to_numpy()

    def trial(rng: random.Random) -> None:
        data = changed_bytes(rng, good)
        (folder / name).write_bytes(data)
        found = read(folder).processes[["ns", "floor_ns"]].to_numpy()
        if not np.array_equal(found, truth, equal_nan=True):
            raise WrongError("the figures changed, and nothing was said")

    return trial


def round_tables(scratch: Path) -> Trial:
    """Rounds that are whole Parquet files, written by somebody else."""
    folder = corpus.copy_run(scratch / "run")
    return _tables(folder, folder / "rounds/0001.parquet", lambda: _finite(analyse(folder)))


def rows_tables(scratch: Path) -> Trial:
    """rows.parquet that are whole Parquet files, written by somebody else."""
    folder = corpus.copy_reduced(scratch / "run")
    return _tables(folder, folder / schema.ROWS_FILE, lambda: _finite(analyse(folder)))


def _tables(folder: Path, path: Path, read: Callable[[], None]) -> Trial:
    table = corpus.table_of(path)

    def trial(rng: random.Random) -> None:
        path.write_bytes(corpus.written(corpus.changed_table(rng, table)))
        read()

    return trial


def folders(scratch: Path) -> Trial:
    """Whole run folders: run.json changed and made fit again, then estimated."""
    folder = corpus.copy_run(scratch / "run")
    good = {name: json.loads((folder / name).read_bytes()) for name in (schema.RUN_FILE, schema.MACHINE_FILE)}

    def trial(rng: random.Random) -> None:
        for name, document in good.items():
            changed = changed_document(rng, document) if rng.random() < 0.6 else document
            (folder / name).write_bytes(corpus.dumped(changed))
        _finite(analyse(folder))

    return trial


def caches(scratch: Path) -> Trial:
    """What a command kept in a run folder: damaged, it is as good as not there."""
    folder = corpus.copy_run(scratch / "run")
    key = kept.key_of(folder)
    data = b'{"rows": [1.5, 2.5]}' * 20
    kept.write(folder, "kept.json", key, data)
    path = folder / kept.FOLDER / "kept.json"
    good = path.read_bytes()

    def trial(rng: random.Random) -> None:
        path.write_bytes(changed_bytes(rng, good))
        if kept.read(folder, "kept.json", key) not in (None, data):
            raise WrongError("damaged, and taken for whole")

    return trial


def _says_the_same(name: str, content: bytes, before: bytes) -> bool:
    """Whether a changed file of a published folder tells nothing else: figures of summary.csv may differ in the last
    digits, since other versions of SciPy compute them so.
    """
    if name.endswith(".json"):
        return bool(json.loads(content) == json.loads(before))
    if name != SUMMARY:
        return False
    new, old = (list(csv.reader(io.StringIO(text.decode()))) for text in (content, before))
    return [len(line) for line in new] == [len(line) for line in old] and all(
        _is_close(here, there) for pair in zip(new, old, strict=True) for here, there in zip(*pair, strict=True)
    )


def _is_close(here: str, there: str) -> bool:
    try:
        return here == there or math.isclose(float(here), float(there), rel_tol=TOLERANCE, abs_tol=1e-12)
    except ValueError:
        return False


def galleries(scratch: Path) -> Trial:
    """Published folders, as `publish --check` looks at them: changed, they have a fault, or nothing was changed."""
    folder = corpus.copy_published(scratch)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    def trial(rng: random.Random) -> None:
        name, content = changed_files(rng, files, list(files))
        try:
            if content is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(content)
            silent = content != files[name] and not check_folder(folder, machine_key)
            if silent and name == REPORT:  # its pictures are compared when asked
                silent = not check_folder(folder, machine_key, reports=True)
            if silent and not _says_the_same(name, content or b"", files[name]):
                raise WrongError(f"{name} was changed, and the check found nothing")
        finally:
            (folder / name).write_bytes(files[name])

    return trial


# ---- files of other tools ----


def imports(scratch: Path) -> Trial:
    good = corpus.imported()

    def made(rng: random.Random) -> bytes:
        document = rng.choice(good)
        if isinstance(document, str):
            return changed_text(rng, document).encode("utf-8", "surrogatepass")
        text = corpus.dumped(changed_document(rng, document))
        return changed_bytes(rng, text) if rng.random() < 0.3 else text

    def trial(rng: random.Random) -> None:
        data = made(rng)
        found = parse("file.json", data)
        for item in found.benchmarks:
            for value in (value for process in item.processes for value in process):
                # Bencher's files may have a difference of two times.
                if not (math.isfinite(value) and (value >= 0 or found.format == "bmf")):
                    raise WrongError(f"{item.name[:80]!r} has {value} ns")
        if rng.random() < 0.2:
            _import(scratch, data, estimate=rng.random() < 0.2)

    return trial


def _import(scratch: Path, data: bytes, *, estimate: bool) -> None:
    """Make a run of a file, and read it again."""
    (scratch / "file.json").write_bytes(data)
    facts, machine, rows = import_files([scratch / "file.json"])
    run: Any = {"id": "run", "schema": schema.SCHEMA_VERSION, "created_utc": "2026-01-02T03:04:05Z", **facts}
    run["machine_key"] = machine["key"]
    folder = scratch / "imported"
    folder.mkdir(exist_ok=True)
    encoded = rows(run)
    for name, content in (
        (schema.RUN_FILE, json.dumps(run).encode()),
        (schema.MACHINE_FILE, json.dumps(machine).encode()),
    ):
        (folder / name).write_bytes(content)
    decode_rows(folder / schema.ROWS_FILE, encoded, folder)
    if estimate:
        (folder / schema.ROWS_FILE).write_bytes(encoded)
        _finite(analyse(folder))


# ---- arguments, objects, frames ----


def patterns(_scratch: Path) -> Trial:
    """Names of kernels and values of parameters, as they stand on the command line."""
    catalog = read_catalog(load())
    kernels = catalog.select(["*"])

    def trial(rng: random.Random) -> None:
        kernel = rng.choice(kernels)
        if rng.random() < 0.4 or not kernel.parameters:
            catalog.select([changed_text(rng, kernel.name)])
            return
        parameter = rng.choice(kernel.parameters)
        kernel.given(parameter, changed_text(rng, rng.choice(("64", "4K,1M", "all", "1..8", "*", "on", "0"))))

    return trial


def commands(scratch: Path) -> Trial:
    """Whole command lines that measure nothing; of the others what click and we make of the arguments."""
    from fencepost.cli.main import cli

    home = corpus.command_home(scratch)
    os.chdir(home)
    lines = corpus.command_lines()

    def trial(rng: random.Random) -> None:
        line = list(rng.choice(lines))
        whole = line[0] in corpus.HARMLESS
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(1, len(line) + 1)
            token = rng.choice(TOKENS).decode("utf-8", "replace").replace("\0", "")
            kind = rng.randrange(4)
            if kind == 0 and at < len(line):
                line[at] = changed_text(rng, line[at])
            elif kind == 1:
                line.insert(at, token)
            elif kind == 2:
                line.insert(at, rng.choice(corpus.options(line[0])))
            elif at < len(line):
                line[at] = token
        # What is written stays below this folder.
        arguments = [part.replace("\0", "") for part in line if "/dev" not in part and not part.startswith(("/", "-v"))]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                if whole and arguments[0] in corpus.HARMLESS:
                    cli.main(arguments, prog_name="fencepost", standalone_mode=False)
                    return
            except OSError as error:  # it names the file, and `cli.faults` makes a sentence of it
                raise UsageError(f"{error.filename!r:.200}: {error.strerror}") from error
            context = cli.make_context("fencepost", ["--help"], resilient_parsing=True)
            command = cli.get_command(context, line[0])
            assert command is not None
            command.make_context(line[0], arguments[1:])

    return trial


def frames(scratch: Path) -> Trial:
    """What a worker writes, in which a kernel may write too."""
    good = corpus.frames()

    def trial(rng: random.Random) -> None:
        (scratch / "frames").write_bytes(changed_bytes(rng, good))
        with (scratch / "frames").open("rb") as file:
            try:
                for record, _samples, _buckets in FrameReader(file.fileno()).read():
                    if not isinstance(record, dict):
                        raise WrongError(f"a frame of the kind {type(record).__name__}")
            except ValueError as error:
                raise schema.RunFolderError(f"frames: {error}".replace("\n", " ")) from error

    return trial


def kernel_objects(scratch: Path) -> Trial:
    """Shared objects, damaged anywhere, above all in the descriptors of their kernels."""
    engine = load()
    loading.PATIENCE_S = 3.0
    good = corpus.kernel_object()
    at, size = corpus.descriptor_place(good)
    path = scratch / "kernels.so"

    def trial(rng: random.Random) -> None:
        if rng.random() < 0.6:
            data = good[:at] + _same_size(rng, good[at : at + size]) + good[at + size :]
        else:
            data = changed_bytes(rng, good)
        path.unlink(missing_ok=True)  # the old one may be mapped
        path.write_bytes(data)
        label = f"object{rng.random()}"
        engine.load_object(label, path)
        read_object(engine, label)

    return trial


def _same_size(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        out[rng.randrange(len(out))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
    return bytes(out)


READERS: Sequence[Reader] = (
    Reader("cpu-lists", 150_000, "lists and masks of CPUs", cpu_lists),
    Reader("documents", 190_000, "run.json, machine.json, records of rounds and rows", documents),
    Reader("imports", 190_000, "files of other tools, six formats", imports),
    Reader("topology", 60_000, "sysfs trees: topology", _tree(_read_topology)),
    Reader("cgroup", 100_000, "control groups: mounts, quotas, cpusets, limits", _tree(_read_cgroup, "groups")),
    Reader("doctor", 10_000, "sysfs and procfs: all findings", _tree(_read_doctor)),
    Reader("round-bytes", 40_000, "rounds with changed bytes", round_bytes),
    Reader("round-tables", 10_000, "rounds as valid Parquet of hostile content", round_tables),
    Reader("rows-bytes", 40_000, "rows.parquet with changed bytes", rows_bytes),
    Reader("rows-tables", 10_000, "rows.parquet as valid Parquet of hostile content", rows_tables),
    Reader("folders", 15_000, "run folders with changed documents, estimated", folders),
    Reader("caches", 50_000, "data kept in run folders", caches),
    Reader("galleries", 3_000, "published folders", galleries),
    Reader("patterns", 80_000, "names of kernels, values of parameters", patterns),
    Reader("commands", 20_000, "command lines", commands),
    Reader("frames", 30_000, "frames of a worker", frames),
    Reader("objects", 2_000, "kernel objects and their descriptors", kernel_objects),
)
