"""Spans as an `ExportTraceServiceRequest`. Source: opentelemetry-proto, trace/v1/trace.proto and its service."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Final

from trimon import PROMETHEUS_VERSION, __version__
from trimon.redaction import redacted
from trimon.tracing.span import Attribute, Span
from trimon.wire import put_block, put_double, put_fixed64, put_number

SERVICE_NAME: Final = "prometheus"
"""As Prometheus calls itself, so that dashboards go on working."""
_STATUS_ERROR: Final = 2
ATTRIBUTE_CHARACTERS_MAX: Final = 4096


def export_request(spans: Iterable[Span]) -> bytes:
    """One request with all spans. In a thread where there are many: 5 µs a span."""
    scope = put_block(1, b"trimon") + put_block(2, __version__.encode())
    scoped = put_block(1, scope) + b"".join(put_block(2, _span(span)) for span in spans)
    return put_block(1, put_block(1, _RESOURCE) + put_block(2, scoped))


def _span(span: Span) -> bytes:
    parts = [put_block(1, span.context.trace_id), put_block(2, span.context.span_id)]
    if span.parent_id:
        parts.append(put_block(4, span.parent_id))
    parts += [
        put_block(5, span.name.encode()),
        put_number(6, span.kind),
        put_fixed64(7, span.start_ns),
        put_fixed64(8, span.end_ns),
        _attributes(9, span.attributes),
    ]
    if span.error:
        parts.append(
            put_block(15, put_block(2, span.error.encode("utf-8", "replace")) + put_number(3, _STATUS_ERROR))
        )
    return b"".join(parts)


def _attributes(number: int, attributes: Mapping[str, Attribute]) -> bytes:
    pairs = (put_block(1, name.encode()) + put_block(2, _value(value)) for name, value in attributes.items())
    return b"".join(put_block(number, pair) for pair in pairs)


def _value(value: Attribute) -> bytes:
    if isinstance(value, bool):
        return put_number(2, int(value))
    if isinstance(value, int):
        return put_number(3, value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, float):
        return put_double(4, value)
    return put_block(1, redacted(value[:ATTRIBUTE_CHARACTERS_MAX]).encode("utf-8", "replace"))


_RESOURCE: Final = _attributes(
    1,
    {
        "service.name": SERVICE_NAME,
        "service.version": PROMETHEUS_VERSION,
        "process.runtime.name": "cpython",
        "process.runtime.version": platform.python_version(),
        "telemetry.sdk.name": "trimon",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
    },
)
