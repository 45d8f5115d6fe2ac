"""`fencepost claims`: the lecture notes, measured: every sentence that the suite tests, with what a run says to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.completion import complete_runs
from fencepost.cli.options import OutputFile, json_option, verbose_option

if TYPE_CHECKING:
    from fencepost.analysis.report.html import OtherVerdict
    from fencepost.analysis.report.lecture import ClaimJson, ClaimsJson
    from fencepost.analysis.text.table import Table as Texts

_STYLES = {
    "confirmed": "green",
    "refuted": "red",
    "depends": "yellow",
    "undecided here": "yellow",
    "not measurable here": "dim",
}


@click.command(name="claims")
@click.argument("run", default="latest", shell_complete=complete_runs)
@click.option("--html", type=OutputFile(), metavar="PATH", help="Write an HTML page with code here.")
@click.option("--markdown", type=OutputFile(), metavar="PATH", help="Write the table as Markdown here.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default="results",
    show_default=True,
    help="The gallery whose machines the HTML page compares with.",
)
@json_option
@verbose_option
def claims_command(run: str, html: Path | None, markdown: Path | None, results: Path, as_json: bool) -> None:
    """Show each sentence of the lecture notes that the suite tests, and the verdict that RUN gives.

    RUN is a run folder, a run's id, or `latest` (the default). A verdict is confirmed, refuted, depends (on what),
    undecided here (within the noise of the run), or not measurable here (and what is missing). Sentences without a
    verdict follow, each with its reason. If the run folder has report.html or report.md, pages link to it.
    """
    from fencepost.bench import runfolder
    from fencepost.cli import display

    folder = runfolder.find(run)
    if html is not None or markdown is not None:
        from fencepost.analysis.report.html import claims_page
        from fencepost.analysis.report.markdown import claims_markdown
        from fencepost.analysis.runs.estimated import analysis_of
        from fencepost.analysis.runs.labels import bare_id
        from fencepost.cli.code import code_of

        analysis = analysis_of(folder)
        pages = []
        if html is not None:
            link = _link(folder / "report.html", html)
            pages.append((html, claims_page(analysis, link, code_of(folder), _others(results, bare_id(analysis.run)))))
        if markdown is not None:
            pages.append((markdown, claims_markdown(analysis, _link(folder / "report.md", markdown))))
        for path, text in pages:
            path.write_text(text, encoding="utf-8")
            if not as_json:
                click.echo(display.short_path(path))
    if as_json or (html is None and markdown is None):
        from fencepost.analysis.report.answers import claims_of
        from fencepost.analysis.topics.left_out import left_out, left_out_table

        run_id, said, titles, tally = claims_of(folder)
        if as_json:
            document: ClaimsJson = {"run": run_id, "claims": said, "left_out": list(left_out())}
            display.print_json(document)
        else:
            _show(said, titles, tally)
            _show_left_out(left_out_table())


def _others(results: Path, own: str) -> dict[str, list[OtherVerdict]]:
    """How the machines of a gallery decided each claim, by its id; a folder that cannot be read is left out."""
    from fencepost.analysis.gallery.entry import MOST_MACHINES, published_folders, read_entry
    from fencepost.analysis.report.html import OtherVerdict
    from fencepost.analysis.runs.estimated import analysis_of
    from fencepost.analysis.runs.labels import bare_id
    from fencepost.analysis.topics.claim import verdicts
    from fencepost.bench.schema import RunFolderError

    found: dict[str, list[OtherVerdict]] = {}
    for folder in published_folders(results)[:MOST_MACHINES] if results.is_dir() else []:
        try:
            analysis, entry = analysis_of(folder), read_entry(folder)
        except (RunFolderError, OSError):
            continue
        if bare_id(analysis.run) == own:
            continue
        for claim, verdict in verdicts(analysis):
            other = OtherVerdict(f"{entry.title}, {entry.date}", str(verdict.outcome), verdict.figure)
            found.setdefault(claim.id, []).append(other)
    return found


def _link(report: Path, page: Path) -> str:
    """How `page` calls the report; nothing where there is none yet, which leaves links within the page."""
    from urllib.parse import quote

    if not report.exists() or report.resolve() == page.resolve():
        return ""
    return quote(os.path.relpath(report.resolve(), page.resolve().parent))


def _show(said: Sequence[ClaimJson], titles: Sequence[str], tally: str) -> None:
    """One paragraph a sentence in a table of two columns: figures and reasons are too long for narrow columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from fencepost.cli import display

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_lines=True)
    table.add_column("sentence", overflow="fold", ratio=2)
    table.add_column("verdict, figure [95 % interval], what it depends on", overflow="fold", ratio=3)
    for item, title in zip(said, titles, strict=True):
        left = Text(display.printable(item["quote"] or item["english"]))
        for words in (item["english"] if item["quote"] else "", item["tested_as"]):
            if words:
                left.append(display.printable(f"\n{words}"), style="dim")
        right = Text(item["verdict"], style=_STYLES.get(item["verdict"], ""))
        if item["figure"]:
            right.append(display.printable(f": {item['figure']}"), style="default not dim")
        right.append(display.printable(f"\n{item['because']}"), style="default not dim")
        control = item["control"]
        if control:
            word = {True: "holds", False: "fails", None: "open"}[control["holds"]]
            right.append(display.printable(f"\ncontrol {word}: {control['says']} ({control['figure']})"), style="dim")
        right.append(display.printable(f"\nreport: {title}"), style="dim")
        table.add_row(left, right)
    out = display.console()
    out.print(table, width=display.readable_width(out))
    display.say(out, [tally])


def _show_left_out(texts: Texts) -> None:
    """Sentences without a verdict, one a line."""
    from rich import box
    from rich.table import Table

    from fencepost.cli import display

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title=texts.caption, title_justify="left")
    for name in texts.header:
        shown.add_column(name, overflow="fold")
    for row in texts.rows:
        shown.add_row(*map(display.printable, row))
    out = display.console()
    out.print(shown, width=display.readable_width(out))
