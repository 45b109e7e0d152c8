"""Remote write 2.0: from the bytes of a Request to a batch of samples, and what is wrong with which series.

Names, values, help and units stand once in a table of symbols; a series has the places of its labels in it:

    symbols     0: ""   1: "__name__"   2: "up"   3: "job"   4: "node"
    labels      [1 2 3 4]                          up{job="node"}

Series are accepted one by one: what is wrong with one is told, and the others are stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.model.histogrambatch import with_histograms
from trimon.model.labels import Labels
from trimon.model.rows import Metadata
from trimon.remote.write_request import FIELDS_MAX
from trimon.remote.write_samples import NO_SAMPLES, WHOLE, WHOLE_HEAD, ZERO, ZERO_HEAD, batch_of, read_samples
from trimon.remote.write_series2 import REFS_TAG, Found, Options, Request2, SeriesError, SeriesReader, Symbols
from trimon.wire import LENGTH, FieldCount, WireError, block, skip_unknown

_SYMBOL: Final = 4 << 3 | LENGTH
_SERIES: Final = 5 << 3 | LENGTH
_REQUEST_FIELDS: Final = {4: "Symbols", 5: "Timeseries"}
SYMBOLS_MAX: Final = 1_000_000
# Of symbols and labels that are remembered, about a million usual series; beyond it the memory starts over.
REMEMBERED_BYTES_MAX: Final = 256 * 2**20
_SYMBOL_BYTES: Final = 100
# Characters of a value that count by themselves: shorter ones are among the bytes above.
_LONG: Final = 1024


# Where a series is: begin and end of the message, begin and end of the places of its symbols in it.
_Place: TypeAlias = tuple[int, int, int, int]


class Decoder2:
    """Decodes requests and remembers labels. From any thread: what is shared are single operations of dicts.

    Every symbol that was ever seen has a number, so that the labels of a series are a run of numbers, whatever table a
    request has. The places of all series are turned into these numbers by numpy at once.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options if options is not None else Options()
        self._numbers: dict[bytes, int] = {}
        self._labels: dict[bytes, Labels] = {}
        self._remembered_bytes = 0

    def decode(self, data: bytes, fields_max: int = FIELDS_MAX) -> Request2:
        """The samples of a request. Raises WireError, TooManyFields for bytes that are none."""
        fields = FieldCount(fields_max)
        symbols, places = _top_fields(data, fields)
        keys = self._keys(data, symbols, places)
        table, found, request = Symbols(symbols), Found(), Request2(NO_SAMPLES)
        known = {} if self._options.starts_as_zeros else self._labels
        series, whole = found.series, found.samples.whole
        for number, (place, key) in enumerate(zip(places, keys, strict=True)):
            labels = known.get(key) if key else None
            if labels is not None:
                _, end, _, rest = place
                if end - rest == WHOLE and data.startswith(WHOLE_HEAD, rest):  # most series of most senders
                    whole.at.append(rest)
                    whole.count.append(1)
                    whole.series.append(len(series))
                    series.append(labels)
                    request.places.append(number)
                    request.samples += 1
                    continue
                if _take_usual(data, place, labels, found, request):
                    request.places.append(number)
                    continue
            self._take_odd(data, place, key, (number, table), found, request, fields)

        def read_odd(begin: int, end: int, number: int) -> None:
            read_samples(data, begin, end, number, found.samples, fields)

        batch = batch_of(data, found.series, found.samples, read_odd)
        batch = with_histograms(batch, found.samples.histograms)
        request.batch = replace(batch, atomic=False, told=True)
        request.histograms = len(found.samples.histograms)
        request.samples -= len(found.zeros)
        request.zeros = frozenset(found.zeros)
        request.metadata = Metadata(tuple(found.families))
        return request

    def _keys(self, data: bytes, symbols: list[bytes], places: list[_Place]) -> list[bytes]:
        """Of each series the numbers of its symbols as bytes; empty where its places are of unusual form."""
        numbers = self._numbers
        if self._remembered_bytes > REMEMBERED_BYTES_MAX:
            self._numbers = numbers = {}
            self._labels = {}
            self._remembered_bytes = 0
        before = len(numbers)
        ids = np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], np.int32)
        if len(numbers) > before:
            self._remembered_bytes += sum(map(len, symbols)) + _SYMBOL_BYTES * (len(numbers) - before)
        refs, counts = _all_refs(data, places)
        if not len(ids) or not len(refs):
            return [b""] * len(places)
        # A reference of more than 63 bits is a negative number here.
        is_known = (refs >= 0) & (refs < len(ids))
        raw = np.where(is_known, ids[np.where(is_known, refs, 0)], -1).astype("<i4").tobytes()
        bad = np.concatenate(([0], np.cumsum(~is_known)))
        ends = np.cumsum(counts)
        starts = ends - counts
        usable = (bad[ends] == bad[starts]) & (counts > 0)
        return [
            raw[4 * start : 4 * end] if good else b""
            for start, end, good in zip(starts.tolist(), ends.tolist(), usable.tolist(), strict=True)
        ]

    def _take_odd(
        self,
        data: bytes,
        place: _Place,
        key: bytes,
        origin: tuple[int, Symbols],
        found: Found,
        request: Request2,
        fields: FieldCount,
    ) -> None:
        number, table = origin
        reader = SeriesReader(data, table, self._options, fields)
        reader.read(place[0], place[1])
        try:
            labels = reader.labels()
            if key and not reader.is_typed:
                self._labels[key] = labels
                self._remembered_bytes += sum(
                    _SYMBOL_BYTES + len(value) // _LONG * _LONG for _, value in labels
                )
            reader.take(labels, number, found, request)
        except SeriesError as error:
            request.refuse(number, error)


def _top_fields(data: bytes, fields: FieldCount) -> tuple[list[bytes], list[_Place]]:
    """The symbols, and where each series and its places of symbols are. Symbols may stand behind series."""
    symbols: list[bytes] = []
    places: list[_Place] = []
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        if tag == _SERIES:
            start, position = block(data, position + 1, end)
            if start < position and data[start] == REFS_TAG:
                places.append((start, position, *block(data, start + 1, position)))
            else:
                places.append((start, position, start, start))
        elif tag == _SYMBOL:
            start, position = block(data, position + 1, end)
            symbols.append(data[start:position])
            if len(symbols) > SYMBOLS_MAX:
                raise WireError(f"more than {SYMBOLS_MAX} symbols in a request")
        else:
            tag, position = fields.tag(data, position)
            position = skip_unknown(data, position, end, tag, _REQUEST_FIELDS)
    return symbols, places


def _all_refs(data: bytes, places: list[_Place]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The packed varints of all series behind one another, and how many each series has; 0 where they are cut."""
    if not places:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    table = np.array(places, np.int64)
    starts, sizes = table[:, 2], table[:, 3] - table[:, 2]
    total = int(sizes.sum())
    firsts = np.cumsum(sizes) - sizes
    raw = np.frombuffer(data, np.uint8)[np.arange(total) + np.repeat(starts - firsts, sizes)]
    is_last = raw < 0x80
    # A run that ends within a number would go on in the next series: such a series is none of the usual ones.
    ends = np.concatenate(([0], np.cumsum(is_last)))
    counts = ends[firsts + sizes] - ends[firsts]
    whole = (
        (sizes == 0) | is_last[np.maximum(firsts + sizes - 1, 0)] if total else np.ones(len(sizes), np.bool_)
    )
    if not whole.all() or not total:
        return np.zeros(0, np.int64), np.zeros(len(places), np.int64)
    begins = np.concatenate(([0], np.flatnonzero(is_last)[:-1] + 1))
    shift = (np.arange(total) - np.repeat(begins, np.diff(np.concatenate((begins, [total]))))) * 7
    numbers = np.add.reduceat((raw & 0x7F).astype(np.int64) << np.minimum(shift, 56), begins)
    return numbers, counts


def _take_usual(data: bytes, place: _Place, labels: Labels, found: Found, request: Request2) -> bool:
    """Takes a series that has nothing but samples of one usual form behind its labels; whether it is one."""
    _, end, _, start = place
    size = end - start
    for width, head, runs in (
        (WHOLE, WHOLE_HEAD, found.samples.whole),
        (ZERO, ZERO_HEAD, found.samples.zero),
    ):
        if size and size % width == 0 and data.startswith(head, start):
            count = size // width
            if any(not data.startswith(head, start + width * at) for at in range(1, count)):
                return False
            runs.add(start, count, len(found.series))
            found.series.append(labels)
            request.samples += count
            return True
    return False
