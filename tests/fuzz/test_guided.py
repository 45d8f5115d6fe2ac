"""The readers that `make fuzz-guided` tries: their good inputs are read, and a bad one is judged."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz import guided
from fuzz.guided import FaultError, judged

from fencepost.bench.errors import CompileError, UsageError


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[guided.Read, list[bytes]]]]:
    yield guided.readers(tmp_path_factory.mktemp("guided"))  # type: ignore[misc]


def test_each_reader_reads_the_inputs_that_it_begins_with(
    readers: dict[str, tuple[guided.Read, list[bytes]]],
) -> None:
    assert set(readers) == set(guided.NAMES)
    for read, seeds in readers.values():
        assert seeds
        for seed in seeds:
            read(seed)


@pytest.mark.parametrize("name", guided.NAMES)
@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 4000, b"{}", b"9" * 30], ids=repr)
def test_a_hostile_input_is_one_sentence(
    readers: dict[str, tuple[guided.Read, list[bytes]]], name: str, data: bytes
) -> None:
    judged(readers[name][0], data)


def test_all_but_one_sentence_of_ours_is_kept() -> None:
    def raises(error: Exception) -> guided.Read:
        def read(_: bytes) -> None:
            raise error

        return read

    judged(raises(UsageError("one sentence")), b"")
    judged(raises(UsageError("quotes two\nlines, and is shown as one")), b"")
    for error in (KeyError("x"), CompileError("two\nlines"), RecursionError("deep")):
        with pytest.raises(FaultError):
            judged(raises(error), b"")


def test_without_atheris_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "imports"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert guided.main() == 3
    assert "pip install atheris" in capsys.readouterr().err


def test_good_inputs_lie_where_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guided, "STATE", tmp_path)
    folder = guided.kept("imports", [b"a", b"b"])
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"a", b"b"]
