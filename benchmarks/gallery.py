"""How long do the gallery's pages take? Publishes made-up runs of many machines, writes the pages,
and reports the time.

    python benchmarks/gallery.py --machines 200 --folder /some/where

The default is small. Folders that are there already are used again. One made-up report serves all machines: the pages
are not made of the reports.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from dataclasses import replace

import numpy as np
from runs import write as synthetic
from topics.branch.cases import branch_cases
from topics.fence.cases import fence_cases
from topics.line.cases import pingpong_cases, stride_cases
from topics.suite import suite_cases

from fencepost.analysis.gallery.check import check_gallery
from fencepost.analysis.gallery.entry import REPORT, SUMMARY, data_files, derived_files, report_file
from fencepost.analysis.gallery.pages import build
from fencepost.analysis.runs.estimate import analyse
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import ROWS_FILE

MODELS = (
    ("AMD EPYC 9B14", "AuthenticAMD", "x86_64"),
    ("Intel(R) Xeon(R) Platinum 8488C", "GenuineIntel", "x86_64"),
    ("AMD Ryzen 9 7950X 16-Core Processor", "AuthenticAMD", "x86_64"),
    ("Intel(R) Core(TM) i9-14900K", "GenuineIntel", "x86_64"),
    ("Neoverse-V2", "ARM", "aarch64"),
    ("Cortex-A76", "ARM", "aarch64"),
)
CPUS = (2, 4, 8, 12, 16, 24, 32, 48)


def cases(number: int, cpus: int, factor: float) -> list[synthetic.Case]:
    """A whole suite at `factor` times its usual cost, with pairs of `cpus` CPUs in clusters of four."""
    generator = np.random.default_rng(number)
    near, far = generator.uniform(20, 45), generator.uniform(60, 400)
    pairs = {
        (a, b): ("same_l3", near * generator.uniform(0.95, 1.05))
        if a // 4 == b // 4
        else ("same_package", far * generator.uniform(0.95, 1.05))
        for a in range(cpus)
        for b in range(cpus)
        if a > b
    }
    suite = [*suite_cases(), *branch_cases(), *fence_cases(), *stride_cases()]
    return [replace(case, ns=case.ns * factor) for case in suite] + pingpong_cases(pairs)


def publish(number: int, results: Path) -> Path:
    """Write the published folder of machine `number`, without its report, unless it is there."""
    model, vendor, arch = MODELS[number % len(MODELS)]
    cpus = CPUS[number // len(MODELS) % len(CPUS)]
    machine = {
        "cpu_model": f"{model} {number}" if number >= len(MODELS) * len(CPUS) else model,
        "arch": arch,
        "cpu_vendor": vendor,
        "cpus_present": list(range(cpus)),
        "hypervisor": {"guest": number % 3 == 0, "kind": "kvm" if number % 3 == 0 else None, "system_vendor": None},
        "caches": [],
    }
    machine["key"] = machine_key(synthetic.machine_document(**machine))
    target = results / f"2026-01-02-{machine['key']}"
    if (target / SUMMARY).exists():
        return target
    factor = float(np.random.default_rng(number).uniform(0.7, 2.2))
    with tempfile.TemporaryDirectory() as scratch:
        folder = synthetic.write_run(
            Path(scratch) / "run", cases(number, cpus, factor), batches=3, seed=number, machine=machine, unmeasurable=[]
        )
        run = json.loads((folder / "run.json").read_text())
        run["machine_key"] = machine["key"]
        (folder / "run.json").write_text(json.dumps(run))
        analysis = analyse(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, content in {**data_files(analysis, "0.1.0"), **derived_files(analysis)}.items():
            (target / name).write_bytes(content)
    return target


def main() -> None:
    """Generate, build, and check where it was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where to keep the gallery; a temporary folder by default")
    parser.add_argument("--check", action="store_true", help="time the check of all folders too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = arguments.folder or Path(temporary)
        results.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
            folders = list(pool.map(partial(publish, results=results), range(arguments.machines), chunksize=4))
        page = report_file(analyse(folders[0]), b"").decode()
        for folder in folders:
            digest = hashlib.sha256((folder / ROWS_FILE).read_bytes()).hexdigest()
            stamped = page.replace(hashlib.sha256(b"").hexdigest(), digest)
            (folder / REPORT).write_text(stamped, encoding="utf-8")
        begin = time.perf_counter()
        pages, left_out = build(results)
        for name, content in pages.items():
            (results / name).write_bytes(content)
        seconds = time.perf_counter() - begin
        result = {
            "machines": len(set(folders)),
            "seconds": round(seconds, 2),
            "left_out": len(left_out),
            "bytes": {name: len(content) for name, content in pages.items()},
        }
        if arguments.check:
            begin = time.perf_counter()
            result["faults"] = len(check_gallery(results, machine_key))
            result["check_seconds"] = round(time.perf_counter() - begin, 2)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
