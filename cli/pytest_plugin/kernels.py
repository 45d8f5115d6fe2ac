"""Kernels of one's own as rows of pytest-benchmark: what `FencepostBenchmark.kernel` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fencepost.bench.errors import FencepostError, MeasureError, RunInterruptedError, UsageError
from fencepost.cli.pytest_plugin.rows import BenchmarkRow, Suite, measure, plan_of

if TYPE_CHECKING:
    from fencepost.bench.catalog import Catalog, KernelInfo
    from fencepost.bench.overrides import Override
    from fencepost.bench.plan import Plan


def kernel_row(
    request: pytest.FixtureRequest,
    files: str | Path | Sequence[str | Path],
    name: str | None,
    cflags: str,
    cpus: Sequence[int] | None,
    parameters: Mapping[str, str | int],
    *,
    enabled: bool,
) -> BenchmarkRow:
    """Measure one case of a kernel file, beside the control cases; arguments as `FencepostBenchmark.kernel` has them.

    What is wrong with the file, the call or the kernel is in `BenchmarkRow.failed`. What is missing here is in
    `BenchmarkRow.skipped`.
    """
    given = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    shown = " and ".join(file.name for file in given)
    try:
        return _measured(request, given, shown, name, cflags, cpus, parameters, enabled=enabled)
    except RunInterruptedError as error:
        pytest.exit(f"fencepost: {error}", returncode=error.exit_code)
    except FencepostError as error:
        return BenchmarkRow(name or shown, failed=str(error))


def _measured(
    request: pytest.FixtureRequest,
    files: Sequence[Path],
    shown: str,
    name: str | None,
    cflags: str,
    cpus: Sequence[int] | None,
    parameters: Mapping[str, str | int],
    *,
    enabled: bool,
) -> BenchmarkRow:
    from fencepost.bench import engine
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.plan import own_selection
    from fencepost.cli.options import load_kernel_files

    # A copy: neither the suite's workers nor those of other tests shall load these objects.
    loaded = dataclasses.replace(engine.load(), objects={})
    paths = [request.path.parent / file for file in files]
    own = load_kernel_files(loaded, paths, cflags, lambda sentence: request.node.warn(UserWarning(sentence)))
    catalog = read_catalog(loaded, [item.label for item in own])
    kernel = _kernel(catalog, shown, name)
    selected, defaults = own_selection(catalog)
    # Under --benchmark-disable nothing is stored, so there is nothing to hold against controls.
    controls = [chosen for chosen in selected if not catalog.get(chosen).object] if enabled else []
    overrides = [*_overrides(kernel, parameters), *(item for item in defaults if item.pattern in controls)]
    try:
        plan = plan_of(loaded, catalog, request.config, [kernel.name, *controls], overrides)
    except MeasureError as error:
        return BenchmarkRow(kernel.name, skipped=str(error))
    for item in plan.unmeasurable:
        if item.kernel == kernel.name:
            return BenchmarkRow(item.case, skipped=f"not measurable here: {item.reason}")
    case = _case(plan, kernel.name, cpus)
    beside = {one.case for one in plan.cases if one.kernel in controls and one.twin_of is None}
    rows = measure(Suite(loaded, plan, own), {case} | beside, request, quick=not enabled)
    seen = {control: row.extra_info["ns"] for control, row in rows.items() if control in beside and row.samples}
    objects = {item.label: {"source_sha256": item.source_sha256, "sha256": item.sha256} for item in own}
    found = rows[case]
    return dataclasses.replace(found, extra_info={**found.extra_info, "controls_ns": seen, "objects": objects})


def _kernel(catalog: Catalog, shown: str, name: str | None) -> KernelInfo:
    """The kernel that is meant: `name`, or the only one of the user's."""
    own = [kernel for kernel in catalog.kernels.values() if kernel.object]
    names = ", ".join(kernel.name for kernel in own)
    if name is not None:
        for kernel in own:
            if kernel.name == name:
                return kernel
        raise UsageError(f"{shown}: no kernel {name!r}; it has {names}")
    if len(own) > 1:
        raise UsageError(f"{shown}: has {names}, and a test is one row; name the kernel after the file")
    return own[0]


def _overrides(kernel: KernelInfo, parameters: Mapping[str, str | int]) -> list[Override]:
    """One value for each parameter: what is given, or the default."""
    from fencepost.bench.overrides import Override

    texts = {parameter.name: str(parameter.show(parameter.initial)) for parameter in kernel.parameters}
    for name, value in parameters.items():
        if len(kernel.parameter(name).parse_list(str(value))) > 1:
            raise UsageError(
                f"kernel {kernel.name}: {name}={value} is several values, and a test is one row; "
                "let pytest.mark.parametrize make a test of each"
            )
        texts[name] = str(value)
    return [Override(kernel.name, name, text) for name, text in texts.items()]


def _case(plan: Plan, kernel: str, cpus: Sequence[int] | None) -> str:
    """The case of `kernel` on `cpus`, one for each thread; otherwise the first that the plan has."""
    cases = [case for case in plan.cases if case.kernel == kernel and case.twin_of is None]
    if cpus is None:
        return cases[0].case
    for case in cases:
        if case.cpus == tuple(cpus):
            return case.case
    places = " or ".join(str(list(case.cpus)) for case in cases[:4]) + (" …" if len(cases) > 4 else "")
    raise UsageError(f"kernel {kernel}: not placed on cpus={list(cpus)}; its placements here are {places}")
