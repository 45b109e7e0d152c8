"""One series of a remote write 2.0 request, field by field: of any form, with histograms, exemplars and metadata."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.model.labellimits import LabelLimit, check_texts
from trimon.model.labels import METRIC_NAME, Labels, format_label_set, labels_of
from trimon.model.rows import Metadata, SampleBatch
from trimon.records import dataclass
from trimon.remote.histograms import HistogramMessage
from trimon.remote.write_request import TYPES
from trimon.remote.write_samples import Samples, read_exemplar, read_sample
from trimon.wire import LENGTH, VARINT, FieldCount, WireError, block, skip, skip_unknown, varint

REFS_TAG: Final = 1 << 3 | LENGTH
_SAMPLE: Final = 2 << 3 | LENGTH
_HISTOGRAM: Final = 3 << 3 | LENGTH
_EXEMPLAR: Final = 4 << 3 | LENGTH
_METADATA: Final = 5 << 3 | LENGTH
_FIELDS: Final = {1: "LabelsRefs", 2: "Samples", 3: "Histograms", 4: "Exemplars", 5: "Metadata"}
REFS_MAX: Final = 4 * limits.LABELS_PER_SERIES_MAX
_TYPE: Final = "__type__"
_UNIT: Final = "__unit__"


class SeriesError(UserError):
    """What is wrong with one series, in Prometheus' words; its labels are written out when somebody asks for the text."""

    def __init__(self, message: str, labels: Labels | None = None, after: str = "") -> None:
        super().__init__(message)
        self._labels = labels
        self._after = after

    def __str__(self) -> str:
        shown = "" if self._labels is None else shown_series(self._labels)
        return f"{self.message}{shown}{self._after}"


@dataclass(slots=True)
class Options:
    """What features make of a request."""

    type_and_unit_labels: bool = False
    starts_as_zeros: bool = False
    """Whether a start timestamp puts a sample of 0 before the first one after it."""


@dataclass(slots=True)
class Request2:
    """A decoded request: the samples of all series that are as they should be, and what is wrong with the others."""

    batch: SampleBatch
    places: list[int] = field(default_factory=list)
    """The place in the request of each series of the batch, but of components of histograms."""
    samples: int = 0
    histograms: int = 0
    exemplars: list[tuple[Labels, Labels, float, int]] = field(default_factory=list)
    metadata: Metadata = field(default_factory=lambda: Metadata(()))
    errors: list[tuple[int, str]] = field(default_factory=list)
    """(place of the series in the request, text) each."""
    zeros: frozenset[tuple[Labels, int]] = frozenset()
    """Series and time of samples that start timestamps stand for: they are not counted, and fail nothing."""

    def refuse(self, number: int, error: SeriesError) -> None:
        """Notes what is wrong with a series; nobody reads the text of one after very many."""
        self.errors.append(
            (number, str(error) if len(self.errors) < limits.ERRORS_TOLD_MAX else error.message)
        )


class Symbols:
    """The symbols of one request, each decoded once, when somebody asks: a long one may stand in very many series."""

    def __init__(self, raw: list[bytes]) -> None:
        self._raw = raw
        self._texts: dict[int, str] = {}
        self.malformed: set[str] = set()
        """Those that were asked for and are not valid UTF-8."""

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, ref: int) -> str:
        text = self._texts.get(ref)
        if text is None:
            raw = self._raw[ref]
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                text = raw.decode("utf-8", "surrogateescape")
                self.malformed.add(text)
            self._texts[ref] = text
        return text


@dataclass(slots=True)
class Found:
    """What is gathered while a request is read."""

    series: list[Labels] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    zeros: set[tuple[Labels, int]] = field(default_factory=set)
    families: list[tuple[str, str, str, str]] = field(default_factory=list)


class SeriesReader:
    """One series field by field: of any form, with histograms, exemplars and metadata."""

    def __init__(self, data: bytes, table: Symbols, options: Options, fields: FieldCount) -> None:
        self._data = data
        self._table = table
        self._options = options
        self._fields = fields
        self._refs: list[int] = []
        self._samples: list[tuple[int, float, int]] = []
        self._histograms: list[HistogramMessage] = []
        self._exemplars: list[tuple[list[int], float, int]] = []
        self._metadata = (0, 0, 0)

    def read(self, position: int, end: int) -> None:
        """Takes the fields in. Raises WireError."""
        data, fields = self._data, self._fields
        while position < end:
            tag, position = fields.tag(data, position)
            if tag & 7 != LENGTH:
                if tag == 1 << 3 | VARINT:
                    ref, position = varint(data, position)
                    self._refs.append(ref)
                else:
                    position = skip_unknown(data, position, end, tag, _FIELDS)
                continue
            start, position = block(data, position, end)
            if tag == REFS_TAG:
                self._refs += _varints(data, start, position)
                if len(self._refs) > REFS_MAX:
                    raise WireError(f"more than {REFS_MAX} label references in a series")
            elif tag == _SAMPLE:
                self._samples.append(read_sample(data, start, position, fields))
            elif tag == _HISTOGRAM:
                message = HistogramMessage()
                message.read(data, start, position, fields)
                self._histograms.append(message)
            elif tag == _EXEMPLAR:
                self._exemplars.append(_exemplar(data, start, position, fields))
            elif tag == _METADATA:
                self._metadata = _metadata(data, start, position, fields)

    def take(self, labels: Labels, number: int, found: Found, request: Request2) -> None:
        """Adds what was read. Raises SeriesError where there is nothing to be stored."""
        if not self._samples and not self._histograms:
            raise SeriesError("TimeSeries must contain at least one sample or histogram for series ", labels)
        place = len(found.series)
        found.series.append(labels)
        request.places.append(number)
        self._take_samples(place, labels, found, request)
        for message in self._histograms:
            try:
                parts = message.histogram().kept().components()
            except UserError as error:
                request.refuse(number, SeriesError(f"{error} for series ", labels))
            else:
                found.samples.histograms.append((place, message.timestamp_ms, parts))
        for refs, value, time_ms in self._exemplars:
            try:
                pairs = self._pairs(refs)
            except SeriesError as error:
                request.refuse(number, SeriesError("parsing exemplar for series ", labels, f": {error}"))
            else:
                # Labels that are no text are left out, as in 1.0: nothing could show them.
                texts = [pair for pair in pairs if self._table.malformed.isdisjoint(pair)]
                request.exemplars.append((labels, labels_of(texts), value, time_ms))
        self._take_metadata(labels, found)

    def _take_samples(self, place: int, labels: Labels, found: Found, request: Request2) -> None:
        for time_ms, value, start_ms in self._samples:
            if self._options.starts_as_zeros and 0 < start_ms < time_ms:
                zero = (labels, start_ms)
                if zero not in found.zeros:
                    found.zeros.add(zero)
                    found.samples.odd.append((place, start_ms, 0.0))
                    request.samples += 1
            found.samples.odd.append((place, time_ms, value))
            request.samples += 1

    def _take_metadata(self, labels: Labels, found: Found) -> None:
        kind, help_ref, unit_ref = self._metadata
        symbols = self._table
        text = symbols[help_ref] if help_ref < len(symbols) else ""
        unit = symbols[unit_ref] if unit_ref < len(symbols) else ""
        if 0 < kind < len(TYPES) or text or unit:
            name = next(value for label, value in labels if label == METRIC_NAME)
            shown = TYPES[kind] if kind < len(TYPES) else TYPES[0]
            found.families.append((name, shown, _text(text), _text(unit)))

    @property
    def is_typed(self) -> bool:
        """Whether the metadata says something of the labels."""
        return self._options.type_and_unit_labels and any(self._metadata)

    def labels(self) -> Labels:
        """The labels of the series. Raises SeriesError."""
        pairs = self._pairs(self._refs)
        if self.is_typed:
            pairs = self._with_type_and_unit(pairs)
        return _checked(pairs, self._table.malformed)

    def _pairs(self, refs: Sequence[int]) -> list[tuple[str, str]]:
        symbols = self._table
        shown = " ".join(map(str, refs[:100]))
        if len(refs) % 2:
            raise SeriesError(f"parsing labels for series [{shown}]: invalid labelRefs length {len(refs)}")
        pairs = []
        for name, value in zip(refs[::2], refs[1::2], strict=True):
            if name >= len(symbols) or value >= len(symbols):
                raise SeriesError(
                    f"parsing labels for series [{shown}]: labelRefs {name} (name) = {value} (value) "
                    f"outside of symbols table (size {len(symbols)})"
                )
            pairs.append((symbols[name], symbols[value]))
        return pairs

    def _with_type_and_unit(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """What the metadata says replaces what the labels say."""
        kind, _, unit_ref = self._metadata
        symbols = self._table
        said = {
            _TYPE: TYPES[kind] if 0 < kind < len(TYPES) else "",
            _UNIT: symbols[unit_ref] if 0 < unit_ref < len(symbols) else "",
        }
        kept = [pair for pair in pairs if not said.get(pair[0])]
        return [*kept, *((name, value) for name, value in said.items() if value)]


def _text(symbol: str) -> str:
    """A symbol as text: bytes that are none are replaced."""
    return symbol.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def shown_series(labels: Labels) -> str:
    """Labels for people, cut where they are very long: they may be megabytes, and the same in thousands of series."""
    left, parts = limits.ERROR_CHARACTERS_MAX, []
    for name, value in labels:
        parts.append((_text(name[:left]), _text(value[:left])))
        left -= len(name) + len(value)
        if left <= 0:
            break
    return format_label_set(tuple(parts))


def _checked(pairs: list[tuple[str, str]], malformed: AbstractSet[str]) -> Labels:
    """The labels in order, without empty ones; `malformed` are texts that are none.

    Raises SeriesError for what Prometheus refuses, and beyond our limits.
    """
    ordered = sorted(pairs)
    kept = tuple(pair for pair in ordered if pair[1])
    names = [name for name, _ in kept]
    if (
        METRIC_NAME not in names
        or not all(names)
        or (malformed and any(name in malformed or value in malformed for name, value in kept))
    ):
        raise SeriesError("invalid metric name or labels, got ", kept)
    for before, after in itertools.pairwise(names):
        if before == after:
            raise SeriesError(
                f"invalid labels for series, labels {shown_series(kept)}, duplicated label {after}"
            )
    if len(kept) > limits.LABELS_PER_SERIES_MAX:
        raise SeriesError(
            f"more than {limits.LABELS_PER_SERIES_MAX} labels in series {shown_series(kept[:3])}"
        )
    try:
        check_texts(kept)
    except LabelLimit as error:
        raise SeriesError(error.message) from None
    return kept


def _varints(data: bytes, position: int, end: int) -> list[int]:
    found = []
    while position < end:
        value, position = varint(data, position)
        found.append(value & 0xFFFFFFFF)
    if position > end:
        raise WireError("unexpected EOF")
    return found


def _exemplar(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[list[int], float, int]:
    blocks, value, time_ms = read_exemplar(data, position, end, fields)
    refs = [ref for start, stop in blocks for ref in _varints(data, start, stop)]
    return refs, value, time_ms


def _metadata(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[int, int, int]:
    """Type, place of the help, place of the unit."""
    found = {1: 0, 3: 0, 4: 0}
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 == VARINT:
            raw, position = varint(data, position)
            if tag >> 3 in found:
                found[tag >> 3] = raw & 0xFFFFFFFF
        else:
            position = skip(data, position, end, tag & 7)
    return found[1], found[3], found[4]
