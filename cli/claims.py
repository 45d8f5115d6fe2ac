"""`fencepost claims`: the lecture notes, measured: every sentence that the suite tests, with what a run says to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.options import json_option, verbose_option

if TYPE_CHECKING:
    from fencepost.analysis.report.lecture import Sentence

_STYLES = {"confirmed": "green", "refuted": "red", "depends": "yellow", "not measurable here": "dim"}


@click.command(name="claims", short_help="Show sentences of the lecture notes, each with a verdict.")
@click.argument("run", default="latest")
@click.option("--html", type=click.Path(path_type=Path), metavar="PATH", help="Write the table as an HTML page here.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="PATH", help="Write the table as Markdown here.")
@json_option
@verbose_option
def claims_command(run: str, html: Path | None, markdown: Path | None, as_json: bool) -> None:
    """Show each sentence of the lecture notes that the suite tests, and the verdict that RUN gives.

    RUN is a run folder, a run's id, or `latest` (the default). A verdict is confirmed, refuted, depends (on what), or
    not measurable here (and what is missing). If the run folder holds report.html or report.md, pages link to it.
    """
    from fencepost.analysis.report.lecture import as_rows, sentences
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.bench import runfolder
    from fencepost.cli import display

    folder = runfolder.find(run)
    analysis = analyse(folder)
    if html is not None or markdown is not None:
        from fencepost.analysis.report.html import claims_page
        from fencepost.analysis.report.markdown import claims_markdown

        for path, write, report in ((html, claims_page, "report.html"), (markdown, claims_markdown, "report.md")):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(write(analysis, _link(folder / report, path)), encoding="utf-8")
                if not as_json:
                    click.echo(display.short_path(path))
    said = sentences(analysis)
    if as_json:
        display.print_json({"run": analysis.run["id"], "claims": as_rows(said)})
    elif html is None and markdown is None:
        _show(said)


def _link(report: Path, page: Path) -> str:
    """How `page` calls the report; nothing where there is none yet, which leaves links within the page."""
    from urllib.parse import quote

    if not report.exists() or report.resolve() == page.resolve():
        return ""
    return quote(os.path.relpath(report.resolve(), page.resolve().parent))


def _show(said: list[Sentence]) -> None:
    """One paragraph a sentence in a table of two columns: figures and reasons are too long for narrow columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from fencepost.analysis.report.lecture import tally
    from fencepost.cli import display

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_lines=True)
    table.add_column("sentence", overflow="fold", ratio=2)
    table.add_column("verdict, figure [95 % interval], what it depends on", overflow="fold", ratio=3)
    for item in said:
        left = Text(display.printable(item.sentence))
        for words in (item.claim.english if item.claim.quote else "", item.claim.tested_as):
            if words:
                left.append(display.printable(f"\n{words}"), style="dim")
        outcome = str(item.verdict.outcome)
        right = Text(outcome, style=_STYLES.get(outcome, ""))
        if item.verdict.figure:
            right.append(display.printable(f": {item.verdict.figure}"), style="default not dim")
        right.append(display.printable(f"\n{item.verdict.because}"), style="default not dim")
        right.append(display.printable(f"\nreport: {item.section_title}"), style="dim")
        table.add_row(left, right)
    out = display.console()
    out.print(table)
    out.print(display.printable(tally(said)))
