"""Objects of the user are loaded in a child first: what they do while they are loaded ends the child, not fencepost.

A damaged object ends the process that loads it by a signal. A constructor in it may exit, print, or never return. None
of this can be told from the file, so it is tried.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import selectors
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import NoReturn

from fencepost.bench.errors import UsageError
from fencepost.bench.launch import memory_file

PATIENCE_S = 30.0
"""For a load with its constructors: a second is much, and a machine may be busy."""

_DONE = b"\x01"
_MOST_SAID = 1 << 16
"""Bytes that a load may print before it is ended. They lie in memory."""


def try_first(load: Callable[[], object], shown: str) -> None:
    """Call `load` in a child.

    Faults that `load` raises are left to the caller, who meets them again.

    Raises
    ------
    UsageError
        when the child ends by a signal, exits, prints, or does not return. `shown` names the object.
    """
    receiving, sending = os.pipe()
    output = memory_file("load")
    for stream in (sys.stdout, sys.stderr):  # or the child would write again what stands in them
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that the process has threads (Python 3.12)
        child = os.fork()
    if child == 0:
        _in_child(load, sending, output.fileno())
    os.close(sending)
    try:
        done = None
        try:
            done = _wait_for(receiving)
        finally:  # also after an interrupt
            ended = _end(child, kill=done is None)
        said = os.pread(output.fileno(), _MOST_SAID, 0).decode("utf-8", "replace").split("\n")[0].strip()
    finally:
        os.close(receiving)
        output.close()
    if done is None:
        raise UsageError(
            f"{shown}: does not return within {PATIENCE_S:g} s while it is loaded; look at its constructors"
        )
    if not done:
        raise UsageError(f"{shown}: {ended} while it is loaded; compile it again, or look at its constructors")
    if said:
        raise UsageError(
            f"{shown}: prints {said[:60]!r} while it is loaded, which every answer would contain; take that out"
        )


def _in_child(load: Callable[[], object], sending: int, output: int) -> NoReturn:
    try:
        faulthandler.disable()  # it would tell of a fault that is expected
        os.setpgid(0, 0)  # so that what it starts can be ended with it
        for number in (1, 2):
            os.dup2(output, number)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it: what prints without end would go on
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_SAID, _MOST_SAID))
        with contextlib.suppress(Exception):  # the caller meets it again, and reports it
            load()
        os.write(sending, _DONE)
    finally:
        os._exit(0)


def _wait_for(receiving: int) -> bytes | None:
    """What the child has written: nothing where it ended before; None where it does neither in time."""
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        selector.register(receiving, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                return os.read(receiving, 1)
    return None


def _end(child: int, *, kill: bool) -> str:
    """End the child and what it has started; how it ended, as the middle of a sentence."""
    if kill:
        _kill_group(child)
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:  # whoever started us has SIGCHLD ignored: nobody is told
        status = -1
    _kill_group(child)
    if status < 0:
        return "it ends its process"
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXFSZ:
        return f"it prints or writes more than {_MOST_SAID >> 10} KiB"
    if code < 0:
        return f"it ends its process by signal {signal.Signals(-code).name}"
    return f"it ends its process with status {code}"


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
