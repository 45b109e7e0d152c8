"""Arrays that grow at the end and never change below their fill mark, so that readers need no lock."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Below this growth doubles; above it a quarter is added, so that a big arena wastes little.
_DOUBLING_MAX = 1 << 16


class Arena(Generic[Scalar]):
    """A one-dimensional array with room at the end.

    `view()` is what is filled now; it stays as it is when more is appended, because growing moves to a new
    array and never writes below the fill mark of the old one.
    """

    __slots__ = ("_data", "_used")

    def __init__(self, dtype: type[Scalar], capacity: int = 16) -> None:
        self._data: npt.NDArray[Scalar] = np.empty(capacity, dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def view(self) -> npt.NDArray[Scalar]:
        """The filled part, without a copy. From any thread: the mark is read before the array."""
        used = self._used
        return self._data[:used]

    def reserve(self, count: int) -> None:
        """Make room for `count` more."""
        needed = self._used + count
        capacity = len(self._data)
        if needed <= capacity:
            return
        grown = capacity * 2 if capacity < _DOUBLING_MAX else capacity + capacity // 4
        data = np.empty(max(needed, grown), self._data.dtype)
        data[: self._used] = self._data[: self._used]
        self._data = data

    def append(self, value: Any) -> None:
        """Add one."""
        self.reserve(1)
        self._data[self._used] = value
        self._used += 1

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Add many."""
        self.reserve(len(values))
        self._data[self._used : self._used + len(values)] = values
        self._used += len(values)

    def extend_constant(self, value: Any, count: int) -> None:
        """Add the same value `count` times."""
        self.reserve(count)
        self._data[self._used : self._used + count] = value
        self._used += count

    def with_room(self, count: int) -> npt.NDArray[Scalar]:
        """The whole array, with room for so many more behind the fill mark; `fill` says how many were written there."""
        self.reserve(count)
        return self._data

    def fill(self, count: int) -> None:
        """So many more are there now."""
        self._used += count

    def cut(self, used: int) -> None:
        """Take back what was appended after the mark `used`; only if no reader can have seen it."""
        self._used = used

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self._data.nbytes


def ragged_positions(starts: Int64s, lengths: Int64s) -> Int64s:
    """The concatenation of `arange(start, start + length)` of every run."""
    total = int(lengths.sum())
    if total == 0:
        return np.zeros(0, np.int64)
    ends = np.cumsum(lengths)
    shift = starts - (ends - lengths)
    return np.repeat(shift, lengths) + np.arange(total, dtype=np.int64)
