"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.report.document import Document
from fencepost.analysis.report.lecture import Sentence, sentences, tally
from fencepost.analysis.report.sections import Section
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import COMMAND, visible
from fencepost.analysis.text.escape import markdown as _markdown
from fencepost.analysis.text.numbers import counted
from fencepost.analysis.text.table import Table
from fencepost.analysis.topics import claim, left_out
from fencepost.analysis.topics.claim import Claim


def _spans(text: str) -> str:
    parts = COMMAND.split(text)
    return "".join(f"`{part}`" if index % 2 else _markdown(part) for index, part in enumerate(parts))


def _markdown_table(item: Table, fold: int | None = None, links: Sequence[str] = ()) -> list[str]:
    if item.folded:
        shown = f"{item.caption}. The {len(item.open)} most telling of {len(item.rows)} rows"
        rest = [*_folded(f"The other {len(item.folded)} rows"), *_lines(item, item.folded, links), "</details>", ""]
        return [f"*{_markdown(shown)}*", "", *_lines(item, item.open, links), *rest]
    if fold is not None and len(item.rows) > fold:
        summary = f"{item.caption}: {counted(len(item.rows), 'row')}"
        return [*_folded(summary), *_lines(item, item.open, links), "</details>", ""]
    return [f"*{_markdown(item.caption)}*", "", *_lines(item, item.open, links)]


def _folded(caption: str) -> list[str]:
    """What opens a fold. Inside of <summary> a page's renderer takes HTML; a caption may hold names from outside."""
    return ["<details>", f"<summary>{escape(visible(' '.join(caption.split())))}</summary>", ""]


def _lines(item: Table, places: Sequence[int], links: Sequence[str]) -> list[str]:
    """These rows of a table under its heading."""
    lines = ["| " + " | ".join(map(_markdown, item.header)) + " |", "|" + " --- |" * len(item.header)]
    for place in places:
        cells = [_markdown(cell) or " " for cell in item.rows[place]]
        if links:
            cells[0] = f"[{cells[0]}]({links[place]})"
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _markdown_picture(figure: Figure, folder: str) -> str:
    return f"![{_markdown(figure.title)}. {_markdown(figure.description)}]({folder}/{figure.name}.svg)"


def _markdown_figure(figure: Figure, folder: str, fold: int) -> list[str]:
    return [
        *([_markdown_picture(figure, folder), ""] if figure.svg else []),
        _markdown(figure.description),
        "",
        *_markdown_table(figure.table, fold),
    ]


def as_markdown(document: Document, pictures: str) -> str:
    """The same as `as_html` for a repository's page; pictures are looked for in the folder `pictures` beside it."""
    lines = [
        f"# {_markdown(document.title)}",
        "",
        *_numbers_markdown(document, pictures),
        *_trust_markdown(document),
        *_machine_markdown(document, pictures),
        *(line for section in document.sections for line in _section_markdown(document, section, pictures)),
    ]
    if document.sentences:
        lines += [*_heading("lecture", "The lecture notes, measured"), document.tally, ""]
        lines += _lecture_markdown(document.sentences)
        lines += [f"### {left_out.TITLE}", "", *_markdown_table(document.left_out)]
    lines += [*_heading("data", "Data and versions"), *_markdown_table(document.data)]
    return "\n".join(lines).rstrip() + "\n"


def _numbers_markdown(document: Document, pictures: str) -> list[str]:
    if not document.ladder:
        return []
    lines = _heading("numbers", "This machine's numbers")
    for figure in document.ladder_figures:
        lines += [_markdown_picture(figure, pictures), ""]
    return lines + _markdown_table(document.ladder, links=document.ladder_links)


def _trust_markdown(document: Document) -> list[str]:
    best_change = document.examination.best_change
    helps = f" **Best next step:** {_markdown(best_change)}." if best_change else ""
    lines = [
        *_heading("trust", "Can I trust this?"),
        f"**{_markdown(document.verdict.word)}.** {_spans(document.verdict.sentence)}",
        "",
        _spans(document.examination.sentence) + helps,
        "",
        *_markdown_table(document.trust),
    ]
    if document.warnings:
        lines += ["### Warnings", ""]
        lines += [*(f"- {_spans(item.sentence)}" for item in document.warnings), ""]
    if document.examination.findings:
        lines += ["### Findings of the doctor", "", *_markdown_table(document.examination.findings, 6)]
    if document.twins:
        lines += ["### The same code twice", "", *_markdown_table(document.twins, document.fold)]
    return lines


def _machine_markdown(document: Document, pictures: str) -> list[str]:
    lines = _heading("machine", "The machine")
    if document.topology:
        lines += [f"### {document.topology.title}", ""]
        lines += [*_markdown_figure(document.topology, pictures, document.fold), "### Its own description", ""]
    return lines + _markdown_table(document.machine)


def _section_markdown(document: Document, section: Section, pictures: str) -> list[str]:
    """All that a report says of one topic."""
    topic = section.topic
    lines = [*_heading(f"topic-{topic.slug}", section.words.title), _spans(section.words.question), ""]
    if section.kernels:
        lines += _markdown_table(section.kernels, document.fold)
    for figure in section.figures:
        lines += [f"### {_markdown(figure.title)}", "", *_markdown_figure(figure, pictures, document.fold)]
    for heading, paragraphs in (
        ("How to read this", section.words.how_to_read),
        ("What it does not show", section.words.not_shown),
    ):
        lines += [f"### {heading}", ""]
        lines += [line for text in paragraphs for line in (_spans(text), "")]
    lines += _claims_markdown(document.claims.get(topic.name, ()))
    if topic.name in document.missing:
        lines += ["### Not measurable here", "", *_markdown_table(document.missing[topic.name], document.fold)]
    if section.tables:
        lines += ["### All rows", ""]
        for item in section.tables:
            lines += _markdown_table(item, document.fold)
    if section.beside:
        lines += _folded(f"{document.beside}: {counted(len(section.beside), 'table')}")
        lines += [line for item in section.beside for line in _markdown_table(item)]
        lines += ["</details>", ""]
    return [*lines, "Again, only this: " + _spans(f"`{topic.command}`"), ""]


def claims_markdown(analysis: Analysis, page: str = "") -> str:
    """The lecture notes, measured, as a Markdown page; `page` is where a report with the sections is."""
    said = sentences(analysis)
    title = f"# The lecture notes, measured on {_markdown(str(analysis.machine['cpu_model']))}"
    lines = [title, "", tally(said), "", *_lecture_markdown(said, page, page != "")]
    lines += [f"## {left_out.TITLE}", "", *_markdown_table(left_out.left_out_table())]
    return "\n".join(lines).rstrip() + "\n"


def _heading(anchor: str, title: str) -> list[str]:
    """A heading with an anchor that does not depend on how a page's renderer makes one of the title."""
    return [f'<a id="{anchor}"></a>', "", f"## {_markdown(title)}", ""]


def _lecture_markdown(said: Sequence[Sentence], page: str = "", linked: bool = True) -> list[str]:
    lines = [
        "| sentence | verdict | figure [95 % interval] | why, and what it depends on | shown in |",
        "|" + " --- |" * 5,
    ]
    for item in said:
        words = [f"“{_markdown(item.claim.quote)}”" if item.claim.quote else "", _markdown(item.claim.english)]
        words += [f"tested: {_markdown(item.claim.tested_as)}" if item.claim.tested_as else ""]
        cells = (
            "<br>".join(word for word in words if word),
            f"**{item.verdict.outcome}**",
            _markdown(item.verdict.figure) or " ",
            _with_control(item) or " ",
            f"[{_markdown(item.section_title)}]({page}#{item.section})"
            if item.section and linked
            else _markdown(item.section_title),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _with_control(said: Sentence) -> str:
    """Why, and the control where that sentence does not name it."""
    shown = "" if said.control in said.verdict.because else said.control
    return "<br>".join(part for part in (_spans(said.verdict.because), _markdown(shown)) if part)


def _claims_markdown(said: Iterable[tuple[Claim, claim.Verdict]]) -> list[str]:
    lines: list[str] = []
    for item, verdict in said:
        said_as = f"“{_markdown(item.quote)}”" if item.quote else ""
        words = [item.english] if item.english else []
        words += [f"tested: {item.tested_as}"] if item.tested_as else []
        lines += [
            f"- {said_as} ({_markdown('; '.join(words))}): **{verdict.outcome}**".replace("-  (", "- ("),
            f"  {_markdown(verdict.figure)} {_spans(verdict.because)}".rstrip(),
        ]
    return ["### Sentences of the lecture", "", *lines, ""] if lines else []
