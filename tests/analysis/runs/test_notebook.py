"""The page for notebooks: its code runs as it stands there, on runs like those that it asks for."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest
from runs import write as synthetic
from runs.write import Case

pytestmark = pytest.mark.usefixtures("undrawn")

PAGE = Path(__file__).parents[3] / "docs" / "notebook.md"
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    cases = [
        Case("pipeline/chain", parameters={"op": op, "chains": str(chains)}, ns=cycles / chains)
        for op, cycles in (("add", 1.0), ("imul", 3.0))
        for chains in (1, 2, 4)
    ]
    for number in range(2):
        synthetic.write_run(tmp_path / "runs" / f"run{number}", cases, rounds=6, seed=number)
    return tmp_path


def test_the_code_of_the_page_runs(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs)
    matplotlib.use("Agg")
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert (runs / "chains.png").stat().st_size > 0
    out = capsys.readouterr().out
    assert "run1 6 rounds" in out
    assert "imul 4.0 0.75" in out, "time of a row, in words"
    assert "run0" in out, "a table of many runs"
