"""The values that operators hand on: all series and all steps at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times
from trimon.model.histogram import HISTOGRAM_BYTES
from trimon.model.table import LabelTable
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.query.histograms.weights import LayoutWeights, Weights, beyond, weights_of
from trimon.records import dataclass

Matrix: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
# FloatHistogram or None in every cell.
Cells: TypeAlias = npt.NDArray[np.object_]
Index: TypeAlias = npt.NDArray[np.intp]


_T = TypeVar("_T", bound=np.generic)


def _is_repeated(array: npt.NDArray[Any]) -> bool:
    """Whether all columns are the same one."""
    return array.ndim > 1 and array.shape[1] > 1 and array.strides[1] == 0


def array_bytes(array: npt.NDArray[Any]) -> int:
    """The memory of an array; what is the same in every column is there once."""
    return array.nbytes // array.shape[1] if _is_repeated(array) else array.nbytes


def _rows_of(array: npt.NDArray[_T], rows: Index) -> npt.NDArray[_T]:
    """Some rows; what is the same in every column stays so."""
    if _is_repeated(array):
        return np.broadcast_to(array[:, :1][rows], (len(rows), array.shape[1]))
    return array[rows]


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector at every step.

    `values` is float64[series, steps] and counts only where `present` is set. `drop_name[row]` marks series
    whose metric name goes away at the end (delayed name removal). Where `histograms` is given and a cell of it
    is not None, the sample is that native histogram and `values` means nothing. With `native` they are columns instead:
    operators that say so get them, the others get objects. Arrays are never written after
    they are handed over: they may be views of one another.
    """

    labels: LabelTable
    values: Matrix
    present: Mask
    drop_name: Mask | None = None
    histograms: Cells | None = None
    native: HistogramMatrix | None = None

    @property
    def rows(self) -> int:
        """Number of series."""
        return self.labels.rows

    @property
    def has_histograms(self) -> bool:
        """Whether samples may be native histograms."""
        return self.histograms is not None or self.native is not None

    @property
    def steps(self) -> int:
        """Number of evaluation times."""
        return int(self.values.shape[1])

    def points(self) -> int:
        """Number of samples."""
        return int(np.count_nonzero(self.present))

    def beyond(self) -> int:
        """For how many samples more than there are its native histograms count, as they do by their size."""
        if self.native is None and self.histograms is None:
            return 0
        return beyond(self.weights())

    def weights(self) -> Weights:
        """For how many samples each one counts, int64[series, steps]: 1 for floats, 0 where there is none."""
        out = self.present.astype(np.int64)
        if self.native is not None:
            native = LayoutWeights.of(self.native.table, self.rows).at(slice(None), self.native.kinds)
            np.copyto(out, native, where=self.are_histograms())
        elif self.histograms is not None:
            cells = self.histograms[:, :1] if _is_repeated(self.histograms) else self.histograms
            np.copyto(out, weights_of(cells), where=self.are_histograms())
        return out

    def size_bytes(self) -> int:
        """The memory it takes, about."""
        size = array_bytes(self.values) + array_bytes(self.present) + 4 * self.rows * len(self.labels.names)
        if self.histograms is not None:
            size += array_bytes(self.histograms) + HISTOGRAM_BYTES * int(
                np.count_nonzero(self.are_histograms())
            )
        return size if self.native is None else size + self.native.size_bytes

    def repeated_bytes(self) -> int:
        """What is added to its memory when a copy is made of columns that are all the same."""
        arrays = (self.values, self.present, self.histograms)
        return sum(array.nbytes - array_bytes(array) for array in arrays if array is not None)

    def take(self, rows: Index, labels: LabelTable | None = None) -> Vector:
        """The given rows, in the given order; `labels` are theirs where they are known."""
        drop = None if self.drop_name is None else self.drop_name[rows]
        cells = None if self.histograms is None else _rows_of(self.histograms, rows)
        values, present = _rows_of(self.values, rows), _rows_of(self.present, rows)
        native = None if self.native is None else self.native.take(rows)
        labels = self.labels.take(rows) if labels is None else labels
        return Vector(labels, values, present, drop, cells, native)

    def compact(self) -> Vector:
        """Without the series that have no sample at any step."""
        if self.rows == 0:
            return self
        alive = self.present.any(axis=1)
        if alive.all():
            return self
        return self.take(np.flatnonzero(alive))

    def with_values(self, values: Matrix, present: Mask | None = None) -> Vector:
        """The same series with other float samples."""
        return Vector(self.labels, values, self.present if present is None else present, self.drop_name)

    def are_histograms(self) -> Mask:
        """Where the sample is a native histogram."""
        if self.native is not None:
            found: Mask = (self.native.kinds >= 0) & self.present
            return found
        if self.histograms is None:
            return np.zeros(self.present.shape, np.bool_)
        return holds(self.histograms) & self.present

    def floats(self) -> Vector:
        """The float samples alone."""
        if not self.has_histograms:
            return self
        return Vector(
            self.labels, self.values, self.present & ~self.are_histograms(), self.drop_name
        ).compact()

    def with_objects(self) -> Vector:
        """The same with its histograms as objects."""
        if self.native is None:
            return self
        native = self.are_histograms()
        cells = self.native.only(native).cells() if native.any() else None
        return replace(self, histograms=cells, native=None)

    @classmethod
    def empty(cls, steps: int) -> Vector:
        """A vector without series."""
        return cls(LabelTable.empty(), np.zeros((0, steps)), np.zeros((0, steps), np.bool_))

    @classmethod
    def single(cls, values: Matrix, present: Mask | None = None) -> Vector:
        """One series without labels."""
        shown = np.ones((1, len(values)), np.bool_) if present is None else present.reshape(1, -1)
        return cls(LabelTable(1, (), (), ()), values.reshape(1, -1), shown)


# numpy's types know no None among objects.
_NOTHING: Any = None


def holds(cells: Cells) -> Mask:
    """Where a cell is not None."""
    found: Mask = np.not_equal(cells, _NOTHING).astype(np.bool_)
    return found


def only(cells: Cells, mask: Mask) -> Cells:
    """The cells where the mask is set, None elsewhere."""
    out = np.full(cells.shape, None, np.object_)
    out[mask] = cells[mask]
    return out


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number at every step, float64[steps]."""

    values: Matrix

    def points(self) -> int:
        """Number of samples."""
        return len(self.values)

    def beyond(self) -> int:
        """Nothing: no histograms."""
        return 0

    @property
    def steps(self) -> int:
        """Number of evaluation times."""
        return len(self.values)

    def size_bytes(self) -> int:
        """The memory it takes."""
        return self.values.nbytes


@dataclass(frozen=True, slots=True)
class TextValue:
    """A string."""

    value: str

    def points(self) -> int:
        """A string holds no samples."""
        return 0

    def beyond(self) -> int:
        """Nothing: no histograms."""
        return 0

    @property
    def steps(self) -> int:
        """It is the same at all times."""
        return 1

    def size_bytes(self) -> int:
        """The memory it takes, about."""
        return 4 * len(self.value)


@dataclass(frozen=True, slots=True)
class Ranges:
    """A range vector: samples, and for every step the end of its window.

    The window of step `k` is left-open: `(refs_ms[k] - range_ms, refs_ms[k]]`. `refs_ms` is ascending with a
    constant difference (0 when the time is fixed). The frame may hold samples outside all windows; `samples` is how
    many are not. `lookback_ms` is how far beyond its ends the frame has
    samples for the extended selectors. With `stats_only` nothing but count and sum of histograms is asked for. The frame
    is `owned` where it was made for this value; `weights` tell then, beside its values, for how many samples each histogram
    counts, 0 for floats.
    """

    labels: LabelTable
    frame: SampleFrame
    refs_ms: Times
    range_ms: int
    samples: int
    lookback_ms: int = 0
    drop_name: Mask | None = None
    anchored: bool = False
    smoothed: bool = False
    stats_only: bool = False
    owned: bool = False
    weights: Weights | None = None

    @property
    def steps(self) -> int:
        """Number of evaluation times."""
        return len(self.refs_ms)

    def points(self) -> int:
        """Number of samples it holds itself: those that stay in storage's arrays are not counted."""
        return self.samples if self.owned else 0

    def beyond(self) -> int:
        """For how many samples more than it holds itself its native histograms count, as they do by their size."""
        return 0 if self.weights is None else beyond(self.weights)

    def size_bytes(self) -> int:
        """The memory it takes besides what is kept for the whole query."""
        return self.frame.size_bytes if self.owned else 0


Value: TypeAlias = Vector | Scalar | TextValue | Ranges
