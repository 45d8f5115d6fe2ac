"""A report as one HTML file."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from fencepost.analysis.draw.svg import named
from fencepost.analysis.report.code import NO_CODE, Code, left_out
from fencepost.analysis.report.document import Document
from fencepost.analysis.report.lecture import Sentence, sentences, tally
from fencepost.analysis.report.marks import AS_FOUND
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import COMMAND, finalize, visible
from fencepost.analysis.text.table import Table
from fencepost.analysis.topics.left_out import left_out_table
from fencepost.analysis.topics.topic import Topic

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


# ---- HTML ----


MOST_BYTES = 3 << 20
"""Of a report: what a mail or a slow line still takes. All rows of the standard profile need less."""


def as_html(document: Document, most_bytes: int = MOST_BYTES) -> str:
    """One self-contained page: no network; a script sorts tables and switches units, and nothing depends on it.

    A page of more than `most_bytes` leaves out, one after the other, what a command of fencepost shows as well, until
    it is small enough: the code of the kernels, the rows as JSON, the folded rows of long tables. It says so.
    """
    template = environment().get_template("report.html.j2")
    page = template.render(document=document, **_script())
    for lighter in (_without_code, _without_json, _without_folds):
        if len(page.encode()) <= most_bytes:
            break
        document = lighter(document)
        page = template.render(document=document, **_script())
    return page


def _without_code(document: Document) -> Document:
    return replace(document, code=left_out(document.code), left_away=("source and machine code of the kernels",))


def _without_json(document: Document) -> Document:
    return replace(document, packed="", left_away=(*document.left_away, "all rows as JSON"))


def _without_folds(document: Document) -> Document:
    return replace(document, folds=False, left_away=(*document.left_away, "the folded rows of long tables"))


@dataclass(frozen=True)
class OtherVerdict:
    """What another machine says to a sentence."""

    machine: str
    outcome: str
    figure: str


@dataclass(frozen=True)
class _Group:
    """The sentences of a topic."""

    slug: str
    title: str
    sentences: Sequence[Sentence]


def _groups(said: Sequence[Sentence]) -> list[_Group]:
    by_topic: dict[str, list[Sentence]] = {}
    for item in said:
        by_topic.setdefault(item.claim.topic, []).append(item)
    return [
        _Group(f"topic-{Topic(name).slug}", several[0].section_title, several) for name, several in by_topic.items()
    ]


def claims_page(
    analysis: Analysis, page: str = "", code: Code = NO_CODE, others: Mapping[str, Sequence[OtherVerdict]] | None = None
) -> str:
    """The lecture notes, measured, as a page of their own.

    Parameters
    ----------
    page
        where a report with the sections is.
    code
        the kernels that test the sentences.
    others
        by the id of a claim, how other machines decided it.
    """
    said = sentences(analysis)
    wanted = {kernel for item in said for kernel in item.claim.kernels}
    kernels = [kernel for several in code.kernels.values() for kernel in several if kernel.name in wanted]
    return (
        environment()
        .get_template("claims.html.j2")
        .render(
            groups=_groups(said),
            tally=tally(said),
            code=code,
            kernels=kernels,
            others=others or {},
            made=str(analysis.run["created_utc"])[:10],
            left_out=left_out_table(),
            machine_name=str(analysis.machine["cpu_model"]),
            run_id=analysis.run["id"],
            page=page,
            **_script(),
        )
    )


def _script() -> dict[str, str]:
    """The script, and its hash, by which alone the page allows a script: nothing else on it is ever executed."""
    text = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}


@functools.cache
def environment() -> Environment:
    """The templates, in which every text is escaped and every hidden character replaced."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["picture"] = lambda svg: Markup(named(svg))  # made by analysis/draw, which escapes
    made.filters["ours"] = Markup  # a script, or JSON of ours, which escapes
    made.filters["code"] = _code_spans
    made.filters["laid_out"] = laid_out
    made.filters["breakable"] = _breakable
    made.filters["fragment"] = _fragment
    made.filters["visible"] = visible
    return made


def _fragment(name: str) -> str:
    """A name as part of a link. What is behind % is not seen by `finalize`, so hidden letters are shown before."""
    return quote(visible(name), safe="/=,@")


LONG_TEXT = 28
"""Letters from which a cell is a text that needs a column wide enough to be read: two numbers are shorter."""


NAME = 30
"""Letters from which a name is too long for a line of a table."""

_PARTS = re.compile(r"(?<=_)(?=\w{4})")


def _breakable(text: str) -> str:
    """A cell. The name of a case may go on in the next line after a bracket or a comma and before its CPUs, and an
    interval after its comma. No word is broken, except for a long name, after one of its underscores.
    """
    from markupsafe import Markup, escape

    if not re.search(r"[\[,]", text) or (" " in text and "@" not in text):
        return text
    interval = text.startswith("[") and "@" not in text
    places = r"(?<=,)(?=[^,])" if interval else r"(?<=[\[,])(?=[^\[, ])|(?<=.)(?=@)"
    parts = (
        part
        for long in re.split(places, visible(text))
        for part in (_PARTS.split(long) if len(long) > NAME else [long])
    )
    return Markup("<wbr>").join(map(escape, parts))


class LaidOut(NamedTuple):
    """A table as a page shows it: its headings, their classes, and of each row its heading, its cells, and what stands
    in a line of its own below its heading.
    """

    header: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], str], ...]


def laid_out(item: Table) -> LaidOut:
    """A table without the columns of long words, which a line below the heading of the row takes: what a rung is
    measured as, and of a case the remarks and why it is not to be trusted.
    """
    kinds = column_classes(item)
    if item.header[-1] == "measured as":
        rows = tuple((row[0], row[1:-1], f"measured as {row[-1]}") for row in item.rows)
        return LaidOut(item.header[:-1], kinds[:-1], rows)
    if item.header[:2] != ("case", "time") or item.header[-1] != "remarks":
        return LaidOut(item.header, kinds, tuple((row[0], row[1:], "") for row in item.rows))
    trust = item.header.index("trust")
    short = []
    for row in item.rows:
        word, _, why = row[trust].partition(": ")
        said = [part for part in why.split("; ") if "free" not in item.header or not part.startswith(AS_FOUND)]
        note = "; ".join(part for part in (*said, row[-1]) if part)
        short.append((row[0], (*row[1:trust], word, *row[trust + 1 : -1]), note))
    kinds = (*kinds[:trust], "", *kinds[trust + 1 : -1])
    return LaidOut(item.header[:-1], kinds, tuple(short))


def column_classes(item: Table) -> tuple[str, ...]:
    """The classes of each column of a table: see `column_kinds`, and `long` for long texts."""
    longest = [max((len(row[place]) for row in item.rows), default=0) for place in range(len(item.header))]
    pairs = zip(column_kinds(item), longest, strict=True)
    return tuple(" ".join(filter(None, (kind, "long" if most > LONG_TEXT else ""))) for kind, most in pairs)


def column_kinds(item: Table) -> tuple[str, ...]:
    """For each column of a table that has both times and cycles, which of the two it is, as a class of the page; the
    interval belongs to what stands before it.
    """
    kinds: list[str] = []
    for name in item.header:
        if re.search(r"\bcycles\b", name):
            kinds.append("in-cycles")
        elif re.match(r"time\b|floor$", name) or re.search(r"\bns$", name):
            kinds.append("in-ns")
        else:
            kinds.append(kinds[-1] if name == "interval" and kinds else "")
    both = {"in-cycles", "in-ns"} <= set(kinds)
    return tuple(kinds) if both else ("",) * len(kinds)


def _code_spans(text: str) -> str:
    """`like this` in a sentence as <code>, everything escaped."""
    from markupsafe import Markup, escape

    parts = COMMAND.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )
