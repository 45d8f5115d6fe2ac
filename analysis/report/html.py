"""A report as one HTML file."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fencepost.analysis.report.code import NO_CODE, Code
from fencepost.analysis.report.document import Document
from fencepost.analysis.report.lecture import Sentence, sentences, tally
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import COMMAND, finalize, visible
from fencepost.analysis.text.table import Table
from fencepost.analysis.topics.left_out import left_out_table
from fencepost.analysis.topics.topic import Topic

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


# ---- HTML ----


def as_html(document: Document) -> str:
    """One self-contained page: no network; a script sorts tables and switches units, and nothing depends on it."""
    return environment().get_template("report.html.j2").render(document=document, **_script())


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
    made.filters["svg"] = Markup  # made by figures.py, or JSON of ours, which escape
    made.filters["code"] = _code_spans
    made.filters["columns"] = column_classes
    made.filters["breakable"] = _breakable
    made.filters["visible"] = visible  # before a text becomes part of a link: what is behind % is not seen by finalize
    return made


LONG_TEXT = 28
"""Letters from which a cell is a text that needs a column wide enough to be read: two numbers are shorter."""


def _breakable(text: str) -> str:
    """A cell, in which the name of a case may go on in the next line after a bracket or a comma."""
    from markupsafe import Markup, escape

    if " " in text or not re.search(r"[\[,]", text):
        return text
    return Markup(re.sub(r"([\[,])", r"\1<wbr>", str(escape(visible(text)))))


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
