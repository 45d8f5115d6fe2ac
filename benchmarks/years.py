"""How long does the history of years take? Makes packed runs with made-up figures, and asks for one case or for all.

    python benchmarks/years.py --runs 100000 --hosts 50 --cases 100 --folder /some/where
    fencepost history /some/where --kernels 'plain/loop' --json

A made run has no batches: its rounds were reduced, as `fencepost prune` leaves them. One step of 3 % is planted in each
fiftieth series, half way.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from runs import write as synthetic

from fencepost.analysis.runs import kept, packed
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.runs.row import SERIES_COLUMNS
from fencepost.bench import schema

ROUNDS = 6
NOISE, STEP, EACH = 0.004, 1.03, 50
START = datetime(2020, 1, 1, tzinfo=UTC)


def model(folder: Path, cases: int) -> Path:
    """A run of which all others are variants, packed."""
    if not (folder / schema.RUN_FILE).exists():
        synthetic.write_run(folder, synthetic.plain_cases(cases), rounds=ROUNDS, unmeasurable=[])
    analysis_of(folder)
    return folder


def make(numbers: range, folder: Path, pattern: Path, runs: int, hosts: int) -> None:
    """Write runs of these numbers. Of the figures, those that a history reads are varied."""
    run, machine = schema.read_run(pattern), (pattern / schema.MACHINE_FILE).read_bytes()
    table = packed.read(pattern, kept.key_of(pattern), packed.LAYOUT.names)
    assert table is not None
    cases = len(table)
    table = table.set_column(table.schema.get_field_index(packed.REDUCED), packed.REDUCED, pa.array([b""] * cases))
    for number in numbers:
        host, day = number % hosts, number // hosts
        target = folder / f"run{number:06d}"
        target.mkdir(parents=True, exist_ok=True)
        factor = 1 + NOISE * np.random.default_rng(number).standard_normal(cases)
        factor[host % EACH :: EACH] *= STEP if day >= runs // hosts // 2 else 1.0
        told = {"run": target.name, "machine_key": f"synthetic-{host:08x}"}
        created = f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
        document = {**run, "id": target.name, "machine_key": told["machine_key"], "created_utc": created}
        (target / schema.RUN_FILE).write_text(json.dumps(document))
        (target / schema.MACHINE_FILE).write_bytes(machine)
        (target / schema.ROWS_FILE).write_bytes(b"")
        columns = {name: pa.array([value] * cases) for name, value in (told | {"created_utc": created}).items()}
        columns |= {name: pa.array(table[name].to_numpy() * factor) for name in SERIES_COLUMNS}
        varied = pa.table([columns.get(name, table[name]) for name in table.schema.names], schema=packed.LAYOUT)
        kept.put(target, packed.NAME, packed.sealed(varied, kept.key_of(target) or ""))


def main() -> None:
    """Make the runs that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    for name, number in (("runs", 1000), ("hosts", 50), ("cases", 100)):
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    pattern = model(asked.folder.with_name(f"{asked.folder.name}-model"), asked.cases)
    part = partial(make, folder=asked.folder, pattern=pattern, runs=asked.runs, hosts=asked.hosts)
    ranges = [range(begin, min(begin + 500, asked.runs)) for begin in range(0, asked.runs, 500)]
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        for _ in pool.map(part, ranges):
            pass


if __name__ == "__main__":
    main()
