"""The manual page, and what a shell completes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from browse import missing
from click.shell_completion import ShellComplete
from runs.measure import command, environment, fault_engine, fencepost_inside
from runs.write import Case, write_run

from fencepost.bench import engine
from fencepost.bench.errors import EngineError
from fencepost.cli.completion import SHELLS, VARIABLE
from fencepost.cli.main import cli
from fencepost.cli.manual import page

ROOT = Path(__file__).resolve().parents[2]


def completed(monkeypatch: pytest.MonkeyPatch, cwd: Path, *words: str) -> list[str]:
    """What a shell is offered for the last of these words."""
    with monkeypatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr(engine, "load", fault_engine)
        items = ShellComplete(cli, {}, "fencepost", VARIABLE).get_completions(list(words[:-1]), words[-1])
    return [f"{item.type},{item.value}" for item in items]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_asks_fencepost(tmp_path: Path, shell: str) -> None:
    done = fencepost_inside("completion", shell, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{VARIABLE}={shell}_complete" in done.stdout
    checker = shutil.which(shell)
    if checker:
        subprocess.run([checker, "-n"], input=done.stdout, text=True, check=True, timeout=60)


COMPLETING = {
    "bash": "COMP_WORDS=(fencepost rep); COMP_CWORD=1; _fencepost_completion fencepost;"
    ' printf "%s\\n" "${COMPREPLY[@]}"',
    # A function of completion works at a prompt only.
    "zsh": "print -- $_comps[fencepost]",
    "fish": 'complete -C "fencepost rep"',
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_without_any_settings_completes(tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        missing(f"no {shell} here (Debian: apt-get install {shell})")
    script = fencepost_inside("completion", shell, cwd=tmp_path).stdout
    bare = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "fencepost").write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, command()))} "$@"\n')
    (folder / "fencepost").chmod(0o755)
    env = environment(PATH=f"{folder}:{os.environ['PATH']}", HOME=str(tmp_path))
    done = subprocess.run(
        [program, *bare, "-c", f"{script}\n{COMPLETING[shell]}"],
        capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split()[:1] == ["_fencepost_completion" if shell == "zsh" else "report"]


def test_commands_options_and_kernels_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(monkeypatch, tmp_path, "sho") == ["plain,show"]
    assert "plain,--rounds" in completed(monkeypatch, tmp_path, "run", "--ro")
    for words in (("show",), ("list",), ("run", "good/once"), ("ab",), ("selfcheck",)):
        assert completed(monkeypatch, tmp_path, *words, "good/st") == ["plain,good/steady"], words
    assert "plain,good" in completed(monkeypatch, tmp_path, "run", "go")


def test_runs_are_completed_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "results" / "runs"
    for name in ("20260102T030405Z-a", "20260103T030405Z-b"):
        write_run(base / name, [Case("own/a")], rounds=1)
    (base / "20260104T030405Z-none").mkdir()
    for words in (("report",), ("claims",), ("compare", "latest"), ("publish",), ("export",), ("run", "--resume")):
        found = completed(monkeypatch, tmp_path, *words, "2026")
        assert found == ["plain,20260103T030405Z-b", "plain,20260102T030405Z-a", "dir,2026"], words
    assert completed(monkeypatch, tmp_path, "report", "la") == ["plain,latest", "dir,la"]


def test_without_an_engine_no_kernel_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> engine.Engine:
        raise EngineError("not built")

    monkeypatch.setattr(engine, "load", absent)
    completion = ShellComplete(cli, {}, "fencepost", VARIABLE)
    assert completion.get_completions(["show"], "go") == []


@pytest.mark.slow  # a process of its own
def test_a_shell_that_asks_is_answered(tmp_path: Path) -> None:
    asked = environment(_FENCEPOST_COMPLETE="bash_complete", COMP_WORDS="fencepost sho", COMP_CWORD="1")
    done = subprocess.run(command(), env=asked, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "plain,show\n"


def every_command(group: click.Group, before: str = "fencepost") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{before} {name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{before} {name}")


def test_the_manual_has_every_command_and_option(tmp_path: Path) -> None:
    text = fencepost_inside("man", cwd=tmp_path).stdout
    plain = text.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")
    for name, found in every_command(cli):
        section, *_ = re.findall(rf"^\.SS {name} .*?(?=^\.SS|\Z)", plain, re.MULTILINE | re.DOTALL)
        first = " ".join((found.help or "").partition("\n\n")[0].split())
        assert first in " ".join(section.split()), name
        for option in found.params:
            if isinstance(option, click.Option):
                assert option.opts[0] in section, (name, option.opts)
    assert plain.startswith(".TH FENCEPOST 1")
    # No line is a request that nobody meant.
    assert {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))} <= {
        *(".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".nf", ".fi")
    }


def test_roff_accepts_the_manual() -> None:
    checker = shutil.which("groff")
    if checker is None:
        pytest.skip("groff is not installed")
    options = ["-man", "-ww", "-z", "-Tutf8"]
    done = subprocess.run([checker, *options], input=page(cli, "1"), capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_text_is_no_request() -> None:
    group = click.Group("x", help="Do it.\n\n.hidden and \\fB and a-b", commands=[click.Command("y", help="'quoted'")])
    text = page(group, "1")
    assert "\n\\&.hidden and \\efB and a\\-b\n" in text
    assert "\n\\&'quoted'\n" in text


@pytest.mark.slow  # a process of its own
def test_the_page_is_installed_where_man_looks(tmp_path: Path) -> None:
    install = [sys.executable, "setup.py", "--quiet", "install_data", "--install-dir", str(tmp_path)]
    subprocess.run(install, cwd=ROOT, check=True, timeout=300)
    text = (tmp_path / "share" / "man" / "man1" / "fencepost.1").read_text()
    # The version stands in the first line.
    assert text.splitlines()[1:] == page(cli, "").splitlines()[1:]
