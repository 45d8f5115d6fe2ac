"""`make fuzz-guided`: inputs that atheris makes by the lines that the ones before have reached.

Only the readers of text and JSON, whose code is Python. atheris is no dependency: it has wheels for some versions of
Python and some machines only. What it has found lies in build/fuzz, and the next call begins with it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from fuzz import corpus
from fuzz.oracle import WrongError, sentence_fault

from fencepost.analysis.exchange.importing import parse
from fencepost.bench import schema
from fencepost.bench.sysfs import LARGEST_CPU, parse_cpulist, parse_cpumask

STATE = Path("build/fuzz")
INSTALL = "atheris is not installed; install it with `.venv/bin/python -m pip install atheris`"

NAMES = ("lists", "masks", "run", "machine", "round-record", "rows-record", "imports")

READING = ("fencepost.analysis.exchange", "fencepost.bench.schema", "fencepost.bench.sysfs", "fencepost.bench.files")

Read = Callable[[bytes], None]


class FaultError(Exception):
    """A reader did not answer with one sentence. atheris keeps the input."""


def _cpus(parse_text: Callable[[str], Iterable[int]]) -> Read:
    def read(data: bytes) -> None:
        text = data.decode("latin-1")
        cpus = list(parse_text(text))
        if cpus != sorted(set(cpus)) or (cpus and not 0 <= cpus[0] <= cpus[-1] <= LARGEST_CPU):
            raise WrongError(f"{text!r:.80} became {cpus!r:.80}")

    return read


def _imports(data: bytes) -> None:
    parse("file.json", data)


def _record(read: Callable[[Path, dict[bytes, bytes]], Any]) -> Read:
    return lambda data: read(Path("round.parquet"), {schema.ROUND_KEY: data}) and None


def _stored(folder: Path, name: str, read: Callable[[Path], Any]) -> Read:
    """run.json gets a hash that fits, or nothing behind the hash would be reached."""

    def trial(data: bytes) -> None:
        if name == schema.RUN_FILE:
            data = _hashed(data)
        (folder / name).write_bytes(data)
        read(folder)

    return trial


def _hashed(data: bytes) -> bytes:
    try:
        document = json.loads(data)
        return corpus.dumped({**document, "sha256": schema.hash_of(document)}) if isinstance(document, dict) else data
    except (ValueError, RecursionError, UnicodeError):
        return data


def readers(scratch: Path) -> dict[str, tuple[Read, Sequence[bytes]]]:
    """Each reader by its name, with the good inputs that atheris begins with."""
    folder = corpus.copy_run(scratch / "run")
    run, machine = ((folder / name).read_bytes() for name in (schema.RUN_FILE, schema.MACHINE_FILE))
    files = [one.encode() if isinstance(one, str) else corpus.dumped(one) for one in corpus.imported()]
    return {
        "lists": (_cpus(parse_cpulist), [b"0-3,8", b"0-15:2/4", b"(null)", b""]),
        "masks": (_cpus(parse_cpumask), [b"00000000,00000101", b"ff", b"0xffffffff,00000000"]),
        "run": (_stored(folder, schema.RUN_FILE, schema.read_run), [run]),
        "machine": (_stored(folder, schema.MACHINE_FILE, schema.read_machine), [machine]),
        "round-record": (_record(schema.parse_round_record), [corpus.dumped(corpus.round_record())]),
        "rows-record": (_record(schema.parse_rows_record), [corpus.dumped(corpus.rows_record())]),
        "imports": (_imports, files),
    }


def judged(read: Read, data: bytes) -> None:
    """Read an input; raises `FaultError` for all but an answer, or one sentence of ours."""
    try:
        read(data)
    except Exception as error:
        fault = sentence_fault(error)
        if fault is not None:
            raise FaultError(fault) from error


def kept(name: str, seeds: Sequence[bytes]) -> Path:
    """The folder of a reader's inputs, with the good ones in it."""
    folder = STATE / f"guided-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"good-{number}").write_bytes(seed)
    return folder


def _options(name: str, seeds: Sequence[bytes], seconds: int) -> Iterator[str]:
    yield from (
        "fuzz.guided",
        str(kept(name, seeds)),
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=3072",
    )
    yield from (
        f"-artifact_prefix={STATE}/guided-{name}-fault-",
        "-verbosity=0",
        "-print_final_stats=1",
        "-max_len=65536",
    )


def _functions() -> Iterator[FunctionType]:
    """All functions and methods of the modules that read: only of these is it told which lines were reached."""
    for name, module in list(sys.modules.items()):
        if name.startswith(READING):
            parts = [part for part in vars(module).values() if getattr(part, "__module__", None) == name]
            methods = [part for kind in parts if isinstance(kind, type) for part in vars(kind).values()]
            yield from (part for part in (*parts, *methods) if isinstance(part, FunctionType))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-guided", description="Try inputs that atheris makes.")
    parser.add_argument("reader", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write(f"fencepost: {INSTALL}\n")
        return 3
    atheris = importlib.import_module("atheris")
    # It ends the process by itself, so nothing could be removed behind it.
    scratch = STATE / "guided"
    shutil.rmtree(scratch, ignore_errors=True)
    read, seeds = readers(scratch)[given.reader]
    for function in _functions():
        atheris.instrument_func(function)
    atheris.Setup([*_options(given.reader, seeds, given.seconds)], lambda data: judged(read, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
