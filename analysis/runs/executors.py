"""Where many runs are read: on this machine, or by the workers of a Dask cluster that see the same folders.

Any `concurrent.futures.Executor` will do for `map_runs`. What a worker makes of a run is the same to the last digit,
since workers with other versions are refused.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor
from pathlib import Path
from typing import Any

from fencepost.analysis.runs import kept

LOCAL, DASK = "local", "dask://"

AHEAD = 64
"""So many runs are handed over before the first answer is taken, so that memory does not grow with their number."""

PATIENCE_S = 10
"""A scheduler answers within milliseconds."""


class ExecutorError(ValueError):
    """The cluster cannot be used, or is gone."""


def in_order(executor: Executor, function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """``function(path)`` for each path, in their order, wherever `executor` calls it."""
    waiting = deque[Any]()
    for path in paths:
        if len(waiting) == AHEAD:
            yield waiting.popleft().result()
        waiting.append(executor.submit(function, path.absolute()))
    while waiting:
        yield waiting.popleft().result()


@contextlib.contextmanager
def executor_of(name: str, folder: Path) -> Iterator[Executor | None]:
    """The executor of this name, for the runs in a folder.

    Parameters
    ----------
    name
        ``local``, for which there is None, or ``dask://HOST:PORT``, the scheduler of a cluster.

    Raises
    ------
    ExecutorError
        where there is no such executor, where its workers have other versions or do not see the folder, and where the
        cluster ends before its work does.
    """
    if name == LOCAL:
        yield None
        return
    if not name.startswith(DASK):
        raise ExecutorError(f"--executor {name}: choose {LOCAL} or {DASK}HOST:PORT, the scheduler of a Dask cluster")
    from distributed import Client, KilledWorker

    # It tells of each lost connection. What that means for the answer is told in one sentence, if anything.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(f"tcp://{name.removeprefix(DASK)}", timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ExecutorError(f"--executor {name}: no scheduler of Dask answers there") from error
    try:
        _require_alike(name, client.run(_told, folder.absolute()), folder)
        # Not pure: a run may have changed since the same was asked.
        yield client.get_executor(pure=False)
    except (KilledWorker, CancelledError) as error:
        raise ExecutorError(
            f"--executor {name}: the cluster ended, or each worker that had a run was lost; what was read is kept, "
            "and the same command goes on"
        ) from error
    finally:
        with contextlib.suppress(Exception):  # the cluster may be gone
            client.close(timeout=1)


def _told(folder: Path) -> tuple[str, bool]:
    """What a worker has: its rule, and whether it sees the runs."""
    return kept.rule(), folder.is_dir()


def _require_alike(name: str, workers: dict[str, tuple[str, bool]], folder: Path) -> None:
    if not workers:
        raise ExecutorError(f"--executor {name}: the cluster has no workers; start some with `dask worker`")
    for worker, (rule, sees) in workers.items():
        if rule != kept.rule():
            raise ExecutorError(
                f"--executor {name}: the worker {worker} has other versions of fencepost, Python or pandas than this "
                "machine; install the same there"
            )
        if not sees:
            raise ExecutorError(
                f"--executor {name}: the worker {worker} does not see {folder.absolute()}; put the runs where all "
                "workers see them under the same path"
            )
