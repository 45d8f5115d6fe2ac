"""What the analysis makes of synthetic rows in memory: most tests look at figures, and need no files."""

from __future__ import annotations

import atexit
import functools
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from runs.write import Case, make_run, write_run

from fencepost.analysis.runs.estimate import Analysis, analysis_of
from fencepost.analysis.runs.medians import reduce_these
from fencepost.analysis.runs.rounds import Round
from fencepost.bench import schema
from fencepost.bench.documents import RoundRecord, RunJson
from fencepost.bench.witness import run_floor


def analysed(cases: Sequence[Case], name: str = "run", **options: Any) -> Analysis:
    """The analysis of a run that is made with these `options` of `make_run`. Its folder has no round."""
    made = make_run(name, cases, **options)
    folder = _folder()
    rounds = [
        Round(schema.round_file(folder, number), number, cast(RoundRecord, record), table)
        for number, (table, record) in enumerate(made.rounds, 1)
    ]
    floor = run_floor((item.record["worker"].get("width_floor") for item in rounds), made.run["engine"]["arch"])
    return analysis_of(
        reduce_these(folder, cast(RunJson, made.run), made.machine, rounds, math.nan if floor is None else floor)
    )


@functools.cache
def _folder() -> Path:
    """A folder for all of them: a report says the hash of its files."""
    above = Path(tempfile.mkdtemp(prefix="fencepost-tests-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    return write_run(above / "run", [], rounds=0)
