"""Output in encodings that lack our characters: every command answers, in plain characters."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from runs.measure import environment, fencepost

from fencepost.cli import narrow


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "-|o 5 us, x1.2 \\u8edf"),
        ("latin-1", "-|o 5 µs· ×1.2 \\u8edf"),
        ("utf-8", "─│● 5 µs· ×1.2 軟"),
    ],
)
def test_each_character_has_a_plain_one(monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    narrow.never_refuse()
    print("─│● 5\u00a0µs· ×1.2 軟", end="", flush=True)
    assert raw.getvalue().decode(encoding).replace("\u00a0", " ") == expected


def test_a_closed_output_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    narrow.never_refuse()  # nothing to write to


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_table_is_printed_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    done = fencepost("list", "good/*", cwd=tmp_path, env=environment(PYTHONIOENCODING=encoding))
    assert done.returncode == 0, done.stderr
    assert "-----" in done.stdout and "good/steady" in done.stdout and done.stderr == ""
