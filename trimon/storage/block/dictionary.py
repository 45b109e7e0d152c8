"""The distinct values of one label in a block: sorted, code 0 the empty string."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import overload

import numpy as np

from trimon.storage.head.arena import Int64s


def pack_values(values: Sequence[str]) -> bytes:
    """Sorted values (without the empty string) as bytes: count, end offsets, text."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    ends = np.cumsum(np.array([len(text) for text in encoded], np.int64))
    return b"".join((len(encoded).to_bytes(4, "little"), ends.astype("<u4").tobytes(), *encoded))


class Dictionary(Sequence[str]):
    """Values by code; strings are made when they are asked for.

    Values are sorted by their UTF-8 bytes, which is the order of their code points.
    """

    def __init__(self, data: bytes) -> None:
        count = int.from_bytes(data[:4], "little")
        self._ends: Int64s = np.concatenate(([0], np.frombuffer(data, "<u4", count, 4).astype(np.int64)))
        self._text = data[4 + 4 * count :]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._ends.nbytes + len(self._text)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, code: int) -> str: ...
    @overload
    def __getitem__(self, code: slice) -> list[str]: ...
    def __getitem__(self, code: int | slice) -> str | list[str]:
        if isinstance(code, slice):
            return [self[one] for one in range(*code.indices(len(self)))]
        if code == 0:
            return ""
        if code < 0:
            code += len(self)
        return self._bytes(code).decode("utf-8", "surrogatepass")

    def code(self, value: str) -> int:
        """The code of a value, -1 if it is not here."""
        if not value:
            return 0
        wanted = value.encode("utf-8", "surrogatepass")
        code = bisect_left(range(1, len(self)), wanted, key=self._bytes) + 1
        return code if code < len(self) and self._bytes(code) == wanted else -1

    def _bytes(self, code: int) -> bytes:
        return self._text[self._ends[code - 1] : self._ends[code]]
