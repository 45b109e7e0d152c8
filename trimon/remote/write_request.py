"""Remote write 1.0: from the bytes of a WriteRequest to a batch of samples.

The labels of a series are the same bytes in every request, so their decoded form is remembered. Samples of the two
usual encodings (a value and a six-byte timestamp; the value 0 left out) are decoded by numpy, all at once.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import Final

import numpy as np

from trimon import limits
from trimon.model.histogrambatch import with_histograms
from trimon.model.labels import METRIC_NAME, Labels, format_label_set, labels_of
from trimon.model.rows import Metadata, SampleBatch
from trimon.records import dataclass
from trimon.remote.histograms import HistogramMessage
from trimon.remote.write_known import KnownLabels, ReadRequest
from trimon.remote.write_samples import (
    NO_SAMPLES,
    SAMPLE_TAG,
    WHOLE,
    WHOLE_HEAD,
    ZERO,
    ZERO_HEAD,
    Samples,
    batch_of,
    read_exemplar,
    read_sample,
)
from trimon.wire import LENGTH, FieldCount, TooManyFields, WireError, block, skip, skip_unknown, varint

_REQUEST_FIELDS: Final = {1: "Timeseries", 3: "Metadata"}
_SERIES_FIELDS: Final = {1: "Labels", 2: "Samples", 3: "Exemplars", 4: "Histograms"}
TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")

# Fields of a request that are read one by one: more than there are series in the largest request of any sender, and
# still a matter of seconds. Samples of the usual encodings do not count.
FIELDS_MAX: Final = 1_000_000
# Series that are made known while others wait, some 20 µs each.
NEW_AT_ONCE: Final = 100
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
    """Series without a name, with double or malformed labels: left out, as Prometheus does."""
    faults: Counter[str] = field(default_factory=Counter)
    """What is wrong with them, and of how many."""
    exemplars: list[tuple[Labels, Labels, float, int]] = field(default_factory=list)
    """(series, labels, value, timestamp in ms) each."""


class WriteDecoder:
    """Decodes requests and remembers labels. Several threads may decode at once: what they share are single dict operations.

    Series without a name are not valid, unless they may be `nameless`.
    """

    def __init__(self, *, nameless: bool = False) -> None:
        self._nameless = nameless
        self._labels: dict[bytes, Labels | None] = {}
        self._pairs: dict[bytes, tuple[str, str]] = {}
        self._faults: dict[bytes, str] = {}
        self._remembered_bytes = 0
        self._known = KnownLabels()

    def decode(self, data: bytes, fields_max: int = FIELDS_MAX) -> WriteRequest:
        """The samples and metadata of a request; nothing is half decoded.

        Raises WireError, TooManyFields, HistogramError.
        """
        return self._decode_read(data, self._known.read(data), fields_max)

    def _decode_read(self, data: bytes, usual: ReadRequest | None, fields_max: int) -> WriteRequest:
        fields = FieldCount(fields_max)
        if usual is not None and (not usual.unknown or self._introduce(data, usual, fields)):
            return WriteRequest(usual.batch(), Metadata(()))
        return self._decode_any(data, FieldCount(fields_max))

    def decode_briefly(self, data: bytes, fields_max: int) -> WriteRequest:
        """As `decode`; raises TooManyFields also where more than NEW_AT_ONCE series are to be made known."""
        usual = self._known.read(data)
        if usual is not None and usual.unknown > NEW_AT_ONCE:
            raise TooManyFields(f"more than {NEW_AT_ONCE} series that were never seen in a message")
        return self._decode_read(data, usual, fields_max)

    def decode_known(self, data: bytes) -> WriteRequest | None:
        """As `decode`, at a microsecond for a hundred samples, of a request of usual form and of series that are known; else
        None."""
        usual = self._known.read(data)
        return WriteRequest(usual.batch(), Metadata(())) if usual is not None and not usual.unknown else None

    def _introduce(self, data: bytes, usual: ReadRequest, fields: FieldCount) -> bool:
        """Gives numbers to the unknown series of a request; False where one has labels that none may have."""
        table = usual.table
        places = np.flatnonzero(usual.numbers < 0)
        for place, (begin, end), hashed in zip(
            places.tolist(), usual.labels[places].tolist(), usual.hashes[places].tolist(), strict=True
        ):
            key = data[begin:end]
            try:
                labels = self._decode_labels(key, fields)
            except _InvalidLabelsError:
                return False
            usual.numbers[place] = table.add(key, hashed, labels)
        if table.text_bytes > REMEMBERED_BYTES_MAX:
            self._known = KnownLabels()
            self._pairs.clear()
        return True

    def _decode_any(self, data: bytes, fields: FieldCount) -> WriteRequest:
        """As `decode`, of a request of any form, in Python."""
        series: list[Labels] = []
        samples = Samples()
        families: list[tuple[str, str, str, str]] = []
        request = WriteRequest(NO_SAMPLES, Metadata(()))
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
                position = skip_unknown(data, position, end, tag, _REQUEST_FIELDS)

        def read_odd(begin: int, end: int, number: int) -> None:
            _odd_samples(data, begin, end, (number, series[number]), samples, request, fields)

        request.batch = batch_of(data, series, samples, read_odd)
        request.batch = with_histograms(request.batch, samples.histograms)
        request.metadata = Metadata(tuple(families))
        return request

    def _familiar(self, data: bytes, position: int, end: int, series: list[Labels], samples: Samples) -> int:
        """Reads on while labels are known and there are as many samples as in the series before.

        Both are guessed from the end of a series: a remembered run of labels and then the head of a sample can be
        nothing else. Returns the position of the first field that takes a closer look.
        """
        known, count = self._labels, samples.count
        whole, zero = count * WHOLE, count * ZERO
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
            if at <= start or not data.startswith(WHOLE_HEAD, at):
                at = stop - zero
                lists = samples.zero
                if at <= start or not data.startswith(ZERO_HEAD, at):
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
        samples: Samples,
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
            request.faults[self._faults.get(key, "labels that none may have")] += 1
            return
        number = len(series)
        series.append(labels)
        size = end - position
        if size % WHOLE == 0 and data.startswith(WHOLE_HEAD, position):
            samples.whole.add(position, size // WHOLE, number)
            samples.count = size // WHOLE
        elif size % ZERO == 0 and data.startswith(ZERO_HEAD, position):
            samples.zero.add(position, size // ZERO, number)
            samples.count = size // ZERO
        else:
            _odd_samples(data, position, end, (number, labels), samples, request, fields)

    def _remember(self, key: bytes, fields: FieldCount) -> Labels | None:
        labels: Labels | None
        try:
            labels, fault = self._decode_labels(key, fields), ""
        except _InvalidLabelsError as error:
            labels, fault = None, str(error)
        self._remembered_bytes += len(key)
        if self._remembered_bytes > REMEMBERED_BYTES_MAX:
            self._labels.clear()
            self._pairs.clear()
            self._faults.clear()
            self._remembered_bytes = len(key)
        self._labels[key] = labels
        if fault:
            self._faults[key] = fault
        return labels

    def _decode_labels(self, key: bytes, fields: FieldCount) -> Labels:
        """The labels of a series. Raises _InvalidLabelsError."""
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
                    raise _invalid(found, "a label that is no UTF-8") from None
            name = pair[0]
            if not name:
                raise _invalid(found, "a label without a name")
            if name in found:
                raise _invalid(found, f"label {name[:50]!r} twice")
            if len(found) >= limits.LABELS_PER_SERIES_MAX:
                raise _beyond(found, "labels", limits.LABELS_PER_SERIES_MAX)
            if len(name) > limits.LABEL_NAME_BYTES_MAX:
                raise _beyond(found, f"characters in label name {name[:50]!r}", limits.LABEL_NAME_BYTES_MAX)
            if len(pair[1]) > limits.LABEL_VALUE_BYTES_MAX:
                raise _beyond(
                    found, f"characters in the value of label {name[:50]!r}", limits.LABEL_VALUE_BYTES_MAX
                )
            found[name] = pair
        if not self._nameless and (METRIC_NAME not in found or not found[METRIC_NAME][1]):
            shown = format_label_set(tuple(sorted(found.values())))
            raise _InvalidLabelsError(f"no name of a metric: {shown[:200]}")
        return tuple(pair for pair in sorted(found.values()) if pair[1])


class _InvalidLabelsError(Exception):
    """The labels of a series are none, or more or longer than any may be."""


def _invalid(found: Mapping[str, tuple[str, str]], what: str) -> _InvalidLabelsError:
    name = found.get(METRIC_NAME, ("", "of unknown name"))[1][:100]
    return _InvalidLabelsError(f"{name}: {what}")


def _beyond(found: Mapping[str, tuple[str, str]], what: str, most: int) -> _InvalidLabelsError:
    return _invalid(found, f"more than {most} {what}")


_UNSEEN: Final[Labels] = (("", ""),)


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
    samples: Samples,
    request: WriteRequest,
    fields: FieldCount,
) -> None:
    """Samples of any encoding, exemplars and histograms, one by one."""
    number, series = owner
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 != LENGTH:
            position = skip_unknown(data, position, end, tag, _SERIES_FIELDS)
            continue
        start, position = block(data, position, end)
        if tag == SAMPLE_TAG:
            samples.odd.append((number, *read_sample(data, start, position, fields)[:2]))
        elif tag == 0x1A:
            request.exemplars.append((series, *_exemplar(data, start, position, fields)))
        elif tag == 0x22:
            message = HistogramMessage()
            message.read(data, start, position, fields)
            samples.histograms.append((number, message.timestamp_ms, message.histogram().kept().components()))
        elif tag == 0x0A:
            raise WireError("labels after samples in a series")


def _exemplar(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[Labels, float, int]:
    """Labels, value, timestamp; labels that are no text are left out."""
    blocks, value, timestamp_ms = read_exemplar(data, position, end, fields)
    pairs: list[tuple[str, str]] = []
    for start, stop in blocks:
        with contextlib.suppress(UnicodeDecodeError):
            pairs.append(_strings(data, start, stop, fields))
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
    return texts[2], TYPES[kind] if kind < len(TYPES) else "unknown", texts[4], texts[5]
