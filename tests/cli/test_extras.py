"""A thin installation measures, and says in one sentence which extra a command needs."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator
from packaging.requirements import Requirement
from runs.measure import fencepost_inside

from fencepost.bench.errors import EXIT_USAGE
from fencepost.cli import extras, faults
from fencepost.cli.schemas import schema_of

RUN = ("run", "good/steady", "--rounds", "2")
ADVICE = "pip install 'fencepost[analysis]'"


def test_a_missing_module_of_an_extra_is_named_by_its_extra(capsys: pytest.CaptureFixture[str]) -> None:
    error = ModuleNotFoundError("No module named 'pandas.core'", name="pandas.core")
    assert faults.report(error) == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fencepost: figures need the analysis") and line.endswith(ADVICE)
    assert "fencepost[pytest]" in extras.advice(ModuleNotFoundError(name="pytest_benchmark"))
    assert extras.advice(ModuleNotFoundError(name="cffi")) == extras.advice(ImportError(name="pandas")) == ""


def test_the_one_module_of_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "analysis", ("json", "no_such_module"))
    assert extras.missing() == f"figures need the analysis, of which no_such_module is not installed here; {ADVICE}"
    monkeypatch.setitem(extras.EXTRAS, "analysis", ("no_such_module", "nor_this"))
    assert extras.missing() == f"figures need the analysis, which is not installed here; {ADVICE}"
    monkeypatch.setitem(extras.EXTRAS, "analysis", ("json",))
    assert extras.missing() == ""


def test_a_run_without_the_analysis_tells_where_its_samples_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "analysis", ("no_such_module",))
    done = fencepost_inside(*RUN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Measured 2 cases in 2 rounds. Samples: results/runs/" in done.stdout and ADVICE in done.stdout
    told = json.loads(fencepost_inside(*RUN, "--json", cwd=tmp_path).stdout)
    assert told["rounds"] == 2 and Path(told["folder"]).is_dir() and told["failed"] == []
    form = Draft202012Validator(schema_of("samples"))
    assert form.is_valid(told) and not form.is_valid(told | {"rows": []})
    assert not form.is_valid(told | {"failed": ["good/steady"]})


@pytest.mark.parametrize("words", [("ab", "good/steady", "good/once"), ("peers",)])
def test_nothing_is_measured_that_cannot_be_compared(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "analysis", ("no_such_module",))
    done = fencepost_inside(*words, cwd=tmp_path)
    assert done.returncode == EXIT_USAGE and ADVICE in done.stderr and not any(tmp_path.iterdir())


def distributions(
    name: str, found: dict[str, metadata.Distribution], extra: str = ""
) -> dict[str, metadata.Distribution]:
    """An installed package and all that it needs, with an extra of its own."""
    if name not in found:
        found[name] = metadata.distribution(name)
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                distributions(requirement.name, found)
    return found


Call = Callable[..., subprocess.CompletedProcess[str]]


def installed(place: Path, extra: str) -> Call:
    """Fencepost in an environment that has what its own requirements and those of an extra name, and nothing else."""
    venv.create(place / "venv", symlinks=True)
    (site,) = (place / "venv").glob("lib/python3*/site-packages")
    for one in distributions("fencepost", {}, extra).values():
        for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(one.locate_file(top))))
    python = place / "venv" / "bin" / Path(sys.executable).name

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "fencepost.cli.main", *words]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, check=False)

    return call


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Call:
    return installed(tmp_path_factory.mktemp("thin"), "")


@pytest.mark.slow
def test_the_analysis_needs_no_other_extra(tmp_path: Path) -> None:
    call = installed(tmp_path, "analysis")
    assert call("run", "clock/read", "--rounds", "6", "-q").returncode == 0
    for words in ("report latest", "compare latest latest", "export latest --format csv", "claims latest", "doctor"):
        done = call(*words.split())
        assert "not installed" not in done.stderr and "internal error" not in done.stderr, (words, done.stderr)
    for words in ("report latest", "export latest --format csv"):
        assert call(*words.split()).returncode == 0
    refused = call("export", "latest", "--format", "pytest-benchmark")
    assert refused.returncode == EXIT_USAGE and "pip install 'fencepost[pytest]'" in refused.stderr


@pytest.mark.slow
def test_a_thin_installation_measures_and_resumes(thin: Call) -> None:
    done = thin("run", "clock/read", "--rounds", "2", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert Draft202012Validator(json.loads(thin("schema", "samples").stdout)).is_valid(document)
    folder = Path(document["folder"])
    (folder / "rounds" / "0002.parquet").unlink()
    again = thin("run", "--resume", str(folder))
    assert again.returncode == 0 and (folder / "rounds" / "0002.parquet").is_file(), again.stderr
    assert "No module" not in again.stderr
    assert "numpy" not in distributions("fencepost", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "list clock",
        "show clock/read",
        "doctor",
        "neighbours --for 1s",
        "neighbours --for 1s --json",
        "run clock --dry-run",
        "schema run.json",
        "schema samples",
    ],
)
def test_commands_that_need_no_figures_work_in_it(words: str, thin: Call) -> None:
    done = thin(*words.split())
    assert done.stdout and "not installed" not in done.stderr and "internal error" not in done.stderr
    assert words != "doctor" or "neighbours: the core" in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "report latest",
        "compare latest latest",
        "claims latest",
        "history .",
        "publish latest",
        "export latest --format csv",
        "selfcheck",
        "peers",
        "neighbours --picture p.svg",
        "ab clock/read clock/empty",
        "schema report",
    ],
)
def test_others_say_what_to_install(words: str, thin: Call) -> None:
    assert thin("run", "clock/read", "--rounds", "1", "-q").returncode == 0
    done = thin(*words.split())
    assert done.returncode == EXIT_USAGE, (done.stdout, done.stderr)
    assert done.stderr.splitlines()[-1].endswith(ADVICE) and "internal error" not in done.stderr
