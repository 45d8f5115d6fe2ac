"""signal/send and signal/install: each signal comes once, and all is as it was found."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

SEND = "signal/send.c"
COMING = ["sigwaitinfo", "signalfd", "handler", "fault"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def masks() -> dict[str, int]:
    """Signals that this thread blocks, and that this process ignores and handles. Those from 32 on are libc's own."""
    text = Path("/proc/thread-self/status").read_text(encoding="utf-8")
    found = re.findall(r"(Sig(?:Blk|Ign|Cgt)):\s*([0-9a-f]+)", text)
    return {name: int(bits, 16) & 0x7FFFFFFF for name, bits in found}


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before, files = masks(), set(Path("/proc/self/fd").iterdir())
    yield
    assert masks() == before
    assert set(Path("/proc/self/fd").iterdir()) <= files


@pytest.mark.parametrize("then", ["check", "ignored", *COMING])
def test_each_signal_comes_once_or_never(engine: Engine, then: str) -> None:
    measured = measure(engine, "signal/send", {"then": then})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == (64 if then in COMING else 0)
    if then == "fault":
        assert measured.metrics["entry_ns"] > 0


def test_the_last_action_is_there(engine: Engine) -> None:
    measured = measure(engine, "signal/install")
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize("found", [signal.SIG_IGN, signal.SIG_DFL])
def test_whatever_was_there_is_put_back(engine: Engine, found: signal.Handlers) -> None:
    before = signal.signal(signal.SIGUSR1, found)
    try:
        assert measure(engine, "signal/send", {"then": "handler"}).status == 0
        assert signal.getsignal(signal.SIGUSR1) is found
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_was_blocked_comes_all_the_same(engine: Engine) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        measured = measure(engine, "signal/send", {"then": "handler"})
        assert measured.status == 0, measured.reason
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.mark.parametrize(
    ("name", "then", "whole", "broken", "said"),
    [
        # Signals that do not come, come although nobody is to get them, or are counted twice.
        ("signal/send", "handler", "handled_here++;\n}\n\n#if", "}\n\n#if", "0 signals came of"),
        ("signal/send", "ignored", "way == IGNORED ? SIG_IGN :", "way == IGNORED ? count_signal :", "signals came of"),
        ("signal/send", "check", "send(signals, 0);", "send(signals, NUMBER);", "signals came of"),
        ("signal/send", "sigwaitinfo", "&about) == NUMBER", "&about) == NUMBER + 1", "0 signals came of"),
        ("signal/send", "fault", "PROT_NONE, MAP_PRIVATE", "PROT_READ, MAP_PRIVATE", "0 signals came of"),
        # A call that fails.
        ("signal/send", "check", "signals->thread, number) != 0", "0, number) != 0", "could not be sent"),
        # Actions that are not installed.
        ("signal/install", "", "installs->made++ % 2], NULL)", "++installs->made % 2], NULL)", "another action"),
        ("signal/install", "", "sigaction(NUMBER, &actions", "sigaction(9, &actions", "could not be installed"),
    ],
)  # fmt: skip
def test_what_does_otherwise_fails(tmp_path: Path, name: str, then: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {SEND: [(whole, broken)]})
    measured = measure(faulty, name, {"then": then} if then else {}, batches=4)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason
