"""Figures drawn by two processes: the same as if one had drawn them all, whatever becomes of the other."""

from __future__ import annotations

import _thread
import array
import contextlib
import fcntl
import functools
import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import termios
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import popen_fork
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from runs import measure as runtime
from runs import write as synthetic
from runs.write import Case

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.draw.parallel import _PIPE, WORTHWHILE, Draw, begun, uncollected
from fencepost.analysis.report import sections
from fencepost.analysis.report.write import write_report
from fencepost.analysis.text.table import table

HERE = "here"
THERE = "there"
PLACES = range(WORTHWHILE)


@pytest.fixture(autouse=True)
def _heeds_signals() -> Iterator[None]:
    with runtime.heeding_signals():
        yield


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def draw_and_tell(there: dict[int, Callable[[], object]] | None = None, more: str = "") -> list[Draw]:
    """Figures that tell their place and who drew them; `there`: what befalls the other process at a place."""
    own = os.getpid()

    def draw(place: int) -> Figure:
        where = HERE if os.getpid() == own else THERE
        if where == THERE and there and place in there:
            there[place]()
        return Figure(str(place), where, more, "", table("", (), ()))

    return [lambda place=place: draw(place) for place in PLACES]  # type: ignore[misc]


def only_child() -> BaseProcess:
    (child,) = multiprocessing.active_children()
    return child


def ended(child: BaseProcess) -> None:
    child.join(60)
    assert child.exitcode is not None


def who_drew(figures: list[Figure | None]) -> list[str]:
    assert [figure and figure.name for figure in figures] == [str(place) for place in PLACES]
    return [figure.title for figure in figures if figure is not None]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise RuntimeError("only there")


@pytest.mark.usefixtures("two_cpus")
def test_the_other_process_draws_what_this_one_has_not_come_to() -> None:
    with begun(draw_and_tell()) as complete:
        ended(only_child())
        assert who_drew(complete()) == [THERE] * len(PLACES)
    with begun([lambda: None] * WORTHWHILE) as complete:
        ended(only_child())
        assert complete() == [None] * WORTHWHILE


@pytest.mark.usefixtures("two_cpus")
def test_it_draws_from_the_end() -> None:
    with begun(draw_and_tell({3: die})) as complete:
        ended(only_child())
        assert who_drew(complete()) == [HERE] * 4 + [THERE] * (len(PLACES) - 4)


@pytest.mark.usefixtures("two_cpus")
def test_killed_at_once_it_costs_no_figure() -> None:
    with begun(draw_and_tell({PLACES[-1]: signal.pause})) as complete:
        child = only_child()
        child.kill()
        ended(child)
        assert who_drew(complete()) == [HERE] * len(PLACES)


@pytest.mark.usefixtures("two_cpus")
def test_half_a_figure_is_none() -> None:
    # Larger than the pipe: it is still being sent when the process is killed.
    with begun(draw_and_tell(more="x" * (_PIPE * 3 // 2))) as complete:
        child = only_child()
        while not being_sent():
            pass
        child.kill()
        ended(child)
        assert who_drew(complete()) == [HERE] * len(PLACES)


def being_sent() -> bool:
    """Whether a pipe of this process holds what nobody has read yet."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not str(entry.readlink()).startswith("pipe:"):
                continue
            waiting = array.array("i", [0])
            fcntl.ioctl(int(entry.name), termios.FIONREAD, waiting)
        except OSError:
            continue
        if waiting[0] > 1 << 12:
            return True
    return False


@pytest.mark.usefixtures("two_cpus")
def test_nobody_waits_for_one_that_hangs() -> None:
    with begun(draw_and_tell({PLACES[-1]: signal.pause})) as complete:
        child = only_child()
        assert who_drew(complete()) == [HERE] * len(PLACES)
        assert child.is_alive()
        pid = child.pid
    assert not Path(f"/proc/{pid}").exists()  # neither running nor waited for


@pytest.mark.usefixtures("two_cpus")
def test_what_fails_there_is_drawn_here() -> None:
    with begun(draw_and_tell({2: fail, 5: fail})) as complete:
        ended(only_child())
        assert who_drew(complete()) == [HERE if place in (2, 5) else THERE for place in PLACES]


@pytest.mark.usefixtures("two_cpus")
def test_what_fails_everywhere_fails_here(capfd: pytest.CaptureFixture[str]) -> None:
    draws = [*draw_and_tell()[:-1], fail]
    with begun(draws) as complete:
        ended(only_child())
        with pytest.raises(RuntimeError, match="only there"):
            complete()
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("two_cpus")
def test_warnings_and_messages_come_from_this_process(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def warns() -> None:
        warnings.warn("odd", RuntimeWarning, stacklevel=1)

    def logs() -> None:
        logging.getLogger("matplotlib").error("odd too")

    with begun([warns, *draw_and_tell()[1:-1], logs]) as complete:
        ended(only_child())
        with pytest.warns(RuntimeWarning, match="odd") as heard:
            figures = complete()
    assert len(heard) == 1 and caplog.messages == ["odd too"]
    assert [figure.title for figure in figures if figure is not None] == [THERE] * (len(PLACES) - 2)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("two_cpus")
def test_an_interruption_leaves_no_process() -> None:
    with pytest.raises(KeyboardInterrupt), begun(draw_and_tell({PLACES[-1]: signal.pause})):
        pid = only_child().pid
        raise KeyboardInterrupt
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.usefixtures("two_cpus")
def test_ctrl_c_while_the_other_is_started_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    launch = popen_fork.Popen._launch  # type: ignore[attr-defined]
    begun_here: list[int] = []

    def interrupted(popen: Any, process: Any) -> None:
        launch(popen, process)
        begun_here.append(popen.pid)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # for another thread to take it, where this one blocks the signal

    monkeypatch.setattr(popen_fork.Popen, "_launch", interrupted)
    held = threading.Lock()
    with held, pytest.raises(KeyboardInterrupt):
        # A thread such as libraries have: it blocks no signal, and `threading` does not count it.
        _thread.start_new_thread(held.acquire, ())
        with begun(draw_and_tell({PLACES[-1]: functools.partial(time.sleep, 5)})):
            pass
    assert not Path(f"/proc/{begun_here[0]}").exists()


@contextlib.contextmanager
def both_drawing(code: str) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own, from when its other process says that it is there."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as both:
        assert both.stdout is not None
        assert both.stdout.readline() == "there\n"
        yield both


def test_ctrl_c_ends_both_and_one_of_them_speaks() -> None:
    code = """
import os, time
os.sched_getaffinity = lambda _: {0, 1}
from fencepost.analysis.draw.parallel import WORTHWHILE, begun
own = os.getpid()
def hang():
    if os.getpid() != own:
        print("there", flush=True)
    while True:  # not signal.pause(), which misses a signal that comes just before it
        time.sleep(0.01)
with begun([hang] * WORTHWHILE) as complete:
    complete()
"""
    with both_drawing(code) as both:
        os.killpg(both.pid, signal.SIGINT)
        errors = both.communicate(timeout=runtime.PATIENCE_S)[1]
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(both.pid, 0)


def test_without_its_parent_it_ends() -> None:
    code = """
import os, time
os.sched_getaffinity = lambda _: {0, 1}
from fencepost.analysis.draw.parallel import begun
own = os.getpid()
def draw():
    print("there", flush=True)
    time.sleep(0.01)
with begun([draw] * 1_000_000) as complete:
    input()
"""
    with both_drawing(code) as both:
        both.kill()
        # The output has its end when the other process is gone too.
        assert set(both.communicate(timeout=runtime.PATIENCE_S)[0].split()) <= {"there"}


@pytest.mark.parametrize("cpus, few, threads", [(1, False, False), (2, True, False), (2, False, True)])
def test_alone_on_one_cpu_for_few_figures_and_beside_threads(
    cpus: int, few: bool, threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)))
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    if threads:
        other.start()
    try:
        draws = draw_and_tell()
        with begun(draws[1:] if few else draws) as complete:
            assert multiprocessing.active_children() == []
            assert {figure.title for figure in complete() if figure} == {HERE}
    finally:
        stop.set()


@pytest.mark.slow  # draws a whole report twice
def test_a_report_is_the_same_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [Case(f"mine{topic}/loop{n}", ns=3.0**n) for topic in range(WORTHWHILE + 1) for n in (1, 2)]
    run = synthetic.write_run(tmp_path / "run", cases, rounds=6, unmeasurable=[])
    drawn: list[dict[str, bytes]] = []
    here: list[Draw] = []

    @contextlib.contextmanager
    def mostly_there(draws: Sequence[Draw]) -> Iterator[Callable[[], list[Figure | None]]]:
        def counted(draw: Draw) -> Figure | None:
            here.append(draw)
            return draw()

        with begun([functools.partial(counted, draw) for draw in draws]) as complete:
            for child in multiprocessing.active_children():
                child.join(5)
            here.clear()
            yield complete
            if len(os.sched_getaffinity(0)) > 1:
                assert len(here) < len(draws) / 2

    monkeypatch.setattr(sections, "begun", mostly_there)
    for cpus in ({0}, {0, 1}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cpus=cpus: cpus)
        folder = tmp_path / f"{len(cpus)}"
        folder.mkdir(exist_ok=True)
        write_report(run, html=folder / "r.html", markdown=folder / "r.md")
        drawn.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")})
    assert drawn[0] == drawn[1] and len(drawn[0]) > WORTHWHILE


def test_the_garbage_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
