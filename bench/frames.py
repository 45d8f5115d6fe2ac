"""Frames that a worker writes, read and decoded."""

from __future__ import annotations

import functools
import json
import os
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fencepost.bench.documents import HistogramRecord
from fencepost.bench.engine import Engine
from fencepost.bench.messages import Frame


class FrameReader:
    """Reads the frames of worker.py from a file as it grows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = 0
        self._pending = b""

    def read(self) -> Iterator[tuple[Frame, bytes, bytes]]:
        """Complete frames that have come since the last call: record, samples, buckets.

        Raises
        ------
        ValueError
            when what stands there is not a frame.
        """
        while piece := os.pread(self._descriptor, 1 << 20, self._offset):
            self._offset += len(piece)
            self._pending += piece
        whole, begin = self._pending, 0
        try:
            while (end := whole.find(b"\n", begin)) >= 0:
                record = _record(whole[begin:end])
                buckets = end + 1 + _size(record, "samples_bytes")
                after = buckets + _size(record, "buckets_bytes")
                if len(whole) < after:
                    return
                begin = after
                yield record, whole[end + 1 : buckets], whole[buckets:after]
        finally:
            # Once for all frames, which are hundreds where the worker has just ended.
            self._pending = whole[begin:]


def _record(line: bytes) -> Frame:
    """The record of a frame. A kernel may write into the file as well, so it may be anything."""
    try:
        record: Frame = json.loads(line)
    except RecursionError as error:
        raise ValueError("lists within lists") from error
    if not isinstance(record, dict):
        raise ValueError(f"a {type(record).__name__} instead of a record")
    return record


def _size(record: Frame, name: str) -> int:
    """Bytes that follow a record. Never negative, or the same frame would come again and again."""
    size = record.get(name, 0)
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"{name} is {size!r:.40}")
    return size


@dataclass(frozen=True)
class Layout:
    """A C struct of plain numbers, as the compiler laid it out.

    Attributes
    ----------
    size_bytes
        of the struct.
    fields
        by name: offset in bytes, and the letter of `array` for its type.
    """

    size_bytes: int
    fields: Mapping[str, tuple[int, str]]


@functools.cache
def layout_of(ffi: Any, struct: str) -> Layout:
    """The layout of a struct that `ffi` knows."""
    codes = {"int64_t": "q", "int32_t": "i", "float": "f", "double": "d"}
    fields = {name: (member.offset, codes[member.type.cname]) for name, member in ffi.typeof(struct).fields}
    return Layout(ffi.sizeof(struct), fields)


@dataclass(frozen=True)
class Records:
    """Structs that a worker wrote, one after the other, read by field.

    Raises
    ------
    ValueError
        when the bytes are not a whole number of structs.
    """

    layout: Layout
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) % self.layout.size_bytes:
            raise ValueError(
                f"{len(self.data)} bytes are not a whole number of structs of {self.layout.size_bytes} bytes"
            )

    def __len__(self) -> int:
        return len(self.data) // self.layout.size_bytes

    def __getitem__(self, name: str) -> memoryview[Any]:
        """A field of all structs, shape (structs,). It is a view, which copies nothing."""
        return _field(self.layout, self.data, name)

    def raised(self, name: str, by: int) -> Records:
        """The same, with an integer field raised by a number."""
        data = bytearray(self.data)
        field = _field(self.layout, data, name)
        for place, value in enumerate(field):
            field[place] = value + by
        return Records(self.layout, bytes(data))


def _field(layout: Layout, data: bytes | bytearray, name: str) -> memoryview[Any]:
    offset, code = layout.fields[name]
    if not data:
        return memoryview(array(code))
    view: memoryview[Any] = memoryview(data).cast(code)  # type: ignore[call-overload] # one of four letters
    return view[offset // view.itemsize :: layout.size_bytes // view.itemsize]


def decode_samples(engine: Engine, data: bytes) -> Records:
    """The worker's bytes by the fields of ``struct sample``."""
    return Records(layout_of(engine.ffi, "struct sample"), data)


def decode_buckets(engine: Engine, data: bytes) -> HistogramRecord:
    """The worker's bytes as the histogram of a round record, ascending."""
    buckets = Records(layout_of(engine.ffi, "struct bucket"), data)
    found: defaultdict[int, int] = defaultdict(int)
    for ticks, count in zip(buckets["ticks"].tolist(), buckets["count"].tolist(), strict=True):
        found[ticks] += count
    ascending = sorted(found)
    return {"ticks": ascending, "count": [found[ticks] for ticks in ascending]}
