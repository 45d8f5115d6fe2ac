"""Frames that a worker writes, read and decoded."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fencepost.bench.documents import HistogramRecord
from fencepost.bench.engine import Engine
from fencepost.bench.messages import Frame

if TYPE_CHECKING:
    import numpy as np


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
                record = json.loads(whole[begin:end])
                buckets = end + 1 + int(record.get("samples_bytes", 0))
                after = buckets + int(record.get("buckets_bytes", 0))
                if len(whole) < after:
                    return
                begin = after
                yield record, whole[end + 1 : buckets], whole[buckets:after]
        finally:
            # Once for all frames, which are hundreds where the worker has just ended.
            self._pending = whole[begin:]


def decode_samples(engine: Engine, data: bytes) -> np.ndarray:
    """The worker's bytes as an array with the fields of ``struct sample``."""
    import numpy as np

    return np.frombuffer(data, dtype=dtype_of(engine.ffi, "struct sample"))


def decode_buckets(engine: Engine, data: bytes) -> HistogramRecord:
    """The worker's bytes as the histogram of a round record, ascending."""
    import numpy as np

    buckets = np.frombuffer(data, dtype=dtype_of(engine.ffi, "struct bucket"))
    ticks, where = np.unique(buckets["ticks"], return_inverse=True)
    count = np.zeros(len(ticks), np.int64)
    np.add.at(count, where, buckets["count"])
    return {"ticks": ticks.tolist(), "count": count.tolist()}


@functools.cache
def dtype_of(ffi: Any, struct: str) -> np.dtype[Any]:
    """The numpy type of a C struct of plain numbers, laid out as the compiler did."""
    import numpy as np

    kinds = {"int64_t": "i8", "int32_t": "i4", "float": "f4", "double": "f8"}
    fields = ffi.typeof(struct).fields
    return np.dtype(
        {
            "names": [name for name, _ in fields],
            "formats": [kinds[member.type.cname] for _, member in fields],
            "offsets": [member.offset for _, member in fields],
            "itemsize": ffi.sizeof(struct),
        }
    )
