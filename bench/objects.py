"""Kernels of a user's own: one file in, one small shared object out, which the engine loads beside the suite.

The compiled object is kept in a cache under a key made of all that went into it (the preprocessed text, so every header
as well; flags; compiler), so that a file is compiled once, and a resumed run finds the object it began with.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fencepost.bench import sources
from fencepost.bench.documents import ObjectJson
from fencepost.bench.errors import CompileError, MeasureError, UsageError
from fencepost.bench.files import read_regular, words_of

LANGUAGES = {".c": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++"}
PREBUILT = ".so"
OBJECT_FLAGS = ["-DFENCEPOST_OBJECT", "-fPIC"]
LINK_FLAGS = ["-shared", "-Wl,-Bsymbolic", "-Wl,--build-id=none"]
LIBRARIES = ["-lm", "-ldl", "-pthread"]
"""With the suite's flags, and the options of the file and the command line, these are all that a compiler gets. All of
them are part of the key."""
COMPILE_TIMEOUT_S = 300
MOST_SOURCE_BYTES = 64 << 20
_C_ONLY = ("-std=gnu11", "-Werror=implicit-function-declaration")
# The members that a kernel leaves out are meant to be empty.
_CXX_FLAGS = ("-std=gnu++20", "-Wno-missing-field-initializers")
_IN_FILE = re.compile(rb"^[ \t/*]*fencepost: cflags[ \t]+(.*?)[ \t]*(?:\*/)?[ \t\r]*$", re.MULTILINE)
_PREBUILT_FLAGS = "as built by its owner"


@dataclass(frozen=True)
class KernelObject:
    """A shared object with kernels of a user's own, ready to be loaded.

    `label` tells it from others of the same run ("" is the suite). `files` are names without folders. `key` finds it in
    the cache again. `source` is where the file lies now, None where that is not known any more (a resumed run).
    """

    label: str
    path: Path
    files: tuple[str, ...]
    source: Path | None
    source_sha256: str
    sha256: str
    compiler: str
    flags: str
    key: str
    warnings: str = ""

    def as_json(self) -> ObjectJson:
        """As run.json holds it: no folder of this machine in it."""
        return {
            "label": self.label,
            "files": list(self.files),
            "source_sha256": self.source_sha256,
            "sha256": self.sha256,
            "compiler": self.compiler,
            "flags": self.flags,
            "key": self.key,
        }


def cflags(language: str = "c") -> list[str]:
    """What a user's own build compiles a kernel file with, the folder of the headers included."""
    flags = sources.kernel_flags()
    if language == "c++":
        # Behind -Wextra, which would turn on again what they turn off (clang).
        flags = [*(flag for flag in flags if flag not in _C_ONLY), *_CXX_FLAGS]
    return [*flags, *OBJECT_FLAGS, f"-I{sources.CSRC}"]


def labels_for(files: Sequence[Path]) -> list[str]:
    """A label for each file: its name, numbered where several files have the same."""
    seen: Counter[str] = Counter()
    labels = []
    for file in files:
        seen[file.name] += 1
        labels.append(file.name if seen[file.name] == 1 else f"{file.name}#{seen[file.name]}")
    return labels


def build(file: Path, label: str, extra: Sequence[str] = ()) -> KernelObject:
    """Compile the kernel file `file`, or find what was compiled of it before.

    Parameters
    ----------
    file
        C (``.c``), C++ (``.cc``, ``.cpp``, ``.cxx``), or a shared object built elsewhere (``.so``).
    label
        tells this object from others of the run. The same file under two labels gives two objects, so that each has
        its own static data and its own place in memory.
    extra
        compiler options after the suite's and those of the file's own line ``fencepost: cflags …``; relative paths in
        them are relative to the folder of the file.

    Raises
    ------
    UsageError
        when the file cannot be read, is of no known kind, or does not compile (with the compiler's own message).
    MeasureError
        without a compiler, or when the cache cannot be written.
    """
    content = _read(file)
    suffix = file.suffix.lower()
    digest = hashlib.sha256(content).hexdigest()
    if suffix == PREBUILT:
        path = _store(digest, label, content)
        return KernelObject(
            label, path, (file.name,), None, digest, digest, "unknown (prebuilt)", _PREBUILT_FLAGS, digest
        )
    if suffix not in LANGUAGES:
        known = ", ".join([*LANGUAGES, PREBUILT])
        raise UsageError(f"{file}: not a kernel file by its name; it must end in {known}")
    recipe = _recipe(file, content, extra)
    key = recipe.key()
    path, warnings = _place(key, label), ""
    if not _intact(path):
        made, warnings = recipe.compile()
        path = _store(key, label, made)
    return KernelObject(
        label,
        path,
        (file.name,),
        file.resolve(),
        digest,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        recipe.version,
        recipe.stated,
        key,
        warnings,
    )


@dataclass(frozen=True)
class _Recipe:
    """How the kernel file `file` is compiled: `flags` are the suite's, `options` the user's."""

    file: Path
    compiler: Sequence[str]
    version: str
    flags: Sequence[str]
    options: Sequence[str]

    @property
    def stated(self) -> str:
        """Flags and options as run.json holds them: no folder of this machine in it."""
        shown = [flag for flag in self.flags if not flag.startswith(("-ffile-prefix-map", "-I"))]
        return shlex.join([*shown, *self.options])

    def key(self) -> str:
        """The key of the object in the cache: a hash of all that goes into it."""
        preprocessed = self._call("-E", self.file.name).stdout
        # Where gcc says in which folder it was called.
        preprocessed = preprocessed.replace(os.fsencode(self.file.resolve().parent), b".")
        stated = (self.version, shlex.join(self.compiler), self.stated, shlex.join([*LINK_FLAGS, *LIBRARIES]))
        inputs = [preprocessed, *(text.encode() for text in stated)]
        if "native" in self.stated:
            # What the option stands for differs between machines that share a home folder.
            inputs.append(self._call("-dM", "-E", "-x", "c", os.devnull).stdout)
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in inputs)).hexdigest()

    def compile(self) -> tuple[bytes, str]:
        """The shared object, and the compiler's warnings."""
        libraries = [option for option in self.options if option.startswith("-l")]
        with tempfile.TemporaryDirectory(prefix="fencepost-object-") as scratch:
            made = Path(scratch) / "kernels.so"
            done = self._call(*LINK_FLAGS, "-o", str(made), self.file.name, *libraries, *LIBRARIES)
            return made.read_bytes(), done.stderr.decode("utf-8", "replace").strip()

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Call the compiler in the folder of the file. Libraries are left to `arguments`: they stand behind it."""
        options = [option for option in self.options if not option.startswith("-l")]
        return _call([*self.compiler, *self.flags, *options, *arguments], self.file.resolve().parent, self.file)


def _recipe(file: Path, content: bytes, extra: Sequence[str]) -> _Recipe:
    """The recipe of a kernel file with this `content`, with options `extra` after its own."""
    language = LANGUAGES[file.suffix.lower()]
    compiler = sources.find_compiler(language)
    version = _version(tuple(compiler))
    options = [*_options_in(file, content), *extra]
    flags = [*cflags(language), *(["-fno-gnu-unique"] if language == "c++" and _is_gcc(version) else [])]
    # Neither the file's folder nor the place of the headers gets into the object: the same text gives the same bytes.
    flags += [f"-ffile-prefix-map={file.resolve().parent}=.", f"-ffile-prefix-map={sources.CSRC}=csrc"]
    return _Recipe(file, compiler, version, flags, options)


def has_header(file: Path, header: str) -> bool:
    """Whether the compiler finds ``#include <header>`` with the options in the kernel file `file`.

    Raises
    ------
    UsageError, MeasureError
        as `build` does.
    """
    options = [option for option in _options_in(file, _read(file)) if option.startswith(("-I", "-isystem"))]
    language = LANGUAGES[file.suffix.lower()]
    text = f"#if !__has_include(<{header}>)\n#error\n#endif\n"
    command = [*sources.find_compiler(language), *options, "-x", language, "-fsyntax-only", "-"]
    done = subprocess.run(
        command, cwd=file.resolve().parent, input=text.encode(), capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0


def build_all(files: Sequence[Path], extra: Sequence[str] = ()) -> list[KernelObject]:
    """Compile several files, each to an object of its own; raises like `build`, also when a file is given twice."""
    resolved = [file.resolve() for file in files]
    for file, path in zip(files, resolved, strict=True):
        if resolved.count(path) > 1:
            raise UsageError(f"--kernel {file}: the same file is given twice")
    return [build(file, label, extra) for file, label in zip(files, labels_for(files), strict=True)]


def find_again(record: ObjectJson) -> KernelObject:
    """The object that run.json describes in `record`, from the cache.

    Raises
    ------
    UsageError
        when it is not there any more, or is another one by now.
    """
    names = ", ".join(record["files"])
    path = _place(record["key"], record["label"])
    if not path.is_file():
        raise UsageError(f"{names}: the compiled kernels of this run are not in the cache; add --kernel with its file")
    found = KernelObject(
        record["label"],
        path,
        tuple(record["files"]),
        None,
        record["source_sha256"],
        hashlib.sha256(path.read_bytes()).hexdigest(),
        record["compiler"],
        record["flags"],
        record["key"],
    )
    require_same(found, record)
    return found


def require_same(found: KernelObject, record: ObjectJson) -> None:
    """Refuse (`UsageError`) an object that is not the one that run.json describes in `record`."""
    if found.sha256 != record["sha256"]:
        raise UsageError(
            f"{', '.join(record['files'])}: not the kernels that this run began with (sha256 {record['sha256'][:12]}…, "
            f"now {found.sha256[:12]}…). Rounds of both cannot be mixed; start a new run"
        )


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``fencepost/objects`` in XDG_CACHE_HOME, or in ~/.cache.

    Raises
    ------
    UsageError
        where neither is known: HOME is not set, and the system does not know the user.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):
        return Path(given) / "fencepost" / "objects"
    try:
        return Path.home() / ".cache" / "fencepost" / "objects"
    except RuntimeError as error:
        raise UsageError(
            "compiled kernels need a folder, and no home folder is known; "
            "set HOME, or XDG_CACHE_HOME to a folder that can be written"
        ) from error


def _place(key: str, label: str) -> Path:
    # A file of its own for each label: the dynamic linker takes one file for one object, however often it is opened.
    return cache_folder() / f"{key[:40]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}.so"


def _intact(path: Path) -> bool:
    """Whether an object of the cache is there, and is what was put there."""
    try:
        told = _hash_file(path).read_text(encoding="ascii")
        return told == hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False


def _hash_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _store(key: str, label: str, content: bytes) -> Path:
    path = _place(key, label)
    told = hashlib.sha256(content).hexdigest().encode()
    try:
        if _intact(path) and path.read_bytes() == content:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        # The hash comes last: an object without it is compiled again.
        for place, data in ((path, content), (_hash_file(path), told)):
            _put(place, data)
    except OSError as error:
        said = words_of(error)
        raise MeasureError(
            f"{path.parent}: compiled kernels cannot be kept there ({said}); "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    return path


def _put(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            with contextlib.suppress(OSError):  # some file systems cannot: what is torn is compiled again
                os.fsync(file.fileno())
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)  # another process may load what is there: never written in place
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(file: Path) -> bytes:
    try:
        return read_regular(file, UsageError, MOST_SOURCE_BYTES)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({words_of(error)})") from error


def _options_in(file: Path, content: bytes) -> list[str]:
    options: list[str] = []
    for line in _IN_FILE.findall(content):
        try:
            options += shlex.split(line.decode("utf-8", "replace"))
        except ValueError as error:
            raise UsageError(f"{file}: its line 'fencepost: cflags' cannot be read ({error})") from error
    return options


@functools.cache
def _version(compiler: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*compiler, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MeasureError(f"{compiler[0]}: does not run ({words_of(error)})") from error
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return " ".join(lines[:2]).strip() or compiler[0]


def _is_gcc(version: str) -> bool:
    return "Free Software Foundation" in version


def _call(command: Sequence[str], folder: Path, file: Path) -> subprocess.CompletedProcess[bytes]:
    # LC_ALL=C: a cache key and a recorded message must not depend on the user's language.
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMPILE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasureError(f"{file}: {command[0]} did not end within {COMPILE_TIMEOUT_S} s") from None
    except OSError as error:
        raise MeasureError(f"{command[0]}: does not run ({words_of(error)})") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"{command[0]} ended with status {done.returncode}"
        raise CompileError(f"{file}: does not compile:\n{said}")
    return done
