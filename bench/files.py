"""Reading files that anybody may have written: regular ones only, of a stated size, and JSON of a stated depth.

A pipe would make the reader wait for ever, a device has no end, and JSON in JSON without end exhausts the stack of
whoever walks through it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

MOST_BYTES = 256 << 20
"""Of a file. The largest that fencepost writes, a round, has some megabytes."""

MOST_DEPTH = 64
"""Of lists and objects within one another. Those of fencepost have eight."""

_AT_ONCE = 1 << 20


def read_regular(path: Path, fault: type[Exception], most: int = MOST_BYTES) -> bytes:
    """The contents of a regular file.

    Parameters
    ----------
    fault
        the error that is raised with a sentence.
    most
        bytes that it may have.

    Raises
    ------
    FileNotFoundError
        when there is none: what that means depends on the file.
    Exception
        `fault`, when it cannot be read, is no regular file, or is larger.
    """
    try:
        # Without waiting: to open a pipe is to wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise fault(f"{path}: {_kind(found.st_mode)}, where a file is needed")
            parts, size = [], 0
            # It may grow while it is read, and some files do not tell their size.
            while size <= most and (part := os.read(descriptor, min(most + 1 - size, max(_AT_ONCE, found.st_size)))):
                parts.append(part)
                size += len(part)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise fault(f"{path}: cannot be read ({words_of(error)})") from error
    if size > most:
        raise fault(f"{path}: more than {most >> 20} MiB; fencepost writes no such file")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def words_of(error: Exception, *, named: bool = False) -> str:
    """What an exception says, as a part of a sentence: `no space left on device`.

    Python's own text of an `OSError` begins with a number in brackets, which helps nobody.

    Parameters
    ----------
    named
        whether the file comes first, where the exception names one.
    """
    if not isinstance(error, OSError):
        return str(error)
    where = f"{os.fsdecode(error.filename)}: " if named and isinstance(error.filename, (str, bytes)) else ""
    return where + (error.strerror.lower() if error.strerror else str(error).partition("\n")[0])


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def parse_json(where: Path | str, text: bytes | str, fault: type[Exception], *, of_ours: bool = True) -> object:
    """The document of a JSON text.

    Parameters
    ----------
    of_ours
        written by fencepost: then it has no integer of more than 64 bits.

    Raises
    ------
    Exception
        `fault`, naming `where`, when it is damaged or deeper than `MOST_DEPTH`.
    """
    try:
        document: object = json.loads(text, parse_int=_integer if of_ours and _may_be_long(text) else None)
    except OverflowError as error:
        raise fault(f"{where}: {error}; fencepost writes no such number") from error
    except RecursionError as error:
        raise fault(f"{where}: {_TOO_DEEP}") from error
    except ValueError as error:
        raise fault(f"{where}: not valid JSON ({error}); the file is truncated or was edited by hand") from error
    level: list[Any] = [[document]]
    for _ in range(MOST_DEPTH + 1):
        # The parser makes plain dicts and lists. `isinstance` with both takes twice as long.
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return document
    raise fault(f"{where}: {_TOO_DEEP}")


_TOO_DEEP = f"more than {MOST_DEPTH} lists or objects in one another; fencepost reads no such file"


def _may_be_long(text: bytes | str) -> bool:
    """Whether a number may be too long: to call `_integer` for each takes longer than to read the whole."""
    if isinstance(text, str):
        return re.search(r"\d{19}", text) is not None
    # As fast as reading the text once, where the expression takes ten times as long.
    return _LONG in text.translate(_DIGITS_ALIKE)


_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19


def _integer(digits: str) -> int:
    """An integer that numpy and C can hold, signed or not."""
    if len(digits) > _MOST_DIGITS or not -(1 << 63) <= (value := int(digits)) < 1 << 64:
        raise OverflowError(f"an integer of {len(digits)} digits")
    return value


_MOST_DIGITS = 20
"""Of an integer with its sign: 2^64 has as many, and -2^63 too."""


def first_fault(validator: Draft202012Validator, document: object) -> str | None:
    """The first field of `document` that a schema refuses, and why; None where all are right."""
    try:
        # Asked for errors, the validator takes four times as long, and nearly every document is right.
        if validator.is_valid(document):
            return None
        fault = next(validator.iter_errors(document))
    except (ValueError, RecursionError) as error:  # half a character in a string
        return f"not valid JSON ({error}); the file was edited by hand"
    message = fault.message
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE // 2]} … {message[-LONGEST_MESSAGE // 2 :]}"
    return f"field {_field(fault.instance_path)}: {message}"


LONGEST_MESSAGE = 200
"""Characters. A message begins with the value and ends with what was expected: a long one loses its middle."""


def _field(path: Sequence[str | int]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".") or "(top level)"
