"""Writing a report to files."""

from __future__ import annotations

from pathlib import Path

from fencepost.analysis.draw.card import card_files
from fencepost.analysis.draw.parallel import uncollected
from fencepost.analysis.report import answers
from fencepost.analysis.report.code import NO_CODE, Code
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.report.markdown import as_markdown
from fencepost.analysis.report.summary import card_of
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.topics.headlines import told_headlines

# ---- the document ----


def write_report(
    folder: Path | str, html: Path | str | None = None, markdown: Path | str | None = None, code: Code = NO_CODE
) -> list[Path]:
    """Write the report of a run folder; returns the files written.

    Parameters
    ----------
    folder
        a run folder, complete or not.
    html
        file to write: one HTML file with everything in it. Beside it the summary is drawn as SVG and PNG: beside
        ``report.html`` as ``summary.svg``, beside ``other.html`` as ``other-summary.svg``.
    markdown
        file to write; its pictures go into a folder beside it, named like the file with ``_figures`` at the end.
    code
        source and machine code of the run's kernels, for the HTML file.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    OSError
        where a file cannot be written.
    """
    folder = Path(folder)
    key = kept.key_of(folder)
    with uncollected():
        analysis = analysis_of(folder)
        document = build_document(analysis, code)
        answers.keep(folder, key, answers.answers_in(document.report, document.sentences))
        told_headlines(analysis)
    written = []
    if html is not None:
        path = Path(html)
        if document.summary is not None:
            for suffix, content in card_files(card_of(document.summary, document.made)).items():
                picture = path.with_name(f"{path.stem.replace('report', '').strip('-_.')}-summary{suffix}".lstrip("-"))
                picture.write_bytes(content)
                written.append(picture)
        path.write_text(as_html(document), encoding="utf-8")
        written.append(path)
    if markdown is not None:
        path = Path(markdown)
        pictures = path.with_name(f"{path.stem}_figures")
        if document.figures:
            pictures.mkdir(exist_ok=True)
        for figure in document.figures:
            target = pictures / f"{figure.name}.svg"
            target.write_text(figure.standalone(), encoding="utf-8")
            written.append(target)
        path.write_text(as_markdown(document, pictures.name), encoding="utf-8")
        written.append(path)
    return written
