"""Cut the rows of one kernel out of a run, for the tests of its claims: see `topics.stored`.

``python tests/topics/cut.py RUN KERNEL`` writes tests/topics/TOPIC/rows/KERNEL.json.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.model import Reduced

DIGITS = 7
"""Of a number: more than any interval has."""

PROCESSES = 20
"""As many as the other stored rows have."""


def short(number: float) -> float | None:
    """A number with as many digits as are kept; None for NaN."""
    return None if math.isnan(number) else float(f"{number:.{DIGITS}g}")


def rows_of(reduced: Reduced, case: dict[str, Any]) -> dict[str, Any]:
    """One case with its figures."""
    measured = (reduced.processes["case"] == case["case"]) & (reduced.processes["status"] == "ok")
    lines = reduced.processes[measured].head(PROCESSES).to_dict("records")
    timed = case["kind"] != "counts"
    return {
        "case": case,
        "round": [line["round"] for line in lines],
        "ns": [short(line["ns"]) for line in lines] if timed else [],
        "resolution_ns": [short(line["resolution_ns"]) for line in lines] if timed else [],
        "metrics": {name: [short(line["metrics"][name]) for line in lines] for name in lines[0]["metrics"]},
        "counts": {name: [[*line["counts"][name]] for line in lines] for name in lines[0]["counts"]},
    }


def main(run: str, kernel: str) -> None:
    """Write the file. Cases that could not be measured are left out."""
    reduced = reduce_run(Path(run))
    measured = set(reduced.processes.loc[reduced.processes["status"] == "ok", "case"])
    cases: list[Any] = [case for case in reduced.run["plan"]["cases"] if case["case"] in measured]
    found = [rows_of(reduced, case) for case in cases if case["kernel"] == kernel and not case["twin_of"]]
    topic, _, variant = kernel.partition("/")
    path = Path(__file__).resolve().parent / topic / "rows" / f"{variant}.json"
    path.parent.mkdir(exist_ok=True)
    lines = (json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in found)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
