"""Runs of made-up machines, and their folders in a gallery."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runs.measure import fencepost_inside
from runs.write import Case, machine_document, write_run
from topics.line.cases import pingpong_cases
from topics.suite import suite_cases

from fencepost.analysis.gallery.check import check_gallery
from fencepost.analysis.gallery.entry import published_folders
from fencepost.analysis.text.escape import HIDDEN
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import RUN_FILE, hash_of

PLAIN = Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27)
TWINS = (PLAIN, PLAIN.twin(), Case("memory/chase", {"size": 4096, "pages": "small", "order": "random"}, ns=1.1))


def measured(folder: Path, cases: list[Case] | None = None, **facts: Any) -> Path:
    """A run of a machine whose key follows from its facts, as a run's does."""
    machine = machine_document(**{"cpus_present": [0, 1], "caches": [], "hypervisor": {"guest": False}} | facts)
    pairs = pingpong_cases({(0, 1): ("same_l3", 40.0), (1, 0): ("same_l3", 42.0)})
    facts = {**machine, "key": machine_key(machine)}
    folder = write_run(folder, cases or [*suite_cases()[:3], *TWINS, *pairs], machine=facts)
    edit(folder / RUN_FILE, lambda run: run.update(machine_key=facts["key"]))
    return folder


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    if path.name == RUN_FILE and "sha256" in document:  # an edit that is not seen by that: somebody has made it anew
        document["sha256"] = hash_of(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def published(results: Path, run: Path, *more: str) -> Path:
    done = fencepost_inside("publish", str(run), "--results", str(results), *more, cwd=results.parent)
    assert done.returncode == 0, done.stderr
    return next(path for path in published_folders(results))


def only(results: Path) -> Path:
    (folder,) = published_folders(results)
    return folder


def faults(results: Path) -> list[str]:
    found = check_gallery(results, machine_key)
    assert all("\n" not in fault and not HIDDEN.search(fault) for fault in found)
    return found
