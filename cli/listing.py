"""Machine code as a page shows it: by lines that say something."""

from __future__ import annotations

import itertools
import re

_LINE = re.compile(r"\s*([0-9a-f]+):\s+(.*)")

_PLACE = re.compile(r"\b[0-9a-f]+ (<[^>]+>)")
"""An address with the function it is in. The function with the distance says more."""

_PADDING = re.compile(r"(?:data16 |cs )*nop[wl]?\b.*|xchg\s+%ax,%ax")


_LABEL = re.compile(r"(\+0x[0-9a-f]+):")
_JUMP = re.compile(r"\s+(?:j\w+|b\.?\w*|cbn?z|tbn?z)\b.*<\S*?(\+0x[0-9a-f]+)>")
"""A jump or branch, of any of the architectures, to a place with a label."""


def inner_loops(shown: str) -> list[str]:
    """The loops of a listing that have no other loop inside, in their order; `shown` is from `listing`."""
    lines = shown.splitlines()
    labels: dict[str, int] = {}
    found: list[tuple[int, int]] = []
    for place, line in enumerate(lines):
        label = _LABEL.fullmatch(line)
        if label:
            labels[label[1]] = place
            continue
        jump = _JUMP.match(line)
        start = labels.get(jump[1]) if jump else None  # a jump forward leads to a label that comes later
        if start is not None and not any(begin >= start for begin, _ in found):
            found.append((start, place))
    return ["\n".join(lines[begin : end + 1]) for begin, end in found]


def listing(text: str, name: str) -> str:
    """What objdump writes of the function `name`, in fewer lines.

    Addresses are left out. A line that a jump of the function leads to has its distance from the start above it.
    Instructions that come several times in a row are one line with their number, and padding is left out.
    """
    lines = [match.groups() for match in map(_LINE.fullmatch, text.splitlines()) if match]
    if not lines:
        return text
    start = int(lines[0][0], 16)
    targets = {int(found, 16) for found in re.findall(rf"<{re.escape(name)}\+0x([0-9a-f]+)>", text)}
    shown: list[str] = []
    for address, code in lines:
        distance = int(address, 16) - start
        if distance in targets:
            shown.append(f"+{distance:#x}:")
        if not _PADDING.fullmatch(code.strip()):
            shown.append("  " + " ".join(_PLACE.sub(r"\1", code).split()))
    counted = ((line, len(list(several))) for line, several in itertools.groupby(shown))
    return "\n".join(line if number == 1 else f"{line}  × {number}" for line, number in counted)
