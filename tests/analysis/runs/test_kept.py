"""What a run folder keeps of its answers: the same as made afresh, and never of another run, rule or day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from runs.write import plain_cases, write_run
from topics.line.cases import pingpong_cases

from fencepost.analysis.exchange import export as exports
from fencepost.analysis.exchange.exported import ExchangeError, Exported
from fencepost.analysis.report import answers, data
from fencepost.analysis.report.answers import NAME, report_of
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs import estimated, kept, packed
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.analysis.topics import headlines, topic
from fencepost.analysis.topics.headlines import told_headlines
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", plain_cases(2), rounds=6)


@pytest.fixture(scope="module")
def packed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, bytes]:
    """The path of a packed run, its key and its bytes."""
    folder = write_run(tmp_path_factory.mktemp("packed") / "run", plain_cases(2), rounds=6)
    analysis_of(folder)
    path = folder / kept.FOLDER / packed.NAME
    return path, kept.key_of(folder) or "", path.read_bytes()


@pytest.fixture
def estimates(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are estimated from here on."""
    seen: list[Path] = []
    afresh = answers._answered

    def noted(folder: Path) -> answers.AnswersJson:
        seen.append(folder)
        return afresh(folder)

    monkeypatch.setattr(answers, "_answered", noted)
    return seen


def test_the_second_answer_is_the_first_without_an_estimate(run: Path, estimates: list[Path]) -> None:
    first = report_of(run)
    assert report_of(run) == first == json.loads(json.dumps(data.as_json(run)))
    assert estimates == [run]


def test_a_report_gives_all_answers(run: Path, estimates: list[Path]) -> None:
    write_report(run)
    assert report_of(run) == json.loads(json.dumps(data.as_json(run)))
    assert estimates == []


def test_another_round_is_another_run(run: Path, estimates: list[Path]) -> None:
    assert report_of(run)["rounds"] == 6
    last = schema.round_file(run, 6)
    last.rename(run / "elsewhere")
    assert report_of(run)["rounds"] == 5
    (run / "elsewhere").rename(last)
    assert report_of(run)["rounds"] == 6
    assert len(estimates) == 3


def test_a_round_edited_since_is_read(run: Path) -> None:
    report_of(run)
    path = schema.round_file(run, 2)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RunFolderError, match="0002"):
        report_of(run)


@pytest.mark.parametrize("name", [schema.RUN_FILE, schema.MACHINE_FILE])
def test_an_edited_description_is_read(run: Path, name: str) -> None:
    report_of(run)
    document = json.loads((run / name).read_text())
    (run / name).write_text(json.dumps({**document, "cpu_model": "Other CPU", "id": "other"}))
    if name == schema.RUN_FILE:
        with pytest.raises(RunFolderError, match="'other'"):
            report_of(run)
    else:
        assert report_of(run)["machine"]["cpu_model"] == "Other CPU"


def test_another_rule_estimates_again(run: Path, estimates: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    report_of(run)
    monkeypatch.setattr(kept, "rule", lambda: "another")
    report_of(run)
    assert len(estimates) == 2


def test_the_rule_changes_with_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "interval.py"
    source.write_text("COVERAGE = 0.95")
    assert Path(kept.__file__) in list(kept._sources())
    monkeypatch.setattr(kept, "_sources", lambda: iter([source]))
    before = kept.rule.__wrapped__()
    source.write_text("COVERAGE = 0.96")
    assert kept.rule.__wrapped__() != before


@pytest.mark.parametrize("package", ["numpy", "pandas", "scipy", "pytest-benchmark"])
def test_the_rule_changes_with_a_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept.rule.__wrapped__()
    versions = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0" if name == package else versions(name))
    assert kept.rule.__wrapped__() != before


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "a folder", "no newline"])
def test_a_damaged_file_is_made_again(run: Path, estimates: list[Path], damage: str) -> None:
    first = report_of(run)
    path = run / kept.FOLDER / NAME
    whole = path.read_bytes()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes({"cut": whole[:-5], "changed": changed, "empty": b"", "no newline": b"x" * 99}[damage])
    assert report_of(run) == first
    assert len(estimates) == 2
    if damage != "a folder":
        assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_answered_from(run: Path) -> None:
    # A file in the way: permissions do not hold back root, who runs tests in a container.
    (run / kept.FOLDER).write_text("in the way")
    assert report_of(run)["rounds"] == 6


def test_a_link_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (run / kept.FOLDER).symlink_to(tmp_path / "away")
    report_of(run)
    assert list((tmp_path / "away").iterdir()) == []


def test_what_changed_while_it_was_estimated_is_not_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = kept.key_of(run)
    (run / schema.MACHINE_FILE).touch()
    schema.round_file(run, 6).unlink()
    kept.write(run, NAME, key, b"{}")
    assert not (run / kept.FOLDER).exists()


def test_two_at_once_leave_one_whole_file(run: Path) -> None:
    key = kept.key_of(run)
    texts = [bytes([letter]) * 200_000 for letter in b"ab"]
    threads = [threading.Thread(target=kept.write, args=(run, NAME, key, text)) for text in texts for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.read(run, NAME, key) in texts
    assert os.listdir(run / kept.FOLDER) == [NAME]  # noqa: PTH208


def test_a_folder_that_is_no_run_has_its_usual_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"not found; is .* a run folder"):
        report_of(tmp_path)


# ---- the estimate itself ----


@pytest.mark.parametrize("kind", ["rounds", "reduced"])
def test_the_kept_estimate_is_the_estimate_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = write_run(tmp_path / "run", plain_cases(3), rounds=7)
    if kind == "reduced":
        (folder / schema.ROWS_FILE).write_bytes(encode_rows(reduce_run(folder)))
    made = analyse(folder)
    analysis_of(folder)
    monkeypatch.setattr(estimated, "analyse", lambda folder: pytest.fail("estimated again"))
    again = analysis_of(folder)
    assert repr(again.rows) == repr(made.rows)
    assert repr(again.twins) == repr(made.twins)
    assert (again.run, again.machine) == (made.run, made.machine)
    pd.testing.assert_frame_equal(again.processes, made.processes)
    assert again.reduced.workers["tick_hz"].tolist() == made.reduced.workers["tick_hz"].tolist()
    assert again.reduced.series.keys() == made.reduced.series.keys()
    assert again.reduced.histograms.keys() == made.reduced.histograms.keys()
    for name, histogram in made.reduced.histograms.items():
        assert np.array_equal(again.reduced.histograms[name].ticks, histogram.ticks)
        assert np.array_equal(again.reduced.histograms[name].count, histogram.count)


def test_a_kept_estimate_is_not_made_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = analysis_of(run)
    monkeypatch.setattr(estimated, "analyse", lambda folder: pytest.fail("estimated again"))
    assert repr(analysis_of(run).rows) == repr(first.rows)
    assert exports.export(run, "csv").text


def test_a_run_is_packed_in_columns(run: Path) -> None:
    analysis = analysis_of(run)
    told = pq.read_table(run / kept.FOLDER / packed.NAME, columns=packed.COLUMNS.names).to_pylist()
    assert [one["case"] for one in told] == [row.case for row in analysis.rows]
    first, row = told[0], analysis.rows[0]
    assert (first["ns"], first["ns_low"], first["ns_high"]) == row.time[:3]
    assert b"the digest of this file" not in (run / kept.FOLDER / packed.NAME).read_bytes()
    assert (first["run"], first["complete_rounds"], first["topic"]) == (analysis.run["id"], 6, "plain")


@pytest.mark.parametrize("damage", ["cut", "a bit", "empty", "another key", "another rule", "text"])
def test_a_packed_run_that_is_damaged_or_stale_is_not_trusted(
    run: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    right = repr(analysis_of(run).rows)
    path = run / kept.FOLDER / packed.NAME
    whole = path.read_bytes()
    if damage == "another key":
        metadata = pq.ParquetFile(path).metadata.metadata
        path.write_bytes(whole.replace(metadata[packed.KEY], b"f" * 64))
    elif damage == "another rule":
        monkeypatch.setattr(kept, "rule", lambda: "another")
    else:
        cuts = {"cut": whole[:-9], "empty": b"", "text": b"{}\n"}
        flipped = whole[:700] + bytes([whole[700] ^ 1]) + whole[701:]
        path.write_bytes(cuts.get(damage, flipped))
    assert packed.read(run, kept.key_of(run)) is None
    assert repr(analysis_of(run).rows) == right
    assert packed.read(run, kept.key_of(run)) is not None, "packed again"


@pytest.mark.parametrize("place", range(0, 4000, 97))
def test_each_byte_of_a_packed_run_counts(packed_run: tuple[Path, str, bytes], place: int) -> None:
    path, key, whole = packed_run
    assert packed.decode(path, whole, key) is not None
    place = place * len(whole) // 4000
    changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    assert packed.decode(path, changed, key) is None


@pytest.mark.parametrize(("twins", "reduced"), [("{}", b"PAR1"), ("[[1]]", b"PAR1"), ("[]", b""), ("[]", b"PAR1")])
def test_a_packed_run_that_somebody_else_wrote_may_be_nonsense(run: Path, twins: str, reduced: bytes) -> None:
    made, key = analyse(run), kept.key_of(run) or ""
    kept.store(run, packed.NAME, key, packed.encode(made, key, ["{}"] * len(made.rows), twins, reduced))
    assert packed.read(run, key) is not None
    assert repr(analysis_of(run).rows) == repr(made.rows)


def test_headlines_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run", pingpong_cases({(0, 1): ("same_l3", 40)}), rounds=6)
    rungs = topic.headline_rungs(analysis_of(folder))
    first = told_headlines(analysis_of(folder))
    assert [(one.label, one.case, one.ns) for one in first] == [(it.label, it.measured_as, it.ns.value) for it in rungs]
    assert first
    monkeypatch.setattr(topic, "headline_rungs", lambda analysis: pytest.fail("found again"))
    assert told_headlines(analysis_of(folder)) == first


@pytest.mark.parametrize("data", [b"{", b"[1]", b"[[1, 2, 3, 4]]"])
def test_headlines_that_somebody_else_wrote_may_be_nonsense(run: Path, data: bytes) -> None:
    right = told_headlines(analysis_of(run))
    kept.write(run, headlines.NAME, kept.key_of(run), data)
    assert told_headlines(analysis_of(run)) == right


def test_a_comparison_of_estimated_runs_waits_for_no_large_package(tmp_path: Path) -> None:
    folders = [str(write_run(tmp_path / f"{seed}", plain_cases(2), rounds=10, seed=seed)) for seed in (1, 2)]
    for folder in folders:
        told_headlines(analysis_of(folder))
    asked = f"compare_runs(*read_runs({folders!r}), 0.02)"
    program = f"from fencepost.analysis.compare.runs import *; {asked}; import sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert {"numpy", "pyarrow"} <= set(found)
    assert not {"pandas", "scipy", "pyarrow.compute"} & set(found)


# ---- exports ----


@pytest.mark.parametrize("wanted", ["csv", "pyperf", "core-to-core"])
def test_the_second_export_is_the_first_without_an_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    pair = {(2, 5): ("same_l3", 40.0), (5, 2): ("same_l3", 40.0)}
    run = write_run(tmp_path / "run", [*plain_cases(2), *pingpong_cases(pair)], rounds=6)
    first = exports.export(run, wanted)
    assert len(first.left_out) == (2 if wanted == "core-to-core" else 0)
    monkeypatch.setattr(exports, "_exported", lambda *_: pytest.fail("exported again"))
    assert exports.export(run, wanted) == first


def test_an_export_is_of_its_format_rounds_and_rule(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    afresh = exports._exported

    def noted(folder: Path, wanted: str) -> Exported:
        made.append(wanted)
        return afresh(folder, wanted)

    monkeypatch.setattr(exports, "_exported", noted)
    texts = [exports.export(run, wanted).text for wanted in ("csv", "bmf")]
    schema.round_file(run, 6).unlink()
    texts += [exports.export(run, wanted).text for wanted in ("csv", "bmf")]
    assert len(set(texts)) == 4
    monkeypatch.setattr(kept, "rule", lambda: "another")
    assert exports.export(run, "csv").text == texts[2]
    assert made == ["csv", "bmf", "csv", "bmf", "csv"]


def test_a_run_without_a_round_is_not_exported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", plain_cases(2), rounds=0)
    with pytest.raises(ExchangeError, match="no complete round yet"):
        exports.export(run, "csv")


@pytest.mark.parametrize("data", [b"", b"{}\ntext", b"\xff\n", b"[\ntext"])
def test_an_export_that_somebody_else_kept_may_be_nonsense(run: Path, data: bytes) -> None:
    kept.write(run, "export-csv", kept.key_of(run), data)
    assert exports.export(run, "csv").text.startswith("case,")


def test_what_is_too_large_or_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / kept.FOLDER).mkdir()
    (tmp_path / kept.FOLDER / "rows").write_bytes(kept.with_head("key", b"data"))
    assert kept.read(tmp_path, "rows", "key") == b"data"
    with monkeypatch.context() as small:
        small.setattr(kept, "LARGEST_BYTES", 20)
        assert kept.read(tmp_path, "rows", "key") is None
    (tmp_path / kept.FOLDER / "rows").unlink()
    os.mkfifo(tmp_path / kept.FOLDER / "rows")
    assert kept.read(tmp_path, "rows", "key") is None
