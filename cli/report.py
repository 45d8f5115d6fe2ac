"""`fencepost report`: from a run folder to a page that can be read, published, or parsed."""

from __future__ import annotations

from pathlib import Path

import click

from fencepost.bench.errors import MeasureError, UsageError
from fencepost.cli.completion import complete_runs
from fencepost.cli.options import OutputFile, json_option, verbose_option


@click.command(name="report")
@click.argument("run", default="latest", shell_complete=complete_runs)
@click.option("--html", type=OutputFile(), metavar="PATH", help="Write the HTML report here.")
@click.option("--markdown", type=OutputFile(), metavar="PATH", help="Write the Markdown report here.")
@click.option("--open", "opened", is_flag=True, help="Show the HTML report in the browser.")
@json_option
@verbose_option
def report_command(run: str, html: Path | None, markdown: Path | None, opened: bool, as_json: bool) -> None:
    """Write the report of RUN: a run folder, a run's id, or `latest` (the default).

    By default the files are report.html and report.md in the run folder.
    """
    from fencepost.bench import runfolder
    from fencepost.cli import display

    if opened and (as_json or (markdown is not None and html is None)):
        raise UsageError("--open shows the HTML report: leave out --json, or name its file with --html")
    folder = runfolder.find(run)
    if as_json and html is None and markdown is None:
        from fencepost.analysis.report.answers import report_of

        display.print_json(report_of(folder))
        return
    if html is None and markdown is None:
        html, markdown = folder / "report.html", folder / "report.md"
    from fencepost.analysis.draw.parallel import uncollected

    with uncollected():  # the imports too
        from fencepost.analysis.report.code import NO_CODE
        from fencepost.analysis.report.write import write_report
        from fencepost.cli.code import code_of

        write_report(folder, html=html, markdown=markdown, code=code_of(folder) if html else NO_CODE)
    if as_json:
        from fencepost.analysis.report.answers import report_of

        display.print_json(report_of(folder))
        return
    for path in (html, markdown):
        if path is not None:
            click.echo(display.short_path(path))
    import webbrowser

    if opened and html is not None and not webbrowser.open(html.resolve().as_uri()):
        raise MeasureError(f"{html}: no browser was found to show it; open this file in one")
