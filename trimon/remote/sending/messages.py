"""Requests of remote write 1.0 and 2.0, made of entries: templates of all series joined, then numbers filled in at once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.compiled.library import ADDRESS, INT64, function
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.labels import Labels
from trimon.model.sample import STALE_NAN
from trimon.model.spans import SpanHistogram, Spans
from trimon.remote.sending.entries import Entries, Exemplar, Histogram
from trimon.remote.sending.packedlabels import PackedLabels
from trimon.remote.sending.series import (
    SeriesTable,
    label_bytes,
)
from trimon.wire import LENGTH, put_block, put_varint, zigzag

_MASK: Final = 0xFFFFFFFFFFFFFFFF
_TIME_LOWEST: Final = 1 << 35
_TIME_END: Final = 1 << 42
_HINT_GAUGE: Final = 3
# What follows the labels of a series with one sample: `12 10 09 value(8) 10 time(6)`, filled in per request.
SAMPLE_BYTES: Final = 18
SAMPLE: Final = b"\x12\x10\x09" + bytes(8) + b"\x10" + bytes(6)
# The same of the value 0, which has no field: `12 07 10 time(6)`.
ZERO_BYTES: Final = 9
ZERO: Final = b"\x12\x07\x10" + bytes(6)
# A tag and the longest length there is of four bytes.
_PREFIX_BYTES_MAX: Final = 6
_SEND_SAMPLES: Final = function(
    "trimon_send_samples",
    INT64,
    (ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, INT64),
)
TYPES: Final[Mapping[str, int]] = {
    "unknown": 0,
    "counter": 1,
    "gauge": 2,
    "histogram": 3,
    "gaugehistogram": 4,
    "summary": 5,
    "info": 6,
    "stateset": 7,
}


def _number(number: int, value: int) -> bytes:
    """A whole number; one that is 0 is left out."""
    return put_varint(number << 3) + put_varint(value & _MASK) if value else b""


def _number_always(number: int, value: int) -> bytes:
    return put_varint(number << 3) + put_varint(value & _MASK)


def _double(number: int, value: float) -> bytes:
    """A float; one that is 0 is left out."""
    return put_varint(number << 3 | 1) + struct.pack("<d", value) if value != 0 else b""


def _double_always(number: int, value: float) -> bytes:
    return put_varint(number << 3 | 1) + struct.pack("<d", value)


# ---- samples


def _are_usual(times_ms: npt.NDArray[np.int64]) -> bool:
    """Whether all times take six bytes, as those of this century do."""
    return bool(len(times_ms)) and int(times_ms.min()) >= _TIME_LOWEST and int(times_ms.max()) < _TIME_END


def _fill(
    out: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    times_ms: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    zeros: npt.NDArray[np.bool_],
) -> None:
    """Write values, but zeros, and times into the samples that end at these places."""
    cells = np.ascontiguousarray(values[~zeros], "<f8").view(np.uint8).reshape(-1, 8)
    first = ends[~zeros] - (SAMPLE_BYTES - 3)
    for byte in range(8):
        out[first + byte] = cells[:, byte]
    rest = times_ms.view(np.uint64)
    first = ends - 6
    for byte in range(6):
        digits = (rest >> np.uint64(7 * byte)).astype(np.uint8) & 0x7F
        out[first + byte] = digits | 0x80 if byte < 5 else digits


def _are_zeros(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where values are plus zero, which needs no field."""
    found: npt.NDArray[np.bool_] = values.view(np.int64) == 0
    return found


def _sample(value: float, time_ms: int) -> bytes:
    return _double_always(1, value) + _number(2, time_ms)


# ---- histograms


def histogram_fields(histogram: SpanHistogram | None, time_ms: int) -> bytes:
    """The fields of a histogram, the same in 1.0 and 2.0; None for the end of a series."""
    if histogram is None:
        return _number_always(1, 0) + _double(3, STALE_NAN) + _number_always(6, 0) + _number(15, time_ms)
    whole = histogram.integer
    bounds = b"".join(struct.pack("<d", bound) for bound in histogram.custom_values)
    custom = histogram.schema == CUSTOM_SCHEMA
    return b"".join(
        (
            _number_always(1, int(histogram.count)) if whole else _double_always(2, histogram.count),
            _double(3, histogram.sum),
            _number(4, zigzag(histogram.schema)),
            b"" if custom else _double(5, histogram.zero_threshold),
            _number_always(6, int(histogram.zero_count))
            if whole
            else _double_always(7, histogram.zero_count),
            _spans(8, histogram.negative_spans),
            _buckets(9, histogram.negative, whole=whole),
            _spans(11, histogram.positive_spans),
            _buckets(12, histogram.positive, whole=whole),
            _number(14, _HINT_GAUGE if histogram.gauge else 0),
            _number(15, time_ms),
            put_block(16, bounds) if bounds else b"",
        )
    )


def _spans(number: int, spans: Spans) -> bytes:
    return b"".join(
        put_block(number, _number(1, zigzag(offset)) + _number(2, length)) for offset, length in spans
    )


def _buckets(number: int, counts: Sequence[float], *, whole: bool) -> bytes:
    """Differences of whole counts, or the counts themselves in the field behind."""
    if not counts:
        return b""
    if not whole:
        return put_block(number + 1, np.array(counts, "<f8").tobytes())
    before, deltas = 0, []
    for count in counts:
        deltas.append(put_varint(zigzag(int(count) - before) & _MASK))
        before = int(count)
    return put_block(number, b"".join(deltas))


# ---- 1.0


def write_request(table: SeriesTable, entries: Entries) -> bytes:
    """A message of 1.0: a series a sample, histograms and exemplars behind. One with custom bounds has no form in 1.0."""
    parts = [_samples(table, entries)]
    parts += [
        put_block(
            1,
            label_bytes(table.labels[each.series]) + put_block(4, histogram_fields(each.value, each.time_ms)),
        )
        for each in entries.histograms
        if not is_custom(each)
    ]
    parts += [
        put_block(1, label_bytes(table.labels[each.series]) + put_block(3, _exemplar(each)))
        for each in entries.exemplars
    ]
    return b"".join(parts)


def is_custom(histogram: Histogram) -> bool:
    """Whether its buckets have bounds of their own."""
    return histogram.value is not None and histogram.value.schema == CUSTOM_SCHEMA


def _exemplar(exemplar: Exemplar) -> bytes:
    return label_bytes(exemplar.labels) + _double(2, exemplar.value) + _number(3, exemplar.time_ms)


def _samples(table: SeriesTable, entries: Entries) -> bytes:
    series, times_ms, values = entries.series, entries.times_ms, entries.values
    if not len(series):
        return b""
    if _SEND_SAMPLES is not None and _are_usual(times_ms):
        return _compiled_samples(_SEND_SAMPLES, table.packed, entries)
    return _blocks(1, table.packed.of(series), times_ms, values)


def _compiled_samples(loop: Callable[..., int], packed: PackedLabels, entries: Entries) -> bytes:
    """The twin of `_blocks` for usual times, without an object a sample."""
    series = np.ascontiguousarray(entries.series, np.int32)
    times_ms = np.ascontiguousarray(entries.times_ms, np.int64)
    values = np.ascontiguousarray(entries.values, np.float64)
    content, starts, lengths = packed.content, packed.starts, packed.lengths
    room = np.empty(int(lengths[series].sum()) + len(series) * (SAMPLE_BYTES + _PREFIX_BYTES_MAX), np.uint8)
    written = loop(
        *(content.ctypes.data, len(content), starts.ctypes.data, lengths.ctypes.data, len(starts)),
        *(series.ctypes.data, times_ms.ctypes.data, values.ctypes.data, len(series)),
        *(room.ctypes.data, len(room)),
    )
    assert written >= 0, "a number of a series that is not in the table"
    return room[:written].tobytes()


def _blocks(
    number: int, heads: Sequence[bytes], times_ms: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> bytes:
    """A field for each sample: what its series begins with, and the sample behind it."""
    if not _are_usual(times_ms):
        rows = zip(heads, times_ms.tolist(), values.tolist(), strict=True)
        return b"".join(
            put_block(number, head + put_block(2, _sample(value, time_ms))) for head, time_ms, value in rows
        )
    zeros = _are_zeros(values)
    samples = ((SAMPLE, SAMPLE_BYTES), (ZERO, ZERO_BYTES))
    tag = put_varint(number << 3 | LENGTH)
    blocks = [
        tag + put_varint(len(head) + samples[zero][1]) + head + samples[zero][0]
        for head, zero in zip(heads, zeros.tolist(), strict=True)
    ]
    joined = bytearray().join(blocks)
    lengths = np.fromiter(map(len, blocks), np.int64, len(blocks))
    _fill(np.frombuffer(joined, np.uint8), np.cumsum(lengths), times_ms, values, zeros)
    return bytes(joined)


Family = tuple[str, str, str, str]


def metadata_request(families: Sequence[Family]) -> bytes:
    """A message of 1.0 with nothing but metadata: (family, type, help, unit) each."""
    return b"".join(
        put_block(
            3,
            _number(1, TYPES.get(kind, 0))
            + put_block(2, name.encode())
            + (put_block(4, text.encode()) if text else b"")
            + (put_block(5, unit.encode()) if unit else b""),
        )
        for name, kind, text, unit in families
    )


# ---- 2.0


class _Symbols:
    """The strings of one request: numbers of the table become places among those that are used."""

    def __init__(self, table: SeriesTable) -> None:
        self._table = table
        self._places: dict[str, int] = {"": 0}
        self._listed = [""]

    def place(self, text: str) -> int:
        """The place of a string."""
        found = self._places.get(text)
        if found is None:
            found = self._places[text] = len(self._listed)
            self._listed.append(text)
        return found

    def refs(self, labels: Sequence[tuple[str, str]]) -> bytes:
        """The field of labels."""
        packed = b"".join(put_varint(self.place(text)) for pair in labels for text in pair)
        return put_block(1, packed) if packed else b""

    def message(self) -> bytes:
        """The field of all strings."""
        return b"".join([put_block(4, text.encode()) for text in self._listed])

    def of(self, series: npt.NDArray[np.int32]) -> list[bytes]:
        """The fields of labels and metadata of many series."""
        table = self._table
        known: dict[int, bytes] = {}
        out: list[bytes] = []
        texts = table.symbols
        places: dict[int, bytes] = {}
        for number in series.tolist():
            field = known.get(number)
            if field is None:
                packed = bytearray()
                for ref in table.refs[number].tolist():
                    place = places.get(ref)
                    if place is None:
                        place = places[ref] = put_varint(self.place(texts[ref]))
                    packed += place
                head = put_block(1, bytes(packed)) if packed else b""
                field = known[number] = head + _metadata_2(table.labels[number], self)
            out.append(field)
        return out


def write_request_2(table: SeriesTable, entries: Entries) -> bytes:
    """A message of 2.0: a series a sample, histograms and exemplars behind."""
    symbols = _Symbols(table)
    parts: list[bytes] = []
    if len(entries.series):
        parts.append(_blocks(5, symbols.of(entries.series), entries.times_ms, entries.values))
    for each in entries.histograms:
        labels = table.labels[each.series]
        body = put_block(3, histogram_fields(each.value, each.time_ms))
        parts.append(put_block(5, symbols.refs(labels) + body + _metadata_2(labels, symbols)))
    for told in entries.exemplars:
        labels = table.labels[told.series]
        body = symbols.refs(told.labels) + _double(2, told.value) + _number(3, told.time_ms)
        parts.append(put_block(5, symbols.refs(labels) + put_block(4, body) + _metadata_2(labels, symbols)))
    return symbols.message() + b"".join(parts)


def _metadata_2(labels: Labels, symbols: _Symbols) -> bytes:
    """The metadata of a series: what its labels of type and unit say, as in Prometheus; nothing else is known of it."""
    told = dict(labels)
    kind, unit = TYPES.get(told.get("__type__", ""), 0), told.get("__unit__", "")
    return put_block(5, _number(1, kind) + _number(4, symbols.place(unit)))
