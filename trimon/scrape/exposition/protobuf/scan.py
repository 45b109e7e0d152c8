"""Where the families of a body and their metrics are: lengths and tags only."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from trimon.records import dataclass
from trimon.scrape.exposition.protobuf.parts import expect_wire, read_tag
from trimon.scrape.exposition.records import ExpositionError
from trimon.wire import LENGTH, VARINT, WireError, block, skip, varint

_LENGTH_BYTES_MAX: Final = 5
_METRIC: Final = 0x22


@dataclass(slots=True)
class Family:
    """A family's own fields, the bytes of which they are made, and where its metrics begin and end."""

    name: bytes = b""
    help: bytes = b""
    type: int = 0
    unit: bytes = b""
    head: bytes = b""
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def next_family(body: bytes, position: int) -> tuple[Family, int]:
    """The family at a position, and where it ends. Raises ExpositionError and WireError."""
    try:
        size, start = varint(body, position)
    except WireError:
        size, start = 0, position + _LENGTH_BYTES_MAX + 1
    if start - position > _LENGTH_BYTES_MAX:
        raise ExpositionError("clientpb: the length of a metric family is no number of 32 bits")
    if start + size > len(body):
        raise ExpositionError(
            f"clientpb: insufficient length of buffer, expected at least {start - position + size} bytes, "
            f"got {len(body) - position} bytes"
        )
    return read_family(body, start, start + size), start + size


def read_family(body: bytes, position: int, end: int) -> Family:
    """The family between two positions. Raises WireError."""
    family = Family()
    starts, ends = family.starts, family.ends
    head = b""
    while position < end:
        if body[position] == _METRIC:
            start = position + 2
            if start <= end and body[position + 1] < 0x80:
                position = start + body[position + 1]
                if position > end:
                    raise WireError("unexpected EOF")
            else:
                start, position = block(body, position + 1, end)
            starts.append(start)
            ends.append(position)
            continue
        begin = position
        position = _own_field(family, body, position, end)
        head += body[begin:position]
    family.head = head
    return family


def _own_field(family: Family, body: bytes, position: int, end: int) -> int:
    number, wire, position = read_tag(body, position, end)
    if number in (1, 2, 5):
        expect_wire(wire, LENGTH)
        start, position = block(body, position, end)
        text = body[start:position]
        if number == 1:
            family.name = text
        elif number == 2:
            family.help = text
        else:
            family.unit = text
        return position
    if number in (3, 4):
        expect_wire(wire, VARINT if number == 3 else LENGTH)
        family.type, position = varint(body, position)
    else:
        position = skip(body, position, end, wire)
    if position > end:
        raise WireError("unexpected EOF")
    return position
