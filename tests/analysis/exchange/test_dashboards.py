"""Files for dashboards: OpenMetrics, and the CSV of Apache Otava."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from runs.measure import fencepost_inside
from runs.write import Case, plain_cases, write_run

from fencepost.analysis.exchange.export import export
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.openmetrics import _escaped
from fencepost.analysis.exchange.otava import ATTRIBUTES, otava_of_runs
from fencepost.analysis.runs.estimate import analyse
from fencepost.bench import schema

SAMPLE = re.compile(r'([a-z_]+)\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\} (\S+)')
START = datetime.fromisoformat("2026-01-02T03:04:05+00:00")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of one machine and an older one of another, each a day later, named against the order of time."""
    base = tmp_path_factory.mktemp("dashboards") / "runs"
    for day, (name, key) in enumerate((("d", "other"), ("c", "one"), ("b", "one"), ("a", "one"))):
        cases = plain_cases(2 if name == "c" else 3)
        folder = write_run(base / name, cases, rounds=6, seed=day, unmeasurable=[])
        run = json.loads((folder / schema.RUN_FILE).read_text())
        created = f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
        (folder / schema.RUN_FILE).write_text(json.dumps({**run, "machine_key": key, "created_utc": created}))
    return base


def test_openmetrics_has_each_figure_in_seconds(runs: Path) -> None:
    lines = export(runs / "a", "openmetrics").text.splitlines()
    assert lines[-1] == "# EOF"
    samples = [SAMPLE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(samples)
    found = [(match[1], float(match[2])) for match in samples if match]
    rows = analyse(runs / "a").rows
    assert [value for name, value in found if name == "fencepost_case_seconds"] == [
        row.time.value / 1e9 for row in rows
    ]
    assert [value for name, value in found if "_low_" in name] == [row.time.low / 1e9 for row in rows]
    assert found[-1] == ("fencepost_run_created_timestamp_seconds", (START + timedelta(days=3)).timestamp())
    described = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert sorted(described) == sorted({name for name, _ in found}), "each name is described once"


def test_a_label_cannot_break_its_line() -> None:
    assert _escaped('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


def test_a_row_without_an_interval_has_no_ends(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Case("plain/loop")], rounds=3, unmeasurable=[])
    text = export(run, "openmetrics").text
    assert "\nfencepost_case_seconds{" in text
    assert "\nfencepost_case_low_seconds{" not in text


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_otava_has_one_line_a_run_of_one_machine(runs: Path) -> None:
    exported = otava_of_runs(runs)
    lines = table(exported.text)
    assert [line["run"] for line in lines] == ["c", "b", "a"], "in the order of time"
    assert exported.left_out == ["runs of 1 other machines: a series is of one machine, here of one"]
    for line in lines:
        figures = {name: float(value) for name, value in line.items() if name not in ATTRIBUTES and value}
        assert figures == {row.case: row.time.value for row in analyse(runs / line["run"]).rows}
    assert len([value for value in lines[0].values() if not value]) == 1, "a case that this run has not"


def test_otava_takes_one_run_or_a_folder(runs: Path) -> None:
    one, many = (
        fencepost_inside("export", str(folder), "--format", "otava", cwd=runs) for folder in (runs / "a", runs)
    )
    assert (one.returncode, many.returncode) == (0, 0)
    assert table(one.stdout) == table(many.stdout)[-1:]


def test_a_folder_without_runs_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="nothing to export"):
        otava_of_runs(tmp_path)
