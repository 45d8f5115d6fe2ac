"""Pictures from parameters: the figure of a kernel's rows and its table, declared instead of written.

A declaration names the kernel, the parameter that the picture goes by, labels, metrics for the table, and a sentence
with fields such as ``{least}``: see `Options` and `FIELDS` in `fencepost.analysis.topics.declared`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Unpack

import numpy as np

from fencepost.analysis.draw.bars import bars, forest
from fencepost.analysis.draw.figure import Bar, Figure, Group, Point, Series
from fencepost.analysis.draw.grids import heat
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import count, nanoseconds
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.chosen import Item, Told, number
from fencepost.analysis.topics.declared import Options, bar_said, declared, line_said, short
from fencepost.analysis.topics.pairs import Matrix, matrix, relations, words

FAR_APART = 20.0
"""Bars that differ by more than this factor stand on a logarithmic axis: on a linear one the shortest would vanish."""

FAR_APART_ON_LINES = 8.0
"""The same of lines and of their x, which are read more closely."""

COLOURS = 8
"""Colours of the palette."""

LETTER_ROOM = 0.022
"""Part of an axis that a letter under it takes: some 6.5 of 300 points."""


@dataclass(frozen=True)
class Picture:
    """A figure of a run, None where the run lacks its rows; `kernels` are those of which it speaks (with ``*``)."""

    kernels: tuple[str, ...]
    draw: Callable[[Analysis], Figure | None]

    def __call__(self, analysis: Analysis) -> Figure | None:
        """Draw it."""
        return self.draw(analysis)


def shows(*kernels: str) -> Callable[[Callable[[Analysis], Figure | None]], Picture]:
    """Say of which kernels a figure speaks that is written by hand."""
    return lambda draw: Picture(kernels, draw)


def bars_by(
    kernel: str | tuple[str, ...],
    by: str | Told,
    *,
    order: Literal["plan", "cheapest", "dearest"] = "plan",
    said: Told | None = None,
    beside: Group | None = None,
    **options: Unpack[Options],
) -> Picture:
    """Bars of a kernel's rows by one parameter, under the headings of their groups, and the table of their times.
    ``beside``: bars of known length above them, to hold them against.

    Bars stand in the order of the plan, numbers going up, or by their value. ``said`` gives the text at a bar's end;
    where it gives none, the value stands there. Where a value is not positive, the axis is linear.
    One bar alone compares nothing and is left to the tables.
    """
    picture = declared(kernel, by, options)

    def draw(analysis: Analysis) -> Figure | None:
        items = picture.choice.items(analysis)
        if len(items) < 2:
            return None
        groups = {group: _ordered(several, order) for group, several in _by_group(items).items()}
        items = [item for several in groups.values() for item in several]
        of, values = picture.choice.unit([item.row for item in items]), [item.value.value for item in items]
        values += [bar.value for bar in beside.bars] if beside else []
        labels = list(dict.fromkeys(item.label for item in items))
        # A colour a label where labels come again in other groups, else a colour a group.
        again = len(labels) < len(items) and len(labels) <= COLOURS

        def bar(item: Item, place: int) -> Bar:
            text = (said(item.row) if said else "") or short(item.value.value, of)
            return Bar(item.label, *item.value[:3], labels.index(item.label) if again else place, text)

        wide = _far_apart(values, FAR_APART)
        return bars(
            picture.name,
            options["title"],
            picture.sentence(items, of, bar_said(items, of)),
            picture.long_table(items, of),
            [
                *([beside] if beside else []),
                *(
                    Group(group, [bar(item, place) for item in several])
                    for place, (group, several) in enumerate(groups.items())
                ),
            ],
            x_label=picture.axis(of),
            x_scale="log" if wide else "linear",
            least=min(values) / 3 if wide else 0.0,
        )

    return Picture(picture.choice.kernels, draw)


def lines_by(
    kernel: str | tuple[str, ...],
    by: str,
    *,
    x_label: str = "",
    x_format: Callable[[float], str] = count,
    x_word: str = "",
    marks: tuple[str, Callable[[Analysis], Sequence[tuple[str, float]]]] | None = None,
    **options: Unpack[Options],
) -> Picture:
    """Lines over a parameter that is a number, one a group, and their table: a column a line where nothing else is to
    be told of a point, a row a point where there is.

    ``x_word`` stands behind an x in the sentence. ``marks``: what they are, and a function that gives their words and
    x. A logarithmic axis has no place for an x of 0: such a row is in the table alone.
    """
    options.setdefault("labels", lambda key: x_format(number(key)))
    picture = declared(kernel, by, options)

    def draw(analysis: Analysis) -> Figure | None:
        items = [item for item in picture.choice.items(analysis) if math.isfinite(number(item.key))]
        positive = [x for x in map(_x, items) if x > 0]
        log_x = bool(positive) and max(positive) > FAR_APART_ON_LINES * min(positive)
        groups = {group: sorted(several, key=_x) for group, several in _by_group(items).items()}
        drawn = {group: [item for item in several if not log_x or _x(item) > 0] for group, several in groups.items()}
        drawn = {group: several for group, several in drawn.items() if len(several) > 1}
        if not drawn:
            return None
        shown = sorted((item for several in drawn.values() for item in several), key=_x)
        of, values = picture.choice.unit([item.row for item in shown]), [item.value.value for item in shown]
        wide = _far_apart(values, FAR_APART_ON_LINES)
        xs = sorted({_x(item) for item in shown})
        marked = [mark for mark in (marks[1](analysis) if marks else ()) if xs[0] <= mark[1] <= xs[-1]]
        sentence = picture.sentence(shown, of, line_said(drawn, of, x_word))
        if marks and marked:
            sentence += f" Dashed: {marks[0]}, {', '.join(f'{word} {x_format(x)}' for word, x in marked)}."
        ordered = [item for several in groups.values() for item in several]
        tall = len(groups) == 1 or options.get("metrics") or options.get("columns")
        return lines(
            picture.name,
            options["title"],
            sentence,
            picture.long_table(ordered, of) if tall else picture.wide_table(ordered, of),
            [
                Series(group, np.array([_x(item) for item in several]), *columns_of(item.value for item in several))
                for group, several in drawn.items()
            ],
            x=Axis(x_label or by, log=log_x, write=x_format, ticks=_ticks(xs, log_x, x_format)),
            y=Axis(picture.axis(of), log=wide, from_zero=not wide and min(values) >= 0),
            marks=[(float(x), word) for word, x in marked],
        )

    return Picture(picture.choice.kernels, draw)


def share_by_cpu(kernel: str, metric: str, **options: Unpack[Options]) -> Picture:
    """A metric by CPU, such as a share of time: points from zero on, with their intervals, and their table."""
    options["value"] = metric
    options.setdefault("labels", lambda cpus: f"CPU {cpus}")
    options.setdefault("heading", "CPU")
    picture = declared(kernel, "cpus", options)

    def draw(analysis: Analysis) -> Figure | None:
        items = picture.choice.items(analysis)
        if not items:
            return None
        of = picture.choice.unit([item.row for item in items])
        return forest(
            picture.name,
            options["title"],
            picture.sentence(items, of, bar_said(items, of)),
            picture.long_table(items, of),
            [Point(item.label, *item.value[:3]) for item in items],
            x_label=options["unit"],
            from_zero=min(item.value.value for item in items) >= 0,
        )

    return Picture(picture.choice.kernels, draw)


def heat_by(kernel: str, by: str, values: Sequence[str], *, share: float = 1.0, **options: Unpack[Options]) -> Picture:
    """A matrix of what passes between two CPUs, for the first of the ``values`` of a parameter; its table, by what the
    two CPUs share, for all of them.

    ``share`` is the part of a row's time that one passage takes. The sentence has the fields ``least`` and ``most``.
    """
    picture = declared(kernel, by, options)
    wanted = picture.choice.where
    assert not callable(wanted), "a matrix chooses by parameters"

    def draw(analysis: Analysis) -> Figure | None:
        picture.choice.need(analysis.measured(kernel), by)
        found = matrix(analysis, kernel, share, **{by: values[0], **wanted})
        if found is None:
            return None
        cells = [
            (
                words(item.name),
                value.replace("_", " "),
                count(item.pairs),
                item.text(),
                nanoseconds(item.nearest, 3),
                nanoseconds(item.farthest, 3),
            )
            for value in values
            for item in relations(analysis, kernel, share, **{by: value, **wanted})
        ]
        least, most = (nanoseconds(value, 3) for value in (found.least, found.most))
        header = ("relation", options.get("heading", by), "pairs", options["unit"], "nearest pair", "farthest pair")
        return heat(
            picture.name,
            options["title"],
            options["says"].format(least=least, most=most) + _left_out(found),
            table(picture.caption, header, cells),
            [str(cpu) for cpu in found.cpus],
            found.ns,
            unit=f"ns {options['unit']}",
        )

    return Picture((kernel,), draw)


def _left_out(found: Matrix) -> str:
    said = " Of a pair that was at several distances, the one that held longest is drawn." if found.several else ""
    if found.pairs >= found.all_pairs:
        return said
    return said + (
        f" Of {count(found.all_pairs)} pairs {count(found.pairs)} were measured, some of each relation. The others are "
        "left blank, not guessed."
    )


def _by_group(items: Sequence[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.group, []).append(item)
    return found


def _ordered(items: list[Item], order: str) -> list[Item]:
    if order != "plan":
        return sorted(items, key=lambda item: item.value.value, reverse=order == "dearest")
    return sorted(items, key=_x) if all(math.isfinite(_x(item)) for item in items) else items


def _x(item: Item) -> float:
    return number(item.key)


def _far_apart(values: Sequence[float], factor: float) -> bool:
    return min(values) > 0 and max(values) > factor * min(values)


def _ticks(xs: Sequence[float], log: bool, write: Callable[[float], str]) -> list[float]:
    """Those of the ascending x that have room for their numbers, and for a letter between two of them."""
    places = np.log(xs) if log else np.array(xs)
    # Half of each of two numbers lies between them.
    widths = [LETTER_ROOM * (len(write(x)) + 1) * (places[-1] - places[0]) for x in xs]
    shown = [0]
    for i, place in enumerate(places):
        if i and place - places[shown[-1]] >= (widths[i] + widths[shown[-1]]) / 2:
            shown.append(i)
    return [xs[i] for i in shown]
