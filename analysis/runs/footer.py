"""How many values the footer of a Parquet file promises, read without Arrow.

Arrow tells the same by its `column()`. That ends the process where the footer is damaged: an error of C++ leaves a
function that lets none through (seen in pyarrow 26: sizes of levels that do not fit their type). Reading the columns
themselves is safe, but is what must not happen before the values are counted.

The footer is a struct in Thrift's compact protocol. Its fields are numbered as parquet.thrift has them.
"""

from __future__ import annotations

from collections.abc import Callable

_MAGIC = b"PAR1"
_ROW_GROUPS, _COLUMNS, _GROUP_BYTES, _META_DATA, _NUM_VALUES = 4, 1, 2, 3, 5
_MOST_DEPTH = 16
"""Of structs and lists within one another. Those of a footer have six."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


def promised(data: bytes) -> tuple[int, int]:
    """Values in all columns, and bytes of all of them unfolded, by the footer's own account.

    Raises
    ------
    ValueError
        where there is no whole footer.
    """
    size = int.from_bytes(data[-8:-4], "little")
    if len(data) < size + 12 or data[-4:] != _MAGIC:
        raise ValueError("no footer")
    footer = _Footer(data[-8 - size : -8])
    try:
        footer.file()
    except IndexError:
        raise ValueError("the footer ends too early") from None
    return footer.values, footer.unfolded_bytes


class _Footer:
    """Walks through a footer once, and counts."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0
        self.values = 0
        self.unfolded_bytes = 0

    def file(self) -> None:
        self._struct({_ROW_GROUPS: lambda kind: self._list(kind, self._group)})

    def _group(self) -> None:
        self._struct({_COLUMNS: lambda kind: self._list(kind, self._column), _GROUP_BYTES: self._unfolded})

    def _column(self) -> None:
        self._struct({_META_DATA: lambda kind: self._inner(kind, {_NUM_VALUES: self._counted})})

    def _unfolded(self, kind: int) -> None:
        self.unfolded_bytes += self._integer(kind)

    def _counted(self, kind: int) -> None:
        self.values += self._integer(kind)

    def _integer(self, kind: int) -> int:
        if kind not in _INTEGERS:
            raise ValueError("a count is of another type")
        value = self._varint()
        value = (value >> 1) ^ -(value & 1)
        if value < 0:
            raise ValueError("a count is below zero")
        return value

    def _inner(self, kind: int, wanted: dict[int, Callable[[int], None]]) -> None:
        if kind != _STRUCT:
            raise ValueError("a column is of another type")
        self._struct(wanted)

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number without end")

    def _struct(self, wanted: dict[int, Callable[[int], None]]) -> None:
        """Go through a struct: fields in `wanted` are read by it, and given their type; all others are passed over."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ValueError(f"more than {_MOST_DEPTH} structs in one another")
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 0x0F
            if step:
                field += step
            else:
                number = self._varint()
                field = (number >> 1) ^ -(number & 1)
            wanted.get(field, self._skip)(kind)
        self._depth -= 1

    def _list(self, kind: int, read: Callable[[], None] | None) -> None:
        """Go through a list, each of its structs by `read`."""
        if kind != _LIST:
            raise ValueError("a list is of another type")
        head = self._byte()
        count, inner = head >> 4, head & 0x0F
        if count == 15:
            count = self._varint()
        if count > len(self._data):  # each has a byte at least
            raise ValueError("a list is longer than the footer")
        for _ in range(count):
            if read is not None and inner == _STRUCT:
                read()
            elif inner in (_TRUE, _FALSE):
                self._byte()
            else:
                self._skip(inner)

    def _skip(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._at += 1
        elif kind in _INTEGERS:
            self._varint()
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            size = self._varint()
            self._at += size
        elif kind in (_LIST, _SET):
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise ValueError(f"more than {_MOST_DEPTH} lists in one another")
            self._list(_LIST, None)
            self._depth -= 1
        elif kind == _STRUCT:
            self._struct({})
        else:  # maps: a footer has none
            raise ValueError(f"a field of an unknown type ({kind})")
