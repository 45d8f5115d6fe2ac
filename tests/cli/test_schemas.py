"""`fencepost schema`: what the commands print is as the schemas say, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from runs.measure import fencepost_inside
from runs.write import Case, machine_document, write_run

from fencepost.analysis.runs.rounds import iter_rounds
from fencepost.analysis.text.json_schema import json_schema
from fencepost.bench import schema
from fencepost.cli.schemas import NAMES, schema_of

pytestmark = pytest.mark.usefixtures("undrawn")

FIRST = Case("memory/chase", {"size": "16KiB"}, ns=4.0)
CASES = [FIRST, FIRST.twin(), Case("own/a", ns=20.0)]
ANSWERS = ("report", "claims", "compare", "compare three", "compare machines")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What commands print of stored runs."""
    cwd = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("a", "b", "c"), 1):
        write_run(cwd / name, CASES, rounds=8, seed=seed)
    write_run(cwd / "other", CASES, rounds=8, machine=machine_document(key="other-0123abcd"))
    run = json.loads((cwd / "other" / "run.json").read_text())
    (cwd / "other" / "run.json").write_text(json.dumps(run | {"machine_key": "other-0123abcd"}))
    asked = (("report", "a"), ("claims", "a"), ("compare", "a", "b"), ("compare", "a", "b", "c"))
    found = {}
    for name, words in zip(ANSWERS, (*asked, ("compare", "a", "other")), strict=True):
        done = fencepost_inside(*words, "--json", cwd=cwd)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
    return found


def fits(name: str, document: Any) -> bool:
    return Draft202012Validator(schema_of(name.split()[0])).is_valid(document)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_as_their_schemas_say(printed: dict[str, Any], name: str) -> None:
    faults = [fault.message for fault in Draft202012Validator(schema_of(name.split()[0])).iter_errors(printed[name])]
    assert not faults


def changes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with a key more, and without each of its keys, at its top and in the first row."""
    for key in document:
        yield f"without {key}", {name: held for name, held in document.items() if name != key}
    yield "with a key more", document | {"another": 1}
    for key in document.get("rows", [{}])[0]:
        changed = copy.deepcopy(document)
        changed["rows"][0]["_" + key] = changed["rows"][0].pop(key)
        yield f"rows[0].{key} renamed", changed


@pytest.mark.parametrize("name", ANSWERS)
def test_a_changed_field_is_noticed(printed: dict[str, Any], name: str) -> None:
    passed = [what for what, changed in changes(printed[name]) if fits(name, changed)]
    assert not passed


def test_a_report_has_headlines_trust_and_label(printed: dict[str, Any], tmp_path: Path) -> None:
    document = printed["report"]
    assert document["label"] is None
    assert document["trust"]["word"] and document["trust"]["topics"][0]["topic"]
    write_run(tmp_path / "run", [FIRST, FIRST.twin()])
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(run | {"labels": {"name": "c7a.large"}}))
    done = fencepost_inside("report", "run", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["label"] == "c7a.large"
    headline = document["headlines"][0]
    assert headline["headline"].startswith("load from ") and headline["measured_as"]
    assert headline["ns_low"] <= headline["ns"] <= headline["ns_high"]
    assert fits("report", document)


def test_a_headline_of_two_places_names_both(tmp_path: Path) -> None:
    places = ((105.0, 0.5, 1.0), (400.0, 0.5, 3.0))
    values = {"variant": "load_store", "pause": "no"}
    write_run(tmp_path / "run", [Case("line/pingpong", values, ns=100.0, cpus=(0, 1), places=places)])
    document = json.loads(fencepost_inside("report", "run", "--json", cwd=tmp_path).stdout)
    regimes = document["headlines"][0]["regimes"]
    assert [regime["name"] for regime in regimes] == ["near", "far"]
    assert sum(regime["share"] for regime in regimes) == pytest.approx(1)
    assert document["headlines"][0]["ns"] in [regime["ns"] for regime in regimes]
    assert fits("report", document)


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_printed_and_is_one(tmp_path: Path, name: str) -> None:
    done = fencepost_inside("schema", name, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["title"] == NAMES[name]
    Draft202012Validator(document)  # raises where it is none


def test_files_have_the_schemas_by_which_they_are_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", CASES)
    files = {name: json.loads((folder / name).read_text()) for name in ("run.json", "machine.json")}
    for name, document in files.items():
        assert fits(name, document)
        assert not fits(name, document | {"schema": "1"})
    record = next(iter_rounds(folder)).record
    assert fits("round", record) and not fits("round", record | {"round": 0})


def test_names_are_listed_and_others_refused(tmp_path: Path) -> None:
    assert all(name in fencepost_inside("schema", cwd=tmp_path).stdout for name in NAMES)
    assert json.loads(fencepost_inside("schema", "--json", cwd=tmp_path).stdout) == NAMES
    done = fencepost_inside("schema", "rune", cwd=tmp_path)
    assert done.returncode == 2 and "run.json" in done.stderr


def test_what_has_no_form_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="has no form in JSON"):
        json_schema(set)
    assert schema.SCHEMA_VERSION == 1
