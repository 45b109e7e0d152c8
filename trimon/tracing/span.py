"""A span, and the context that travels in the header `traceparent`. Source: W3C Trace Context, level 1."""

from __future__ import annotations

import re
from dataclasses import field
from enum import IntEnum
from typing import Final, TypeAlias

from trimon.records import dataclass

Attribute: TypeAlias = str | bool | int | float

TRACEPARENT: Final = "Traceparent"
_SAMPLED: Final = 1
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class SpanKind(IntEnum):
    """Which side of a request a span is of; the values are OTLP's."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Which trace and which span: 16 and 8 bytes, neither all zeros."""

    trace_id: bytes
    span_id: bytes
    sampled: bool = True

    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{int(self.sampled):02x}"


@dataclass(slots=True)
class Span:
    """Something that takes time; times in ns since the epoch. One that is not sampled is never sent."""

    name: str
    context: SpanContext
    parent_id: bytes
    """Empty for the first of a trace."""
    kind: SpanKind
    start_ns: int
    end_ns: int = 0
    error: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def set(self, name: str, value: Attribute) -> None:
        """An attribute more."""
        self.attributes[name] = value


def context_of(header: str) -> SpanContext | None:
    """What a header `traceparent` says; None for one that says nothing, or nothing that can be."""
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = bytes.fromhex(found[2]), bytes.fromhex(found[3])
    if not any(trace_id) or not any(span_id):
        return None
    return SpanContext(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED))
