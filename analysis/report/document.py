"""The report of a run: one self-contained HTML file, the same in Markdown, and its rows as JSON.

Whatever comes from outside (names of CPUs, labels, kernels) is text: jinja escapes it for HTML, matplotlib for SVG,
`fencepost.analysis.text.escape` for Markdown.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.report import lecture, trust
from fencepost.analysis.report.beside import CAPTION
from fencepost.analysis.report.code import NO_CODE, Code
from fencepost.analysis.report.data import ReportJson, embedded_json, json_of, measured_sentences
from fencepost.analysis.report.headline import ladder_figures, ladder_table, link
from fencepost.analysis.report.lecture import Sentence
from fencepost.analysis.report.machine import data_table, machine_table
from fencepost.analysis.report.sections import Section, sections_begun
from fencepost.analysis.report.summary import Summary, summary_of
from fencepost.analysis.report.topology import topology_figure
from fencepost.analysis.report.trust import Examination, Trust, trust_table, trust_verdict, twins_table, unmeasurable
from fencepost.analysis.report.warnings import RunWarning, collect
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import label_of
from fencepost.analysis.text.table import Table
from fencepost.analysis.topics import claim
from fencepost.analysis.topics.claim import Claim
from fencepost.analysis.topics.left_out import left_out_table
from fencepost.analysis.topics.topic import headlines, rungs

FOLD_ROWS = 12
"""Tables of figures and of all rows that are longer are folded: the page is for reading, they are for looking up."""


@dataclass(frozen=True)
class Document:
    """All that HTML and Markdown say."""

    title: str
    machine_name: str
    made: str
    summary: Summary | None
    verdict: Trust
    ladder: Table | None
    ladder_figures: Sequence[Figure]
    ladder_links: Sequence[str]
    trust: Table
    examination: Examination
    warnings: Sequence[RunWarning]
    machine: Table
    topology: Figure | None
    sections: Sequence[Section]
    claims: Mapping[str, Sequence[tuple[Claim, claim.Verdict]]]
    missing: Mapping[str, Table]
    sentences: Sequence[Sentence]
    report: ReportJson
    left_out: Table
    data: Table
    twins: Table | None
    packed: str
    download_name: str
    code: Code = NO_CODE
    fold: int = FOLD_ROWS
    beside: str = CAPTION
    folds: bool = True
    """Whether the rows that are folded are in the page."""
    left_away: Sequence[str] = ()
    """What the page has no room for."""

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Every section: its anchor and its heading."""
        found = [("numbers", "This machine's numbers")] if self.ladder else []
        found += [("trust", "Can I trust this?"), ("machine", "The machine")]
        found += [("lecture", "The lecture notes, measured")] if self.sentences else []
        found += [(f"topic-{section.topic.slug}", section.words.title) for section in self.sections]
        return [*found, ("data", "Data and versions")]

    @property
    def figures(self) -> list[Figure]:
        """Every picture, in the order of the page."""
        own = [self.topology] if self.topology else []
        every = [*self.ladder_figures, *own, *(figure for section in self.sections for figure in section.figures)]
        return [figure for figure in every if figure.svg]

    @property
    def telling_sentences(self) -> tuple[list[Sentence], list[Sentence]]:
        """The sentences that stand open, and those that are folded."""
        return lecture.telling_first(self.sentences)

    @property
    def tally(self) -> str:
        """How many sentences got which verdict."""
        return lecture.tally(self.sentences)


def build_document(analysis: Analysis, code: Code = NO_CODE) -> Document:
    """Everything that a report says about a run; `code` has its kernels, where they are at hand."""
    with sections_begun(analysis) as complete:
        # All but the sections, while a second process draws for them.
        label, model = label_of(analysis.run), str(analysis.machine["cpu_model"])
        name = f"{label} ({model})" if label else model
        said = measured_sentences(analysis)
        by_topic: dict[str, list[tuple[Claim, claim.Verdict]]] = {}
        for item in said:
            by_topic.setdefault(item.claim.topic, []).append((item.claim, item.verdict))
        found = rungs(analysis)
        report = json_of(analysis, said)
        document = Document(
            title=f"Costs of basic operations on {name}",
            machine_name=name,
            made=str(analysis.run["created_utc"])[:10],
            summary=summary_of(analysis),
            verdict=trust_verdict(analysis),
            ladder=ladder_table(found),
            ladder_figures=ladder_figures(headlines(analysis)),
            ladder_links=[link(topic) for topic, _ in found],
            trust=trust_table(analysis),
            examination=trust.examination(analysis.run),
            warnings=collect(analysis),
            machine=machine_table(analysis.machine, analysis.run["engine"]),
            topology=topology_figure(analysis.machine, analysis.run["plan"]["cpus"]),
            sections=(),
            claims=by_topic,
            missing={},
            sentences=said,
            report=report,
            left_out=left_out_table(),
            data=data_table(analysis),
            twins=twins_table(analysis),
            packed=base64.b64encode(gzip.compress(embedded_json(report).encode(), mtime=0)).decode(),
            download_name=re.sub(r"[^A-Za-z0-9._-]+", "-", str(analysis.run["id"])),
        )
        sections = complete() if analysis.rounds else []
    missing = {section.topic.name: unmeasurable(analysis, section.topic.name) for section in sections}
    return replace(
        document,
        code=code,
        sections=sections,
        missing={name: item for name, item in missing.items() if item is not None},
    )
