"""Remote read: from the bytes of a ReadRequest to what is asked for."""

from __future__ import annotations

from typing import Final

from trimon.errors import UserError
from trimon.model.matcher import Matcher, MatchType
from trimon.records import dataclass
from trimon.wire import LENGTH, VARINT, FieldCount, WireError, block, signed, skip, varint

# Kinds of answers that may be asked for.
SAMPLES: Final = 0
STREAMED_CHUNKS: Final = 1

FIELDS_MAX: Final = 100_000
# Times are cut to this: no sample lies beyond, and what is added to one is still a 64-bit number. The least and the greatest
# time there are mean "everything".
_FAR_MS: Final = 2**62
_TYPES: Final = (MatchType.EQUAL, MatchType.NOT_EQUAL, MatchType.REGEXP, MatchType.NOT_REGEXP)


class UnsupportedAnswerError(UserError):
    """None of the kinds of answers that are asked for is given."""


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """One query: a closed interval, and (type, name, value) of each matcher."""

    start_ms: int = 0
    end_ms: int = 0
    conditions: tuple[tuple[int, str, str], ...] = ()
    is_for_series: bool = False
    """Whether the hints say that nobody wants the samples."""

    def matchers(self, external: dict[str, str]) -> tuple[Matcher, ...]:
        """The matchers for what is stored, which lacks the external labels.

        Raises UserError for a type that is none, or a regular expression that is wrong.
        """
        found: list[Matcher] = []
        for kind, name, value in self.conditions:
            if kind >= len(_TYPES):
                raise UserError("invalid matcher type")
            equal = _TYPES[kind] is MatchType.EQUAL
            here = "" if equal and external.get(name, "") == value else value
            found.append(Matcher(name, _TYPES[kind], here))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A decoded request."""

    queries: tuple[ReadQuery, ...]
    accepted: tuple[int, ...]

    def answer_kind(self) -> int:
        """The first kind that is supported. Raises UnsupportedAnswerError."""
        if not self.accepted:
            return SAMPLES
        for kind in self.accepted:
            if kind in (SAMPLES, STREAMED_CHUNKS):
                return kind
        names = {SAMPLES: "SAMPLES", STREAMED_CHUNKS: "STREAMED_XOR_CHUNKS"}
        asked = " ".join(names.get(kind, str(kind)) for kind in self.accepted)
        raise UnsupportedAnswerError(
            f"server does not support any of the requested response types: [{asked}]; "
            "supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]"
        )


def decode_read_request(data: bytes) -> ReadRequest:
    """A request from its bytes. Raises WireError."""
    fields = FieldCount(FIELDS_MAX)
    queries: list[ReadQuery] = []
    accepted: list[int] = []
    position, end = 0, len(data)
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 1 << 3 | LENGTH:
            start, position = block(data, position, end)
            queries.append(_query(data, start, position, fields))
        elif tag == 2 << 3 | VARINT:
            kind, position = varint(data, position)
            accepted.append(kind)
        elif tag == 2 << 3 | LENGTH:
            start, position = block(data, position, end)
            while start < position:
                kind, start = varint(data, start)
                accepted.append(kind)
            if start > position:
                raise WireError("unexpected EOF")
        else:
            position = skip(data, position, end, tag & 7)
    return ReadRequest(tuple(queries), tuple(accepted))


def _query(data: bytes, position: int, end: int, fields: FieldCount) -> ReadQuery:
    times = {1: 0, 2: 0}
    conditions: list[tuple[int, str, str]] = []
    is_for_series = False
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 == VARINT and tag >> 3 in times:
            raw, position = varint(data, position)
            times[tag >> 3] = max(-_FAR_MS, min(signed(raw), _FAR_MS))
        elif tag == 3 << 3 | LENGTH:
            start, position = block(data, position, end)
            conditions.append(_condition(data, start, position, fields))
        elif tag == 4 << 3 | LENGTH:
            start, position = block(data, position, end)
            is_for_series = _function(data, start, position, fields) == b"series"
        else:
            position = skip(data, position, end, tag & 7)
    return ReadQuery(times[1], times[2], tuple(conditions), is_for_series)


def _function(data: bytes, position: int, end: int, fields: FieldCount) -> bytes:
    """What hints say the samples are for."""
    found = b""
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 2 << 3 | LENGTH:
            start, position = block(data, position, end)
            found = data[start:position]
        else:
            position = skip(data, position, end, tag & 7)
    return found


def _condition(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[int, str, str]:
    kind = 0
    texts = {2: b"", 3: b""}
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 1 << 3 | VARINT:
            kind, position = varint(data, position)
        elif tag & 7 == LENGTH and tag >> 3 in texts:
            start, position = block(data, position, end)
            texts[tag >> 3] = data[start:position]
        else:
            position = skip(data, position, end, tag & 7)
    try:
        return kind, texts[2].decode(), texts[3].decode()
    except UnicodeDecodeError:
        raise WireError("a matcher is not valid UTF-8") from None
