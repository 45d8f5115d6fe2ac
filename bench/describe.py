"""What run.json says about a run."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from fencepost.bench.documents import RunFactsJson
from fencepost.bench.engine import Engine
from fencepost.bench.labels import with_host
from fencepost.bench.launch import launcher_name
from fencepost.bench.plan import Plan

if TYPE_CHECKING:
    from fencepost.bench.objects import KernelObject


def describe_run(
    engine: Engine,
    plan: Plan,
    objects: Sequence[KernelObject] = (),
    command: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> RunFactsJson:
    """What run.json holds beside the run's id and time: the plan, and all that it is carried out with.

    Parameters
    ----------
    objects
        kernels of a user's own, loaded into `engine`.
    command
        what the user called; by default ``fencepost`` with the arguments of this process.
    labels
        what the user says of the machine. The name of the host is added, see `fencepost.bench.labels.with_host`.
    """
    from fencepost.bench.doctor.examine import examine
    from fencepost.bench.doctor.finding import PROFILES

    # Before the first round: what it finds is the state in which the run was made.
    asked = plan.profile if plan.profile in PROFILES else "standard"
    diagnosis = examine(cpus=plan.cpus, profile=asked, perf_events=engine.perf_events())
    facts: RunFactsJson = {
        "command": list(command or ("fencepost", *sys.argv[1:])),
        "launcher": launcher_name(),
        "versions": {
            "fencepost": _version("fencepost"),
            "python": platform.python_version(),
            "cffi": _version("cffi"),
        },
        "engine": {
            "arch": engine.arch,
            "compiler": engine.compiler,
            "flags": engine.flags,
            "sha256": engine.sha256,
        },
        "doctor": diagnosis.as_record(),
        "plan": plan.as_json(),
        "plan_sha256": plan.sha256(),
    }
    if objects:
        facts["objects"] = [item.as_json() for item in objects]
    found = with_host(labels or {})
    if found:
        facts["labels"] = found
    return facts


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
