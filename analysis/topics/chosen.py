"""Which rows of a kernel a picture shows, in which groups, and how they are named: what a declaration chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval, scaled
from fencepost.analysis.text.numbers import size_bytes
from fencepost.analysis.text.table import DASH

Naming = Mapping[str, str] | Callable[[str], str]
"""Words for the values of a parameter; a value without words stands for itself."""

Told = Callable[[Row], str]

Where = Mapping[str, object] | Callable[[Sequence[Row]], Sequence[Row]]
"""The parameters that rows must have, or a function that chooses among all measured rows."""

IN_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}

NAMED_UNITS = ("%", "MiB", "cycles")
"""Units that stand behind the number; others are told by the heading."""


class PictureError(ValueError):
    """A declared picture does not fit its kernel."""


@dataclass(frozen=True)
class Item:
    """A row as a picture shows it: the text of the parameter that it goes by, its label, its group, and its value."""

    row: Row
    key: str
    label: str
    group: str
    value: Interval


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Measured rows of `kernels` by `by`, which is a parameter or a function of the row.

    ``groups``: a parameter or a function of the row. ``value``: a metric in place of the time. ``cycles``: the cycles
    in place of the time, where every row has them. Beside parameters there are ``threads``, ``cpus`` and ``kernel``
    (its name without the topic), as far as no parameter has this name.
    """

    kernels: tuple[str, ...]
    by: str | Told
    labels: Naming = field(default_factory=dict)
    groups: str | Told = ""
    group_labels: Naming = field(default_factory=dict)
    where: Where = field(default_factory=dict)
    value: str = ""
    cycles: bool = False

    def items(self, analysis: Analysis) -> list[Item]:
        """The rows that have the parameter and the value: groups together, in each the order of the
        plan.

        Raises
        ------
        PictureError
            no row has a parameter that the declaration names.
        """
        # A metric may be known of a case whose events never came, and which has no time.
        every = analysis.kernel(*self.kernels) if self.value else analysis.measured(*self.kernels)
        rows = list(self.where(every)) if callable(self.where) else self._with_values(every, self.where)
        self.need(rows, *(name for name in (self.by, self.groups) if isinstance(name, str) and name))
        in_cycles = self.unit(rows) == "cycles"
        found: dict[str, list[Item]] = {}
        for row in rows:
            key = self.by(row) if callable(self.by) else key_of(row, self.by)
            value = self._value(row, in_cycles)
            group = self.groups(row) if callable(self.groups) else key_of(row, self.groups) if self.groups else ""
            if key is not None and group is not None and math.isfinite(value.value):
                item = Item(row, key, named(self.labels, key), named(self.group_labels, group), value)
                found.setdefault(group, []).append(item)
        return [item for group in self._order(found) for item in found[group]]

    def _order(self, groups: Iterable[str]) -> list[str]:
        """Groups that are numbers go up; those with words stand in the order of these; others as they came."""
        found = list(groups)
        if all(math.isfinite(number(group)) for group in found):
            return sorted(found, key=number)
        words = [] if callable(self.group_labels) else list(self.group_labels)
        return sorted(found, key=lambda group: words.index(group) if group in words else len(words))

    def unit(self, rows: Iterable[Row]) -> str:
        """``ns`` or ``cycles``; of a metric, its own, which a ratio does not have."""
        if self.value:
            metrics = [row.metrics[self.value] for row in rows if self.value in row.metrics]
            if not metrics or metrics[0].unit == "1":
                return ""
            return "ns" if metrics[0].ns or metrics[0].unit in IN_NS else metrics[0].unit
        return "cycles" if self.cycles and all(math.isfinite(row.cycles.value) for row in rows) else "ns"

    def _value(self, row: Row, in_cycles: bool) -> Interval:
        if not self.value:
            return row.cycles if in_cycles else row.time
        metric = row.metrics.get(self.value)
        return row.metric(self.value) if metric is None else metric.ns or in_ns(metric.interval, metric.unit)

    def _with_values(self, rows: Sequence[Row], wanted: Mapping[str, object]) -> list[Row]:
        self.need(rows, *wanted)
        return [row for row in rows if all(key_of(row, name) == str(value) for name, value in wanted.items())]

    def need(self, rows: Sequence[Row], *names: str) -> None:
        """Raises `PictureError` for a parameter that none of these rows has."""
        for name in names:
            if rows and all(key_of(row, name) is None for row in rows):
                has = ", ".join(dict.fromkeys(other for row in rows for other in row.parameters)) or "none"
                kernels = ", ".join(dict.fromkeys(row.kernel for row in rows))
                raise PictureError(
                    f"a picture of {kernels} goes by {name}, which is not a parameter here; these are: {has}"
                )


def key_of(row: Row, name: str) -> str | None:
    """The value of a parameter, or of what every row has beside its parameters, as text."""
    found = row.parameter(name)
    if found is None and name == "threads":
        return str(len(row.cpus))
    if found is None and name == "cpus":
        return ",".join(map(str, row.cpus))
    if found is None and name == "kernel":
        return row.kernel.partition("/")[2]
    return found


def named(words: Naming, key: str) -> str:
    """A value in words."""
    return words(key) if callable(words) else words.get(key, key)


def number(text: str) -> float:
    """A parameter's value as a number, sizes in bytes; NaN for words."""
    try:
        return float(text)
    except ValueError:
        return size_bytes(text)


def in_ns(interval: Interval, unit: str) -> Interval:
    """A time in ns, whatever unit of time it has; other units stay."""
    return scaled(interval, IN_NS.get(unit, 1.0))


def value_text(row: Row, value: Interval, unit: str) -> str:
    """A value with its interval; a row without one says why. The time of a row with regimes is told for each."""
    if row.regimes and unit == "ns" and value is row.time:
        return row.time_text()
    text = value.ns_text() if unit == "ns" else value.text(unit if unit in NAMED_UNITS else "")
    if math.isfinite(value.value) and not math.isfinite(value.low):
        text += f" ({len(row.modes)} modes)" if row.modes else " (no interval)"
    return text


def metric_text(row: Row, name: str) -> str:
    """A metric with its interval, times in the unit that suits; a dash where the row has none of this name."""
    metric = row.metrics.get(name)
    if metric is None:
        return DASH
    if name == "xraw":
        return row.xraw_text()
    if metric.ns or metric.unit in IN_NS:
        return (metric.ns or in_ns(metric.interval, metric.unit)).ns_text()
    return metric.interval.text(metric.unit if metric.unit in NAMED_UNITS else "")


def largest_team(rows: Sequence[Row]) -> list[Row]:
    """Rows with as many threads as any has."""
    most = max((len(row.cpus) for row in rows), default=0)
    return [row for row in rows if len(row.cpus) == most]
