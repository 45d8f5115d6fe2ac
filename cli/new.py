"""`fencepost new`: files to start from, a kernel or a job that compares kernels in CI."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.bench.files import words_of
from fencepost.cli.options import verbose_option

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = r"[a-z][a-z0-9_]*"
FORGES = {"github": ".github/workflows/fencepost.yml", "gitlab": ".gitlab-ci.yml"}
TEMPLATES = Path(__file__).resolve().parent / "templates"
_PLAIN_FILE = re.compile(r"[A-Za-z0-9_./+-]+")
_PLAIN_SOURCE = re.compile(r"[^\s'\"`$\\]+")
_KERNEL_FILE = re.compile(rb"^\s*KERNEL\(|^\s*PEER_(?:SPSC|MPMC)\(", re.MULTILINE)


@click.command(name="new")
@click.argument("names", nargs=-1, metavar="NAME")
@click.option("--cxx", "language", flag_value="cc", help="C++ instead of C.")
@click.option("--ring", is_flag=True, help="A queue between two threads, to be measured by `fencepost peers`.")
@click.option("--ci", type=click.Choice(list(FORGES)), help="Write a job that compares kernel files with their base.")
@click.option(
    "--install",
    metavar="SOURCE",
    help="Source for pip in that job, such as git+https://HOST/fencepost@main.  [default: that of this fencepost]",
)
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder.  [default: this one]")
@verbose_option
def new_command(
    names: tuple[str, ...], language: str | None, ring: bool, ci: str | None, install: str | None, folder: Path
) -> None:
    """Write a kernel file for the kernel NAME (topic/variant, or one word). It runs as it is.

    The file is TOPIC_VARIANT.c. It times a small loop and checks it. Replace the loop with yours, then measure it with
    `fencepost run --kernel FILE`.

    With --ring, NAME is one word and the file is NAME.c. It has a queue that runs beside fencepost's and those of other
    libraries: `fencepost peers FILE`.

    With --ci, each NAME is a kernel file of this repository (default: all of them). The job compares each with its base
    by `fencepost ab`. It fails if a row is slower.
    """
    from fencepost.bench.errors import UsageError

    if ci is not None:
        if language is not None or ring:
            raise UsageError(f"{'--ring' if ring else '--cxx'} is for kernel files; leave it out beside --ci")
        path = folder / FORGES[ci]
        files = _kernel_files(names, ci)
        _write(path, _job(ci, files, install or _source()), parents=True)
        click.echo(f"Wrote {path}. It compares {', '.join(files)}. Commit it, then open a pull request.")
        return
    if install is not None:
        raise UsageError("--install is for --ci; leave it out")
    if len(names) != 1:
        raise UsageError("name one kernel: fencepost new topic/variant; see `fencepost new --help`")
    if ring:
        _new_ring(names[0], language or "c", folder)
        return
    full = names[0] if "/" in names[0] else f"own/{names[0]}"
    if not re.fullmatch(f"{WORD}/{WORD}", full):
        raise UsageError(
            f"{names[0]!r}: not a kernel's name; write topic/variant in lower case, digits and underscores"
        )
    path = folder / f"{full.replace('/', '_')}.{language or 'c'}"
    _write(path, _from_template("kernel.c.in", NAME=full, ID=full.partition("/")[2], FILE=path.name))
    click.echo(f"Wrote {path}. Measure it with: fencepost run --kernel {path}")


def _new_ring(name: str, language: str, folder: Path) -> None:
    """Write a file with the queue `name`."""
    from fencepost.bench.errors import UsageError

    if not re.fullmatch(WORD, name):
        raise UsageError(f"{name!r}: not a name for a ring; write one word in lower case, digits and underscores")
    path = folder / f"{name}.{language}"
    _write(path, _from_template(f"ring.{language}.in", ID=name, FILE=path.name))
    click.echo(f"Wrote {path}. Measure it beside other rings with: fencepost peers {path}")


def _from_template(template: str, **values: str) -> str:
    """A file of csrc/own with ``@NAME@`` and others filled in."""
    from fencepost.bench import sources

    return _filled((sources.CSRC / "own" / template).read_text(encoding="utf-8"), **values)


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _write(path: Path, text: str, *, parents: bool = False) -> None:
    """Write a file that was not there. `parents`: with its folders.

    Raises
    ------
    UsageError
        when it exists.
    MeasureError
        when it cannot be written.
    """
    from fencepost.bench.errors import MeasureError, UsageError

    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        hint = "another folder with --to" if parents else "another name"
        raise UsageError(f"{path}: exists already and was not changed; choose {hint}") from None
    except OSError as error:
        said = words_of(error)
        raise MeasureError(f"{path}: cannot be written ({said}); choose another folder with --to") from error


def _job(forge: str, files: Sequence[str], source: str) -> str:
    """The text of the job."""
    from fencepost.bench.errors import UsageError

    if not _PLAIN_SOURCE.fullmatch(source):
        raise UsageError(f"--install {source}: has a space, a quote or a dollar sign; write it without")
    template = (TEMPLATES / f"{forge}.yml.in").read_text(encoding="utf-8")
    return _filled(template, INSTALL=_with_analysis(source), FILES=" ".join(files))


def _kernel_files(names: Sequence[str], forge: str) -> list[str]:
    """The kernel files to compare: those that were named, or all that git knows or could know below this folder.

    Raises
    ------
    UsageError
        when this is not the root of a git repository, or there is no such file.
    """
    from fencepost.bench import objects
    from fencepost.bench.errors import UsageError

    if not Path(".git").exists():
        raise UsageError("--ci: this folder is not the root of a git repository; go there, or call `git init`")
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    found = [
        name
        for name in names or sorted(set(filter(None, listed)))
        if names or (Path(name).suffix in objects.LANGUAGES and _holds_a_kernel(Path(name)))
    ]
    if not found:
        raise UsageError(
            "--ci: no kernel file in this repository; write one first, such as: "
            f"fencepost new mine && fencepost new --ci {forge}"
        )
    for name in found:
        if not Path(name).is_file() or Path(name).suffix not in objects.LANGUAGES:
            raise UsageError(f"{name}: no kernel file ({', '.join(objects.LANGUAGES)}) in this repository")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UsageError(f"{name}: give its path from the root of the repository")
        if not _PLAIN_FILE.fullmatch(name):
            raise UsageError(f"{name}: the job takes names of letters, digits and . _ - + / only; rename the file")
    return found


def _holds_a_kernel(path: Path) -> bool:
    try:
        return _KERNEL_FILE.search(path.read_bytes()) is not None
    except OSError:
        return False


def _source() -> str:
    """What pip installs to get this fencepost: a git address, or a release where pip took it from an index.

    Raises
    ------
    UsageError
        when it came from a folder whose git remote is no https address.
    """
    import json
    from importlib import metadata
    from urllib.parse import urlsplit, urlunsplit

    from fencepost.bench import sources
    from fencepost.bench.errors import UsageError

    try:
        origin = metadata.distribution("fencepost").read_text("direct_url.json")
        version = metadata.version("fencepost")
    except metadata.PackageNotFoundError:
        origin, version = "{}", ""
    if origin is None:
        return f"fencepost=={version}"
    address, commit = json.loads(origin).get("url", ""), json.loads(origin).get("vcs_info", {}).get("commit_id", "")
    if not commit:
        checkout = str(sources.CSRC.parent)
        address = _git("-C", checkout, "remote", "get-url", "origin", missing="").strip()
        commit = _git("-C", checkout, "rev-parse", "HEAD", missing="").strip()
    parts = urlsplit(address)
    if parts.scheme != "https" or not commit:
        raise UsageError(
            "--ci: this fencepost was installed from a folder, which the job does not have; say with --install what "
            "pip installs there, such as --install git+https://HOST/fencepost@main"
        )
    # Without a user's name and token.
    host = parts.netloc.rpartition("@")[2]
    return f"git+{urlunsplit((parts.scheme, host, parts.path, '', ''))}@{commit}"


def _with_analysis(source: str) -> str:
    """A source for pip with the extra that `fencepost ab` needs. A source that names an extra, and a file, stay."""
    if re.match(r"(git\+|https?://)", source):
        return f"fencepost[analysis]@{source}"
    return re.sub(r"^fencepost(?![\w.\[/-])", "fencepost[analysis]", source)


def _git(*arguments: str, missing: str | None = None) -> str:
    """What git prints; `missing` where it says no, or a `MeasureError`."""
    import subprocess

    from fencepost.bench.errors import MeasureError

    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise MeasureError(f"git does not run ({words_of(error)}); install git") from error
    if done.returncode:
        if missing is None:
            raise MeasureError(f"git {arguments[0]}: {done.stderr.strip()}")
        return missing
    return done.stdout
