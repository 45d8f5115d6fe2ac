"""`fencepost neighbours`: its table, its lines, its picture, and every way to ask wrongly or to end it early."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from runs.measure import any_cpu, fencepost_inside, heeding_signals
from runs.pages import pictures

from fencepost.bench import neighbours
from fencepost.bench.errors import UsageError
from fencepost.bench.neighbours import Look, Readings, Shares
from fencepost.cli.neighbours import MOST_LINES, Record, draw, sentences
from fencepost.cli.options import seconds_of

CPU = str(any_cpu())
FREE = 1 / 12


def look(_cpu: int, _seconds: float) -> Readings:
    """A core that is half of the time shared, so that nothing depends on this machine."""
    widths = [FREE * 2000] * 100 + [2 * FREE * 2000] * 100
    return Readings(range(0, 200 * 4000, 4000), widths, [2000.0] * 200, switches=1)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr(neighbours, "look_by", lambda _engine: look)
    with heeding_signals():
        yield monkeypatch


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2m", 120), ("2 min", 120), ("1h", 3600), ("1.5s", 1.5)])
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-3s", "3 weeks", "1e3s", "٣s", "0s", "25h", "nans"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="--for"):
        seconds_of(text, "--for")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--for", "soon"), "not a time; write 30s, 2m or 1h"),
        (("--for", "0s"), "between 1s and 24h"),
        (("--cpus", "banana"), "not a list of CPUs"),
        (("--cpus", "9999"), "may not be used here"),
        (("--picture", "a.pdf"), ".svg or .png"),
        (("--picture", "nowhere/a.svg"), "there is no folder nowhere"),
    ],
)
def test_wrong_use_is_one_sentence_and_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = fencepost_inside("neighbours", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.usefixtures("made_up")
def test_a_table_and_a_picture(tmp_path: Path) -> None:
    done = fencepost_inside("neighbours", "--for", "1s", "--cpus", CPU, "--picture", "p.svg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = (line for line in done.stdout.splitlines() if "GHz" in line)
    assert row.split()[:7] == [CPU, "50.0", "%", "25.0", "%", "50.0", "%"]
    assert "The meter itself took" in done.stdout and "picture: p.svg" in done.stdout
    assert f"CPU {CPU}" in (tmp_path / "p.svg").read_text()


@pytest.mark.usefixtures("made_up")
def test_a_line_for_each_second_and_cpu(tmp_path: Path) -> None:
    done = fencepost_inside("neighbours", "--for", "2s", "--cpus", CPU, "--json", "--picture", "p.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "picture: p.png\n")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    # A machine that is away for long leaves a second out.
    assert 1 <= len(lines) <= 2
    for line in lines:
        assert line["cpu"] == int(CPU) and line["readings"] > 0
        assert line["quiet_share"] == pytest.approx(0.5, abs=0.01)
        assert line["width_taken_most_share"] == pytest.approx(0.5)
        assert line["utc"].endswith("Z")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_has_the_most_disturbed_cpus(tmp_path: Path) -> None:
    from fencepost.bench.neighbours import Floors, second_of

    record = Record(Floors("x86_64"))
    for cpu in range(MOST_LINES + 1):
        found = look(cpu, 1)
        free = found if cpu else replace(found, width_ticks=[FREE * 2000] * 200)
        record.add([second_of(cpu, 1.0, [free], 1e9)])
        record.floors.add(record.seconds[cpu][0])
    draw(tmp_path / "p.svg", record)
    text = (tmp_path / "p.svg").read_text()
    assert len(pictures(text)) == 1
    assert "the 8 of 9 CPUs from which most was taken" in text
    assert [cpu for cpu in range(MOST_LINES + 1) if f">CPU {cpu}<" in text] == list(range(1, MOST_LINES + 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_table(tmp_path: Path, made_up: pytest.MonkeyPatch, number: signal.Signals) -> None:
    def interrupting(cpu: int, seconds: float) -> Readings:
        os.kill(os.getpid(), number)
        return look(cpu, seconds)

    made_up.setattr(neighbours, "look_by", lambda _engine: interrupting)
    done = fencepost_inside("neighbours", "--for", "1h", "--cpus", CPU, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, f"fencepost: interrupted by {number.name}\n")
    assert "50.0 %" in done.stdout


def test_a_signal_before_the_first_look_leaves_nothing_to_show(tmp_path: Path, made_up: pytest.MonkeyPatch) -> None:
    def at_once(_engine: object) -> Look:
        os.kill(os.getpid(), signal.SIGINT)
        return look

    made_up.setattr(neighbours, "look_by", at_once)
    done = fencepost_inside("neighbours", "--cpus", CPU, "--picture", "p.svg", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "fencepost: interrupted by SIGINT\n")
    assert not (tmp_path / "p.svg").exists()


def test_without_a_witness_it_is_3(tmp_path: Path, made_up: pytest.MonkeyPatch) -> None:
    made_up.setattr(neighbours, "look_by", lambda _engine: lambda *_: Readings([], [], []))
    done = fencepost_inside("neighbours", "--for", "1h", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "fencepost: this architecture has no witness, so neighbours cannot be measured here\n"


def test_on_a_terminal_the_table_is_drawn_anew(made_up: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import io

    from fencepost.cli import neighbours as command

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    made_up.chdir(tmp_path)
    made_up.setattr("sys.stdout", screen)
    made_up.setenv("TERM", "xterm")
    command.neighbours_command.main(["--for", "1s", "--cpus", CPU], standalone_mode=False)
    assert "the last second" in screen.getvalue() and "\x1b[2K" in screen.getvalue()


def test_what_the_table_does_not_say() -> None:
    found = [Shares(cpu, 100, quiet, 0.4, 0.5, 3e9, 0.0, 0.0, cpu) for cpu, quiet in enumerate((0.0, 0.0, 0.7))]
    said = " ".join(sentences(found, 0.17, floor_known=False))
    assert "Less than 1 % of the readings of CPUs 0-1 were quiet." in said
    assert "not known for this architecture" in said
    assert "took a CPU from the meter 3 times" in said
    assert "The meter itself took 17 % of one CPU" in said
    assert len(sentences(found[2:], 0.17, floor_known=True)) == 2
