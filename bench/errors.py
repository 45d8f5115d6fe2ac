"""Expected faults: each is one sentence for the user and one exit code for scripts."""

from __future__ import annotations

EXIT_FINE = 0
EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_MEASURE = 3


class FencepostError(Exception):
    """An expected fault. Its text is one sentence: what, where, what to do."""

    exit_code = EXIT_MEASURE


class UsageError(FencepostError):
    """What was asked for does not exist or makes no sense (exit code 2)."""

    exit_code = EXIT_USAGE


class CompileError(UsageError):
    """A kernel file that does not compile. Below the sentence stand the compiler's own lines."""


class MeasureError(FencepostError):
    """What was asked for is right, and could not be measured or stored (exit code 3)."""


class RunInterruptedError(MeasureError):
    """A signal ended a run: its complete rounds are kept (exit code 3)."""


class EngineError(FencepostError, ImportError):
    """The C extension is missing, outdated, or its registry is at fault (exit code 3)."""
