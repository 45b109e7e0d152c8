"""The bytes of all series' labels in one array, so that a request is copied together without an object a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class PackedLabels:
    """Bytes by the number of a series. One thread at a time writes; what arrays say that were handed out never changes."""

    def __init__(self) -> None:
        self.content = np.zeros(4096, np.uint8)
        self.starts = np.zeros(1024, np.int64)
        self.lengths = np.zeros(1024, np.int32)
        self._end = 0

    def put(self, number: int, packed: bytes) -> None:
        """The bytes of a series that is new, or new under a number that was given back."""
        while number >= len(self.starts):
            self.starts = np.concatenate((self.starts, np.zeros_like(self.starts)))
            self.lengths = np.concatenate((self.lengths, np.zeros_like(self.lengths)))
        end = self._end + len(packed)
        if end > len(self.content):
            more = np.zeros(max(end - len(self.content), len(self.content) // 2), np.uint8)
            self.content = np.concatenate((self.content, more))
        self.content[self._end : end] = np.frombuffer(packed, np.uint8)
        self.starts[number], self.lengths[number] = self._end, len(packed)
        self._end = end

    def forget(self, gone: Sequence[int]) -> None:
        """Give back the room of series whose numbers nobody holds."""
        if not gone:
            return
        self.lengths[gone] = 0
        left = np.flatnonzero(self.lengths)
        lengths = self.lengths[left].astype(np.int64)
        ends = np.cumsum(lengths)
        places = np.repeat(self.starts[left] - (ends - lengths), lengths) + np.arange(int(lengths.sum()))
        starts = np.zeros_like(self.starts)
        starts[left] = ends - lengths
        self.content, self.starts, self._end = self.content[places], starts, len(places)

    def of(self, numbers: npt.NDArray[np.int32]) -> list[bytes]:
        """The bytes of each of these series."""
        content = self.content
        places = zip(self.starts[numbers].tolist(), self.lengths[numbers].tolist(), strict=True)
        return [content[start : start + length].tobytes() for start, length in places]
