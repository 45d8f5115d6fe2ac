"""What OLD and NEW of `fencepost ab` may be, and how they become pairs of kernels."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.bench.errors import UsageError

if TYPE_CHECKING:
    from fencepost.bench.ab_plan import AbSide, Pair
    from fencepost.bench.catalog import KernelInfo
    from fencepost.bench.engine import Engine
    from fencepost.bench.objects import KernelObject
    from fencepost.bench.overrides import Override

_KERNEL = re.compile(r"([a-z0-9_]+(?:/[a-z0-9_]+)?)(?:\[([^\]]*)\])?")


@dataclass(frozen=True)
class Given:
    """One side as it was asked for: its kernels by name, and values of parameters that are fixed on this side."""

    text: str
    kernels: Mapping[str, KernelInfo]
    fixed: Mapping[str, str] = field(default_factory=dict)
    object: KernelObject | None = None


def read_side(engine: Engine, text: str, label: str, options: Sequence[str]) -> Given:
    """Find what a user means by OLD or NEW: a kernel file, a shared object, ``REV:path/kernel.c``, or a kernel of the
    suite with values of its parameters in brackets.

    Raises
    ------
    UsageError, MeasureError
        when there is no such thing, or it does not compile.
    """
    from fencepost.bench import objects, revisions
    from fencepost.bench.catalog import read_catalog, read_object

    suffixes = (*objects.LANGUAGES, objects.PREBUILT)
    built: KernelObject | None = None
    if revisions.split(text):
        with tempfile.TemporaryDirectory(prefix="fencepost-revision-") as folder:
            built = objects.build(revisions.extract(text, Path(folder)), label, options)
    elif Path(text).suffix.lower() in suffixes or Path(text).is_file():
        built = objects.build(Path(text), label, options)
    if built is not None:
        if built.warnings:
            click.echo(f"{text}: the compiler warns:\n{built.warnings}", err=True)
        engine.load_object(label, built.path, text, built.source)
        return Given(text, {kernel.name: kernel for kernel in read_object(engine, label)}, object=built)
    match = _KERNEL.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text}: neither a kernel file ({', '.join(suffixes)}), nor REV:path/kernel.c, nor a kernel of the suite "
            "such as 'memory/chase[size=4KiB]'"
        )
    kernel = read_catalog(engine).get(match[1])
    fixed: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in (match[2] or "").split(","))):
        name, equals, value = item.partition("=")
        if not equals or not value:
            raise UsageError(f"{text}: {item!r} is not of the form parameter=value")
        fixed[kernel.parameter(name.strip()).name] = value.strip()
    return Given(text, {kernel.name: kernel}, fixed)


def pairs_of(
    old: Given, new: Given, overrides: Sequence[Override], only: Sequence[str]
) -> tuple[list[Pair], list[str]]:
    """Which kernel is compared with which, and what is left out, in words.

    Kernels of the same name belong together; where there are none, and each side has a single kernel, these do.
    Parameters take the values of `overrides` (on both sides), otherwise those in brackets, otherwise their defaults.
    """
    from fencepost.bench.ab_plan import Pair
    from fencepost.bench.catalog import Catalog

    common = [name for name in old.kernels if name in new.kernels]
    notes = []
    if common:
        couples = [(old.kernels[name], new.kernels[name]) for name in common]
        for side, other in ((old, new), (new, old)):
            alone = [name for name in side.kernels if name not in other.kernels]
            if alone:
                notes.append(f"only in {side.text}: {', '.join(alone)}")
    elif len(old.kernels) == len(new.kernels) == 1:
        couples = [(next(iter(old.kernels.values())), next(iter(new.kernels.values())))]
    else:
        raise UsageError(
            f"{old.text} and {new.text} have no kernel of the same name: {', '.join(old.kernels)} and "
            f"{', '.join(new.kernels)}"
        )
    if only:
        chosen = {kernel.name for kernel in Catalog(first for first, _ in couples).select(only)}
        couples = [couple for couple in couples if couple[0].name in chosen]
    used: set[int] = set()
    pairs = []
    for first, second in couples:
        swept: dict[str, str] = {}
        for place, override in enumerate(overrides):
            names = {item.name for item in (*first.parameters, *second.parameters)}
            matched = override.pattern == "*" or override.pattern in (first.name, second.name)
            if matched and override.parameter in names:
                swept[override.parameter] = override.values
                used.add(place)
        pairs += [Pair(*sides) for sides in _combinations(old, new, first, second, swept)]
    unused = next((item for place, item in enumerate(overrides) if place not in used), None)
    if unused is not None:
        raise UsageError(f"--set {unused.parameter}: no kernel that is compared has such a parameter")
    return pairs, notes


def _combinations(
    old: Given, new: Given, first: KernelInfo, second: KernelInfo, swept: Mapping[str, str]
) -> list[tuple[AbSide, AbSide]]:
    from fencepost.bench.ab_plan import AbSide

    lists = {name: re.split(r"[,\s]+", values.strip()) for name, values in swept.items()}
    for name in lists:
        owner = first if any(item.name == name for item in first.parameters) else second
        parameter = owner.parameter(name)
        lists[name] = [parameter.word(value) for value in parameter.parse_list(swept[name])]
    found = []
    for combination in itertools.product(*lists.values()):
        values = dict(zip(lists, combination, strict=True))
        sides = []
        for given, kernel in ((old, first), (new, second)):
            texts = {**values, **given.fixed}
            sides.append(
                AbSide(
                    kernel,
                    tuple(
                        item.parse(texts[item.name]) if item.name in texts else item.initial
                        for item in kernel.parameters
                    ),
                )
            )
        found.append((sides[0], sides[1]))
    return found
