"""Sets what a plan says, and runs a command meanwhile."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from fencepost.bench.files import words_of
from fencepost.bench.sysfs import Tree
from fencepost.bench.tuning.journal import Journal, write
from fencepost.bench.tuning.settings import Step, TuningPlan

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
LOOK_S = 1.0
"""So long may the end of the command go unseen. Where a library has started a thread, Linux may give SIGCHLD to it,
and there it is lost.
"""
"""Signals that are meant for the command."""

PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30
"""Of <linux/prctl.h>."""

SLACK_NS = 1
"""The smallest that Linux takes: by default a sleep may be 50 000 ns longer, so that it ends together with others."""


class SettingChange(NamedTuple):
    """A file that was changed, or that refused it."""

    step: Step
    old: str
    refusal: str | None
    """What the operating system said."""


def apply(tree: Tree, plan: TuningPlan, journal: Journal) -> list[SettingChange]:
    """Set all that the machine allows. What it refuses costs only itself.

    Raises
    ------
    MeasureError
        when the journal cannot be written; what was changed until then is in it.
    """
    done: list[SettingChange] = []
    for group in plan.groups:
        # Read anew: an earlier setting may have moved this one.
        known = [(step, tree.text(step.path)) for step in group]
        todo = [(step, old) for step, old in known if old is not None and step.setting.plain(old) != step.wanted]
        closed = {step.path: _closed(tree, step) for step, _ in todo if step.wanted is not None}
        done += [SettingChange(step, old, said) for step, old in todo if (said := closed.get(step.path))]
        todo = [(step, old) for step, old in todo if not closed.get(step.path)]
        if todo:
            journal.note(todo)
        done += [_set(tree, step, old) for step, old in todo if step.wanted is not None]
    return done


def _closed(tree: Tree, step: Step) -> str | None:
    """Why a file cannot be opened for writing; None where it can. So what nobody may change is not in the journal."""
    target = tree.locate(step.path)
    try:
        os.close(os.open(target or "", os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        return words_of(error)
    return None


def _set(tree: Tree, step: Step, old: str) -> SettingChange:
    assert step.wanted is not None
    try:
        write(tree, step.path, step.setting, step.wanted)
    except OSError as error:
        return SettingChange(step, old, words_of(error))
    now = step.setting.plain(tree.text(step.path))
    if now == step.wanted:
        return SettingChange(step, old, None)
    if now != step.setting.plain(old):
        # It took something else. At the end that would look like the work of another program.
        write(tree, step.path, step.setting, old)
    return SettingChange(step, old, f"Linux made {now} of {step.wanted}")


@contextmanager
def short_sleeps() -> Iterator[bool]:
    """Give what is started meanwhile the smallest timer slack; whether that worked. It ends with the process."""
    prctl = ctypes.CDLL(None).prctl
    before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)
    try:
        yield prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(SLACK_NS), 0, 0, 0) == 0
    finally:
        if before > 0:
            prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(before), 0, 0, 0)


@contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Let no signal end this process before it has put everything back; gives the mask from before."""
    watched = {*PASSED_ON, signal.SIGCHLD}
    child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would go without their exit code
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        while signal.sigtimedwait(watched, 0):  # they were meant for the command
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, child)


def waiting() -> signal.Signals | None:
    """A signal that came while signals were held, and that is not ignored."""
    found = [number for number in PASSED_ON if number in signal.sigpending()]
    return next((number for number in found if signal.getsignal(number) != signal.SIG_IGN), None)


def run(command: Sequence[str], mask: set[signal.Signals]) -> int:
    """Run a command while signals are held (`signals_held`), and pass them on to it.

    Returns
    -------
    int
        its exit code; 128 + n where signal n ended it.
    """
    child = os.posix_spawnp(
        command[0], [*command], os.environ, setsigmask=mask, setsigdef=(signal.SIGPIPE, signal.SIGXFSZ)
    )
    while True:
        told = signal.sigtimedwait({*PASSED_ON, signal.SIGCHLD}, LOOK_S)
        if told is None or told.si_signo == signal.SIGCHLD:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif told.si_code <= 0:
            # From a process. What comes from the terminal has reached the command too.
            os.kill(child, told.si_signo)
