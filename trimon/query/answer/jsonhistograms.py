"""Native histograms that are columns as the HTTP API's JSON, without an object for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import Layout, Part
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.query.histograms.bucketblocks import edges_of
from trimon.query.histograms.matrix import HistogramMatrix, Index, Matrix

# As the API names which bounds belong to a bucket.
_OPEN_LEFT: Final = 0
_OPEN_RIGHT: Final = 1
_CLOSED: Final = 3
Texts = Callable[[Matrix], list[str]]


class HistogramTexts:
    """The texts of the histograms of a matrix, row by row."""

    def __init__(self, matrix: HistogramMatrix, format_values: Texts) -> None:
        self._matrix = matrix
        self._format_values = format_values
        self._units: dict[int, list[tuple[int, int]]] = {}
        table = matrix.table
        for begin, end in pairwise([*table.units().tolist(), len(table)]):
            self._units.setdefault(int(table.row[begin]), []).append((begin, end))
        self._edges = edges_of(table)

    def of(self, row: int, steps: Index) -> Iterator[tuple[int, str]]:
        """Place in `steps` and text of each histogram of a row, in the order of their layouts."""
        kinds = self._matrix.kinds[row, steps]
        for begin, end in self._units.get(row, ()):
            layout = int(self._matrix.table.layout[begin])
            places = np.flatnonzero(kinds == layout)
            if len(places):
                yield from zip(places.tolist(), self._texts(begin, end, layout, steps[places]), strict=True)

    def _texts(self, begin: int, end: int, layout: int, steps: Index) -> Iterator[str]:
        matrix, table = self._matrix, self._matrix.table
        part = table.part[begin:end]
        numbers = np.ascontiguousarray(matrix.values[begin:end][:, steps].T)
        figures = []
        for which in (Part.COUNT, Part.SUM):
            at = np.flatnonzero(part == which)
            figures.append(self._format_values(numbers[:, at[0]] if len(at) else np.zeros(len(steps))))
        buckets = np.flatnonzero(part >= Part.ZERO)
        heads = self._heads(begin + buckets, table.layouts[layout])
        counts = numbers[:, buckets]
        zero = part[buckets] == Part.ZERO
        filled = np.where(zero, counts > 0, counts != 0)
        texts = iter(self._format_values(counts[filled])) if filled.any() else iter(())
        for count, total, there in zip(*figures, filled, strict=True):
            shown = ",".join([f'{heads[at]}{next(texts)}"]' for at in np.flatnonzero(there).tolist()])
            rest = f',"buckets":[{shown}]' if shown else ""
            yield f'{{"count":"{count}","sum":"{total}"{rest}}}'

    def _heads(self, places: Index, layout: Layout) -> list[str]:
        """The text of each bucket up to its count."""
        if not len(places):
            return []
        lower, upper = self._edges[:2, places]
        bounds = zip(self._format_values(lower), self._format_values(upper), strict=True)
        codes = _codes(self._matrix.table.part[places], lower, custom=layout.schema == CUSTOM_SCHEMA)
        return [f'[{code},"{low}","{high}","' for code, (low, high) in zip(codes, bounds, strict=True)]


def _codes(part: npt.NDArray[np.int8], lower: Matrix, *, custom: bool) -> list[int]:
    """Which bounds belong to the buckets."""
    if custom:
        found = np.where(lower == -math.inf, _CLOSED, _OPEN_LEFT)
    else:
        found = np.where(part == Part.ZERO, _CLOSED, np.where(part == Part.NEGATIVE, _OPEN_RIGHT, _OPEN_LEFT))
    codes: list[int] = found.tolist()
    return codes
