"""`fencepost new --ci`: the jobs that it writes are valid, run, and are red for a slower kernel only."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kernels.own import PLAIN, write
from runs import measure as runtime

from fencepost.bench.errors import UsageError
from fencepost.cli import new

SOURCE = "git+https://forge.example/fencepost@main"
SLOWER = PLAIN.replace("i < n;", "i < n * 16;")


def fencepost(*arguments: str, cwd: Path) -> runtime.Answer:
    return runtime.fencepost_inside(*arguments, cwd=cwd)


def git(*arguments: str, cwd: Path) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    write(folder / "src", "mine.c")
    (folder / "src" / "plain.c").write_text("int main(void) { return 0; }\n")
    (folder / ".gitignore").write_text("build/\nresults/\n")
    write(folder / "build", "ignored.c")
    git("init", "-q", ".", cwd=folder)
    return folder


def job_of(forge: str, folder: Path, *names: str) -> dict[Any, Any]:
    """The document that `fencepost new --ci` writes into `folder`."""
    done = fencepost("new", "--ci", forge, "--install", SOURCE, *names, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {new.FORGES[forge]}. It compares src/mine.c." in done.stdout
    document: dict[Any, Any] = yaml.safe_load((folder / new.FORGES[forge]).read_text())
    return document


def steps_of(forge: str, document: dict[Any, Any]) -> tuple[list[str], dict[str, str]]:
    """The shell steps of a job, without the first, which installs fencepost; and its variables."""
    if forge == "gitlab":
        job = document["fencepost"]
        steps, variables = job["script"], job["variables"]
    else:
        job = document["jobs"]["compare"]
        steps, variables = [step["run"] for step in job["steps"] if "run" in step], job["env"]
    assert steps[0] == f"python -m pip install 'fencepost[analysis]@{SOURCE}'", "`ab` needs the extra"
    return steps[1:], variables


@pytest.mark.parametrize("forge", list(new.FORGES))
def test_a_job_is_valid_and_asks_for_nothing_secret(forge: str, repository: Path) -> None:
    document = job_of(forge, repository)
    (step,), variables = steps_of(forge, document)
    assert 'fencepost ab "$BASE:$file" "$file" --fail-on slower --markdown' in step
    assert "for file in src/mine.c; do" in step  # neither the program nor what git ignores
    assert subprocess.run(["bash", "-n"], input=step, text=True, check=False).returncode == 0
    if forge == "github":
        assert document[True] == "pull_request"  # YAML 1.1 reads the key "on" so, and GitHub does not
        assert document["permissions"] == {"contents": "read"}
        assert document["jobs"]["compare"]["steps"][0]["with"]["fetch-depth"] == 2 and variables["BASE"] == "HEAD^1"
    else:
        job = document["fencepost"]
        assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
        assert job["artifacts"]["paths"] == ["fencepost.md"] and job["artifacts"]["when"] == "always"
        assert variables == {"GIT_DEPTH": "0", "BASE": "$CI_MERGE_REQUEST_DIFF_BASE_SHA"}
    assert "secrets" not in str(document)


def test_a_file_that_exists_is_not_changed(repository: Path) -> None:
    (repository / ".gitlab-ci.yml").write_text("mine: {}\n")
    done = fencepost("new", "--ci", "gitlab", "--install", SOURCE, cwd=repository)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "fencepost: .gitlab-ci.yml: exists already and was not changed; choose another folder with --to\n"
    )
    assert (repository / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    assert fencepost("new", "--ci", "gitlab", "--install", SOURCE, "--to", "ci", cwd=repository).returncode == 0
    assert (repository / "ci" / ".gitlab-ci.yml").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.c",), "none.c: no kernel file (.c, .cc, .cpp, .cxx) in this repository"),
        (("../outside.c",), "../outside.c: give its path from the root of the repository"),
        (("src/a b.c",), "src/a b.c: the job takes names of letters, digits"),
        (("--install", "a b"), "--install a b: has a space, a quote or a dollar sign"),
        (("--cxx",), "--cxx is for kernel files"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], words: str, repository: Path) -> None:
    for name in {"../outside.c", "src/a b.c"}.intersection(arguments):
        (repository / name).write_text(PLAIN)
    done = fencepost("new", "--ci", "github", "--install", SOURCE, *arguments, cwd=repository)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""
    assert not (repository / ".github").exists()


def test_a_job_needs_a_repository_with_a_kernel(tmp_path: Path) -> None:
    outside = fencepost("new", "--ci", "github", "--install", SOURCE, cwd=tmp_path)
    assert outside.returncode == 2 and "not the root of a git repository" in outside.stderr
    git("init", "-q", ".", cwd=tmp_path)
    empty = fencepost("new", "--ci", "github", "--install", SOURCE, cwd=tmp_path)
    assert empty.returncode == 2 and "no kernel file in this repository" in empty.stderr
    kernel, job = empty.stderr.strip().partition("such as: ")[2].split(" && ")  # what can be pasted
    assert fencepost(*kernel.split()[1:], cwd=tmp_path).returncode == 0
    assert fencepost(*job.split()[1:], "--install", SOURCE, cwd=tmp_path).returncode == 0
    alone = fencepost("new", "mine", "--install", SOURCE, cwd=tmp_path)
    assert alone.returncode == 2 and "--install is for --ci" in alone.stderr


@pytest.mark.parametrize(
    ("origin", "remote", "source"),
    [
        (None, "", "fencepost[analysis]==1.5"),
        (
            '{"url": "https://u:t@h/x.git", "vcs_info": {"vcs": "git", "commit_id": "c0"}}',
            "",
            "fencepost[analysis]@git+https://h/x.git@c0",
        ),
        (
            '{"url": "file:///x", "dir_info": {"editable": true}}',
            "https://h/x\n",
            "fencepost[analysis]@git+https://h/x@c1",
        ),
        ('{"url": "file:///x", "dir_info": {"editable": true}}', "git@h:x\n", None),
        ('{"url": "file:///x", "dir_info": {"editable": true}}', "", None),
    ],
)
def test_the_job_installs_what_wrote_it(
    origin: str | None, remote: str, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return origin

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.5")
    monkeypatch.setattr(new, "_git", lambda *words, missing: remote if "remote" in words else "c1\n")
    if source is not None:
        for forge in new.FORGES:
            assert f"pip install '{source}'" in new._job(forge, ["a.c"], new._source())
    else:
        with pytest.raises(UsageError, match="say with --install what pip installs there"):
            new._source()


@pytest.mark.parametrize(
    ("named", "installed"),
    [
        ("fencepost", "fencepost[analysis]"),
        ("fencepost>=1.5", "fencepost[analysis]>=1.5"),
        ("fencepost[pytest]", "fencepost[pytest]"),
        ("fencepost-1.5-py3-none-any.whl", "fencepost-1.5-py3-none-any.whl"),
        ("https://forge.example/x.tar.gz", "fencepost[analysis]@https://forge.example/x.tar.gz"),
    ],
)
def test_the_job_has_the_extra_that_ab_needs(named: str, installed: str) -> None:
    assert f"pip install '{installed}'" in new._job("github", ["a.c"], named)


def run_job(forge: str, repository: Path, folder: Path) -> tuple[int, str]:
    """Run the shell steps of the job on the last commit and its parent, as the forge does; its code and the table."""
    steps, variables = steps_of(forge, yaml.safe_load((repository / new.FORGES[forge]).read_text()))
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "fencepost"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(runtime.command())} "$@"\n')
    program.chmod(0o755)
    table = folder / "summary.md" if forge == "github" else repository / "fencepost.md"
    table.unlink(missing_ok=True)
    environment = {
        **runtime.environment(XDG_CACHE_HOME=str(folder / "cache")),
        **variables,
        "BASE": "HEAD^1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(steps)], cwd=repository, env=environment, capture_output=True, text=True
    )
    print(done.stdout, done.stderr)
    return done.returncode, table.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("forge", list(new.FORGES))
def test_a_slower_kernel_is_red_and_others_are_not(forge: str, repository: Path, tmp_path: Path) -> None:
    """The steps themselves, on a kernel that is new, that is not changed, and that does so much more."""
    job_of(forge, repository)
    git("add", "src/plain.c", ".gitignore", cwd=repository)
    git("commit", "-qm", "base", cwd=repository)
    git("add", ".", cwd=repository)
    git("commit", "-qm", "a kernel", cwd=repository)
    code, table = run_job(forge, repository, tmp_path)
    assert code == 0 and "src/mine.c is new. There is nothing to compare." in table
    if forge == "github":  # both forges have the same loop over the files, and a comparison takes seconds
        git("commit", "-qm", "nothing", "--allow-empty", cwd=repository)
        code, table = run_job(forge, repository, tmp_path)
        assert code == 0 and "| case | old | new |" in table and "slower" not in table, table
    write(repository / "src", "mine.c", text=SLOWER)
    git("commit", "-qam", "a slowdown", cwd=repository)
    code, table = run_job(forge, repository, tmp_path)
    assert code == 1 and "changed: slower" in table, table
    if forge == "gitlab":
        assert "<failure" in (repository / "fencepost-src-mine.c.xml").read_text()
