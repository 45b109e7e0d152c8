"""Answers to lookups of names, values and series, written once and remembered until there are other series.

Pages and dashboards ask for the same lists again and again, and a list is another one only when a series is new or a block
comes or goes: storage tells that by a version. Names and values are remembered as they are sent. Which series are shown
depends on the interval, too: they are remembered as their texts in order, and those without samples are left out each time.

```text
texts    {"__name__":"up","job":"a"},{"__name__":"up","job":"b"},{"__name__":"up","job":"c"},
ends                                ^                           ^                           ^
living   yes                         no                          yes
answer   [{"__name__":"up","job":"a"},{"__name__":"up","job":"c"}]
```
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.table import LabelTable
from trimon.query.answer.jsonlabels import format_label_sets
from trimon.query.execution.labelcodes import sort_order
from trimon.records import dataclass
from trimon.storage.block.cache import ArrayCache

REMEMBERED_BYTES: Final = 16 * 2**20
_ROWS: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class SeriesTexts:
    """Label sets as JSON, in order, each with a comma behind it; the `i`-th is of row `rows[i]` and ends at `ends[i]`."""

    text: bytes
    ends: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return len(self.text) + self.ends.nbytes + self.rows.nbytes

    @classmethod
    def of(cls, labels: LabelTable, check: Callable[[], None]) -> SeriesTexts:
        """The texts of a table; `check` is called every few thousand rows, and may raise."""
        rows = sort_order(labels)
        parts: list[bytes] = []
        sizes: list[int] = []
        for at in range(0, len(rows), _ROWS):
            check()
            texts = [text.encode() for text in format_label_sets(labels.take(rows[at : at + _ROWS]))]
            sizes += map(len, texts)
            parts.append(b",".join(texts) + b",")
        return cls(b"".join(parts), np.cumsum(np.array(sizes, np.int64) + 1), rows)

    def shown(self, living: npt.NDArray[np.bool_]) -> bytes:
        """The list of the living ones, a flag a row of the table, as JSON."""
        kept = living[self.rows]
        if kept.all():
            return b"[" + self.text[:-1] + b"]"
        edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
        begins = np.concatenate([[0], self.ends])
        whole = memoryview(self.text)
        runs = [whole[begin:end] for begin, end in pairwise(begins[edges].tolist())][::2]
        return b"[" + b"".join(runs)[:-1] + b"]"


class Lookups:
    """What is remembered, the least recently used forgotten first. Any thread may use it."""

    def __init__(self, limit_bytes: int = REMEMBERED_BYTES) -> None:
        self._kept = ArrayCache(limit_bytes)

    @property
    def used_bytes(self) -> int:
        """Memory held."""
        return self._kept.used_bytes

    def texts(self, asked: Hashable, version: Hashable | None) -> bytes | None:
        """The list of names or values that was answered for this version; None where it is not known."""
        kept = self._found(asked, version)
        return kept.text if isinstance(kept, _Texts) else None

    def remember_texts(self, asked: Hashable, version: Hashable | None, text: bytes) -> None:
        """A list of names or values was answered."""
        if version is not None:
            self._kept.put(asked, _Texts(version, text))

    def series(
        self, asked: Hashable, version: Hashable | None, make: Callable[[], SeriesTexts]
    ) -> SeriesTexts:
        """The texts of a selection of this version."""
        kept = self._found(asked, version)
        if isinstance(kept, _Series):
            return kept.texts
        made = make()
        if version is not None:
            self._kept.put(asked, _Series(version, made))
        return made

    def _found(self, asked: Hashable, version: Hashable | None) -> object:
        kept = self._kept.peek(asked) if version is not None else None
        return kept if isinstance(kept, _Texts | _Series) and kept.version == version else None


@dataclass(frozen=True, slots=True, eq=False)
class _Texts:
    version: Hashable
    text: bytes

    @property
    def nbytes(self) -> int:
        return len(self.text)


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    version: Hashable
    texts: SeriesTexts

    @property
    def nbytes(self) -> int:
        return self.texts.nbytes
