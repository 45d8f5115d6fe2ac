"""Writes the one form of Parquet file that a round has, and reads the metadata of any.

A target that measures need not carry a library of 170 MB for that. The form: one row group, no empty values, each
column one page, compressed with zstd, with a checksum. Names are a dictionary, and their column has runs of equal
numbers. The page headers and the footer are Thrift's compact protocol.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

MAGIC = b"PAR1"
TYPES = {"int32": 1, "int64": 2, "float32": 4, "float64": 5}
"""Parquet's numbers of them."""
CODES = {"int32": "i", "int64": "q", "float32": "f", "float64": "d"}
"""The letters of `array` for them."""
_BYTES = 6
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_ZSTD = 6
_LEVEL = 1

_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_DEEPEST = 16
"""Structures within one another that a footer may have. Those of the format have six."""


class ParquetError(ValueError):
    """A file that is not whole, or not Parquet."""


class StoredPage(NamedTuple):
    """A page as it stands in the file: its header and its compressed bytes."""

    stored: bytes
    plain_size: int
    """Bytes of header and content before compression, as the footer counts them."""


class StoredColumn(NamedTuple):
    """A column with its pages. `names` is a page of its own for a column of names."""

    name: str
    kind: int
    rows: int
    names: StoredPage | None
    values: StoredPage


def numbers(name: str, values: memoryview[Any] | array[Any], kind: str) -> StoredColumn:
    """A column of numbers, shape (rows,).

    Parameters
    ----------
    kind
        one of `TYPES`. `values` have its letter in `CODES`.

    Raises
    ------
    ParquetError
        when they are of another type.
    """
    view = memoryview(values)
    if view.format != CODES[kind]:
        raise ParquetError(f"the column {name} has numbers of the type {view.format}, where {CODES[kind]} is needed")
    data = view.tobytes()
    if sys.byteorder == "big":  # Parquet's numbers are little-endian
        swapped = array(CODES[kind], data)
        swapped.byteswap()
        data = swapped.tobytes()
    return StoredColumn(name, TYPES[kind], len(view), None, _page(_DATA_PAGE, data, len(view), _PLAIN))


def runs_of_names(name: str, names: Sequence[str], runs: Sequence[tuple[int, int]]) -> StoredColumn:
    """A column of names, where `runs` has the place of a name in `names` and how often it stands there."""
    words = [word.encode() for word in names]
    dictionary = b"".join(struct.pack("<I", len(word)) + word for word in words)
    width = max(1, (len(names) - 1).bit_length())
    size = (width + 7) // 8
    parts = (_varint(count << 1) + place.to_bytes(size, "little") for place, count in runs if count)
    data = bytes([width]) + b"".join(parts)
    rows = sum(count for _, count in runs)
    return StoredColumn(
        name,
        _BYTES,
        rows,
        _page(_DICTIONARY_PAGE, dictionary, len(names), _PLAIN),
        _page(_DATA_PAGE, data, rows, _RLE_DICTIONARY),
    )


def encode(columns: Sequence[StoredColumn], metadata: Mapping[bytes, bytes]) -> bytes:
    """A whole file of columns of the same length, with key-value metadata."""
    rows = columns[0].rows
    parts, chunks, at, total = [MAGIC], [], len(MAGIC), 0
    for column in columns:
        begin = at
        pages = [page for page in (column.names, column.values) if page is not None]
        for page in pages:
            parts.append(page.stored)
            at += len(page.stored)
        plain_size = sum(page.plain_size for page in pages)
        total += plain_size
        facts: list[tuple[int, int, object]] = [
            (1, _I32, column.kind),
            (2, _LIST, (_I32, [_PLAIN, _RLE_DICTIONARY] if column.names else [_PLAIN])),
            (3, _LIST, (_BINARY, [column.name.encode()])),
            (4, _I32, _ZSTD),
            (5, _I64, column.rows),
            (6, _I64, plain_size),
            (7, _I64, at - begin),
            (9, _I64, begin + (len(column.names.stored) if column.names else 0)),
        ]
        if column.names:
            facts.append((11, _I64, begin))
        chunks.append([(2, _I64, begin), (3, _STRUCT, facts)])
    leaves = [
        [
            (1, _I32, column.kind),
            (3, _I32, 0),  # required
            (4, _BINARY, column.name.encode()),
            *([(6, _I32, 0)] if column.kind == _BYTES else []),  # UTF-8
        ]
        for column in columns
    ]
    footer = _struct(
        [
            (1, _I32, 2),
            (2, _LIST, (_STRUCT, [[(4, _BINARY, b"schema"), (5, _I32, len(columns))], *leaves])),
            (3, _I64, rows),
            (4, _LIST, (_STRUCT, [[(1, _LIST, (_STRUCT, chunks)), (2, _I64, total), (3, _I64, rows)]])),
            (5, _LIST, (_STRUCT, [[(1, _BINARY, key), (2, _BINARY, value)] for key, value in metadata.items()])),
            (6, _BINARY, b"fencepost"),
        ]
    )
    return b"".join([*parts, footer, struct.pack("<I", len(footer)), MAGIC])


def _page(kind: int, data: bytes, count: int, encoding: int) -> StoredPage:
    stored = _compressed(data)
    crc = zlib.crc32(stored)
    about: list[tuple[int, int, object]] = [(1, _I32, count), (2, _I32, encoding)]
    if kind == _DATA_PAGE:
        about += [(3, _I32, _RLE), (4, _I32, _RLE)]
    header = _struct(
        [
            (1, _I32, kind),
            (2, _I32, len(data)),
            (3, _I32, len(stored)),
            (4, _I32, crc - (1 << 32) if crc >> 31 else crc),
            (5 if kind == _DATA_PAGE else 7, _STRUCT, about),
        ]
    )
    return StoredPage(header + stored, len(header) + len(data))


def _compressed(data: bytes) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # before Python 3.14
        from backports import zstd
    return bytes(zstd.compress(data, _LEVEL))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _value(kind: int, value: object) -> bytes:
    if kind in (_I32, _I64):
        assert isinstance(value, int)
        return _varint(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind == _BINARY:
        assert isinstance(value, bytes)
        return _varint(len(value)) + value
    if kind == _LIST:
        assert isinstance(value, tuple)
        inner, items = value
        head = bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner]) + _varint(len(items))
        return head + b"".join(_value(inner, item) for item in items)
    assert isinstance(value, list)
    return _struct(value)


def _struct(fields: Sequence[tuple[int, int, object]]) -> bytes:
    """Fields as number, type and value, with ascending numbers."""
    out, last = [], 0
    for number, kind, value in fields:
        out.append(bytes([number - last << 4 | kind]) + _value(kind, value))
        last = number
    return b"".join(out) + b"\0"


def read_metadata(file: IO[bytes]) -> dict[bytes, bytes]:
    """The key-value metadata of a Parquet file, whoever wrote it. Only its footer is read.

    Raises
    ------
    ParquetError
        when the file is cut or damaged.
    OSError
        when it cannot be read.
    """
    file.seek(0)
    begin, length = file.read(4), file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 8))
    end = file.read(8)
    if begin != MAGIC or end[4:] != MAGIC:
        raise ParquetError("it does not begin and end as one")
    size = int.from_bytes(end[:4], "little")
    if size > length - 12:
        raise ParquetError("its footer is longer than the file")
    file.seek(length - 8 - size)
    pairs = _Reader(file.read(size)).struct().get(5, [])
    found: dict[bytes, bytes] = {}
    for pair in pairs if isinstance(pairs, list) else []:
        key, value = (pair.get(1), pair.get(2)) if isinstance(pair, dict) else (None, None)
        if isinstance(key, bytes) and isinstance(value, bytes):
            found[key] = value
    return found


class _Reader:
    """Reads Thrift's compact protocol. What is cut ends in a `ParquetError`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise ParquetError("its footer is cut")
        self._at += size
        return part

    def varint(self) -> int:
        number = shift = 0
        while shift < 70:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
        raise ParquetError("its footer has a number without end")

    def signed(self) -> int:
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def struct(self) -> dict[int, object]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ParquetError("its footer has too many structures within one another")
        found: dict[int, object] = {}
        number = 0
        while head := self.take(1)[0]:
            number = number + (head >> 4) if head >> 4 else self.signed()
            found[number] = self.value(head & 15)
        self._depth -= 1
        return found

    def value(self, kind: int, *, within: bool = False) -> object:
        """A value; one of a list says by a byte of its own whether it is true."""
        if kind in (1, 2):
            return bool(self.take(1)[0] == 1) if within else kind == 1
        if kind == 3:
            return self.take(1)[0]
        if kind in (4, _I32, _I64):
            return self.signed()
        if kind == 7:
            return self.take(8)
        if kind == _BINARY:
            return self.take(self.varint())
        if kind in (_LIST, 10):
            head = self.take(1)[0]
            count = head >> 4 if head >> 4 < 15 else self.varint()
            if count > len(self._data):  # each has a byte at least
                raise ParquetError("its footer has a list that is longer")
            self._depth += 1
            if self._depth > _DEEPEST:
                raise ParquetError("its footer has too many lists within one another")
            found = [self.value(head & 15, within=True) for _ in range(count)]
            self._depth -= 1
            return found
        if kind == _STRUCT:
            return self.struct()
        raise ParquetError("its footer has a value of an unknown kind")
