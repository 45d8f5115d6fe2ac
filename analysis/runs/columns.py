"""A table by its columns, without pandas: to import it takes longer than most answers from a run that was estimated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Column = npt.NDArray[Any]


class Columns:
    """Columns of equal length. Each is made when it is first asked for, and so is the frame of all of them.

    Parameters
    ----------
    length
        rows.
    make
        gives a column by its name, shape (rows,): numbers, or objects.
    frame
        gives all of them as a frame.
    """

    def __init__(self, length: int, make: Callable[[str], Column], frame: Callable[[], pd.DataFrame]) -> None:
        self._length, self._make, self._frame = length, make, frame
        self._made: dict[str, Column] = {}

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Columns:
        """Those of a frame."""
        return cls(len(frame), lambda name: frame[name].to_numpy(), lambda: frame)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column as numbers, shape (rows,)."""
        return np.asarray(self[name], np.float64)

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """All columns."""
        return self._frame()


def places_by(values: Sequence[str] | Column) -> dict[str, npt.NDArray[np.intp]]:
    """The places of each text, ascending."""
    codes: dict[str, int] = {}
    numbers = np.fromiter((codes.setdefault(text, len(codes)) for text in values), np.intp, len(values))
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(numbers))[:-1]) if codes else []
    return dict(zip(codes, parts, strict=True))
