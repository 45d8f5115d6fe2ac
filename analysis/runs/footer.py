"""How many values the footer of a Parquet file promises, read without Arrow.

Arrow tells the same by its `column()`. That ends the process where the footer is damaged: an error of C++ leaves a
function that lets none through (seen in pyarrow 26: sizes of levels that do not fit their type). Reading the columns
themselves is safe, but is what must not happen before the values are counted.

The footer is a struct in Thrift's compact protocol. Its fields are numbered as parquet.thrift has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_MAGIC = b"PAR1"
_ROW_GROUPS, _COLUMNS, _GROUP_BYTES, _META_DATA, _NUM_VALUES = 4, 1, 2, 3, 5
_MOST_DEPTH = 16
"""Of structs and lists within one another. Those of a footer have six."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_WIDTHS = {_BYTE: 1, _DOUBLE: 8}


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
    """Walks through a footer once, and counts.

    Each method takes the place of what it reads and returns that of what follows. A file has some hundred fields, and a
    command reads the files of many rounds, so those that nobody asks for are passed over by as few steps as can be.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.values = 0
        self.unfolded_bytes = 0

    def file(self) -> None:
        self._struct(0, 1, {_ROW_GROUPS: self._groups})

    def _groups(self, kind: int, at: int) -> int:
        return self._list(kind, at, self._group)

    def _group(self, at: int) -> int:
        return self._struct(at, 2, {_COLUMNS: self._columns, _GROUP_BYTES: self._unfolded})

    def _columns(self, kind: int, at: int) -> int:
        return self._list(kind, at, self._column)

    def _column(self, at: int) -> int:
        return self._struct(at, 3, {_META_DATA: self._inner})

    def _inner(self, kind: int, at: int) -> int:
        if kind != _STRUCT:
            raise ValueError("a column is of another type")
        return self._struct(at, 4, {_NUM_VALUES: self._counted})

    def _unfolded(self, kind: int, at: int) -> int:
        count, at = self._integer(kind, at)
        self.unfolded_bytes += count
        return at

    def _counted(self, kind: int, at: int) -> int:
        count, at = self._integer(kind, at)
        self.values += count
        return at

    def _integer(self, kind: int, at: int) -> tuple[int, int]:
        if kind not in _INTEGERS:
            raise ValueError("a count is of another type")
        value, at = self._varint(at)
        value = (value >> 1) ^ -(value & 1)
        if value < 0:
            raise ValueError("a count is below zero")
        return value, at

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise ValueError("a number without end")

    def _struct(self, at: int, depth: int, wanted: Mapping[int, Callable[[int, int], int]]) -> int:
        """Go through a struct: fields in `wanted` are read by it, and given their type; all others are passed over."""
        if depth > _MOST_DEPTH:
            raise ValueError(f"more than {_MOST_DEPTH} structs in one another")
        data = self._data
        field = 0
        while head := data[at]:
            at += 1
            kind = head & 0x0F
            if head >> 4:
                field += head >> 4
            else:
                number, at = self._varint(at)
                field = (number >> 1) ^ -(number & 1)
            if field in wanted:
                at = wanted[field](kind, at)
            elif kind in _INTEGERS:  # most are
                while data[at] >= 0x80:
                    at += 1
                at += 1
            elif kind == _BINARY and data[at] < 0x80:  # a short one
                at += 1 + data[at]
            else:
                at = self._skip(kind, at, depth)
        return at + 1

    def _length(self, kind: int, at: int) -> tuple[int, int, int]:
        """Of a list: how many items, of which type, and where they begin."""
        if kind != _LIST:
            raise ValueError("a list is of another type")
        head = self._data[at]
        at += 1
        count, inner = head >> 4, head & 0x0F
        if count == 15:
            count, at = self._varint(at)
        if count > len(self._data):  # each has a byte at least
            raise ValueError("a list is longer than the footer")
        return count, inner, at

    def _list(self, kind: int, at: int, read: Callable[[int], int]) -> int:
        """Go through a list, each of its structs by `read`."""
        count, inner, at = self._length(kind, at)
        for _ in range(count):
            at = read(at) if inner == _STRUCT else self._skip_item(inner, at, 1)
        return at

    def _skip_item(self, kind: int, at: int, depth: int) -> int:
        return at + 1 if kind in (_TRUE, _FALSE) else self._skip(kind, at, depth)

    def _skip(self, kind: int, at: int, depth: int) -> int:
        if kind in (_TRUE, _FALSE):
            return at
        if kind in _INTEGERS:
            return self._varint(at)[1]
        if kind == _BINARY:
            size, at = self._varint(at)
            return at + size
        if kind == _STRUCT:
            return self._struct(at, depth + 1, {})
        if kind in (_LIST, _SET):
            if depth >= _MOST_DEPTH:
                raise ValueError(f"more than {_MOST_DEPTH} lists in one another")
            count, inner, at = self._length(_LIST, at)
            if inner in _INTEGERS:  # each column has a list of its encodings
                data = self._data
                for _ in range(count):
                    while data[at] >= 0x80:
                        at += 1
                    at += 1
                return at
            for _ in range(count):
                at = self._skip_item(inner, at, depth + 1)
            return at
        if kind in _WIDTHS:
            return at + _WIDTHS[kind]
        # Maps: a footer has none.
        raise ValueError(f"a field of an unknown type ({kind})")
