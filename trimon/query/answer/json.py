"""A result as the HTTP API's JSON, written by columns: no Python code runs per sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress
from typing import Final

import numpy as np
import orjson

from trimon.gotext.floats import format_plain
from trimon.model.frame import Times
from trimon.model.histogram import FloatHistogram
from trimon.model.table import NOTED_ROWS_MAX, LabelTable
from trimon.query.answer.jsonhistograms import HistogramTexts
from trimon.query.answer.jsonlabels import format_label_sets, json_quoted, label_bytes, label_columns
from trimon.query.answer.result import QueryResult, RangeSamples
from trimon.query.execution.values import Cells, Matrix
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.query.histograms.text import as_data

_SMALL: Final = 1e-6
_LARGE: Final = 1e21
# Between these, orjson writes a float as Prometheus does, but for the fraction of whole numbers.
_PLAIN_MIN: Final = 1e-5
_PLAIN_MAX: Final = 1e16
_CHUNK: Final = 4096
# Histograms that are written at once.
_HISTOGRAMS: Final = 256
_ROWS: Final = 1 << 12
# So few series have hardly a time in common.
_SERIES_FEW: Final = 4
# Memory of the text of a sample, and of what is at work on the way to it.
_TEXT_BYTES: Final = 48
_LABEL_COPIES: Final = 3
# Up to this share of whole numbers, cutting ".0" off each is quicker than looking for it in the text.
_FEW: Final = 0.1


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


def format_values(values: Matrix) -> list[str]:
    """Every number as the API writes it (float64[n]): shortest, exponents only when very small or large."""
    if len(values) == 0:
        return []
    flat = np.ascontiguousarray(values, dtype=np.float64)
    size = np.abs(flat)
    odd = np.flatnonzero(~((size >= _PLAIN_MIN) & (size < _PLAIN_MAX)) & (flat != 0) & (flat == flat))  # noqa: PLR0124 - NaN
    special: list[str] = []
    if len(odd):
        special = _format_odd(flat[odd])
        if len(odd) == len(flat):
            return special
        flat = flat.copy()
        flat[odd] = 0.0
    texts = _format_plain(flat)
    if len(odd):
        for index, shown in zip(odd.tolist(), special, strict=True):
            texts[index] = shown
    return texts


def _format_plain(values: Matrix) -> list[str]:
    """Numbers that orjson writes without an exponent, and NaN."""
    with np.errstate(invalid="ignore"):  # a signaling NaN, as some clients push
        whole = values == np.trunc(values)
    if whole.all() and not np.signbit(values[values == 0]).any():  # integers have no -0
        text = orjson.dumps(values.astype(np.int64), option=orjson.OPT_SERIALIZE_NUMPY).decode()
        return text[1:-1].split(",")
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    if np.isnan(values).any():
        text = text.replace("null", "NaN")
    places = np.flatnonzero(whole)
    if len(places) > _FEW * len(values):
        texts = text[1:-1].replace(".0,", ",").split(",")
        texts[-1] = texts[-1].removesuffix(".0")
        return texts
    texts = text[1:-1].split(",")
    for place in places.tolist():
        texts[place] = texts[place][:-2]
    return texts


def _format_odd(values: Matrix) -> list[str]:
    """Numbers that orjson writes with an exponent, or not at all; rates are often a few millionths."""
    raw = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
    numbers = values.tolist()
    return [
        "0.00000" + text[:-3].replace(".", "")
        if text[-3:] == "e-6" and text[0] != "-"
        else format_value(numbers[index])
        for index, text in enumerate(raw)
    ]


def format_value(value: float) -> str:
    """One number as the API writes it."""
    if value == 0 or value != value or _SMALL <= abs(value) < _LARGE:  # noqa: PLR0124 - NaN
        return format_plain(value)
    if abs(value) == float("inf"):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        mantissa, _, exponent = np.format_float_scientific(value, trim="-").partition("e")
    sign = "-" if exponent.startswith("-") else "+"
    return f"{mantissa.removesuffix('.0')}e{sign}{exponent.lstrip('+-0').zfill(2)}"


def format_times(times_ms: Times) -> list[str]:
    """Timestamps in seconds: whole, or with exactly three digits."""
    if len(times_ms) and not (times_ms % 1000).any():
        return orjson.dumps(times_ms // 1000, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
    out = []
    for time_ms in times_ms.tolist():
        sign, size = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
        seconds, rest = divmod(size, 1000)
        out.append(f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}")
    return out


def _vector(result: QueryResult, check: Callable[[], None]) -> Iterator[bytes]:
    """The series, some at a time, each with its comma."""
    for start in range(0, result.series, _ROWS):
        check()
        stop = min(start + _ROWS, result.series)
        labels = result.labels
        if stop - start < result.series:
            labels = labels.take(np.arange(start, stop, dtype=np.intp))
        cells = None if result.histograms is None else result.histograms[start:stop, 0]
        text = _rows(labels, result.values[start:stop, 0], cells, result.times_ms)
        yield ("," + text if start else text).encode()


def _rows(labels: LabelTable, values: Matrix, cells: Cells | None, times_ms: Times) -> str:
    (time,) = format_times(times_ms)
    texts = format_values(values)
    middle = f',"value":[{time},"'
    if labels.rows <= NOTED_ROWS_MAX and cells is None:
        sets = format_label_sets(labels)
        shown = [f'{{"metric":{metric}{middle}{text}"]}}' for metric, text in zip(sets, texts, strict=True)]
        return ",".join(shown)
    columns = label_columns(labels, '"]},{"metric":{', "}" + middle)
    if columns is not None and cells is None:
        width = len(columns) + 1
        pieces = [""] * (width * len(texts))
        for index, column in enumerate(columns):
            pieces[index::width] = column
        pieces[width - 1 :: width] = texts
        # every series begins by closing the one before it: the first closes nothing
        pieces[0] = pieces[0][4:]
        pieces.append('"]}')
        return "".join(pieces)
    sets = format_label_sets(labels)
    rows = [f'{{"metric":{metric}{middle}{text}"]}}' for metric, text in zip(sets, texts, strict=True)]
    if cells is not None:
        for row, cell in enumerate(cells.tolist()):
            if cell is not None:
                rows[row] = f'{{"metric":{sets[row]},"histogram":[{time},{_histogram(cell)}]}}'
    return ",".join(rows)


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
    heads = _Heads(result)
    sets = format_label_sets(result.labels)
    offsets = [0, *ends.tolist()]
    row, comma = 0, ""
    while row < result.series:
        check()
        # A few thousand values at a time: their strings stay in the cache until they are joined.
        begin, last = offsets[row], row + 1
        while last < result.series and offsets[last + 1] - begin <= _CHUNK:
            last += 1
        if offsets[last] - begin > 2 * _CHUNK:
            yield from _long_row(sets[row], values, heads, (row, begin, offsets[last]), comma, check)
            row, comma = last, ","
            continue
        texts = format_values(values[begin : offsets[last]])
        rows: list[str] = []
        for index in range(row, last):
            low, high = offsets[index], offsets[index + 1]
            metric = f'{comma}{{"metric":{sets[index]},"values":['
            comma = ","
            if low == high:
                rows.append(f"{metric}]}}")
                continue
            pieces = [""] * (2 * (high - low))
            pieces[0::2] = heads.of(index, low, high)
            pieces[1::2] = texts[low - begin : high - begin]
            # Every head begins by closing the value before it: the first closes nothing.
            pieces[0] = metric + pieces[0][3:]
            pieces.append('"]]}')
            rows.append("".join(pieces))
        yield "".join(rows).encode()
        row = last


def _long_row(
    metric: str,
    values: Matrix,
    heads: _Heads,
    span: tuple[int, int, int],
    comma: str,
    check: Callable[[], None],
) -> Iterator[bytes]:
    """A series in pieces; `span` is its row, and from where to where its samples are."""
    row, low, high = span
    yield f'{comma}{{"metric":{metric},"values":['.encode()
    on_grid = heads.of(row, low, high) if heads.on_grid else []
    for begin in range(low, high, _CHUNK):
        check()
        end = min(begin + _CHUNK, high)
        pieces = [""] * (2 * (end - begin))
        pieces[0::2] = on_grid[begin - low : end - low] if on_grid else heads.of(row, begin, end)
        pieces[1::2] = format_values(values[begin:end])
        if begin == low:
            pieces[0] = pieces[0][3:]
        yield "".join(pieces).encode()
    yield b'"]]}'


class _Heads:
    """`"],[TIME,"` before every value, made once per distinct time."""

    def __init__(self, result: QueryResult) -> None:
        self.on_grid = result.samples is None
        self._once: list[str] = []
        if result.samples is None:
            self._full = np.logical_and.reduce(result.present, axis=1).tolist()
            self._present = result.present
            distinct = result.times_ms
        else:
            # Times of one series are all different: they are written when it is their turn.
            self._times = result.samples.times_ms
            if result.series < _SERIES_FEW:
                return
            distinct, self._codes = np.unique(self._times, return_inverse=True)
        self._once = [f'"],[{time},"' for time in format_times(distinct)]

    def of(self, row: int, low: int, high: int) -> list[str]:
        """The heads of one series, whose samples are `low:high` of all."""
        if not self.on_grid:
            if not self._once:
                return [f'"],[{time},"' for time in format_times(self._times[low:high])]
            return [self._once[code] for code in self._codes[low:high].tolist()]
        if self._full[row]:
            return self._once
        return list(compress(self._once, self._present[row].tolist()))


def _shortest(times_ms: Times) -> str:
    return format_plain(int(times_ms[0]) / 1000)
