"""The small messages within a metric: labels, exemplars, spans, timestamps."""

from __future__ import annotations

from struct import Struct, error

from trimon.scrape.exposition.records import ExpositionError, LineExemplar
from trimon.wire import FIXED64, LENGTH, VARINT, WireError, block, signed, skip, varint

_double = Struct("<d").unpack_from


def expect_end(position: int, end: int) -> None:
    """What was read must end where its message ends."""
    if position > end:
        raise WireError("unexpected EOF")


def expect_wire(found: int, wanted: int) -> None:
    """Raises WireError for a field of another wire type than it has."""
    if found != wanted:
        raise WireError(f"proto: wrong wireType = {found}, expected {wanted}")


def read_tag(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Number and wire type of a field, and the position after its tag."""
    tag, position = varint(data, position)
    number, wire = tag >> 3, tag & 7
    if wire == 4:
        raise WireError("proto: wiretype end group for non-group")
    if not 0 < number < 1 << 29:
        raise WireError(f"proto: illegal tag {number} (wire type {wire})")
    if position > end:
        raise WireError("unexpected EOF")
    return number, wire, position


def read_double(data: bytes, position: int, end: int) -> float:
    """A double. Raises WireError when it does not end before `end`."""
    if position + 8 > end:
        raise WireError("unexpected EOF")
    try:
        value: float = _double(data, position)[0]
    except error:
        raise WireError("unexpected EOF") from None
    return value


def read_span(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Offset and length of a BucketSpan."""
    offset = length = 0
    position = start
    while position < end:
        number, wire, position = read_tag(data, position, end)
        if number in (1, 2):
            expect_wire(wire, VARINT)
            value, position = varint(data, position)
            value &= 0xFFFFFFFF
            if number == 1:
                offset = (value >> 1) ^ -(value & 1)
            else:
                length = value
        else:
            position = skip(data, position, end, wire)
    expect_end(position, end)
    return offset, length


def read_timestamp_ms(data: bytes, start: int, end: int) -> int:
    """Milliseconds of a google.protobuf.Timestamp."""
    seconds = nanos = 0
    position = start
    while position < end:
        number, wire, position = read_tag(data, position, end)
        if number in (1, 2):
            expect_wire(wire, VARINT)
            value, position = varint(data, position)
            if number == 1:
                seconds = signed(value)
            else:
                nanos = signed(value)
        else:
            position = skip(data, position, end, wire)
    expect_end(position, end)
    return seconds * 1000 + nanos // 1_000_000


def read_exemplar(data: bytes, start: int, end: int) -> LineExemplar:
    """An Exemplar; its labels are sorted."""
    pairs: list[tuple[str, str]] = []
    value, timestamp_ms, position = 0.0, None, start
    while position < end:
        number, wire, position = read_tag(data, position, end)
        if number in (1, 3):
            expect_wire(wire, LENGTH)
            inner, position = block(data, position, end)
            if number == 1:
                pairs.append(_pair_of(data, inner, position))
            else:
                timestamp_ms = read_timestamp_ms(data, inner, position)
        elif number == 2:
            expect_wire(wire, FIXED64)
            value = read_double(data, position, end)
            position += 8
        else:
            position = skip(data, position, end, wire)
    expect_end(position, end)
    return LineExemplar(tuple(sorted(pairs)), value, timestamp_ms)


def _pair_of(data: bytes, start: int, end: int) -> tuple[str, str]:
    """A LabelPair; bytes that are not UTF-8 are lone surrogates."""
    name = value = b""
    position = start
    while position < end:
        number, wire, position = read_tag(data, position, end)
        if number in (1, 2):
            expect_wire(wire, LENGTH)
            inner, position = block(data, position, end)
            if number == 1:
                name = data[inner:position]
            else:
                value = data[inner:position]
        else:
            position = skip(data, position, end, wire)
    expect_end(position, end)
    return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")


def read_pair(data: bytes, start: int, end: int) -> tuple[str, str]:
    """A LabelPair. Raises ExpositionError for one that is not UTF-8, or has no name."""
    plain = _plain_pair(data, start, end)
    if plain is not None:
        return plain
    name, value = _pair_of(data, start, end)
    for what, text in (("name", name), ("value", value)):
        if not _is_utf8(text) or (what == "name" and not text):
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise ExpositionError(f"invalid label {what}: {shown}")
    return name, value


def _plain_pair(data: bytes, start: int, end: int) -> tuple[str, str] | None:
    """A LabelPair of a name and a value, in this order, each shorter than 128 bytes; None for what is not that plain."""
    if end - start < 5 or data[start] != 0x0A:
        return None
    middle = start + 2 + data[start + 1]
    if (
        middle == start + 2
        or middle + 2 > end
        or data[middle] != 0x12
        or middle + 2 + data[middle + 1] != end
        or data[start + 1] >= 0x80
        or data[middle + 1] >= 0x80
    ):
        return None
    try:
        return data[start + 2 : middle].decode(), data[middle + 2 : end].decode()
    except UnicodeDecodeError:
        return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
