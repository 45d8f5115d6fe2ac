"""Figures drawn by two processes, the same as if one had drawn them all: most of the time of a report is drawing.

A fork of this process draws from the end of the list and sends each figure when it is done; this one draws from the
front and ends where the two meet. It asks what has come and never waits for it, so that a fork which dies, hangs or
fails costs only the time that it would have saved.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from logging.handlers import BufferingHandler
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fencepost.analysis.draw.figure import Figure

Draw: TypeAlias = "Callable[[], Figure | None]"

WORTHWHILE = 8
"""Figures from which on a fork is worth what it takes (seen: 20 ms for all of it, 100 ms for a figure)."""

_PIPE = 1 << 20
"""Bytes that a pipe holds without a privilege (pipe(7)): every figure of a report, so that the fork never waits
either."""


_HEAD = 4
"""Bytes before each figure that tell its size."""


@contextlib.contextmanager
def begun(draws: Sequence[Draw]) -> Iterator[Callable[[], list[Figure | None]]]:
    """Begin to draw. What is yielded draws the rest and returns all figures, in the order of `draws`; until it is
    called, this process may do other things.

    Warnings and errors come from this process alone: what the fork cannot draw in silence, it leaves to this one. The
    fork ends with the context.
    """
    if len(draws) < WORTHWHILE or len(os.sched_getaffinity(0)) < 2 or threading.active_count() > 1:
        yield lambda: [draw() for draw in draws]
        return
    receiving, sending = os.pipe()
    os.set_blocking(receiving, False)
    with contextlib.suppress(OSError):  # a system that allows less
        fcntl.fcntl(sending, fcntl.F_SETPIPE_SZ, _PIPE)
    # Fork, as a process that begins anew would import and analyse everything again, and might find one round more.
    # This process has no threads of its own; those of OpenBLAS, Arrow and jemalloc have handlers for fork
    # (pthread_atfork(3)). Should the fork hang all the same, nobody waits for it.
    other = get_context("fork").Process(target=_draw_from_the_end, args=(draws, receiving, sending), daemon=True)
    try:
        with _uninterrupted(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that the process has threads (Python 3.12)
            other.start()
        yield lambda: _draw_from_the_front(draws, _Post(receiving))
    finally:
        if other.pid is not None:
            other.kill()
            other.join()
        os.close(receiving)
        os.close(sending)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A Ctrl-C meanwhile comes afterwards. At once it could leave a process of which nobody knows.

    Blocking the signal here is not enough: a library's thread, such as one of OpenBLAS, takes it, and Python then
    interrupts the main thread all the same.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


class _Post:
    """What the fork has sent so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._bytes = bytearray()
        self._figures: dict[int, Figure | None] = {}

    def figures(self) -> dict[int, Figure | None]:
        """All that has come as a whole, by place."""
        with contextlib.suppress(BlockingIOError):
            while some := os.read(self._descriptor, _PIPE):
                self._bytes += some
        while len(self._bytes) >= _HEAD:
            end = _HEAD + int.from_bytes(self._bytes[:_HEAD])
            if len(self._bytes) < end:
                break
            place, figure = pickle.loads(self._bytes[_HEAD:end])
            self._figures[place] = figure
            del self._bytes[:end]
        return self._figures


def _draw_from_the_front(draws: Sequence[Draw], post: _Post) -> list[Figure | None]:
    figures = []
    for place, draw in enumerate(draws):
        sent = post.figures()
        figures.append(sent[place] if place in sent else draw())
    return figures


def _draw_from_the_end(draws: Sequence[Draw], receiving: int, sending: int) -> None:
    # Ctrl-C and termination end the fork at once and in silence; what the user sees comes from the process that was
    # started. When that one is gone, sending fails.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.close(receiving)
    listener = BufferingHandler(len(draws) * 1000)
    listener.setLevel(logging.WARNING)
    logging.root.handlers[:] = [listener]
    for place in reversed(range(len(draws))):
        try:
            with warnings.catch_warnings(record=True) as warned:
                figure = draws[place]()
        except Exception:
            continue
        if warned or listener.buffer:
            listener.flush()
            continue
        message = pickle.dumps((place, figure))
        try:
            with open(sending, "wb", closefd=False) as pipe:
                pipe.write(len(message).to_bytes(_HEAD) + message)
        except OSError:
            return


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage in cycles meanwhile: what a report is made of are millions of small objects that stay until
    they are drawn, and going over them took a tenth of its time (and 45 MB less of memory).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
