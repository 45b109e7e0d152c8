"""A result as an Arrow stream: a batch of samples, series by series (`model/arrow.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import orjson

from trimon.errors import UserError
from trimon.model.arrow import HistogramRows, SampleColumns, arrow
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult, RangeSamples

# Memory of a sample with its labels, and of what is at work on the way to it.
_ROW_BYTES: Final = 48


class NoArrowForm(UserError):
    """A result that is no samples."""


def arrow_bytes(result: QueryResult) -> int:
    """The memory that it takes while it is written, about."""
    return result.points * (_ROW_BYTES + 8 * len(result.labels.names))


def arrow_stream(result: QueryResult, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """The stream; the schema's metadata has `resultType`, and `warnings` and `infos` as lists in JSON.

    A scalar is one sample without labels. Raises NoArrowForm for a string, ArrowMissing.
    """
    if result.type == "string":
        raise NoArrowForm("a string has no form in Arrow: ask for JSON")
    pa = arrow()
    labels, flat = result.labels, result.flat() if result.type != "scalar" else _scalar(result)
    if result.type == "scalar":
        labels = LabelTable(1, (), (), ())
    told = {"resultType": result.type}
    for name, lines in (("warnings", warnings), ("infos", infos)):
        if lines:
            told[name] = orjson.dumps(list(lines)).decode()
    columns = SampleColumns(labels, told)
    series = np.repeat(np.arange(labels.rows, dtype=np.intp), np.diff(flat.offsets))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as writer:
        writer.write_batch(columns.batch(series, flat.times_ms, flat.values, _histograms(flat)))
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _scalar(result: QueryResult) -> RangeSamples:
    return RangeSamples(np.array([0, 1], np.int64), result.times_ms[:1], result.values[0, :1])


def _histograms(flat: RangeSamples) -> HistogramRows:
    if flat.histograms is None:
        return HistogramRows.joined(())
    places = np.flatnonzero(flat.histograms.astype(np.bool_)).astype(np.int64)
    return HistogramRows.of(places, flat.histograms[places].tolist())
