"""How long do many runs take to reduce? Makes run folders with made-up rows, reduces them to estimates, and reports
time and memory.

    python benchmarks/reduce.py --runs 1000 --rounds 20 --rows 5000 --folder /some/where

The default is small; the size above is 10^8 rows and some 4 GB of disk. Folders that are there already are used again.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from runs import write as synthetic

from fencepost.analysis.runs.estimate import estimate_runs


def make(number: int, folder: Path, rounds: int, rows: int, cases: int) -> Path:
    """Write run `number` with its own seed, unless it is there."""
    target = folder / f"run{number:04d}"
    if not (target / "made").exists():
        shutil.rmtree(target, ignore_errors=True)
        synthetic.write_run(
            target, synthetic.plain_cases(cases), rounds=rounds, batches=rows // cases, seed=number, unmeasurable=[]
        )
        (target / "made").touch()
    return target


def resident_bytes() -> int:
    """Resident memory of this process and all its descendants, pages that they share counted once each (PSS)."""
    total, waiting = 0, [str(Path("/proc/self").resolve().name)]
    while waiting:
        process = waiting.pop()
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += (task / "children").read_text().split()
            line = next(
                line
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                if line.startswith("Pss:")
            )
            total += int(line.split()[1]) * 1024
        except (OSError, StopIteration):
            continue
    return total


def watch(stop: threading.Event, peak: list[int]) -> None:
    """Keep the largest value of `resident_bytes` until `stop`."""
    stopped = False
    while not stopped:
        peak[0] = max(peak[0], resident_bytes())
        stopped = stop.wait(1.0)


def main() -> None:
    """Generate, reduce, report as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=5000, help="rows a round")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where to keep the runs; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        work = partial(make, folder=folder, rounds=arguments.rounds, rows=arguments.rows, cases=arguments.cases)
        with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
            folders = list(pool.map(work, range(1, arguments.runs + 1), chunksize=4))
        stop, peak = threading.Event(), [0]
        watcher = threading.Thread(target=watch, args=(stop, peak), daemon=True)
        watcher.start()
        begin = time.perf_counter()
        estimates = estimate_runs(folders)
        seconds = time.perf_counter() - begin
        stop.set()
        watcher.join()
    rows = int(estimates["batches"].sum())
    result = {
        "batch_rows": rows,
        "runs": len(folders),
        "estimates": len(estimates),
        "seconds": round(seconds, 2),
        "peak_mib": round(peak[0] / 2**20),
        "largest_process_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
