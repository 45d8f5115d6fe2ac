"""Tables on the terminal: where they are folded, what stays whole, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fencepost.cli import display

HEADER = ("case", "old", "verdict")
ROWS = [("aa/b[x=1]@cpu1", "1.0 ns", "same"), ("c", "22.5 ns", "undecided: because of many words")]


def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, rows: Sequence[Sequence[object]]
) -> list[str]:
    monkeypatch.setattr(display, "PIPE_WIDTH", width)
    display.console().print(display.table("a title", HEADER, rows, right=("old",), whole=("old",)))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_table_that_has_room_has_a_line_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 80, ROWS) == [
        "a title",
        "",
        " case                 old   verdict",
        f" {'─' * 59}",
        " aa/b[x=1]@cpu1    1.0 ns   same",
        " c                22.5 ns   undecided: because of many words",
        "",
    ]


def test_the_widest_column_is_folded_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 46, ROWS)[2:-1] == [
        " case                 old   verdict",
        f" {'─' * 44}",
        " aa/b[x=1]@cpu1    1.0 ns   same",
        " c                22.5 ns   undecided:",
        "                            because of many",
        "                            words",
    ]


@pytest.mark.parametrize("width", [20, 30, 40])
def test_a_figure_is_never_folded_and_no_line_is_too_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = printed(capsys, monkeypatch, width, ROWS)
    assert max(map(len, lines)) <= width
    assert sum("22.5 ns" in line for line in lines) == 1
    assert len(lines) > 8


def test_wide_characters_take_two_places(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(capsys, monkeypatch, 80, [("漢字", "1", "x"), ("abcd", "2", "y")])
    assert [line.partition("  ")[0] for line in lines[4:6]] == [" 漢字", " abcd"]
    assert lines[4].index("x") == lines[5].index("y") - 2


def test_a_table_without_rows_is_its_header(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 80, [])[2:] == [" case   old   verdict", f" {'─' * 20}", ""]


def test_a_name_is_whole_in_a_pipe_and_prose_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"own/queue[{','.join(f'parameter{number}=value' for number in range(20))}]@cpu1"
    out = display.console()
    out.print(display.table("a title", HEADER, [(name, "1 ns", "same")]))
    assert f" {name}   1 ns   same\n" in capsys.readouterr().out
    assert display.readable_width(out) == 160


def test_sentences_are_broken_between_words_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "Mixed or not decided: cache lines shared by several CPUs."
    out = display.console()
    out.width = 34
    display.say(out, [sentence])
    assert capsys.readouterr().out == f"{sentence}\n"
    out._force_terminal = True  # as `is_terminal` reads it
    display.say(out, [sentence, "hidden \x1b[2J"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["Mixed or not decided: cache lines", "shared by several CPUs."]
    assert "\x1b" not in lines[2]
