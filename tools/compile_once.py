"""compile_once.py MADE COMMAND…: `COMMAND… -o MADE`, or a copy of what the same command made of the same files before.

compile_once.py FOLDER COMMAND… -- SOURCE…: the same for each of these sources, with an object for each in the folder.

The tests and the self-test compile the same sources again and again. What a compiler makes is kept in build/objects
under a hash of the compiler, of the words of the command, and of each file that it may read. A change of a header that
a source does not include keeps what was made of it. Paths are no part of the hash, because tests work in folders that
have a new name each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

STORE = Path(__file__).resolve().parents[1] / "build" / "objects"

UNASKED_S = 14 * 24 * 3600
"""What nobody has asked for in a fortnight belongs to sources that are gone."""

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)


def compile_once(made: Path, command: Sequence[str]) -> None:
    """Run a compiler's command, which names no output, for `made`.

    Raises
    ------
    subprocess.CalledProcessError
        The compiler refused. Its words are in `stderr`.
    """
    kept = STORE / _key(command)
    if _taken(kept, made):
        return
    with _one_at_a_time(kept.name):
        if _taken(kept, made):  # by another process, while this one waited
            return
        names = [f"-fmacro-prefix-map={Path(word).parent}/=" for word in command if _is_source(word)]
        made.unlink(missing_ok=True)
        subprocess.run([*command, *names, "-o", str(made)], check=True, capture_output=True, text=True)
        _copy(made, kept)
    _forget()


def _taken(kept: Path, made: Path) -> bool:
    """Whether what was made before is there, and is copied."""
    if kept.is_file():
        with contextlib.suppress(FileNotFoundError):  # another process threw it away meanwhile
            os.utime(kept)
            _copy(kept, made)
            return True
    return False


@contextlib.contextmanager
def _one_at_a_time(key: str) -> Iterator[None]:
    """Let one process at a time make what has this key: the tests run in two, which begin with the same sources.

    One byte of one file stands for a key, so that no locks are left behind. A process that ends lets go of it.
    """
    STORE.mkdir(parents=True, exist_ok=True)
    with STORE.with_name(f"{STORE.name}.lock").open("a+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, int(key[:7], 16))
        yield


def _copy(source: Path, target: Path) -> None:
    """A copy and no link, as a library that is opened twice must be two. It is laid in place at once: what was there
    may be open, and a process that has it mapped would run on into the new one.
    """
    new = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copyfile(source, new)
    shutil.copymode(source, new)
    new.replace(target)


def _forget() -> None:
    for path in STORE.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if path.stat().st_mtime < time.time() - UNASKED_S:
                path.unlink()


def _is_source(word: str) -> bool:
    return word.endswith((".c", ".cc")) and Path(word).is_file()


def _key(command: Sequence[str]) -> str:
    """A hash of all that a command's answer depends on."""
    digest = hashlib.sha256(_system(command[0]))
    places = [Path(word[2:]) for word in command if word.startswith("-I")]
    for word in command[1:]:
        if word.startswith("-I"):
            continue
        path = Path(word)
        if _is_source(word):
            # __FILE__ is a name without its folder.
            digest.update(f"source {path.name}\n".encode())
            for text in _texts(path, places, set()):
                digest.update(hashlib.sha256(text).digest())
        elif not word.startswith("-") and path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        else:
            digest.update(f"{word}\n".encode())
    return digest.hexdigest()


def _texts(path: Path, places: Sequence[Path], seen: set[Path]) -> Iterator[bytes]:
    """The text of a file and of all that it may include, whatever the preprocessor's conditions say."""
    path = path.resolve()
    if path in seen or not path.is_file():
        return
    seen.add(path)
    text = path.read_bytes()
    yield text
    for name in _INCLUDE.findall(text):
        for place in (path.parent, *places):
            yield from _texts(place / os.fsdecode(name), places, seen)


@functools.cache
def _system(compiler: str) -> bytes:
    """The compiler and the headers of the system. A package that brings others changes their folders."""
    found = shutil.which(compiler) or compiler
    folders = [Path("/usr/include"), Path("/usr/local/include")]
    folders += [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if path.is_dir()]
    words = [compiler, *(str(path.stat().st_mtime_ns) for path in folders if path.exists())]
    if Path(found).is_file():
        words += [str(Path(found).stat().st_size), str(Path(found).stat().st_mtime_ns)]
    return " ".join(words).encode()


def main() -> int:
    """Compile as the command line says. The exit status is the compiler's, or that of the last one that failed."""
    made, *command = sys.argv[1:]
    several: list[str] = []
    if "--" in command:
        at = command.index("--")
        command, several = command[:at], command[at + 1 :]
    # Named after the whole path: files of one name lie in several folders.
    objects = [(Path(made, f"{source.removesuffix('.c').replace('/', '.')}.o"), [source]) for source in several]
    status = 0
    for target, sources in objects or [(Path(made), [])]:
        try:
            compile_once(target, [*command, *sources])
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr)
            status = error.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
