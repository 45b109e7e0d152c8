"""A result as the HTTP API's JSON, written by columns: no Python code runs per sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import orjson

from trimon.gotext.floats import format_plain
from trimon.model.frame import Times
from trimon.model.histogram import FloatHistogram
from trimon.model.table import LabelTable
from trimon.query.answer.jsonhistograms import HistogramTexts
from trimon.query.answer.jsonlabels import format_label_sets, json_quoted, label_bytes
from trimon.query.answer.jsonnumbers import format_times, format_value, format_values
from trimon.query.answer.jsonrows import Int32s, Rows, Stamps, json_rows
from trimon.query.answer.result import QueryResult, RangeSamples
from trimon.query.execution.values import Cells, Matrix
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.query.histograms.text import as_data

_CHUNK: Final = 4096
# Histograms that are written at once.
_HISTOGRAMS: Final = 256
_ROWS: Final = 1 << 12
# A series that has more samples is written in pieces.
_WHOLE_MAX: Final = 4 * _CHUNK
_SERIES_END: Final = b"]}"
# So few series have hardly a time in common.
_SERIES_FEW: Final = 4
# Memory of the text of a sample, and of what is at work on the way to it.
_TEXT_BYTES: Final = 48
_LABEL_COPIES: Final = 3


def text_bytes(result: QueryResult) -> int:
    """The memory that its JSON takes while it is written, about."""
    numbers = 0 if result.native is None else int(np.count_nonzero(result.native.values))
    return (result.points + numbers) * _TEXT_BYTES + _LABEL_COPIES * label_bytes(result.labels)


def _unchecked() -> None:
    """Nobody waits for the text."""


def render_data(result: QueryResult, stats: bytes = b"", check: Callable[[], None] = _unchecked) -> bytes:
    """The `data` member of a query response: `resultType`, `result`, and `stats` where given.

    `check` is called every few thousand samples, and may raise.
    """
    return b"".join(data_pieces(result, stats, check))


def data_pieces(
    result: QueryResult, stats: bytes = b"", check: Callable[[], None] = _unchecked
) -> Iterator[bytes]:
    """The same in pieces, the longest of some hundred kilobytes; each begins and ends with a whole character."""
    kind = result.type
    yield f'{{"resultType":"{kind}","result":['.encode()
    if kind == "scalar":
        value = format_plain(float(result.values[0, 0]))
        yield f"{_shortest(result.times_ms)},{json_quoted(value)}".encode()
    elif kind == "string":
        yield f"{_shortest(result.times_ms)},{json_quoted(result.text)}".encode()
    elif kind == "vector":
        yield from _vector(result, check)
    else:
        yield from _matrix(result, check)
    if stats:
        yield b'],"stats":' + stats + b"}"
    else:
        yield b"]}"


def _vector(result: QueryResult, check: Callable[[], None]) -> Iterator[bytes]:
    """The series, some at a time, each with its comma."""
    for start in range(0, result.series, _ROWS):
        check()
        stop = min(start + _ROWS, result.series)
        labels = result.labels
        if stop - start < result.series:
            labels = labels.take(np.arange(start, stop, dtype=np.intp))
        cells = None if result.histograms is None else result.histograms[start:stop, 0]
        if start:
            yield b","
        yield _rows(labels, result.values[start:stop, 0], cells, result.times_ms)


def _rows(labels: LabelTable, values: Matrix, cells: Cells | None, times_ms: Times) -> bytes:
    stamps = Stamps(format_times(times_ms))
    if cells is None:
        ends, stamp_of = range(1, len(values) + 1), np.zeros(len(values), np.int32)
        return json_rows(Rows(format_label_sets(labels), values, ends, stamps, stamp_of, single=True))
    (time,) = stamps.texts
    sets, texts = format_label_sets(labels), format_values(values)
    shown = zip(sets, texts, strict=True)
    rows = [f'{{"metric":{metric},"value":[{time},"{text}"]}}' for metric, text in shown]
    for row, cell in enumerate(cells.tolist()):
        if cell is not None:
            rows[row] = f'{{"metric":{sets[row]},"histogram":[{time},{_histogram(cell)}]}}'
    return ",".join(rows).encode()


def _histogram(histogram: FloatHistogram) -> str:
    return orjson.dumps(as_data(histogram, format_value)).decode()


def _mixed_matrix(
    result: QueryResult, samples: RangeSamples, cells: Cells, check: Callable[[], None]
) -> Iterator[bytes]:
    """A matrix that holds histograms as objects, series by series."""
    sets = format_label_sets(result.labels)
    for row in range(result.series):
        check()
        part = slice(int(samples.offsets[row]), int(samples.offsets[row + 1]))
        times = format_times(samples.times_ms[part])
        texts = format_values(samples.values[part])
        native = cells[part].tolist()
        lists = ""
        values = [f'[{t},"{v}"]' for t, v, h in zip(times, texts, native, strict=True) if h is None]
        if values:
            lists += f',"values":[{",".join(values)}]'
        found = [f"[{t},{_histogram(h)}]" for t, h in zip(times, native, strict=True) if h is not None]
        if found:
            lists += f',"histograms":[{",".join(found)}]'
        yield f'{"," if row else ""}{{"metric":{sets[row]}{lists}}}'.encode()


def _column_matrix(
    result: QueryResult, native: HistogramMatrix, check: Callable[[], None]
) -> Iterator[bytes]:
    """A matrix that holds histograms as columns, series by series."""
    sets, stamps = format_label_sets(result.labels), format_times(result.times_ms)
    texts = HistogramTexts(native, format_values)
    for row in range(result.series):
        yield f'{"," if row else ""}{{"metric":{sets[row]}'.encode()
        floats = np.flatnonzero(result.present[row] & (native.kinds[row] < 0))
        if len(floats):
            numbers = zip(floats.tolist(), format_values(result.values[row, floats]), strict=True)
            yield f',"values":[{",".join([f"""[{stamps[at]},"{v}"]""" for at, v in numbers])}]'.encode()
        steps = np.flatnonzero(native.kinds[row] >= 0)
        for begin in range(0, len(steps), _HISTOGRAMS):
            check()
            some = steps[begin : begin + _HISTOGRAMS]
            shown = [
                f"[{stamps[int(some[at])]},{text}]" for at, text in sorted(texts.of(row, some), key=_place)
            ]
            head = "," if begin else ',"histograms":['
            yield f"{head}{','.join(shown)}".encode()
        yield b"]}" if len(steps) else b"}"


def _place(found: tuple[int, str]) -> int:
    return found[0]


def _matrix(result: QueryResult, check: Callable[[], None]) -> Iterator[bytes]:
    """The series, each with its comma."""
    if result.native is not None and result.cells is None:
        yield from _column_matrix(result, result.native, check)
        return
    if result.histograms is not None or result.samples is not None:
        samples = result.flat()
        if samples.histograms is not None:
            yield from _mixed_matrix(result, samples, samples.histograms, check)
            return
        ends, values = samples.offsets[1:], samples.values
    else:  # on the grid, whose times are known
        full = result.present.all()
        ends = np.cumsum(result.present.sum(axis=1))
        values = np.ravel(result.values) if full else result.values[result.present]
    times = _SampleTimes(result)
    sets = format_label_sets(result.labels)
    offsets = [0, *ends.tolist()]
    row = 0
    while row < result.series:
        check()
        # A few thousand values at a time: their text stays in the cache until it is sent.
        begin, last = offsets[row], row + 1
        while last < result.series and offsets[last + 1] - begin <= _CHUNK:
            last += 1
        if row:
            yield b","
        if offsets[last] - begin > _WHOLE_MAX:
            yield from _long_row(sets[row], values, times, (row, begin, offsets[last]), check)
        else:
            here = slice(begin, offsets[last])
            stamps, stamp_of = times.of(row, last, here)
            lengths = [end - begin for end in offsets[row + 1 : last + 1]]
            yield json_rows(Rows(sets[row:last], values[here], lengths, stamps, stamp_of))
        row = last


def _long_row(
    metric: str, values: Matrix, times: _SampleTimes, span: tuple[int, int, int], check: Callable[[], None]
) -> Iterator[bytes]:
    """A series in pieces; `span` is its row, and from where to where its samples are."""
    row, low, high = span
    on_grid = times.of(row, row + 1, slice(low, high)) if times.on_grid else None
    head_bytes = len(f'{{"metric":{metric},"values":['.encode())
    for begin in range(low, high, _CHUNK):
        check()
        here = slice(begin, min(begin + _CHUNK, high))
        if on_grid is None:
            stamps, stamp_of = times.of(row, row + 1, here)
        else:
            stamps, stamp_of = on_grid[0], on_grid[1][here.start - low : here.stop - low]
        text = json_rows(Rows([metric], values[here], [here.stop - begin], stamps, stamp_of))
        # What begins a series is wanted of the first piece alone, and what ends it of the last.
        text = text if begin == low else b"," + text[head_bytes:]
        yield text if here.stop == high else text[: -len(_SERIES_END)]


class _SampleTimes:
    """The time of each sample of a matrix, as the number of a text."""

    def __init__(self, result: QueryResult) -> None:
        self.on_grid = result.samples is None
        self._stamps: Stamps | None = None
        if result.samples is None:
            self._present, self._full = result.present, bool(result.present.all())
            self._steps = np.arange(len(result.times_ms), dtype=np.int32)
            self._stamps = Stamps(format_times(result.times_ms))
            return
        # Times of one series are all different: they are written when it is their turn.
        self._times_ms = result.samples.times_ms
        if result.series >= _SERIES_FEW:
            distinct, self._codes = np.unique(self._times_ms, return_inverse=True)
            self._stamps = Stamps(format_times(distinct))

    def of(self, row: int, last: int, here: slice) -> tuple[Stamps, Int32s]:
        """Texts, and the number of that of each sample of the rows from `row` to before `last`, which are those at `here`."""
        if self.on_grid:
            assert self._stamps is not None
            if self._full:
                return self._stamps, np.tile(self._steps, last - row)
            return self._stamps, np.nonzero(self._present[row:last])[1].astype(np.int32)
        if self._stamps is None:
            stamps = Stamps(format_times(self._times_ms[here]))
            return stamps, np.arange(here.stop - here.start, dtype=np.int32)
        return self._stamps, self._codes[here].astype(np.int32)


def _shortest(times_ms: Times) -> str:
    return format_plain(int(times_ms[0]) / 1000)
