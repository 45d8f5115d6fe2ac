"""Where output goes: closed descriptors, and folders that nobody made."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest
from runs.measure import PATIENCE_S, command, environment, fencepost_inside
from runs.write import Case, write_run

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(("closed", "code"), [((1,), 2), ((2,), 0), ((1, 2), 2), ((0,), 0)])
def test_a_closed_descriptor_is_one_sentence_or_nothing(tmp_path: Path, closed: tuple[int, ...], code: int) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    done = subprocess.run(
        command("list", "good/*"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=close,
    )
    assert done.returncode == code, done.stderr
    if closed == (1,):
        assert done.stderr == "fencepost: standard output is closed; send it to a file, or to /dev/null\n"
    else:
        assert done.stderr == ""
    assert ("good/steady" in done.stdout) == (1 not in closed)


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "run", "--html"),
        ("report", "run", "--markdown"),
        ("claims", "run", "--html"),
        ("claims", "run", "--markdown"),
        ("compare", "run", "run", "--html"),
        ("compare", "run", "run", "--junit"),
        ("ab", "run", "run", "--junit"),
        ("export", "run", "--format", "csv", "--out"),
        ("history", "--picture"),
        ("neighbours", "--picture"),
    ],
)
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("no/such.svg", "there is no folder no; make it first"),
        ("run", "is a folder; name a file in it"),
    ],
)
def test_a_file_that_cannot_be_is_refused_at_once(
    tmp_path: Path, arguments: tuple[str, ...], file: str, sentence: str
) -> None:
    (tmp_path / "run").mkdir()  # and no run in it: nothing is read before
    done = fencepost_inside(*arguments, file, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"fencepost: {arguments[-1]} {file}: {sentence}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user whom the system does not know, without HOME."""
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_uid: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody(monkeypatch)
    (tmp_path / "k.c").write_text("")
    for arguments in (("config", "--cache-dir"), ("list", "--kernel", "k.c")):
        done = fencepost_inside(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and "set HOME, or XDG_CACHE_HOME to a folder" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert fencepost_inside("config", "--cflags", cwd=tmp_path).returncode == 0


@pytest.mark.slow  # a process that imports what draws
def test_a_user_without_a_home_hears_nothing_of_fonts(tmp_path: Path) -> None:
    code = "import fencepost.analysis.draw.figure, matplotlib; matplotlib.get_cachedir()"
    env = {name: text for name, text in os.environ.items() if name not in ("MPLCONFIGDIR", "XDG_CACHE_HOME")}
    env["HOME"] = "/dev/null"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_publishing_makes_one_folder_and_not_two(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [Case("own/a")], rounds=20, unmeasurable=[])
    done = fencepost_inside("publish", "run", "--anyway", "--results", "no/results", cwd=tmp_path)
    assert done.returncode == 2 and "no/results: cannot be made" in done.stderr
    assert not (tmp_path / "no").exists()


def test_history_without_any_run_says_how_to_make_one(tmp_path: Path) -> None:
    done = fencepost_inside("history", cwd=tmp_path)
    assert done.returncode == 2 and "`fencepost run` makes the first" in done.stderr


@pytest.mark.parametrize("found", [True, False])
def test_the_browser_shows_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    write_run(tmp_path / "run", [Case("own/a")], unmeasurable=[])
    asked: list[str] = []

    def show(address: str) -> bool:
        asked.append(address)
        return found

    monkeypatch.setattr(webbrowser, "open", show)
    done = fencepost_inside("report", "run", "--open", cwd=tmp_path)
    page = tmp_path / "run" / "report.html"
    assert asked == [page.resolve().as_uri()]
    assert page.is_file()
    assert done.returncode == (0 if found else 3), done.stderr
    assert ("no browser was found" in done.stderr) != found


@pytest.mark.parametrize("others", [("--json",), ("--markdown", "r.md")])
def test_only_a_page_is_shown(tmp_path: Path, others: tuple[str, ...]) -> None:
    write_run(tmp_path / "run", [Case("own/a")], unmeasurable=[])
    done = fencepost_inside("report", "run", "--open", *others, cwd=tmp_path)
    assert done.returncode == 2 and "--open shows the HTML report" in done.stderr
