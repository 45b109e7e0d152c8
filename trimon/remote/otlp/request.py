"""Reading a request: from the bytes of an ExportMetricsServiceRequest to a batch of samples.

    ExportMetricsServiceRequest   1 ResourceMetrics …
    ResourceMetrics               1 Resource {1 attribute …}   2 ScopeMetrics …
    ScopeMetrics                  1 Scope {1 name  2 version  3 attribute …}   2 Metric …   3 schema URL
    Metric                        1 name  2 description  3 unit  5 gauge  7 sum  9 histogram  10 exponential  11 summary
    Gauge, Sum, Histogram, …      1 data point …   2 temporality   3 monotonic

What a resource, a scope and a metric say are the same bytes in every request, and so are the attributes of a data point:
what was made of them is found by these bytes. Of a data point that was seen before only time and value are read, by numpy,
all at once.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final, TypeAlias

from trimon.errors import UserError
from trimon.model.labellimits import LabelLimit
from trimon.model.labels import Labels
from trimon.model.rows import Metadata, SampleBatch
from trimon.records import dataclass
from trimon.remote.otlp.deltas import DeltaSums
from trimon.remote.otlp.gathering import Gathered
from trimon.remote.otlp.metric import CUMULATIVE, Kind, MetricContext, MetricHead
from trimon.remote.otlp.names import Namer
from trimon.remote.otlp.reading import Places, PointReader, Starts
from trimon.remote.otlp.series import Options, Resource, Scope
from trimon.remote.otlp.values import Attributes, attribute, text_of
from trimon.wire import LENGTH, VARINT, FieldCount, WireError, block, skip, varint

# Fields that are read one by one: more than the largest request of a sender has, and still a matter of seconds.
FIELDS_MAX: Final = 4_000_000
# Of all that is remembered, a million usual series; beyond it the memory starts over.
REMEMBERED_BYTES_MAX: Final = 256 * 2**20
# Of what is wrong with a request so much is told.
ERRORS_MAX: Final = 100
# How most sums end: cumulative, monotonic.
_USUAL_TAIL: Final = b"\x10\x02\x18\x01"
# A data point of fewer bytes is none of the usual ones: it counts as a field.
_USUAL_BYTES_MIN: Final = 18
_CONTEXT_BYTES: Final = 1500
_KINDS: Final = {kind << 3 | LENGTH: kind for kind in Kind if kind}
_HEAD_TAGS: Final = frozenset((1 << 3 | LENGTH, 2 << 3 | LENGTH, 3 << 3 | LENGTH))
# Bytes of name, description and unit; the tag of the data, 0 where there is none; temporality; whether it is monotonic.
_MetricKey: TypeAlias = tuple[bytes, int, int, bool]
_FIRST: Final = 1 << 3 | LENGTH
_SECOND: Final = 2 << 3 | LENGTH
_THIRD: Final = 3 << 3 | LENGTH


class TranslationError(UserError):
    """A request that is understood, and of which something cannot be stored as series: nothing of it is."""

    def __init__(self, errors: list[UserError]) -> None:
        shown = [str(error) for error in errors[:ERRORS_MAX]]
        if len(errors) > len(shown):
            shown.append(f"and {len(errors) - len(shown)} more")
        super().__init__("\n".join(shown))
        self.is_limit = all(isinstance(error, LabelLimit) for error in errors)
        """Whether all of it is beyond a limit of this server."""


@dataclass(slots=True)
class OtlpRequest:
    """A decoded request."""

    batch: SampleBatch
    without_zeros: SampleBatch | None
    """The batch without samples of 0 at starts; None where it has none."""
    metadata: Metadata
    exemplars: list[tuple[Labels, Labels, float, int]]
    left_out: int
    """Data points that are left out, each by itself."""
    left_out_reason: str
    empty: int
    """Metrics without a data point."""
    points: list[tuple[int, int]] = field(default_factory=list)
    """First series and number of series of each data point that has several."""
    own_series: int = 0
    """How many of the first series of the batch are of data points."""


@dataclass(slots=True)
class _ScopeContext:
    scope: Scope
    metrics: dict[_MetricKey, MetricContext] = field(default_factory=dict)


@dataclass(slots=True)
class _ResourceContext:
    resource: Resource
    scopes: dict[tuple[bytes, bytes], _ScopeContext] = field(default_factory=dict)


class OtlpDecoder:
    """Decodes requests and remembers what was made of their parts, for one configuration.

    Several threads may decode at once, as what they share are single operations of dicts; but not where `is_stateful`: there
    each request is ended by `commit` or `forget` before the next.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.deltas = DeltaSums()
        self.starts = Starts()
        self._namer = Namer.of(options.config)
        self._resources: dict[bytes, _ResourceContext] = {}
        self._told: set[tuple[str, str, str, str]] = set()
        self._remembered_bytes = 0

    @property
    def is_stateful(self) -> bool:
        """Whether what a request means depends on those before."""
        return self.options.deltas_summed or self.options.starts_as_zeros

    def commit(self, now_s: float) -> None:
        """The last request is stored."""
        self.deltas.commit(now_s)
        self.starts.commit()

    def forget(self) -> None:
        """The last request is not stored."""
        self.deltas.forget()
        self.starts.forget()

    def decode(self, data: bytes, fields_max: int = FIELDS_MAX) -> OtlpRequest:
        """The samples of a request; nothing is half decoded.

        Raises WireError, TooManyFields for bytes that are none, TranslationError.
        """
        if self._remembered_bytes > REMEMBERED_BYTES_MAX:
            self._resources, self._told, self._remembered_bytes = {}, set(), 0
        try:
            return _Reading(self, data, fields_max).read()
        except UserError:
            self.forget()
            raise

    def resource(self, raw: bytes, fields: FieldCount) -> _ResourceContext:
        """What was made of a resource. Raises WireError, UserError."""
        context = self._resources.get(raw)
        if context is None:
            attributes = _attributes(raw, _FIRST, fields)
            context = _ResourceContext(Resource(attributes, self.options, self._namer))
            self._resources[raw] = context
            self._remembered_bytes += len(raw) + _CONTEXT_BYTES
        return context

    def scope(
        self, resource: _ResourceContext, raw: bytes, schema_url: bytes, fields: FieldCount
    ) -> _ScopeContext:
        """What was made of a scope. Raises WireError, UserError."""
        context = resource.scopes.get((raw, schema_url))
        if context is None:
            name = version = ""
            position, end = 0, len(raw)
            while position < end:
                tag, position = fields.tag(raw, position)
                if tag in (_FIRST, _SECOND):
                    start, position = block(raw, position, end)
                    text = text_of(raw, start, position)
                    name, version = (text, version) if tag == _FIRST else (name, text)
                else:
                    position = skip(raw, position, end, tag & 7)
            url = text_of(schema_url, 0, len(schema_url))
            attributes = _attributes(raw, _THIRD, fields)
            scope = Scope.of(name, version, url, attributes, self.options, self._namer)
            context = resource.scopes[raw, schema_url] = _ScopeContext(scope)
            self._remembered_bytes += len(raw) + len(schema_url) + _CONTEXT_BYTES
        return context

    def metric(
        self,
        resource: _ResourceContext,
        scope: _ScopeContext,
        key: _MetricKey,
        fields: FieldCount,
    ) -> MetricContext:
        """What is made of a metric that was not seen before. Raises WireError, UserError."""
        raw, tag, temporality, is_monotonic = key
        texts = ["", "", ""]
        position, end = 0, len(raw)
        while position < end:
            field_tag, position = fields.tag(raw, position)
            start, position = block(raw, position, end)
            texts[(field_tag >> 3) - 1] = text_of(raw, start, position)
        name, description, unit = texts
        kind = _KINDS.get(tag, Kind.EMPTY)
        head = MetricHead(name, description, unit, kind, temporality, is_monotonic)
        context = MetricContext(head, resource.resource, scope.scope, self.options, self._namer)
        scope.metrics[key] = context
        self._remembered_bytes += len(raw) + _CONTEXT_BYTES
        return context

    def remember(self, context: MetricContext) -> bool:
        """Counts what a metric remembers; whether its family was not told before."""
        self._remembered_bytes += context.remembered_bytes
        context.remembered_bytes = 0
        if context.family in self._told:
            return False
        self._told.add(context.family)
        return True


def _attributes(raw: bytes, field_tag: int, fields: FieldCount) -> Attributes:
    found: Attributes = []
    position, end = 0, len(raw)
    while position < end:
        tag, position = fields.tag(raw, position)
        if tag == field_tag:
            start, position = block(raw, position, end)
            found.append(attribute(raw, start, position, fields))
        else:
            position = skip(raw, position, end, tag & 7)
    return found


class _Reading:
    """One request while it is read."""

    def __init__(self, decoder: OtlpDecoder, data: bytes, fields_max: int) -> None:
        self._decoder = decoder
        self._data = data
        self._fields = FieldCount(fields_max)
        self._gathered = Gathered()
        self._resources: list[Resource] = []
        self._points = PointReader(
            data, self._gathered, decoder.options, decoder.deltas, decoder.starts, self._fields
        )

    def read(self) -> OtlpRequest:
        data, fields = self._data, self._fields
        position, end = 0, len(data)
        while position < end:
            tag, position = fields.tag(data, position)
            if tag == _FIRST:
                start, position = block(data, position, end)
                self._resource_metrics(start, position)
            else:
                position = skip(data, position, end, tag & 7)
        gathered, lookback_ms = self._gathered, self._decoder.options.lookback_ms
        if gathered.errors:
            raise TranslationError(gathered.errors)
        own_series = len(gathered.series)
        resources = self._resources
        try:
            batch, plain = gathered.batches(data, resources, lookback_ms)
        except UserError as error:
            raise TranslationError([error]) from None
        return OtlpRequest(
            batch,
            plain,
            Metadata(tuple(gathered.families)),
            gathered.exemplars,
            gathered.left_out,
            gathered.left_out_reason,
            gathered.empty,
            gathered.points,
            own_series,
        )

    def _resource_metrics(self, position: int, end: int) -> None:
        data, fields = self._data, self._fields
        raw = b""
        scopes: list[tuple[int, int]] = []
        while position < end:
            tag, position = fields.tag(data, position)
            if tag in (_FIRST, _SECOND):
                start, position = block(data, position, end)
                if tag == _FIRST:
                    raw += data[start:position]
                else:
                    scopes.append((start, position))
            else:
                position = skip(data, position, end, tag & 7)
        if not scopes:
            return
        try:
            context = self._decoder.resource(raw, fields)
        except WireError:
            raise
        except UserError as error:
            self._gathered.errors.append(error)
            return
        self._resources.append(context.resource)
        for place in scopes:
            self._scope_metrics(context, *place)

    def _scope_metrics(self, resource: _ResourceContext, position: int, end: int) -> None:
        data, fields = self._data, self._fields
        raw = schema_url = b""
        metrics: list[tuple[int, int]] = []
        while position < end:
            tag, position = fields.tag(data, position)
            if tag & 7 != LENGTH or tag > _THIRD:
                position = skip(data, position, end, tag & 7)
                continue
            start, position = block(data, position, end)
            if tag == _SECOND:
                metrics.append((start, position))
            elif tag == _FIRST:
                raw += data[start:position]
            else:
                schema_url = data[start:position]
        try:
            scope = self._decoder.scope(resource, raw, schema_url, fields)
        except WireError:
            raise
        except UserError as error:
            self._gathered.errors.append(error)
            return
        for place in metrics:
            self._metric(resource, scope, *place)

    def _metric(self, resource: _ResourceContext, scope: _ScopeContext, position: int, end: int) -> None:
        head, kind, body, body_end = self._usual_metric(position, end) or self._any_metric(position, end)
        places, temporality, is_monotonic = self._data_points(body, body_end)
        gathered = self._gathered
        key = (head, kind, temporality, is_monotonic)
        try:
            context = scope.metrics.get(key)
            if context is None:
                context = self._decoder.metric(resource, scope, key, self._fields)
            if not places:
                gathered.empty += 1
                return
            self._points.read(context, places, len(self._resources) - 1)
        except WireError:
            raise
        except UserError as error:
            gathered.errors.append(error)
            return
        if context.remembered_bytes and self._decoder.remember(context) and context.name:
            gathered.families.append(context.family)

    def _usual_metric(self, position: int, end: int) -> tuple[bytes, int, int, int] | None:
        """Head, tag of the data, its begin and end, where the head comes first and nothing behind the data."""
        data = self._data
        at, last = position, end - 4  # so many bytes are there for what is looked at
        while at < last and data[at] in _HEAD_TAGS:
            size = data[at + 1]
            if size < 0x80:
                at += 2 + size
            elif data[at + 2] < 0x80:
                at += 3 + (size & 0x7F | data[at + 2] << 7)
            else:
                return None
        if at >= last or data[at] not in _KINDS:
            return None
        start, stop = block(data, at + 1, end)
        return (data[position:at], data[at], start, stop) if stop == end else None

    def _any_metric(self, position: int, end: int) -> tuple[bytes, int, int, int]:
        data, fields = self._data, self._fields
        head = b""
        kind = body = body_end = 0
        while position < end:
            before = position
            tag, position = fields.tag(data, position)
            if tag & 7 != LENGTH:
                position = skip(data, position, end, tag & 7)
                continue
            start, position = block(data, position, end)
            if tag <= _THIRD:
                head += data[before:position]
            elif tag in _KINDS:  # of several the last counts
                kind, body, body_end = tag, start, position
        return head, kind, body, body_end

    def _data_points(self, position: int, end: int) -> tuple[Places, int, bool]:
        """Where the data points of a metric are; its temporality, and whether it is monotonic."""
        data, fields = self._data, self._fields
        places: Places = []
        temporality, is_monotonic = 0, False
        last = end - 3  # so many bytes are there for what is looked at
        while position < last and data[position] == _FIRST:
            size, start = data[position + 1], position + 2
            if size >= 0x80:
                if data[start] >= 0x80:
                    break
                size, start = size & 0x7F | data[start] << 7, start + 1
            stop = start + size
            if size < _USUAL_BYTES_MIN or stop > end:
                break
            places.append((start, stop))
            position = stop
        while position < end:
            if data[position] == _FIRST:
                start, stop = block(data, position + 1, end)
                if stop - start < _USUAL_BYTES_MIN:
                    fields.tag(data, position)
                places.append((start, stop))
                position = stop
                continue
            if data.startswith(_USUAL_TAIL, position) and position + len(_USUAL_TAIL) == end:
                return places, CUMULATIVE, True
            tag, position = fields.tag(data, position)
            if tag & 7 == VARINT:
                value, position = varint(data, position)
                if tag == 2 << 3 | VARINT:
                    temporality = value & 0xFFFFFFFF
                elif tag == 3 << 3 | VARINT:
                    is_monotonic = value != 0
            else:
                position = skip(data, position, end, tag & 7)
        if position > end:
            raise WireError("unexpected EOF")
        return places, temporality, is_monotonic
