"""`fencepost neighbours`: who else uses the cores, live."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.bench.witness import FLOOR_SHARE
from fencepost.cli.options import OutputFile, json_option, seconds_of, verbose_option

if TYPE_CHECKING:
    from rich.live import Live

    from fencepost.analysis.draw.figure import Series
    from fencepost.bench.neighbours import Floors, Meter, Second, Shares
    from fencepost.cli.tables import PlainTable

MOST_LINES = 8
"""CPUs in a picture: as many as there are colours."""

COLUMNS = ("CPU", "quiet", "width taken", "worst 5 %", "core clock", "gaps", "longest gap")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(name="neighbours")
@click.option("--for", "length", default="30s", metavar="TIME", show_default=True, help="How long: 30s, 2m or 1h.")
@click.option("--cpus", metavar="LIST", help="Only these CPUs, such as 1,3-5.  [default: all that may be used]")
@click.option("--picture", type=OutputFile(), metavar="PATH", help="Draw the seconds, as PATH.svg or PATH.png.")
@json_option
@verbose_option
def neighbours_command(length: str, cpus: str | None, picture: Path | None, as_json: bool) -> None:
    """Show for each CPU how often its core was free, and how much of the core's width a neighbour took.

    A guest sees such a neighbour nowhere else. Ctrl-C ends it early, with the table up to that moment. --json prints
    one line for each CPU and second.
    """
    from fencepost.bench.engine import load
    from fencepost.bench.neighbours import meter_of
    from fencepost.cli import extras
    from fencepost.cli.measuring import here

    if picture is not None:
        extras.require()
    seconds = seconds_of(length, "--for")
    _check_picture(picture)
    topology, chosen = here(cpus)
    stop = Stop()
    with stop.heeded():
        meter = meter_of(load(), chosen, topology, stop)
        record = Record(meter.floors)
        if as_json:
            _print_lines(meter, seconds, record if picture else None)
        else:
            _show_live(meter, seconds, record)
        if not as_json and record.seconds:
            _show_end(meter, record)
        if picture is not None and record.seconds:
            draw(picture, record)
            click.echo(f"picture: {picture}", err=as_json)
    stop.raise_if_asked()


def _check_picture(picture: Path | None) -> None:
    """Refuse now what could not be written after the last second."""
    from fencepost.bench.errors import UsageError

    if picture is None:
        return
    if picture.suffix not in (".svg", ".png"):
        raise UsageError(f"--picture {picture}: end its name in .svg or .png")
    if not picture.absolute().parent.is_dir():
        raise UsageError(f"--picture {picture}: there is no folder {picture.parent}")


class Stop:
    """Whether a signal asked for the end: looked at between two measurements, so that all before it is shown."""

    def __init__(self) -> None:
        self._signal = 0

    def __call__(self) -> bool:
        """Whether it is time to end."""
        return self._signal != 0

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Remember signals, and do nothing else about them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            for number, handler in before.items():
                # One that was ignored from the start (nohup) stays ignored.
                if handler != signal.SIG_IGN:
                    signal.signal(number, self._remember)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _remember(self, number: int, _frame: Any) -> None:
        self._signal = number

    def raise_if_asked(self) -> None:
        """Raise `RunInterruptedError` after a signal."""
        from fencepost.bench.errors import RunInterruptedError

        if self._signal:
            raise RunInterruptedError(f"interrupted by {signal.Signals(self._signal).name}")


@dataclass
class Record:
    """All seconds so far, by CPU."""

    floors: Floors
    seconds: dict[int, list[Second]] = field(default_factory=dict)

    def add(self, found: Sequence[Second]) -> None:
        """Take in what each CPU had in a second."""
        for second in found:
            self.seconds.setdefault(second.cpu, []).append(second)

    def whole(self) -> list[Shares]:
        """What each CPU had in all of them."""
        from fencepost.bench.neighbours import shares

        return [shares(seconds, self.floors.of(cpu)) for cpu, seconds in self.seconds.items()]

    def each(self, cpu: int) -> list[Shares]:
        """What a CPU had in each of them, against the floor of all."""
        from fencepost.bench.neighbours import shares

        return [shares([second], self.floors.of(cpu)) for second in self.seconds[cpu]]


def line_of(second: Second, floor: float | None) -> dict[str, object]:
    """What ``--json`` prints of a CPU and second. Shares are from 0 to 1; null where nothing is known."""
    from datetime import UTC, datetime

    from fencepost.bench.neighbours import shares
    from fencepost.bench.schema import SCHEMA_VERSION

    had = shares([second], floor)
    return {
        "schema": SCHEMA_VERSION,
        "utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "at_s": round(second.at_s, 3),
        "cpu": had.cpu,
        "readings": had.readings,
        "quiet_share": had.quiet,
        "width_taken_share": had.taken,
        "width_taken_most_share": had.taken_most,
        "core_hz": had.core_hz,
        "gap_share": had.gaps,
        "longest_gap_ns": had.longest_gap_ns,
        "switches": had.switches,
        "floor": floor,
    }


def table_of(title: str, found: Sequence[Shares]) -> PlainTable:
    """One line for each CPU."""
    from fencepost.analysis.text.numbers import nanoseconds, plain
    from fencepost.analysis.text.table import DASH
    from fencepost.cli import display

    rows = [
        (
            one.cpu,
            _percent(one.quiet),
            _percent(one.taken),
            _percent(one.taken_most),
            f"{plain(one.core_hz / 1e9, 3)} GHz" if one.core_hz else DASH,
            _percent(one.gaps),
            nanoseconds(one.longest_gap_ns, 3) if one.longest_gap_ns else DASH,
        )
        for one in found
    ]
    return display.table(title, COLUMNS, rows, right=COLUMNS, whole=COLUMNS)


def _percent(share: float | None) -> str:
    from fencepost.analysis.text.table import DASH

    return DASH if share is None else f"{100 * share:.1f} %"


def _print_lines(meter: Meter, seconds: float, record: Record | None) -> None:
    from fencepost.cli import display

    for found in meter.seconds(seconds):
        for second in found:
            display.print_json_line(line_of(second, meter.floors.of(second.cpu)))
        if record is not None:
            record.add(found)


def _show_live(meter: Meter, seconds: float, record: Record) -> None:
    """Measure; on a terminal with a table that is drawn anew each second, between two measurements."""
    from fencepost.bench.neighbours import shares
    from fencepost.cli import display

    with contextlib.ExitStack() as until_end:
        live: Live | None = None
        if sys.stdout.isatty():
            from rich.live import Live

            first = table_of(f"the first of {seconds:g} s", [])
            live = until_end.enter_context(
                Live(first, console=display.console(), auto_refresh=False, transient=True, redirect_stderr=False)
            )
            live.refresh()
        for found in meter.seconds(seconds):
            record.add(found)
            if live is not None:
                last = [shares([second], meter.floors.of(second.cpu)) for second in found]
                live.update(table_of(f"{found[0].at_s:.0f} of {seconds:g} s: the last second", last), refresh=True)


def _show_end(meter: Meter, record: Record) -> None:
    """Print the table of the whole time, and what one has to know beside it."""
    from fencepost.cli import display

    out = display.console()
    found = record.whole()
    took = max(seconds[-1].at_s for seconds in record.seconds.values())
    out.print(table_of(f"{took:.0f} s, {'1 CPU' if len(found) == 1 else f'{len(found)} CPUs in turn'}", found))
    display.say(out, sentences(found, meter.load(), meter.floors.known_beforehand))


def sentences(found: Sequence[Shares], load: float, floor_known: bool) -> list[str]:
    """What the table does not say."""
    from fencepost.analysis.text.numbers import cpu_list

    said = []
    never = [one.cpu for one in found if one.never_quiet]
    if never:
        who = f"CPU {never[0]}" if len(never) == 1 else f"CPUs {cpu_list(never)}"
        said.append(
            f"Less than {FLOOR_SHARE * 100:.0f} % of the readings of {who} were quiet. A neighbour was there nearly "
            "all the time, or this core makes fewer additions in a cycle than others of its kind."
        )
    if not floor_known:
        said.append(
            "The width of a free core is not known for this architecture. The free moments of this series are "
            "taken for it, so a neighbour who never pauses is not seen."
        )
    switches = sum(one.switches for one in found)
    if switches:
        times = "once" if switches == 1 else f"{switches} times"
        said.append(f"Other processes of this machine took a CPU from the meter {times}. They are among the gaps.")
    said.append(f"The meter itself took {100 * load:.0f} % of one CPU. It never measures two CPUs at the same time.")
    return said


def draw(path: Path, record: Record) -> None:
    """Draw all seconds of the CPUs from which most was taken."""
    from fencepost.analysis.draw.panels import Panel, save_panels

    whole = sorted(record.whole(), key=lambda one: -(one.taken or 0.0))
    shown = sorted(one.cpu for one in whole[:MOST_LINES])
    title = "how free the cores were"
    if len(shown) < len(whole):
        title += f": the {len(shown)} of {len(whole)} CPUs from which most was taken"
    had = {cpu: record.each(cpu) for cpu in shown}

    def lines(name: str, scale: float) -> list[Series]:
        return [_line(cpu, record.seconds[cpu], [getattr(one, name) for one in had[cpu]], scale) for cpu in shown]

    panels = [
        Panel("quiet, %", lines("quiet", 100), low=0, high=100),
        Panel("width taken, %", lines("taken", 100), low=0, high=100),
        Panel("core clock, GHz", lines("core_hz", 1e-9)),
        Panel("gaps, %", lines("gaps", 100), low=0),
    ]
    save_panels(path, title, "seconds", panels)


def _line(cpu: int, seconds: Sequence[Second], values: Sequence[float | None], scale: float) -> Series:
    import numpy as np

    from fencepost.analysis.draw.figure import Series

    x = np.array([second.at_s for second in seconds])
    y = np.array([np.nan if value is None else value * scale for value in values])
    return Series(f"CPU {cpu}", x, y)
