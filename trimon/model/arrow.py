"""Samples as Arrow columns, for whoever goes on computing with them: a row a sample.

    timestamp            value    histogram                                     labels
    timestamp[ms, UTC]   float64  {count, sum, schema, zero_threshold,          {__name__, job, instance, ...}
                                   zero_count, positive: [{index, count}],
                                   negative: [...], custom_values: [float64]}

A sample is a float or a native histogram; the other column is null. Staleness markers are NaNs of their own bits
(0x7ff0000000000002). Labels are a structure with a field for each name, null where a series does not have it, so that no label
can be taken for a column of samples; where no series has a label there is a `__name__` of nulls. Its fields are dictionaries: a
label costs four bytes a sample, and nearly nothing in Parquet. `pyarrow` is an extra (`trimon[arrow]`) and slow to import, so
nothing here is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trimon.errors import OperatingError
from trimon.model.frame import Times, Values
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import METRIC_NAME
from trimon.model.table import LabelTable
from trimon.records import dataclass

STREAM_TYPE: Final = "application/vnd.apache.arrow.stream"
_NUMBERS: Final = ("count", "sum", "zero_threshold", "zero_count")


class ArrowMissing(OperatingError):
    """The extra that makes Arrow is not installed."""

    def __init__(self) -> None:
        super().__init__("Arrow and Parquet need the package pyarrow: install trimon[arrow]")


def arrow() -> Any:
    """The library; `Any`, since it has no types. Raises ArrowMissing."""
    try:
        import pyarrow as pa  # noqa: PLC0415 # an extra that takes 50 MB, for who asks for it
    except ImportError:
        raise ArrowMissing from None
    return pa


@dataclass(frozen=True, slots=True)
class Pieces:
    """Lists of numbers one after the other: that of row `r` has `lengths[r]` entries of each of `flat`."""

    lengths: npt.NDArray[np.int64]
    flat: tuple[npt.NDArray[Any], ...]

    @classmethod
    def joined(cls, pieces: Sequence[Pieces]) -> Pieces:
        """All rows in order."""
        columns = zip(*(piece.flat for piece in pieces), strict=True)
        return cls(
            np.concatenate([piece.lengths for piece in pieces]),
            tuple(np.concatenate(column) for column in columns),
        )

    def offsets(self, places: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int32]:
        """Where the list of each of `rows` rows begins when these are at the ascending `places`, and one more."""
        lengths = np.zeros(rows, np.int64)
        lengths[places] = self.lengths
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class HistogramRows:
    """Native histograms at ascending `places` among the rows of a batch."""

    places: npt.NDArray[np.int64]
    schemas: npt.NDArray[np.int32]
    numbers: Values
    """float64[4, n]: count, sum, zero threshold, zero count."""
    positive: Pieces
    negative: Pieces
    custom_values: Pieces

    @classmethod
    def of(cls, places: npt.NDArray[np.int64], histograms: Sequence[FloatHistogram]) -> HistogramRows:
        """Those of objects."""
        return cls(
            places,
            np.array([each.schema for each in histograms], np.int32),
            np.array(
                [(each.count, each.sum, each.zero_threshold, each.zero_count) for each in histograms],
                np.float64,
            )
            .reshape(-1, len(_NUMBERS))
            .T,
            _buckets([each.positive for each in histograms]),
            _buckets([each.negative for each in histograms]),
            Pieces(
                np.array([len(each.custom_values) for each in histograms], np.int64),
                (np.array([bound for each in histograms for bound in each.custom_values], np.float64),),
            ),
        )

    @classmethod
    def joined(cls, rows: Sequence[HistogramRows]) -> HistogramRows:
        """All of them, in order."""
        if not rows:
            return cls.of(np.zeros(0, np.int64), ())
        return cls(
            np.concatenate([each.places for each in rows]),
            np.concatenate([each.schemas for each in rows]),
            np.concatenate([each.numbers for each in rows], axis=1),
            Pieces.joined([each.positive for each in rows]),
            Pieces.joined([each.negative for each in rows]),
            Pieces.joined([each.custom_values for each in rows]),
        )

    def column(self, rows: int) -> Any:
        """The column of a batch of `rows` rows."""
        pa = arrow()
        absent = np.ones(rows, np.bool_)
        absent[self.places] = False
        numbers = np.zeros((len(_NUMBERS), rows))
        numbers[:, self.places] = self.numbers
        schemas = np.zeros(rows, np.int32)
        schemas[self.places] = self.schemas
        fields = [
            *map(pa.array, numbers),
            pa.array(schemas),
            *(self._list(pieces, rows) for pieces in (self.positive, self.negative)),
            pa.ListArray.from_arrays(
                self.custom_values.offsets(self.places, rows), pa.array(self.custom_values.flat[0])
            ),
        ]
        return pa.StructArray.from_arrays(fields, fields=list(_histogram_type(pa)), mask=pa.array(absent))

    def _list(self, pieces: Pieces, rows: int) -> Any:
        pa = arrow()
        bucket = pa.StructArray.from_arrays([pa.array(column) for column in pieces.flat], ["index", "count"])
        return pa.ListArray.from_arrays(pieces.offsets(self.places, rows), bucket)


def _buckets(buckets: Sequence[Buckets]) -> Pieces:
    empty = (np.zeros(0, np.int64),), (np.zeros(0, np.float64),)
    return Pieces(
        np.array([len(each) for each in buckets], np.int64),
        (
            np.concatenate([*empty[0], *(each.index for each in buckets)]),
            np.concatenate([*empty[1], *(each.counts for each in buckets)]),
        ),
    )


def _histogram_type(pa: Any) -> Any:
    bucket = pa.list_(pa.struct([("index", pa.int64()), ("count", pa.float64())]))
    numbers = [(name, pa.float64()) for name in _NUMBERS]
    lists = [("positive", bucket), ("negative", bucket), ("custom_values", pa.list_(pa.float64()))]
    return pa.struct([*numbers, ("schema", pa.int32()), *lists])


class SampleColumns:
    """Makes record batches of samples of the series of one table; all have `schema`. For any thread, one at a time.

    Raises ArrowMissing.
    """

    def __init__(self, labels: LabelTable, metadata: dict[str, str] | None = None) -> None:
        pa = self._pa = arrow()
        self._columns: list[tuple[npt.NDArray[np.int32], Any]] = []
        names = []
        for name, column, values in zip(labels.names, labels.columns, labels.values, strict=True):
            used, codes = np.unique(np.append(column, 0), return_inverse=True)  # 0 is first: what is missing
            if len(used) > 1:
                names.append(name)
                dictionary = pa.array([values[code] for code in used.tolist()], pa.string())
                self._columns.append((codes[:-1].astype(np.int32), dictionary))
        if not names:  # Parquet has no structure without a field, and a reader no way to write one on.
            names.append(METRIC_NAME)
            self._columns.append((np.zeros(labels.rows, np.int32), pa.array([""], pa.string())))
        kind = pa.dictionary(pa.int32(), pa.string())
        self._labels = pa.struct([(name, kind) for name in names])
        self.schema = pa.schema(
            [
                ("timestamp", pa.timestamp("ms", "UTC")),
                ("value", pa.float64()),
                ("histogram", _histogram_type(pa)),
                ("labels", self._labels),
            ],
            metadata or None,
        )

    def batch(
        self, series: npt.NDArray[np.intp], times_ms: Times, values: Values, histograms: HistogramRows
    ) -> Any:
        """The batch of samples of which each is of row `series[i]` of the table."""
        pa = self._pa
        rows = len(series)
        absent = np.zeros(rows, np.bool_)
        absent[histograms.places] = True
        fields = []
        for column, dictionary in self._columns:
            codes = column[series]
            fields.append(pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes == 0), dictionary))
        labels = pa.StructArray.from_arrays(fields, fields=list(self._labels))
        return pa.record_batch(
            [
                pa.array(times_ms, pa.timestamp("ms", "UTC")),
                pa.array(values, pa.float64(), mask=absent, from_pandas=False),
                histograms.column(rows),
                labels,
            ],
            schema=self.schema,
        )
