"""Hostile inputs out of good ones: bytes, texts and documents with something in them changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

TOKENS = (
    *(b"0", b"-1", b"1e309", b"NaN", b"Infinity", b"99999999999999999999", b"4294967296", b"0x10", b"1e-400"),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[[[[", b'{"a":', b"\\ud800", b"\\u0000", b"../..", b"/dev/zero"),
    *(b"\0", b"\xff", b"\xf0\x9f", b"\n", b"\r\n", b",", b"-", b":", b"(null)", b"max", b"\x1f\x8b", b"\xff\xfe"),
    *(b"<script>", b"%s%n", b"\x1b[2J", b"'", b"=1+1", b"A" * 300),
)
"""What parsers trip over: edges of numbers, brackets without end, half characters, ways out of a folder."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**400, 1e-320, 1e308, -1e308, -0.0),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "0", "nan", "\ud800", "\0", "\x1b[2J", "<script>", "../x"),
    *("x" * 2000, "ok", "failed", [], {}, [None], [[]], {"": None}, [0] * 50, ["a", 1], {"value": "x"}),
)
"""What stands in a field where something else is expected."""


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """`data` with one to four changes; nine of ten stay near the original."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(8)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1 and out:
            out[at % len(out)] = rng.randrange(256)
        elif kind == 2:
            out[at:at] = rng.choice(TOKENS)
        elif kind == 3:
            del out[at : at + rng.choice((1, 2, 8, 64, 1024))]
        elif kind == 4:
            out[at:at] = out[at : at + rng.choice((1, 8, 64, 512))] * rng.choice((1, 2, 5))
        elif kind == 5:
            token = rng.choice(TOKENS)
            out[at : at + len(token)] = token
        elif kind == 6:
            other = rng.randrange(len(out) + 1)
            out[at : at + 8], out[other : other + 8] = out[other : other + 8], out[at : at + 8]
        elif rng.random() < 0.1:
            del out[at:]
    return bytes(out)


def changed_text(rng: random.Random, text: str) -> str:
    """`text` with a word, a number or some bytes of it changed."""
    if rng.random() < 0.5:
        return changed_bytes(rng, text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    words = text.split(" ")
    words[rng.randrange(len(words))] = rng.choice(TOKENS).decode("utf-8", "replace")
    return " ".join(words)


def changed_document(rng: random.Random, document: Any) -> Any:
    """A copy of a JSON document with one to three of its values changed, doubled, renamed, deepened or gone."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        document = _change_one(rng, document)
    return document


def _change_one(rng: random.Random, document: Any) -> Any:
    holder, key = _somewhere(rng, document)
    if holder is None:
        return copy.deepcopy(rng.choice(VALUES))
    kind = rng.randrange(7)
    if kind <= 2:
        holder[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        holder[key] = _near(rng, holder[key])
    elif kind == 5:
        if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(rng.choice(holder)))
        else:
            holder[rng.choice(("", "schema", "name", "\ud800", f"{key} ", "x" * 500))] = holder.pop(key)
    else:
        for _ in range(rng.choice((1, 2, 70))):
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    return document


def _somewhere(rng: random.Random, document: Any) -> tuple[Any, Any]:
    """A list or object and a place in it: each level down is as likely as to stay."""
    holder, key, at = None, None, document
    while isinstance(at, dict | list) and at:
        holder, key = at, rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        at = holder[key]
        if rng.random() < 0.25:
            break
    return holder, key


def _near(rng: random.Random, value: Any) -> Any:
    """A value of the same kind: these get past the first checks."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, value << 20, 0))
    if isinstance(value, float):
        return rng.choice((value * 1e3, value * 1e-3, -value, value * 1e300, 0.0))
    if isinstance(value, str):
        return changed_text(rng, value)
    if isinstance(value, list):
        return rng.choice((value * 2, value[::-1], value[:1]))
    return dict(list(value.items())[: rng.randrange(len(value) + 1)])


def changed_files(rng: random.Random, files: dict[str, bytes], names: Sequence[str]) -> tuple[str, bytes | None]:
    """A file of a tree and its new content; None for a file that goes away. `names` are those of the tree."""
    name = rng.choice(names)
    kind = rng.randrange(10)
    if kind == 0:
        return name, None
    if kind == 1:
        return name, rng.choice((b"", b"\n", b"\0" * 8, rng.choice(TOKENS)))
    if kind == 2:
        return name, files[rng.choice(names)]
    return name, changed_bytes(rng, files[name])
