"""What the plugin for pytest does when it is used: measure, and replay the samples through pytest-benchmark.

pytest-benchmark stores what its timer says, so it is given one that says what was measured: a clock that stands at zero
when a round begins and at the sample when it ends. A sample less zero is that sample, to the last bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from fencepost.bench.errors import FencepostError, RunInterruptedError
from fencepost.bench.files import words_of

if TYPE_CHECKING:
    from fencepost.analysis.runs.estimate import Analysis
    from fencepost.bench.catalog import Catalog
    from fencepost.bench.engine import Engine
    from fencepost.bench.objects import KernelObject
    from fencepost.bench.overrides import Override
    from fencepost.bench.plan import Plan

Result = TypeVar("Result")


@dataclass(frozen=True)
class BenchmarkRow:
    """A case for pytest-benchmark: `samples` in seconds an operation, one a process; or why there are none."""

    case: str
    samples: tuple[float, ...] = ()
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    failed: str | None = None


# ---- the suite ----


def require_usable_options(config: pytest.Config) -> None:
    """End the session before anything is measured where pytest-benchmark would fail at its end, in a traceback."""
    from importlib.util import find_spec

    session = config.pluginmanager.get_plugin("pytest-benchmark")
    if session is None or session.disabled or session.skip or config.option.collectonly:
        return  # no rows: it will not come to that
    missing = [name for name in ("pygal", "pygaljs") if find_spec(name) is None]
    refused = None
    if session.histogram and missing:
        refused = f"--benchmark-histogram: {' and '.join(missing)} missing; pip install pygal pygaljs"
    elif session.compare_fail and not session.compared_mapping:
        refused = "--benchmark-compare-fail: nothing to compare with: "
        if not session.compare:
            refused += "add --benchmark-compare (with the session saved last) or --benchmark-compare=0001 (with that)"
        else:
            asked = "" if session.compare is True else f" that is {session.compare}"
            refused += f"{session.storage} has no saved session{asked}; save one first with --benchmark-autosave"
    if refused is not None:
        pytest.exit(f"fencepost: {refused}", returncode=2)


@dataclass
class Suite:
    """A plan, and what came of it. `objects` are kernels of the user's own, loaded into `engine`."""

    engine: Engine
    plan: Plan
    objects: Sequence[KernelObject] = ()
    rows: dict[str, BenchmarkRow] | None = None
    fault: str | None = None


_SUITE = pytest.StashKey[Suite]()


_WORDS = pytest.StashKey[list[str]]()


def parameters(config: pytest.Config) -> list[Any]:
    """Cases of the plan without their A/A twins, as parameters of a test, grouped by topic."""
    suite = _suite(config)
    names = [case.case for case in suite.plan.cases if case.twin_of is None]
    names += [item.case for item in suite.plan.unmeasurable]
    return [pytest.param(name, id=name, marks=pytest.mark.benchmark(group=name.partition("/")[0])) for name in names]


def _suite(config: pytest.Config) -> Suite:
    if _SUITE not in config.stash:
        from fencepost.bench import engine
        from fencepost.bench.catalog import read_catalog

        try:
            loaded = engine.load()
            config.stash[_SUITE] = Suite(loaded, plan_of(loaded, read_catalog(loaded), config))
        except FencepostError as error:
            # Of a fault in collection pytest shows the words alone; of any other exception the way it came.
            raise pytest.Collector.CollectError(f"fencepost: {error}") from error
    return config.stash[_SUITE]


def plan_of(
    engine: Engine,
    catalog: Catalog,
    config: pytest.Config,
    patterns: Sequence[str] = (),
    overrides: Sequence[Override] = (),
) -> Plan:
    """The plan of this session's profile on the CPUs of this process; raises like `fencepost.bench.plan.make_plan`."""
    import os

    from fencepost.bench import plan as plans
    from fencepost.bench import profiles
    from fencepost.bench.placement import allowed_cpus
    from fencepost.bench.topology import read_topology

    topology = read_topology(cpus=os.sched_getaffinity(0))
    return plans.make_plan(
        engine,
        catalog,
        profiles.PROFILES[config.getoption("--fencepost-profile")],
        plans.placer_on(topology, allowed_cpus(topology)),
        patterns=patterns,
        overrides=overrides,
        seed=secrets.randbits(32),
    )


def row(request: pytest.FixtureRequest, *, enabled: bool) -> BenchmarkRow:
    """The row that the parameter of `request` names."""
    suite = _suite(request.config)
    for item in suite.plan.unmeasurable:
        if item.case == request.param:
            return BenchmarkRow(item.case, skipped=f"not measurable here: {item.reason}")
    if not enabled:
        # Nothing will be stored: one process, this case alone, so that its check has run.
        try:
            return measure(suite, {request.param}, request, quick=True)[request.param]
        except FencepostError as error:
            return BenchmarkRow(request.param, failed=str(error))
    if suite.rows is None:
        chosen = {name for item in request.session.items if (name := _row_of(item)) is not None}
        try:
            suite.rows = measure(suite, chosen, request)
        except RunInterruptedError as error:
            pytest.exit(f"fencepost: {error}", returncode=error.exit_code)
        except FencepostError as error:
            suite.rows, suite.fault = {}, str(error)
    if suite.fault is not None:
        return BenchmarkRow(request.param, failed=suite.fault)
    return suite.rows[request.param]


def _row_of(item: pytest.Item) -> str | None:
    """The case that a test of the suite is about."""
    name: str | None = getattr(getattr(item, "callspec", None), "params", {}).get("fencepost_row")
    return name


def measure(
    suite: Suite, chosen: set[str], request: pytest.FixtureRequest, *, quick: bool = False
) -> dict[str, BenchmarkRow]:
    """Measure the cases `chosen` and the twins of these, in fresh processes, and reduce them to rows.

    With `quick` in one process only, and nothing is kept or said.
    """
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.analysis.text.numbers import counted, short
    from fencepost.cli.display import duration

    plan = part_of(suite.plan, chosen, 1 if quick else suite.plan.rounds)
    out = None if quick else request.config.getoption("--fencepost-out")
    number = counted(len(plan.cases), "case")
    if not quick and (not suite.objects or plan.expected_ns > WORTH_SAYING_NS):
        _say(
            request.config,
            f"fencepost: measuring {number} in {plan.rounds} processes, about {duration(plan.expected_ns)} …",
        )
    path = _run(dataclasses.replace(suite, plan=plan), request, out)
    analysis = analyse(path)
    if not quick:
        words = request.config.stash.setdefault(_WORDS, [])
        if not suite.objects:
            said = f"fencepost: measured {number} in {plan.rounds} processes"
            if math.isfinite(analysis.noise_floor_pct):
                said += f"; noise floor: {short(analysis.noise_floor_pct, 2)} %"
            words.append(said)
        if out is not None:
            words.append(f"fencepost: all samples are in {path}; write its report with: fencepost report {path}")
    return rows_of(analysis)


def part_of(plan: Plan, chosen: set[str], rounds: int) -> Plan:
    """The plan of a run of the cases `chosen` and their twins. It is shorter, so its times are its own."""
    cases = tuple(case for case in plan.cases if (case.twin_of or case.case) in chosen)
    cpus = tuple(sorted({cpu for case in cases for cpu in case.cpus}))
    part = dataclasses.replace(plan, rounds=rounds, cases=cases, unmeasurable=(), cpus=cpus)
    return part.sparing().going_on()


WORTH_SAYING_NS = 2e9
"""Kernels of one's own that take no longer are measured without a word, as any other test."""


def _run(suite: Suite, request: pytest.FixtureRequest, out: str | None) -> Path:
    """Measure the plan of `suite`; returns the run folder, in `out`, or in one that pytest removes some day."""
    from fencepost.bench import runfolder
    from fencepost.bench.describe import describe_run
    from fencepost.bench.machine import describe_machine
    from fencepost.bench.runner import Runner

    if out is None:
        factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        base = factory.mktemp("fencepost")
    else:
        base = Path(out)
    engine = suite.engine
    machine = describe_machine(capabilities=engine.capabilities(), perf_events=engine.perf_events(), tick=engine.tick())
    record = describe_run(engine, suite.plan, suite.objects, command=["pytest", *sys.argv[1:]])
    with runfolder.create(base, machine, record) as folder:
        Runner(engine, folder).run()
        return folder.path


def rows_of(analysis: Analysis) -> dict[str, BenchmarkRow]:
    """Rows by case. A sample is the median of one process, in seconds; intervals and the rest go beside them."""
    from fencepost.analysis.runs.row import COLUMNS, EXTRA_INFO_COLUMNS

    frame = analysis.processes
    good = frame[(frame["status"] == "ok") & frame["ns"].notna()].sort_values("round")
    samples = {str(case): (group["ns"] / 1e9).tolist() for case, group in good.groupby("case", observed=True)}
    workers = analysis.reduced.workers
    facts = {
        "samples": "the median of one fresh process each",
        "tick_source": str(workers["tick_source"].iloc[0]),
        "tick_hz": float(workers["tick_hz"].median()),
        "noise_floor_pct": analysis.noise_floor_pct,
        "run": analysis.run["id"],
        "profile": analysis.run["plan"]["profile"],
        "engine_sha256": analysis.run["engine"]["sha256"],
    }
    rows: dict[str, BenchmarkRow] = {}
    for row in analysis.rows:
        name = row.case
        own = tuple(samples.get(name, ()))
        if row.reason:
            failed = "failed" in row.flags
            rows[name] = BenchmarkRow(name, failed=row.reason) if failed else BenchmarkRow(name, skipped=row.reason)
        elif row.kind == "counts":
            rows[name] = BenchmarkRow(name, skipped="counts and takes no time (fencepost report shows what it found)")
        elif not own or min(own) <= 0:
            # pytest-benchmark divides rows by the smallest of their group, and compares by ratios.
            words = "reads zero: there is no ratio to it (fencepost report shows the figure)"
            rows[name] = BenchmarkRow(name, skipped=words)
        else:
            metrics = {
                metric: {key: _known(value) for key, value in found.as_dict().items() if key in BESIDE_METRIC}
                for metric, found in row.metrics.items()
            }
            shown = {key: COLUMNS[key](row) for key in EXTRA_INFO_COLUMNS}
            beside = shown | {"flags": list(row.flags), "metrics": metrics} | facts
            rows[name] = BenchmarkRow(name, own, {key: _known(value) for key, value in beside.items()})
    return rows


BESIDE_METRIC = ("value", "low", "high", "unit")
"""What goes into extra_info of each of a kernel's own metrics."""


def _known(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


MACHINE_FACTS = ("key", "cpu_model", "microcode", "kernel", "hypervisor", "smt", "turbo", "governor", "clocksource")
"""Facts that bend figures and do not change by themselves: pytest-benchmark warns where they differ."""


def machine_facts() -> dict[str, object]:
    """For machine_info. Only what stays the same from one session to the next on an unchanged machine."""
    from fencepost.bench import engine
    from fencepost.bench.machine import describe_machine

    try:
        described: Mapping[str, object] = describe_machine()
        facts = {name: described[name] for name in MACHINE_FACTS if name in described}
        loaded = engine.load()
    except (FencepostError, ValueError, OSError) as error:
        return {"unknown": words_of(error, named=True)}
    return facts | {"compiler": loaded.compiler, "flags": loaded.flags}


def _say(config: pytest.Config, sentence: str) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if reporter is not None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            reporter.ensure_newline()
            reporter.write_line(sentence)


def is_regression(error: Exception) -> bool:
    """Whether this is how pytest-benchmark ends a session whose rows are slower than they may be."""
    from pytest_benchmark.session import PerformanceRegression

    return isinstance(error, PerformanceRegression)


def closing_words(config: pytest.Config) -> list[str]:
    """Sentences for the end of the session."""
    return config.stash.get(_WORDS, [])
