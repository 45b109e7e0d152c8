"""A result as the HTTP API's JSON, written by columns: no Python code runs per sample."""

from __future__ import annotations

from itertools import compress
from typing import Final

import numpy as np
import orjson

from trimon.model.frame import Times
from trimon.model.histogram import FloatHistogram
from trimon.model.table import LabelTable
from trimon.query.gofloat import format_plain
from trimon.query.histograms.text import as_data
from trimon.query.result import QueryResult, Samples
from trimon.query.values import Cells, Matrix

_SMALL: Final = 1e-6
_LARGE: Final = 1e21
# Between these, orjson writes a float as Prometheus does, but for the fraction of whole numbers.
_PLAIN_MIN: Final = 1e-5
_PLAIN_MAX: Final = 1e16
_CHUNK: Final = 4096


def render_data(result: QueryResult, stats: bytes = b"") -> bytes:
    """The `data` member of a query response: `resultType`, `result`, and `stats` where given."""
    kind = result.type
    if kind == "scalar":
        value = format_plain(float(result.values[0, 0]))
        body = f"[{_shortest(result.times_ms)},{_quoted(value)}]"
    elif kind == "string":
        body = f"[{_shortest(result.times_ms)},{_quoted(result.text)}]"
    elif kind == "vector":
        body = _vector(result)
    else:
        body = _matrix(result)
    tail = b',"stats":' + stats if stats else b""
    return f'{{"resultType":"{kind}","result":'.encode() + body.encode() + tail + b"}"


def format_values(values: Matrix) -> list[str]:
    """Every number as the API writes it (float64[n]): shortest, exponents only when very small or large."""
    if len(values) == 0:
        return []
    flat = np.ascontiguousarray(values, dtype=np.float64)
    size = np.abs(flat)
    odd = np.flatnonzero(~((size >= _PLAIN_MIN) & (size < _PLAIN_MAX)) & (flat != 0))
    special: list[str] = []
    if len(odd):
        special = _format_odd(flat[odd])
        if len(odd) == len(flat):
            return special
        flat = flat.copy()
        flat[odd] = 0.0
    text = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    texts = text[1:-1].replace(".0,", ",").split(",")
    texts[-1] = texts[-1].removesuffix(".0")
    if len(odd):
        for index, shown in zip(odd.tolist(), special, strict=True):
            texts[index] = shown
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
    out = []
    for time_ms in times_ms.tolist():
        sign, size = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
        seconds, rest = divmod(size, 1000)
        out.append(f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}")
    return out


def format_label_sets(labels: LabelTable) -> list[str]:
    """Every label set as a JSON object, labels ascending by name."""
    if not labels.names:
        return ["{}"] * labels.rows
    columns = []
    for name, codes, values in zip(labels.names, labels.columns, labels.values, strict=True):
        head = "," + _quoted(name) + ":"
        used = np.unique(codes).tolist()
        pieces = {code: head + _quoted(values[code]) if code else "" for code in used}
        columns.append([pieces[code] for code in codes.tolist()])
    return ["{" + "".join(row)[1:] + "}" for row in zip(*columns, strict=True)]


def _vector(result: QueryResult) -> str:
    (time,) = format_times(result.times_ms)
    texts = format_values(result.values[:, 0])
    middle = f',"value":[{time},"'
    sets = format_label_sets(result.labels)
    rows = [f'{{"metric":{metric}{middle}{text}"]}}' for metric, text in zip(sets, texts, strict=True)]
    if result.histograms is not None:
        for row, cell in enumerate(result.histograms[:, 0].tolist()):
            if cell is not None:
                rows[row] = f'{{"metric":{sets[row]},"histogram":[{time},{_histogram(cell)}]}}'
    return f"[{','.join(rows)}]"


def _histogram(histogram: FloatHistogram) -> str:
    return orjson.dumps(as_data(histogram, format_value)).decode()


def _mixed_matrix(result: QueryResult, samples: Samples, cells: Cells) -> str:
    """A matrix that holds histograms, series by series."""
    sets = format_label_sets(result.labels)
    rows = []
    for row in range(result.series):
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
        rows.append(f'{{"metric":{sets[row]}{lists}}}')
    return f"[{','.join(rows)}]"


def _matrix(result: QueryResult) -> str:
    samples = result.flat()
    if samples.histograms is not None:
        return _mixed_matrix(result, samples, samples.histograms)
    heads = _Heads(result, samples.times_ms)
    sets = format_label_sets(result.labels)
    offsets = samples.offsets.tolist()
    rows: list[str] = []
    row = 0
    while row < result.series:
        # A few thousand values at a time: their strings stay in the cache until they are joined.
        begin, last = offsets[row], row + 1
        while last < result.series and offsets[last + 1] - begin <= _CHUNK:
            last += 1
        texts = format_values(samples.values[begin : offsets[last]])
        for index in range(row, last):
            low, high = offsets[index], offsets[index + 1]
            pieces = [""] * (2 * (high - low))
            pieces[0::2] = heads.of(index, low, high)
            pieces[1::2] = texts[low - begin : high - begin]
            # Every piece begins by closing the one before it: the first closes nothing.
            body = "".join(pieces)[3:] + '"]' if pieces else ""
            rows.append(f'{{"metric":{sets[index]},"values":[{body}]}}')
        row = last
    return f"[{','.join(rows)}]"


class _Heads:
    """`"],[TIME,"` before every value, made once per distinct time."""

    def __init__(self, result: QueryResult, times_ms: Times) -> None:
        self._on_grid = result.samples is None
        if self._on_grid:
            self._full = np.logical_and.reduce(result.present, axis=1).tolist()
            self._present = result.present
            distinct = result.times_ms
        else:
            distinct, self._codes = np.unique(times_ms, return_inverse=True)
        self._once = [f'"],[{time},"' for time in format_times(distinct)]

    def of(self, row: int, low: int, high: int) -> list[str]:
        """The heads of one series, whose samples are `low:high` of all."""
        if not self._on_grid:
            return [self._once[code] for code in self._codes[low:high].tolist()]
        if self._full[row]:
            return self._once
        return list(compress(self._once, self._present[row].tolist()))


def _shortest(times_ms: Times) -> str:
    return format_plain(int(times_ms[0]) / 1000)


def _quoted(text: str) -> str:
    try:
        return orjson.dumps(text).decode()
    except orjson.JSONEncodeError:
        raw = text.encode("utf-8", "surrogateescape")
        return orjson.dumps(raw.decode("utf-8", "replace")).decode()
