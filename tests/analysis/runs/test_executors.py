"""Runs that are read by any executor, or by a Dask cluster: the same figures, and a sentence where it fails."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from runs.measure import fencepost_inside
from runs.write import plain_cases, write_run

from fencepost.analysis.compare.collected import Collected
from fencepost.analysis.runs import executors, kept
from fencepost.analysis.runs.estimate import estimate_runs
from fencepost.analysis.runs.executors import AHEAD, ExecutorError, executor_of, in_order
from fencepost.bench.errors import EXIT_USAGE

RUNS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("executors") / "runs"
    for number in range(RUNS):
        write_run(base / f"run{number}", plain_cases(2), rounds=6, seed=number)
    return base


def folders(base: Path) -> list[Path]:
    return sorted(path.parent for path in base.glob("*/run.json"))


def test_any_executor_gives_the_same_figures(made: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = estimate_runs(folders(made), executor=pool)
    pd.testing.assert_frame_equal(found, estimate_runs(folders(made)))


def test_answers_come_in_order_and_few_wait_at_once(tmp_path: Path) -> None:
    class Noted(Executor):
        waiting = most = 0

        def submit(self, function: Any, /, *words: Any, **more: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(function(*words))
            Noted.waiting += 1
            Noted.most = max(Noted.most, Noted.waiting)
            return future

    paths = [tmp_path / str(number) for number in range(3 * AHEAD)]
    for path, answer in zip(paths, in_order(Noted(), str, paths), strict=True):
        Noted.waiting -= 1
        assert answer == str(path)
    assert Noted.most == AHEAD


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("spark://here", "choose local or dask://HOST:PORT"),
        pytest.param("dask://127.0.0.1:1", "no scheduler of Dask answers there", marks=pytest.mark.slow),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(
    name: str, sentence: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE_S", 0.2)
    done = fencepost_inside("history", str(made), "--executor", name, cwd=made)
    assert done.returncode == EXIT_USAGE and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


class Cluster:
    """A scheduler and workers, in processes of their own."""

    def __init__(self, workers: int) -> None:
        from distributed import LocalCluster

        self.cluster = LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=":0")
        self.name = self.cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Dask sets variables of malloc and of BLAS in this process, for its workers.
    before = dict(os.environ)
    found = Cluster(2)
    yield found
    found.cluster.close()
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def killing(path: Path) -> str:
    """The name of a run. The first worker that is asked for run1 is killed by it."""
    mark = path.parent / "killed"
    if path.name == "run1" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def deadly(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_is_lost_in_mid_work_costs_nothing(made: Path, tmp_path: Path, cluster: Cluster) -> None:
    shutil.copytree(made, tmp_path / "runs")
    paths = folders(tmp_path / "runs")
    with executor_of(cluster.name, tmp_path / "runs") as executor:
        assert executor is not None
        assert list(in_order(executor, killing, paths)) == [path.name for path in paths]
        assert (tmp_path / "runs" / "killed").exists()
        found = estimate_runs(paths, executor=executor)
        with Collected(tmp_path / "runs", paths, None, executor) as collected:
            assert [one.note for one in collected.runs] == [""] * RUNS
    pd.testing.assert_frame_equal(found, estimate_runs(paths))
    assert all((path / "cache" / "rows.parquet").is_file() for path in paths)


@pytest.mark.slow
def test_workers_of_other_versions_and_without_the_runs_are_refused(
    made: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(ExecutorError, match="does not see /nowhere/runs"),
        executor_of(cluster.name, Path("/nowhere/runs")),
    ):
        pass
    monkeypatch.setattr(kept, "rule", lambda: "another")
    with pytest.raises(ExecutorError, match="has other versions of fencepost"), executor_of(cluster.name, made):
        pass
    with pytest.raises(ExecutorError, match="has no workers"):
        executors._require_alike(cluster.name, {}, made)


@pytest.mark.slow
def test_a_run_that_ends_every_worker_is_one_sentence(made: Path) -> None:
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        found = Cluster(1)
    try:
        with (
            pytest.raises(ExecutorError, match="each worker that had a run was lost"),
            executor_of(found.name, made) as executor,
        ):
            assert executor is not None
            list(in_order(executor, deadly, folders(made)[:1]))
    finally:
        found.cluster.close()
