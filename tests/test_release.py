"""What a release is made of: equal builds, recipes that say what pyproject.toml says, and checks that can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import release_check
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "packaging" / "recipe.yaml").read_text(encoding="utf-8"))
VARIANTS: dict[str, Any] = yaml.safe_load((ROOT / "packaging" / "variants.yaml").read_text(encoding="utf-8"))


def plain(requirements: list[Any]) -> set[str]:
    """Requirements without spaces and without the versions of Python for which they are. Conda has dots in names."""
    texts = [one["then"] if isinstance(one, dict) else one.partition(";")[0] for one in requirements]
    return {text.replace(" ", "").replace("backports.", "backports-") for text in texts}


def test_the_recipe_needs_what_the_package_needs() -> None:
    project = PROJECT["project"]
    python = f"python{project['requires-python']}"
    assert plain(RECIPE["requirements"]["run"]) == plain([python, *project["dependencies"]])
    assert plain(RECIPE["requirements"]["host"]) == plain(["python", "pip", *PROJECT["build-system"]["requires"]])
    assert RECIPE["context"]["version"] == project["version"]
    assert RECIPE["about"]["summary"] == project["description"]
    (name,) = project["scripts"]
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {project['scripts'][name]}"]


def test_a_conda_package_is_built_for_each_python() -> None:
    """Without its variants the recipe knows neither a Python nor the C library that it names."""
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    known = [text.removesuffix(".*") for text in VARIANTS["python"]]
    assert known[0] == oldest and len(known) == len(set(known))
    conditions = [one["if"] for one in RECIPE["requirements"]["run"] if isinstance(one, dict)]
    assert conditions
    for condition in conditions:
        (bound,) = re.findall(r'^match\(python, "<(3\.\d+)"\)$', condition)
        assert bound in known
    assert '${{ stdlib("c") }}' in RECIPE["requirements"]["build"] and VARIANTS["c_stdlib"] == ["sysroot"]


def test_the_image_uses_what_the_package_has() -> None:
    text = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")
    (extra,) = re.findall(r"whl\)\[(\w+)\]", text)
    assert extra in PROJECT["project"]["optional-dependencies"]
    assert 'ENTRYPOINT ["fencepost"]' in text


def test_wheels_are_built_for_the_oldest_python() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert all(pattern.startswith(f"cp{oldest}-") for pattern in PROJECT["tool"]["cibuildwheel"]["build"])
    assert f'"py_limited_api": "cp{oldest}"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_two_builds_that_differ_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / folder / "package.whl" for folder in ("1", "2", "3")]
    for file, content in zip(files, ("a", "a", "b"), strict=True):
        file.parent.mkdir()
        file.write_text(content)
    release_check.compared(files[:1], files[1:2])
    with pytest.raises(release_check.CheckError, match=r"two builds of package\.whl differ"):
        release_check.compared(files[:1], files[2:])
    with pytest.raises(release_check.CheckError, match="other names"):
        release_check.compared(files[:1], [])


def test_a_step_that_fails_is_named_with_what_it_printed() -> None:
    with pytest.raises(release_check.CheckError, match=r"the step failed with exit code 3:\nsaid\n"):
        release_check.called(["sh", "-c", "echo said; exit 3"], "the step")


@pytest.mark.slow
def test_two_source_distributions_of_one_tree_are_equal_to_the_byte(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "dist", "results", "tests", "*.egg-info", ".*_cache")
    packed = []
    for number in range(2):
        tree, out = tmp_path / f"tree{number}", tmp_path / f"out{number}"
        shutil.copytree(ROOT, tree, ignore=left_out, symlinks=True)
        for path in tree.rglob("*.py"):
            os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
            path.chmod(0o600 if number else 0o644)
        build = f"from setuptools import build_meta as b; b.build_sdist({str(out)!r})"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        subprocess.run(
            [sys.executable, "-c", build], cwd=tree, env=environment, capture_output=True, check=True, timeout=300
        )
        packed += list(out.glob("*.tar.gz"))
    assert packed[0].name == packed[1].name
    assert packed[0].read_bytes() == packed[1].read_bytes()
