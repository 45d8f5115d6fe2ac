"""What was derived from a run, kept in its folder so that it need not be derived again.

A file of `FOLDER` holds a key, a checksum and the data. The estimate itself is packed in columns, see
`fencepost.analysis.runs.packed`. The key is a digest of the run's files, of the sources that
made the data, and of the versions of the packages that they use. A file with another key is never read, nor is a
damaged one. It is never a pickle, as a run folder may come from somebody else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from fencepost.analysis.text.pages import PAGES
from fencepost.bench import schema, witness

FOLDER = "cache"
"""Below a run folder; it may be deleted at any time."""

LARGEST_BYTES = 256 << 20
"""Of a file: a standard run has some 3 MB."""

_PACKAGES = ("numpy", "pandas", "scipy", "pytest-benchmark")
_SOURCES = ("*.py", "*.md")


def key_of(*folders: Path, asked: str = "") -> str | None:
    """A digest of all that an answer from these runs depends on; None where one of them cannot be read. `asked`: what
    else the question says.
    """
    digest = hashlib.sha256(f"{rule()} {asked}\n".encode())
    names = (schema.RUN_FILE, schema.MACHINE_FILE, schema.ROWS_FILE)
    try:
        paths = [[*(folder / name for name in names), *schema.round_files(folder).values()] for folder in folders]
        for path in itertools.chain(*paths):
            data = schema.read_file(path) if path.name != schema.ROWS_FILE or path.exists() else b""
            digest.update(f"{path.name} {len(data)}\n".encode())
            digest.update(data)
    except (OSError, schema.RunFolderError):
        return None
    return digest.hexdigest()


@functools.cache
def rule() -> str:
    """The rule by its sources: whoever changes one cannot forget to say so."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in _PACKAGES:
        digest.update(f"{name} {_version(name)}\n".encode())
    for path in _sources():
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    """The version of a package; empty where it is not here, as each is of an extra of its own."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _sources() -> Iterator[Path]:
    analysis = Path(__file__).resolve().parents[1]
    yield from (Path(schema.__file__), Path(witness.__file__))
    for place in (analysis, PAGES):
        for pattern in _SOURCES:
            yield from sorted(place.rglob(pattern))


def content(folder: Path, name: str) -> bytes | None:
    """The bytes of a file that was kept, unchecked; None where there is none."""
    path = folder / FOLDER / name
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST_BYTES else None
    except OSError:
        return None


def read(folder: Path, name: str, key: str | None) -> bytes | None:
    """What was kept under `name`; None where there is nothing, or nothing of this `key`."""
    whole = None if key is None else content(folder, name)
    if key is None or whole is None:
        return None
    try:
        found, checksum, data = whole.split(b"\n", 2)
    except ValueError:
        return None
    fresh = found == key.encode() and checksum == hashlib.sha256(data).hexdigest().encode()
    return data if fresh else None


def write(folder: Path, name: str, key: str | None, data: bytes, *others: Path, asked: str = "") -> None:
    """Keep `data`, made from the run (and the `others`) as it was when its key was `key`. Where this is not possible,
    nothing is kept.
    """
    store(folder, name, key, with_head(key, data), *others, asked=asked)


def with_head(key: str | None, data: bytes) -> bytes:
    """The bytes of a file that `read` gives `data` of."""
    return f"{key}\n{hashlib.sha256(data).hexdigest()}\n".encode() + data


def store(folder: Path, name: str, key: str | None, whole: bytes, *others: Path, asked: str = "") -> None:
    """Keep a file that holds its key and digest itself, see `write`."""
    # A round may have come while the others were read: then the data belong to neither key.
    if key is not None and key == key_of(folder, *others, asked=asked):
        put(folder, name, whole)


def put(folder: Path, name: str, whole: bytes) -> None:
    """Keep a file, whatever its key. Where this is not possible, nothing is kept."""
    if (folder / FOLDER).is_symlink():
        return
    with contextlib.suppress(OSError):  # a folder that may only be read, a full disk
        (folder / FOLDER).mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder / FOLDER, prefix=f".{name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(whole)
            Path(temporary).chmod(0o644)  # as the run's other files
            Path(temporary).replace(folder / FOLDER / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
