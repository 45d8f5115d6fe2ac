"""Rows that go through shared caches or memory are as found: no witness shows what other cores do to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs.write import Case, machine_document, write_run

from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.shares import shares_of
from fencepost.bench.caches import SMALLEST_OWN_BYTES, own_cache_bytes

KIB, MIB = 1 << 10, 1 << 20


def measured(folder: Path, *cases: Case) -> tuple[Row, ...]:
    write_run(folder, cases, rounds=8, batches=40, unmeasurable=())
    return analyse(folder).rows


def walk(size: str, **metrics: float) -> Case:
    return Case("test/walk", {"size": size}, ns=5.0, neighbour=0.7, metrics=metrics, metric_noise=0.0)


def test_what_fits_into_the_cache_of_the_core_is_alone(tmp_path: Path) -> None:
    small, shared = measured(tmp_path / "run", walk("512KiB"), walk("4MiB"))
    assert (small.basis, small.why_found) == ("alone", "")
    assert (shared.basis, shared.why_found) == ("as found", "other cores share this memory")
    assert "as found: other cores share this memory" in shared.remarks()
    assert shared.time.value == shared.found.value > small.time.value * 1.1
    # It is not for want of quiet batches.
    assert "never_quiet" not in shared.flags


def test_a_kernel_without_a_size_states_its_footprint_as_a_metric(tmp_path: Path) -> None:
    small, shared = measured(
        tmp_path / "run",
        Case("test/few", ns=5.0, neighbour=0.5, metrics={"footprint_bytes": 64.0 * KIB}),
        Case("test/many", ns=5.0, neighbour=0.5, metrics={"footprint_bytes": 64.0 * MIB}),
    )
    assert (small.basis, shared.basis) == ("alone", "as found")
    assert shared.why_found == "other cores share this memory"


def test_the_metric_says_more_than_the_size(tmp_path: Path) -> None:
    (row,) = measured(tmp_path / "run", walk("4KiB", footprint_bytes=4.0 * MIB))
    assert row.basis == "as found"


def test_what_is_as_large_as_the_cache_does_not_fit(tmp_path: Path) -> None:
    below, equal = measured(tmp_path / "run", walk("1023KiB"), walk("1MiB"))
    assert (below.basis, equal.basis) == ("alone", "as found")


def test_the_shares_count_the_rows_that_can_never_be_alone(tmp_path: Path) -> None:
    found = shares_of(measured(tmp_path / "run", walk("4KiB"), walk("4MiB"), walk("8MiB")))
    assert found is not None
    assert (found.alone, found.shared, found.rows) == (1, 2, 3)


def cache(level: int, kind: str, size: int, shared_by: int) -> dict[str, object]:
    return {"level": level, "kind": kind, "size_bytes": size, "line_bytes": 64, "shared_by": shared_by, "count": 1}


SMT = {"cpus": [0, 1, 2, 3], "cores": [[0, 1], [2, 3]]}
FLAT = {"cpus": [0, 1, 2, 3], "cores": [[0], [1], [2], [3]]}
HYBRID = {"cpus": [0, 1, 2, 3, 4, 5], "cores": [[0, 1], [2], [3], [4], [5]]}


@pytest.mark.parametrize(
    ("topology", "caches", "cpu", "own"),
    [
        pytest.param(SMT, [cache(1, "data", 48 * KIB, 2), cache(2, "unified", 2 * MIB, 2)], 3, 2 * MIB, id="siblings"),
        pytest.param(FLAT, [cache(1, "data", 32 * KIB, 1), cache(2, "unified", 2 * MIB, 4)], 0, 32 * KIB, id="cluster"),
        pytest.param(FLAT, [cache(2, "unified", MIB, 1), cache(3, "unified", 32 * MIB, 1)], 0, MIB, id="guest's L3"),
        pytest.param(FLAT, [cache(2, "unified", MIB, 1), cache(2, "unified", 256 * KIB, 1)], 0, 256 * KIB, id="kinds"),
        pytest.param(HYBRID, [cache(1, "data", 32 * KIB, 1), cache(2, "unified", 2 * MIB, 2)], 0, 2 * MIB, id="large"),
        pytest.param(HYBRID, [cache(1, "data", 32 * KIB, 1), cache(2, "unified", 2 * MIB, 4)], 4, 32 * KIB, id="small"),
        pytest.param(FLAT, [cache(1, "instruction", 64 * KIB, 1)], 0, SMALLEST_OWN_BYTES, id="no data"),
        pytest.param({}, None, 0, SMALLEST_OWN_BYTES, id="nothing known"),
    ],
)
def test_the_last_cache_that_only_one_core_uses(
    topology: object, caches: list[dict[str, object]] | None, cpu: int, own: int
) -> None:
    assert own_cache_bytes(machine_document(topology=topology, caches=caches), cpu) == own
