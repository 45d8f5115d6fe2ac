"""Output to terminals and files whose encoding lacks some of our characters: a plain one stands for each."""

from __future__ import annotations

import codecs
import sys

NAME = "fencepost-plain"
_PLAIN = {
    "─": "-",
    "│": "|",
    "┼": "+",
    "━": "-",
    "●": "o",
    "◂": "<",
    "▸": ">",
    "█": "#",
    "▏": "|",
    "–": "-",
    "—": "-",
    "…": "...",
    "µ": "u",
    "×": "x",
    "·": ",",
    "±": "+-",
    "≥": ">=",
    "≤": "<=",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\u00a0": " ",
    "\u202f": " ",
}
"""What our tables and sentences are made of. Any other character becomes an escape such as ``\\u8edf``."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one, one.encode("ascii", "backslashreplace").decode()) for one in text), error.end


def never_refuse() -> None:
    """Let standard output and standard error take any text, whatever their encoding."""
    codecs.register_error(NAME, _plainly)
    for stream in (sys.stdout, sys.stderr):
        # Streams of a test, or of a program that runs the command, may have no encoding.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=NAME)
