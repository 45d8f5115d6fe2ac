"""What tells runs apart that were made on machines of one make: labels, and the name of the host among them."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fencepost.bench.errors import UsageError

NAME, HOST = "name", "host"
"""Keys of labels: what the user calls the machine, such as c7a.large, and the name by which the network knows it."""

LONGEST_NAME, LONGEST_LABEL = 40, 64
"""Characters. A name stands in tables. A host's name has 64 on Linux."""
MOST_LABELS = 16
LABELS_AFTER = "@"
"""Stands in a run's id before the words of its labels. Neither a time nor a machine's key has this character."""
_LONGEST_WORDS = 80
_KEY = r"[a-z][a-z0-9_]{0,31}"
_RESERVED = {"case", "id", "imported", "kernel", "key", "label", "machine", "quantile", "round", "run", "unit", "value"}
"""Keys that tables and exports have already."""
_NO_HOST = {"", "(none)", "localhost", "localhost.localdomain"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
SCHEMA: dict[str, object] = {
    "type": "object",
    "maxProperties": MOST_LABELS,
    "propertyNames": {"pattern": f"^{_KEY}$"},
    "properties": {NAME: {**_TEXT, "maxLength": LONGEST_NAME}},
    "additionalProperties": _TEXT,
}
"""Of labels in run.json."""
_OF_A_CONTAINER = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """The labels that the options ``--label`` say: ``key=value``, or a plain word, which is the machine's name.

    Raises
    ------
    UsageError
        for a label that cannot be stored, and for a key that is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key, value = (key, value) if equals else (NAME, text)
        fault = label_fault(text)
        if fault:
            raise UsageError(f"--label {fault}")
        if key in found:
            raise UsageError(f"--label {text}: there is a label {key} already, {found[key]}; leave one of them out")
        found[key] = value
    if len(found) > MOST_LABELS:
        raise UsageError(f"--label: {len(found)} labels; a run has {MOST_LABELS} at most, leave some out")
    return found


def label_fault(text: str) -> str:
    """Why a text cannot be a label, in words that follow its option; empty where it can."""
    key, equals, value = text.partition("=")
    key, value = (key, value) if equals else (NAME, text)
    most = LONGEST_NAME if key == NAME else LONGEST_LABEL
    shown = text[:most] if text.isprintable() else repr(text[:most])
    for wrong, told in (
        (not text.strip(), "is empty; write a name such as c7a.large, or key=value"),
        (not text.isprintable(), f"{shown}: has a character that cannot be printed; write a name such as c7a.large"),
        (
            not re.fullmatch(_KEY, key),
            f"{shown}: a key has only a-z, 0-9 and _, such as rack=b12",
        ),
        (key in _RESERVED, f"{shown}: the key {key} is a heading of tables already; choose another"),
        (not value.strip() and key != HOST, f"{shown}: has no value; write such as rack=b12"),
        ("=" in value, f"{shown}: has two equals signs; write key=value, such as rack=b12"),
        ("/" in value or "\\" in value, f"{shown}: has a slash, and a label can be part of a path; leave it out"),
        (len(value) > most, f"{shown}…: has {len(value)} characters; write {most} at most"),
        (value != value.strip(), f"{text!r}: begins or ends with a space; leave it out"),
    ):
        if wrong:
            return told
    return ""


def name_fault(text: str) -> str:
    """Why a text cannot be the name of a machine, as `label_fault` does."""
    if "=" in text:
        return f"{text[:LONGEST_NAME]!r}: a name has no equals sign; write a name such as c7a.large"
    return label_fault(text)


def own_host(name: str | None = None) -> str:
    """The name of this machine as a label; empty where it has none, or one that a container engine drew for it.

    Parameters
    ----------
    name
        instead of the one that Linux tells.
    """
    found = os.uname().nodename if name is None else name
    found = "" if found in _NO_HOST else re.sub(r"[^A-Za-z0-9._-]+", "-", found)[:LONGEST_LABEL]
    return "" if _OF_A_CONTAINER.fullmatch(found) else found


def with_host(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a run that is measured here: with the name of this machine, where `labels` say no other.

    ``host=`` without a value leaves it out.
    """
    host = labels.get(HOST, own_host())
    rest = {key: value for key, value in labels.items() if key != HOST}
    return {**rest, HOST: host} if host else rest


def run_id(start: str, labels: Mapping[str, str]) -> str:
    """The id of a run: its time and machine, then the words of its labels, the host first.

    Parameters
    ----------
    start
        the id of a run of the same time and machine, or the part of it before `LABELS_AFTER`.
    """
    start = start.partition(LABELS_AFTER)[0]
    order = sorted(labels, key=lambda key: (key != HOST, key != NAME, key))
    words = [re.sub(r"[^A-Za-z0-9._-]+", "-", labels[key]).strip("-.") for key in order]
    told = "-".join(word for word in words if word)
    if len(told) > _LONGEST_WORDS:
        digest = hashlib.sha256(repr([(key, labels[key]) for key in order]).encode()).hexdigest()
        told = f"{told[: _LONGEST_WORDS - 9]}-{digest[:8]}"
    return f"{start}{LABELS_AFTER}{told}" if told else start


def run_folders_like(pattern: str) -> list[Path]:
    """The run folders whose path, or that of a folder around them, fits a pattern, such as ``runs/**/*@web1``.

    ``**`` stands for any number of folders. Not by `glob`, which follows links in circles.
    """
    parts = Path(pattern).parts
    fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    return [run for run in run_folders(base) if _fits(run.relative_to(base).parts, parts[fixed:])]


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the path, or the beginning of it, fits."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_fits(path[skipped:], pattern[1:]) for skipped in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def run_folders(base: Path, file: str = "run.json", depth: int = 8, looked_into: list[str] | None = None) -> list[Path]:
    """The run folders in `base` and in folders of it, by name; `base` itself where it is one.

    Hidden folders, which a copy under way has, are left out. Links are followed to a run folder, but no further: a
    folder from another machine may have links in circles.

    Parameters
    ----------
    file
        what a run folder has.
    depth
        folders within one another that are looked into.
    looked_into
        gets each folder in which run folders were looked for.
    """
    if (base / file).is_file():
        return [base]
    return [Path(path) for path in _inner_folders(str(base), file, depth, [] if looked_into is None else looked_into)]


def _inner_folders(base: str, file: str, depth: int, looked_into: list[str]) -> Iterator[str]:
    """The run folders in a folder. Paths as text: a `Path` for each file of 10^5 runs takes seconds."""
    looked_into.append(base)
    try:
        with os.scandir(base) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:  # gone, or not to be read: what is in it is not there
        return
    for name in inner:
        path = os.path.join(base, name)  # noqa: PTH118, for speed
        if os.path.isfile(f"{path}/{file}"):  # noqa: PTH113, for speed
            yield path
        elif depth > 1 and not os.path.islink(path):  # noqa: PTH114, for speed
            yield from _inner_folders(path, file, depth - 1, looked_into)
