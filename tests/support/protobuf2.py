"""A small encoder of remote write 2.0, independent of the decoder under test."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support.protobuf import field, sample, varint


class SymbolTable:
    """The symbols of a request, in order of first use."""

    def __init__(self) -> None:
        self._places = {"": 0}

    def __getitem__(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def fields(self) -> bytes:
        return b"".join(field(4, text.encode("utf-8", "surrogateescape")) for text in self._places)


def refs(table: SymbolTable, pairs: Iterable[tuple[str, str]]) -> bytes:
    """Packed places of labels, as a field of a TimeSeries or Exemplar."""
    places = [table[text] for pair in pairs for text in pair]
    return field(1, b"".join(map(varint, places)))


def series(
    table: SymbolTable,
    pairs: Iterable[tuple[str, str]],
    samples: Iterable[tuple[int, float]],
    extra: bytes = b"",
) -> bytes:
    """A TimeSeries as a field of a Request."""
    body = refs(table, pairs) + b"".join(field(2, sample(time, value)) for time, value in samples)
    return field(5, body + extra)


def exemplar(table: SymbolTable, pairs: Mapping[str, str], value: float, time_ms: int) -> bytes:
    """An Exemplar as a field of a TimeSeries."""
    return field(
        4, refs(table, pairs.items()) + b"\x11" + struct.pack("<d", value) + b"\x18" + varint(time_ms)
    )


def metadata(table: SymbolTable, kind: int, text: str, unit: str) -> bytes:
    """The Metadata of a TimeSeries."""
    return field(5, b"\x08" + varint(kind) + b"\x18" + varint(table[text]) + b"\x20" + varint(table[unit]))


def request(series_fields: Sequence[bytes], table: SymbolTable, *, symbols_last: bool = False) -> bytes:
    """A whole request; a sender may write the symbols behind the series."""
    body = b"".join(series_fields)
    return body + table.fields if symbols_last else table.fields + body


def request_of(content: Mapping[Any, Sequence[tuple[int, float]]]) -> bytes:
    """A request of label sets and their samples."""
    table = SymbolTable()
    made = [series(table, pairs, samples) for pairs, samples in content.items()]
    return request(made, table)
