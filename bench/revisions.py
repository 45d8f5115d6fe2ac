"""Kernel files as they were in a git revision: ``REV:path/kernel.c``, with the folder that they stand in."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.files import words_of
from fencepost.bench.objects import LANGUAGES

GIT_TIMEOUT_S = 60


def split(text: str) -> tuple[str, str] | None:
    """Revision and path of ``REV:path``; None where `text` is not of that form, or is the name of a file."""
    revision, colon, path = text.partition(":")
    if not colon or not revision or Path(path).suffix.lower() not in LANGUAGES or Path(text).exists():
        return None
    return revision, path


def extract(text: str, into: Path) -> Path:
    """Write the folder of the file ``REV:path``, as it was in that revision, below `into`; the file's path there.

    The path is relative to the working directory, as a user types it. The whole folder comes along, so that what the
    file includes from beside it is of the same revision; what it includes from elsewhere is not found.

    Raises
    ------
    UsageError
        when this is no git repository, or there is no such revision or file in it.
    MeasureError
        when git cannot be run.
    """
    parts = split(text)
    if parts is None:
        raise UsageError(f"{text}: not of the form REV:path/kernel.c")
    revision, path = parts
    commit = _git(text, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise UsageError(f"{text}: git knows no revision {revision!r} here")
    identity = commit.decode().strip()
    given = Path(path)
    if given.is_absolute() or _git(text, "cat-file", "-e", f"{identity}:./{given}") is None:
        raise UsageError(f"{text}: no such file in that revision; the path is relative to this folder")
    folder = given.parent
    archive = _git(text, "-C", str(folder), "archive", identity, ".") if folder.is_dir() else None
    if archive is None:
        # A folder that is not there any more: git archive must be told where it is from here.
        archive = _git(text, "archive", f"{identity}:./{folder}")
    if archive is None:
        raise UsageError(f"{text}: git cannot list its folder in that revision")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    return into / given.name


def _git(what: str, *arguments: str) -> bytes | None:
    """What git prints, or None where it says no."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MeasureError(f"{what}: git is not installed") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise MeasureError(f"{what}: git does not run ({words_of(error)})") from error
    if done.returncode and b"not a git repository" in done.stderr:
        raise UsageError(f"{what}: this folder is not in a git repository")
    return None if done.returncode else done.stdout
