"""Text from outside (labels, names of CPUs and kernels, imported files) on its way to a reader: the one place for it.

Two things are done to it, in this order. `visible` replaces what a reader cannot see but a terminal or a browser obeys:
control characters, among them ESC, which opens terminal sequences, and marks that reorder or hide letters. Then the
medium's own markup is escaped: `markdown` here, HTML by jinja's autoescape with `finalize`, SVG by matplotlib, and on
the terminal rich is told to read no markup.
"""

from __future__ import annotations

import re
from typing import Any

# ---- Markdown ----

# Only what our own sentences put between backticks: a name from outside may hold backticks too.
COMMAND = re.compile(r"`([\w ./'*-]+)`")

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


# The Unicode categories Cc (less tab and newline), Cf, Cs, Zl and Zp.
# tests/analysis/text/test_escape.py goes through all of Unicode.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!$])")


_FORMULA = re.compile(r"^[=+\-@\t\r]")


def visible(text: str) -> str:
    """`text` with a replacement character for each one that is obeyed rather than seen; tab and newline stay."""
    return HIDDEN.sub(REPLACEMENT, text)


def one_line(text: str, longest: int = 200) -> str:
    """`visible` text in one line of at most `longest` characters, for sentences and headings."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def markdown(text: str) -> str:
    """Text as text: nothing in it is markup, a table cell or a line of its own."""
    return (
        _SPECIAL.sub(r"\\\1", visible(text).replace("&", "&amp;"))
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
        .replace("\n", " ")
        .replace("://", "&#58;//")  # or a renderer would make a link of it
    )


def finalize(value: Any) -> Any:
    """What jinja prints of a value (its option ``finalize``): `visible`, before it escapes; markup stays markup."""
    if not isinstance(value, str) or not HIDDEN.search(value):
        return value
    return type(value)(visible(value))


def cell(text: str) -> str:
    """Text for a CSV file: `visible`, and never the beginning of a formula in a spreadsheet (OWASP, CSV injection)."""
    line = visible(text)
    return f"'{line}" if _FORMULA.match(line) else line


def json_text(text: str) -> str:
    """A JSON document without hidden characters: inside of its strings they are written as escapes.

    Between its tokens JSON has none but newlines, so that every hidden character is inside of a string.
    """
    return HIDDEN.sub(_escape, text)


def json_in_html(text: str) -> str:
    """A JSON document for an inert ``<script type="application/json">``: no tag, comment or entity can begin in it."""
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return json_text(text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
