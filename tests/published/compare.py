"""The run published in results/, rendered anew, and the texts that its report has to be.

The texts lie in tests/data/published: the page's JSON and the page itself compressed, the Markdown as it is.
``FENCEPOST_UPDATE_GOLDENS=1 pytest tests/published/test_published.py`` writes them anew, after a change that is meant.
"""

from __future__ import annotations

import base64
import difflib
import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from unittest import mock

from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.report.markdown import as_markdown
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.topics import claim

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "results" / "2026-11-23-amd-epyc-2cpu-fa44ce51"
GOLDENS = ROOT / "tests" / "data" / "published"
UPDATE = "FENCEPOST_UPDATE_GOLDENS"

SHOWN = 12
"""Differing lines that a failure shows."""

_PICTURE = re.compile(r"<svg .*?</svg>", re.DOTALL)
_SAID = re.compile(r"<(title|desc)\b[^>]*>(.*?)</\1>", re.DOTALL)
_DOWNLOAD = re.compile(r'(href="data:application/gzip;base64,)([^"]*)')


@dataclass(frozen=True)
class Rendered:
    """A report: the page and the Markdown as they are."""

    html: str
    markdown: str

    @property
    def download(self) -> str:
        """The JSON of the page, which a link downloads."""
        found = _DOWNLOAD.search(self.html)
        assert found is not None, "the page has no download"
        return gzip.decompress(base64.b64decode(found[2])).decode()

    def texts(self) -> dict[str, str]:
        """What is compared, by the file that keeps it."""
        data = json.dumps(json.loads(self.download), indent=1, ensure_ascii=False) + "\n"
        return {"report.json.gz": data, "report.md": self.markdown, "report.html.gz": skeleton(self.html)}


def render() -> Rendered:
    """The report of the published run, from its rows, with the claims that existed when it was measured.

    A claim about a kernel that the run does not hold says so in a report. Here it is left out: a new kernel with its
    claim changes no text that is kept.
    """
    analysis = analyse(RUN)
    told = tuple(item for item in claim.claims() if all(analysis.kernel(kernel) for kernel in item.kernels))
    with mock.patch.object(claim, "claims", lambda: told):
        document = build_document(analysis)
    return Rendered(as_html(document), as_markdown(document, "report_figures"))


def skeleton(html: str) -> str:
    """A page without what other versions of libraries may write otherwise.

    Of a picture the words stay: title, description, and what its marks say. The paths are matplotlib's. The JSON is
    compared on its own: its bytes are zlib's.
    """
    page = _PICTURE.sub(lambda found: "\n".join(["[picture]", *_said(found[0]), "[end]"]), html)
    return _DOWNLOAD.sub(r"\1[compared on its own]", page)


def _said(picture: str) -> Iterator[str]:
    for kind, words in _SAID.findall(picture):
        yield f"{kind}: {unescape(words)}"


def read(path: Path) -> str:
    """A text kept in a file, compressed or not."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def difference(path: Path, text: str) -> str:
    """The first lines in which a text is not what a file keeps, and how to keep it; empty where it is that."""
    kept = read(path) if path.exists() else ""
    if kept == text:
        return ""
    old, new = kept.splitlines(), text.splitlines()
    # Long texts that differ in one place: what is the same at both ends need not be compared.
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    lines = list(difflib.unified_diff(old[first : first + 200], new[first : first + 200], "kept", "now", "", "", 0, ""))
    shown = [line[:400] for line in lines[3 : 3 + SHOWN]]
    head = f"{path.name}: line {first + 1} is the first of {len(new)} that is not as kept ({len(old)} lines)"
    return "\n".join([head, *shown, f"where this is meant: {UPDATE}=1 pytest tests/published/test_published.py"])


def update(texts: Mapping[str, str], folder: Path = GOLDENS) -> None:
    """Keep these texts from now on; files that keep them already are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or read(path) != text:
            data = text.encode()
            path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def updating() -> bool:
    """Whether whoever runs the tests wants the texts written anew."""
    return os.environ.get(UPDATE, "") not in ("", "0")
