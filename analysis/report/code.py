"""Kernels as their files have them, and the machine code of their loops, beside what was measured of them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fencepost.analysis.text.escape import json_text

OTHER_BUILD = (
    "Another build of fencepost measured this run. The source is as it is now, and the machine code is left out."
)


@dataclass(frozen=True)
class KernelCode:
    """A kernel: its name, what it measures, the comment that its file begins with, the file, and its machine code.

    `path` is as csrc has it. `inner` has the innermost loops of `loop`, for readers without JavaScript. Both are empty
    where `missing` says why. The comment and `source` are text from outside where the kernel is a user's.
    """

    name: str
    summary: str
    comment: str
    path: str
    source: str
    loop: str = ""
    missing: str = ""
    inner: str = ""

    @property
    def topic(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def slug(self) -> str:
        """For ids."""
        return "kernel-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def question(self) -> str:
        """The question that its comment begins with, without its name. Its summary where it asks none."""
        first = " ".join(re.split(r"\n\s*\n", self.comment, maxsplit=1)[0].split())
        asked = re.match(r"[\w/, *]+: (.*?\?)", first)
        return asked[1][:1].upper() + asked[1][1:] if asked else self.summary


@dataclass(frozen=True)
class Code:
    """All kernels of a run by topic, with their files and loops packed: a page has them once, compressed."""

    kernels: Mapping[str, Sequence[KernelCode]]
    packed: str = ""
    remark: str = ""

    def has(self, name: str) -> KernelCode | None:
        """The kernel of that name; None where it is not at hand."""
        return next((kernel for kernel in self.of(name.partition("/")[0]) if kernel.name == name), None)

    def of(self, topic: str) -> Sequence[KernelCode]:
        """Those of a topic, in the order of their names."""
        return self.kernels.get(topic, ())


NO_CODE = Code({})


def left_out(code: Code) -> Code:
    """The kernels of a page that has no room for their source and loops."""
    short = {
        topic: [replace(kernel, source="", loop="", inner="") for kernel in of] for topic, of in code.kernels.items()
    }
    return Code(short)


def packed_code(kernels: Sequence[KernelCode], *, same_build: bool) -> Code:
    """Kernels as a page takes them. Without the `same_build` as measured, the page says so."""
    by_topic: dict[str, list[KernelCode]] = {}
    for kernel in sorted(kernels, key=lambda kernel: kernel.name):
        by_topic.setdefault(kernel.topic, []).append(kernel)
    data = {
        "files": {kernel.path: kernel.source for kernel in kernels if kernel.source},
        "loops": {kernel.name: kernel.loop for kernel in kernels if kernel.loop},
    }
    text = json_text(json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode() if kernels else ""
    return Code(by_topic, packed, "" if same_build else OTHER_BUILD)
