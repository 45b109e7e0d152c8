"""Remote write 1.0: from the bytes of a WriteRequest to a batch of samples.

The labels of a series are the same bytes in every request, so their decoded form is remembered. Samples of the two
usual encodings (a value and a six-byte timestamp; the value 0 left out) are decoded by numpy, all at once.
"""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon import limits
from trimon.model.components import unmarked
from trimon.model.histogrambatch import Taken, with_histograms
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import NO_VALUES, Metadata, SampleBatch
from trimon.remote.histograms import HistogramMessage
from trimon.wire import FIXED64, LENGTH, VARINT, FieldCount, WireError, block, signed, skip, varint

# Sample as `12 len 09 value*8 10 timestamp*6`, and without the value.
_WHOLE: Final = 18
_ZERO: Final = 9
_WHOLE_HEAD: Final = b"\x12\x10\x09"
_ZERO_HEAD: Final = b"\x12\x07\x10"
_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")

# Fields of a request that are read one by one: more than there are series in the largest request of any sender, and
# still a matter of seconds. Samples of the usual encodings do not count.
FIELDS_MAX: Final = 1_000_000
# Labels of a series that are looked at before it is known to have too many.
LABELS_READ_MAX: Final = 10_000

# Bytes of labels that are remembered, a million usual series; beyond it the memory starts over.
REMEMBERED_BYTES_MAX: Final = 256 * 2**20


@dataclass(slots=True)
class WriteRequest:
    """A decoded request."""

    batch: SampleBatch
    metadata: Metadata
    invalid_series: int = 0
    beyond_limits: Counter[str] = field(default_factory=Counter)
    """Those of them that are beyond a limit, by what is said of them."""
    """Series without a name, with double or malformed labels: left out, as Prometheus does."""
    exemplars: list[tuple[Labels, Labels, float, int]] = field(default_factory=list)
    """(series, labels, value, timestamp in ms) each."""


@dataclass(slots=True)
class _Runs:
    """Where the samples of one encoding are, series by series, until numpy reads them."""

    at: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    series: list[int] = field(default_factory=list)

    def add(self, at: int, count: int, series: int) -> None:
        """`count` samples of a series, at a position."""
        self.at.append(at)
        self.count.append(count)
        self.series.append(series)


@dataclass(slots=True)
class _Samples:
    """The samples of a request; `count` is how many the last series had."""

    whole: _Runs = field(default_factory=_Runs)
    zero: _Runs = field(default_factory=_Runs)
    odd: list[tuple[int, int, float]] = field(default_factory=list)
    histograms: list[tuple[int, int, Taken]] = field(default_factory=list)
    """(series, time, histogram taken apart) each."""
    count: int = 1


class WriteDecoder:
    """Decodes requests and remembers labels. Several threads may decode at once: what they share are single dict operations."""

    def __init__(self) -> None:
        self._labels: dict[bytes, Labels | None] = {}
        self._pairs: dict[bytes, tuple[str, str]] = {}
        self._beyond: dict[bytes, str] = {}
        self._remembered_bytes = 0

    def decode(self, data: bytes, fields_max: int = FIELDS_MAX) -> WriteRequest:
        """The samples and metadata of a request; nothing is half decoded.

        Raises WireError, TooManyFields, HistogramError.
        """
        fields = FieldCount(fields_max)
        series: list[Labels] = []
        samples = _Samples()
        families: list[tuple[str, str, str, str]] = []
        request = WriteRequest(_NO_SAMPLES, Metadata(()))
        position, end = 0, len(data)
        while position < end:
            position = self._familiar(data, position, end, series, samples)
            if position == end:
                break
            tag, position = fields.tag(data, position)
            if tag == 0x0A:
                start, position = block(data, position, end)
                self._series(data, start, position, series, samples, request, fields)
            elif tag == 0x1A:
                start, position = block(data, position, end)
                families.append(_metadata(data, start, position, fields))
            else:
                position = skip(data, position, end, tag & 7)
        request.batch = _batch(data, series, samples, request, fields)
        request.batch = with_histograms(request.batch, samples.histograms)
        request.metadata = Metadata(tuple(families))
        return request

    def _familiar(self, data: bytes, position: int, end: int, series: list[Labels], samples: _Samples) -> int:
        """Reads on while labels are known and there are as many samples as in the series before.

        Both are guessed from the end of a series: a remembered run of labels and then the head of a sample can be
        nothing else. Returns the position of the first field that takes a closer look.
        """
        known, count = self._labels, samples.count
        whole, zero = count * _WHOLE, count * _ZERO
        # the last length of a message is two bytes at the most here, and both are there
        while position + 3 < end and data[position] == 0x0A:
            size, start = data[position + 1], position + 2
            if size >= 0x80:
                size, start = size & 0x7F | data[start] << 7, start + 1
            stop = start + size
            if stop > end or size >= 1 << 14:
                break
            at = stop - whole
            lists = samples.whole
            if at <= start or not data.startswith(_WHOLE_HEAD, at):
                at = stop - zero
                lists = samples.zero
                if at <= start or not data.startswith(_ZERO_HEAD, at):
                    break
            labels = known.get(data[start:at])
            if labels is None:
                break
            lists.at.append(at)
            lists.count.append(count)
            lists.series.append(len(series))
            series.append(labels)
            position = stop
        return position

    def _series(
        self,
        data: bytes,
        start: int,
        end: int,
        series: list[Labels],
        samples: _Samples,
        request: WriteRequest,
        fields: FieldCount,
    ) -> None:
        position = start
        labels_left = LABELS_READ_MAX
        while position < end and data[position] == 0x0A:
            labels_left -= 1
            if labels_left < 0:
                raise WireError(f"more than {LABELS_READ_MAX} labels in a series")
            size = data[position + 1] if position + 1 < end else 0x80
            if size < 0x80:
                position += 2 + size
            else:
                _, position = block(data, position + 1, end)
        if position > end:
            raise WireError("unexpected EOF")
        key = data[start:position]
        labels = self._labels.get(key, _UNSEEN)
        if labels is _UNSEEN:
            labels = self._remember(key, fields)
        if labels is None:
            request.invalid_series += 1
            beyond = self._beyond.get(key)
            if beyond is not None:
                request.beyond_limits[beyond] += 1
            return
        number = len(series)
        series.append(labels)
        size = end - position
        if size % _WHOLE == 0 and data.startswith(_WHOLE_HEAD, position):
            samples.whole.add(position, size // _WHOLE, number)
            samples.count = size // _WHOLE
        elif size % _ZERO == 0 and data.startswith(_ZERO_HEAD, position):
            samples.zero.add(position, size // _ZERO, number)
            samples.count = size // _ZERO
        else:
            _odd_samples(data, position, end, (number, labels), samples, request, fields)

    def _remember(self, key: bytes, fields: FieldCount) -> Labels | None:
        try:
            labels = self._decode_labels(key, fields)
            beyond = ""
        except _BeyondLimitError as error:
            labels, beyond = None, str(error)
        self._remembered_bytes += len(key)
        if self._remembered_bytes > REMEMBERED_BYTES_MAX:
            self._labels.clear()
            self._pairs.clear()
            self._beyond.clear()
            self._remembered_bytes = len(key)
        self._labels[key] = labels
        if beyond:
            self._beyond[key] = beyond
        return labels

    def _decode_labels(self, key: bytes, fields: FieldCount) -> Labels | None:
        """The labels of a series; None when they are not valid. Raises _BeyondLimitError."""
        found: dict[str, tuple[str, str]] = {}
        known = self._pairs
        position, end = 0, len(key)
        while position < end:
            _, position = varint(key, position)
            start, position = block(key, position, end)
            raw = key[start:position]
            pair = known.get(raw)
            if pair is None:
                try:
                    pair = known[raw] = _strings(raw, 0, len(raw), fields)
                except UnicodeDecodeError:
                    return None
            name = pair[0]
            if not name or name in found:
                return None
            if len(found) >= limits.LABELS_PER_SERIES_MAX:
                raise _beyond(found, "labels", limits.LABELS_PER_SERIES_MAX)
            if len(name) > limits.LABEL_NAME_BYTES_MAX:
                raise _beyond(found, f"characters in label name {name[:50]!r}", limits.LABEL_NAME_BYTES_MAX)
            if len(pair[1]) > limits.LABEL_VALUE_BYTES_MAX:
                raise _beyond(
                    found, f"characters in the value of label {name[:50]!r}", limits.LABEL_VALUE_BYTES_MAX
                )
            found[name] = pair
        if METRIC_NAME not in found or not found[METRIC_NAME][1]:
            return None
        return tuple(pair for pair in sorted(found.values()) if pair[1])


class _BeyondLimitError(Exception):
    """The labels of a series are more or longer than any may be."""


def _beyond(found: Mapping[str, tuple[str, str]], what: str, most: int) -> _BeyondLimitError:
    name = found.get(METRIC_NAME, ("", "of unknown name"))[1][:100]
    return _BeyondLimitError(f"{name}: more than {most} {what}")


_UNSEEN: Final[Labels] = (("", ""),)
_NO_SAMPLES: Final = SampleBatch(
    (), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64), atomic=True
)


def _strings(data: bytes, start: int, end: int, fields: FieldCount) -> tuple[str, str]:
    """Fields 1 and 2 of a message of two strings."""
    first = second = b""
    while start < end:
        tag, start = fields.tag(data, start)
        if tag & 7 != LENGTH:
            start = skip(data, start, end, tag & 7)
            continue
        begin, start = block(data, start, end)
        if tag >> 3 == 1:
            first = data[begin:start]
        elif tag >> 3 == 2:
            second = data[begin:start]
    return first.decode(), second.decode()


def _odd_samples(
    data: bytes,
    position: int,
    end: int,
    owner: tuple[int, Labels],
    samples: _Samples,
    request: WriteRequest,
    fields: FieldCount,
) -> None:
    """Samples of any encoding, exemplars and histograms, one by one."""
    number, series = owner
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 != LENGTH:
            position = skip(data, position, end, tag & 7)
            continue
        start, position = block(data, position, end)
        if tag == 0x12:
            samples.odd.append((number, *_sample(data, start, position, fields)))
        elif tag == 0x1A:
            request.exemplars.append((series, *_exemplar(data, start, position, fields)))
        elif tag == 0x22:
            message = HistogramMessage()
            message.read(data, start, position, fields)
            samples.histograms.append((number, message.timestamp_ms, message.histogram().kept().components()))
        elif tag == 0x0A:
            raise WireError("labels after samples in a series")


def _sample(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[int, float]:
    timestamp_ms, value = 0, 0.0
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == (1 << 3 | FIXED64) and position + 8 <= end:
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        elif tag == (2 << 3 | VARINT):
            raw, position = varint(data, position)
            timestamp_ms = signed(raw)
        else:
            position = skip(data, position, end, tag & 7)
    return timestamp_ms, value


def _exemplar(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[Labels, float, int]:
    """Labels, value, timestamp; labels that are no text are left out."""
    pairs: list[tuple[str, str]] = []
    value, timestamp_ms = 0.0, 0
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == (1 << 3 | LENGTH):
            start, position = block(data, position, end)
            with contextlib.suppress(UnicodeDecodeError):
                pairs.append(_strings(data, start, position, fields))
        elif tag == (2 << 3 | FIXED64) and position + 8 <= end:
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        elif tag == (3 << 3 | VARINT):
            raw, position = varint(data, position)
            timestamp_ms = signed(raw)
        else:
            position = skip(data, position, end, tag & 7)
    return labels_of(pairs), value, timestamp_ms


def _metadata(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[str, str, str, str]:
    kind = 0
    texts = {2: "", 4: "", 5: ""}
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 8:
            kind, position = varint(data, position)
        elif tag & 7 == LENGTH:
            start, position = block(data, position, end)
            if tag >> 3 in texts:
                texts[tag >> 3] = data[start:position].decode("utf-8", "replace")
        else:
            position = skip(data, position, end, tag & 7)
    return texts[2], _TYPES[kind] if kind < len(_TYPES) else "unknown", texts[4], texts[5]


def _cells(data: bytes, runs: _Runs, size: int) -> npt.NDArray[np.uint8]:
    """uint8[samples, size]: the bytes of all samples of one encoding."""
    counts = np.array(runs.count, np.int64)
    first = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)
    begins = np.repeat(np.array(runs.at, np.int64), counts) + within * size
    raw = np.frombuffer(data, np.uint8)
    return np.asarray(raw[begins[:, None] + np.arange(size)], np.uint8)


def _timestamps(cells: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Six-byte varints. Raises WireError when they are not."""
    if (cells[:, :5] < 0x80).any() or (cells[:, 5] >= 0x80).any():
        raise _OddError
    shifts = np.arange(6, dtype=np.int64) * 7
    return np.asarray(((cells & 0x7F).astype(np.int64) << shifts).sum(axis=1), np.int64)


class _OddError(Exception):
    """Samples that only look like the usual encoding."""


def _batch(
    data: bytes, series: list[Labels], samples: _Samples, request: WriteRequest, fields: FieldCount
) -> SampleBatch:
    """All samples in order of arrival."""
    numbers, times, values = [], [], []
    for runs, size, head in ((samples.whole, _WHOLE, _WHOLE_HEAD), (samples.zero, _ZERO, _ZERO_HEAD)):
        if not runs.at:
            continue
        cells = _cells(data, runs, size)
        usual = (cells[:, :3] == np.frombuffer(head, np.uint8)).all()
        if size == _WHOLE:
            usual = usual and bool((cells[:, 11] == 0x10).all())
        try:
            if not usual:
                raise _OddError
            decoded = _timestamps(cells[:, -6:])
        except _OddError:
            _one_by_one(data, runs, size, series, samples, request, fields)
            continue
        times.append(decoded)
        if size == _WHOLE:
            values.append(unmarked(np.ascontiguousarray(cells[:, 3:11]).view("<f8").ravel()))
        else:
            values.append(np.zeros(len(cells)))
        numbers.append(np.repeat(np.array(runs.series, np.int32), np.array(runs.count)))
    if samples.odd:
        numbers.append(np.array([number for number, _, _ in samples.odd], np.int32))
        times.append(np.array([time for _, time, _ in samples.odd], np.int64))
        values.append(unmarked(np.array([value for _, _, value in samples.odd], np.float64)))
    if not numbers:
        return SampleBatch(
            tuple(series), _NO_SAMPLES.series_index, _NO_SAMPLES.timestamps_ms, NO_VALUES, atomic=True
        )
    if len(numbers) == 1:
        return SampleBatch(tuple(series), numbers[0], times[0], values[0], atomic=True)
    # a sender may name one series several times, and then the order of its samples is that of the names
    whose = np.concatenate(numbers)
    order = np.argsort(whose, kind="stable")
    return SampleBatch(
        tuple(series), whose[order], np.concatenate(times)[order], np.concatenate(values)[order], atomic=True
    )


def _one_by_one(
    data: bytes,
    runs: _Runs,
    size: int,
    series: list[Labels],
    samples: _Samples,
    request: WriteRequest,
    fields: FieldCount,
) -> None:
    for begin, count, number in zip(runs.at, runs.count, runs.series, strict=True):
        _odd_samples(data, begin, begin + count * size, (number, series[number]), samples, request, fields)
