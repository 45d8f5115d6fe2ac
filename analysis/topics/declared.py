"""What a declared picture tells: its options, its sentence, and the cells of its table."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Required, TypedDict

from fencepost.analysis.text.numbers import nanoseconds, plain
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.analysis.topics.chosen import (
    Chosen,
    Item,
    Naming,
    PictureError,
    Told,
    Where,
    metric_text,
    number,
    value_text,
)

FIELDS = ("least", "least_of", "most", "most_of", "first", "first_of", "last", "last_of", "each", "threads")
"""Fields of a sentence: the least and the greatest value, the first and the last in the picture's order, and whose they
are; each bar, or each line with its ends; the largest number of threads.
"""


class Options(TypedDict, total=False):
    """What a declaration says. ``title``; ``says``, a sentence with `FIELDS`; ``unit``, one operation in words.

    ``name``: for ids and files. ``caption``: of the table; without it the title. ``heading``, ``group_heading``,
    ``value_heading``: over the labels, the groups and the values in the table. ``metrics``: further columns, headings
    by the metric's name. ``columns``: further columns, texts of a row by heading. The rest chooses rows, see `Chosen`.
    """

    title: Required[str]
    says: Required[str]
    unit: Required[str]
    name: str
    caption: str
    heading: str
    group_heading: str
    value_heading: str
    metrics: Mapping[str, str]
    columns: Mapping[str, Told]
    labels: Naming
    groups: str | Told
    group_labels: Naming
    where: Where
    value: str
    cycles: bool


@dataclass(frozen=True)
class Declared:
    """A declaration: of which rows, and in which words."""

    choice: Chosen
    options: Options

    @property
    def name(self) -> str:
        """The figure's name; the first kernel's, where none is given. A run folder may hold anything as that."""
        return self.options.get("name") or re.sub("[^a-z0-9]+", "-", self.choice.kernels[0].lower()).strip("-")

    @property
    def caption(self) -> str:
        """The table's caption."""
        return self.options.get("caption", self.options["title"])

    @property
    def heading(self) -> str:
        """What stands over the labels."""
        return self.options.get("heading", self.choice.by if isinstance(self.choice.by, str) else "")

    def axis(self, of: str) -> str:
        """The unit `of` the values, for an operation; of a ratio, what it counts."""
        return f"{of} per {self.options['unit']}" if of else self.options["unit"]

    def sentence(self, items: Sequence[Item], of: str, each: Sequence[str]) -> str:
        """The sentence with the values of these items, which are in the unit `of`."""
        fields = {"each": "; ".join(each), "threads": str(max(len(item.row.cpus) for item in items))}
        least, most = (choose(items, key=lambda item: item.value.value) for choose in (min, max))
        for name, item in (("least", least), ("most", most), ("first", items[0]), ("last", items[-1])):
            fields[name] = short(item.value.value, of)
            fields[f"{name}_of"] = ", ".join(part for part in (item.label, item.group) if part)
        return self.options["says"].format(**fields)

    def long_table(self, items: Sequence[Item], of: str) -> Table:
        """A row an item: label, group, value, metrics, further columns."""
        grouped = any(item.group for item in items)
        group = self.choice.groups if isinstance(self.choice.groups, str) else ""
        metrics, columns = self.options.get("metrics", {}), self.options.get("columns", {})
        header = (
            self.heading,
            *([self.options.get("group_heading", group)] if grouped else []),
            self.options.get("value_heading", "time" if of == "ns" else of),
            *metrics.values(),
            *columns,
        )
        rows = [
            (
                item.label,
                *([item.group] if grouped else []),
                metric_text(item.row, "xraw") if self.choice.value == "xraw" else value_text(item.row, item.value, of),
                *(metric_text(item.row, name) for name in metrics),
                *(tell(item.row) for tell in columns.values()),
            )
            for item in items
        ]
        return table(self.caption, header, rows)

    def wide_table(self, items: Sequence[Item], of: str) -> Table:
        """A row a label, a column a group; a unit other than ns stands in the caption."""
        groups = list(dict.fromkeys(item.group for item in items))
        cells: dict[str, dict[str, str]] = {}
        for item in sorted(items, key=lambda item: number(item.key)):
            cells.setdefault(item.label, {})[item.group] = value_text(item.row, item.value, "ns" if of == "ns" else "")
        rows = [(label, *(known.get(group, DASH) for group in groups)) for label, known in cells.items()]
        caption = self.caption if of == "ns" else f"{self.caption}, in {of}"
        return table(caption, (self.heading, *groups), rows)


def declared(kernel: str | tuple[str, ...], by: str | Told, options: Options) -> Declared:
    """The declaration of a picture. Raises `PictureError` where its sentence has a field that is none of `FIELDS`."""
    kernels = (kernel,) if isinstance(kernel, str) else kernel
    check_fields(kernels[0], options["says"], FIELDS)
    choice = Chosen(
        kernels=kernels,
        by=by,
        labels=options.get("labels", {}),
        groups=options.get("groups", ""),
        group_labels=options.get("group_labels", {}),
        where=options.get("where", {}),
        value=options.get("value", ""),
        cycles=options.get("cycles", False),
    )
    return Declared(choice, options)


def check_fields(kernel: str, says: str, known: Sequence[str]) -> None:
    """Raises `PictureError` where the sentence of a picture has a field that is not `known`."""
    for _, field, _, _ in string.Formatter().parse(says):
        if field is not None and field not in known:
            raise PictureError(f"the picture of {kernel} has no field {{{field}}}; there are {', '.join(known)}")


def bar_said(items: Sequence[Item], of: str) -> list[str]:
    """Each bar with its value."""
    return [f"{item.label}: {short(item.value.value, of)}" for item in items]


def line_said(lines: Mapping[str, Sequence[Item]], of: str, word: str) -> list[str]:
    """Each line with its ends; `word` stands behind an x."""
    found = []
    for group, items in lines.items():
        ends = (f"{short(item.value.value, of)} at {f'{item.label} {word}'.strip()}" for item in (items[0], items[-1]))
        found.append((f"{group}: " if group else "") + ", ".join(ends))
    return found


def short(value: float, of: str) -> str:
    """A value with three digits and its unit."""
    return nanoseconds(value, 3) if of == "ns" else f"{plain(value, 3)} {of}".strip()
