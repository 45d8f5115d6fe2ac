"""The picture of a kernel that nobody declared: its rows by the first parameter that it sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count, powers, size
from fencepost.analysis.topics.chosen import key_of, number
from fencepost.analysis.topics.declared import Options
from fencepost.analysis.topics.pictures import Picture, bars_by, lines_by

FEWEST_FOR_LINES = 4
"""Fewer numbers than this are bars: three points show no course."""

MOST_BARS = 60
"""More bars than this are longer than a page."""

MOST_LINES = 16
"""More lines than this cannot be told apart."""


def default_pictures(analysis: Analysis, topic: str, declared: Sequence[str]) -> list[Picture]:
    """A picture of each kernel of a topic that sweeps something and is none of the `declared` (names, with ``*``)."""
    kernels = dict.fromkeys(row.kernel for row in analysis.measured() if row.topic == topic and not row.twin_of)
    rest = [kernel for kernel in kernels if not any(fnmatchcase(kernel, name) for name in declared)]
    found = (default_picture(analysis.measured(kernel)) for kernel in rest)
    return [picture for picture in found if picture is not None]


def default_picture(rows: Sequence[Row]) -> Picture | None:
    """Lines over the first swept parameter where it has four numbers or more, bars by its values where it has not; the
    other swept parameters tell lines or groups apart. None where nothing is swept, and where there is too much to be
    read.

    Parameters
    ----------
    rows
        the measured rows of one kernel, without twins.
    """
    swept = _swept(rows)
    if not swept:
        return None
    by, rest = swept[0], swept[1:]
    keys = list(dict.fromkeys(key_of(row, by) or "" for row in rows))
    groups = _groups(rest)
    lines = by != "cpus" and len(keys) >= FEWEST_FOR_LINES and all(number(key) == number(key) for key in keys)
    if len({groups(row) for row in rows}) > MOST_LINES if lines else len(rows) > MOST_BARS:
        return None
    first = rows[0]
    about = f"{first.summary[:1].upper()}{first.summary[1:]}. " if first.summary else ""
    options: Options = {
        "title": f"{first.kernel}, by {by}",
        "says": about.replace("{", "{{").replace("}", "}}")
        + f"By {by}, from {{least}} ({{least_of}}) to {{most}} ({{most_of}}).",
        "unit": first.unit,
        "groups": groups,
        "group_heading": ", ".join(rest),
    }
    if lines:
        return lines_by(first.kernel, by, x_format=_format(keys), **options)
    return bars_by(first.kernel, by, **options)


def _swept(rows: Sequence[Row]) -> list[str]:
    """Parameters with several values, the kernel's first ones first; then threads and CPUs, where they differ by
    themselves.
    """
    names = dict.fromkeys(name for row in rows for name in row.parameters)
    found = [name for name in names if len({key_of(row, name) for row in rows}) > 1]
    threads = {len(row.cpus) for row in rows}
    if len(threads) > 1 and "threads" not in found:
        found.append("threads")
    if len({row.cpus for row in rows}) > len(threads):
        found.append("cpus")
    return found


def _groups(names: Sequence[str]) -> Callable[[Row], str]:
    return lambda row: ", ".join(f"{name}={key_of(row, name)}" for name in names if key_of(row, name) is not None)


def _format(keys: Sequence[str]) -> Callable[[float], str]:
    """How the numbers of a parameter are written: sizes as sizes, powers of two as such."""
    if not all(key.replace(".", "", 1).isdigit() for key in keys):
        return size
    values = [number(key) for key in keys]
    whole = all(value.is_integer() and int(value) & (int(value) - 1) == 0 for value in values)
    return powers if whole and max(values) >= 1024 else count
