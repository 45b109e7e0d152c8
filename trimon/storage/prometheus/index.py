"""The index file of a Prometheus block: symbols, series, and which chunks each series has."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass
from trimon.storage.head.arena import Int64s, ragged_positions
from trimon.storage.prometheus.crc import crc32c, crc32c_many
from trimon.storage.prometheus.varint import FormatError, read_all, read_at, uvarint_at, zigzag_decoded

MAGIC: Final = 0xBAAAD700
VERSION: Final = 2
SERIES_ALIGN: Final = 16
TOC: Final = struct.Struct(">6QI")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PrometheusIndex:
    """All series of a block in its own order.

    Series `s`, known to others as `refs[s]`, has the pairs `pairs[pair_offsets[s]:pair_offsets[s + 1]]` (numbers
    of symbols, name and value) and
    the chunks `chunk_offsets[s]:chunk_offsets[s + 1]` with times `chunk_min`, `chunk_max` and `chunk_ref`.
    """

    refs: Int64s
    symbols: list[str]
    pairs: npt.NDArray[np.int64]
    pair_offsets: Int64s
    chunk_offsets: Int64s
    chunk_min: Int64s
    chunk_max: Int64s
    chunk_ref: Int64s

    @property
    def series(self) -> int:
        """Number of series."""
        return len(self.pair_offsets) - 1


def read_index(data: memoryview, path: Path) -> PrometheusIndex:
    """Read and check an index file. Raises FormatError."""
    if len(data) < 5 + TOC.size or int.from_bytes(data[:4], "big") != MAGIC:
        raise FormatError(f"{path}: no index file")
    if data[4] != VERSION:
        raise FormatError(f"{path}: index version {data[4]}, known is {VERSION}")
    *sections, checksum = TOC.unpack(data[-TOC.size :])
    if crc32c(data[-TOC.size : -4]) != checksum:
        raise FormatError(f"{path}: the table of contents does not pass its checksum")
    symbols = _symbols(_section(data, sections[0], path, "symbols"))
    offsets = _series_offsets(data, _section(data, sections[5], path, "postings offsets"), path)
    return _series(data, offsets, symbols, path)


def _section(data: memoryview, offset: int, path: Path, what: str) -> memoryview:
    """The content of a section with a length before and a checksum behind."""
    length = int.from_bytes(data[offset : offset + 4], "big")
    content = data[offset + 4 : offset + 4 + length]
    stored = data[offset + 4 + length : offset + 8 + length]
    if len(stored) < 4 or crc32c(content) != int.from_bytes(stored, "big"):
        raise FormatError(f"{path}: section {what} does not pass its checksum")
    return content


def _symbols(content: memoryview) -> list[str]:
    count = int.from_bytes(content[:4], "big")
    offset = 4
    symbols: list[str] = []
    for _ in range(count):
        length, offset = uvarint_at(content, offset)
        symbols.append(bytes(content[offset : offset + length]).decode("utf-8", "replace"))
        offset += length
    return symbols


def _series_offsets(data: memoryview, table: memoryview, path: Path) -> Int64s:
    """Where every series entry begins: the posting list of the empty pair."""
    count = int.from_bytes(table[:4], "big")
    offset = 4
    for _ in range(count):
        offset += 1
        name_length, offset = uvarint_at(table, offset)
        offset += name_length
        value_length, offset = uvarint_at(table, offset)
        offset += value_length
        at, offset = uvarint_at(table, offset)
        if name_length == 0 and value_length == 0:
            listed = np.frombuffer(_section(data, at, path, "all postings"), ">u4", offset=4)
            return listed.astype(np.int64) * SERIES_ALIGN
    return np.zeros(0, np.int64)


def _series(data: memoryview, offsets: Int64s, symbols: list[str], path: Path) -> PrometheusIndex:
    raw = np.frombuffer(data, np.uint8)
    lengths_found, begins = read_at(raw, offsets)
    lengths = lengths_found.astype(np.int64)
    ends = begins + lengths
    if len(ends) and int(ends.max()) + 4 > len(raw):
        raise FormatError(f"{path}: a series runs past the end")
    stored = np.zeros(len(ends), np.uint32)
    for place in range(4):
        stored = stored << np.uint32(8) | raw[ends + place]
    if (crc32c_many(raw, begins, lengths) != stored).any():
        raise FormatError(f"{path}: a series does not pass its checksum")
    numbers, number_ends = read_all(raw[ragged_positions(begins, lengths)])
    firsts = np.searchsorted(number_ends, np.cumsum(lengths) - lengths, side="right")
    label_counts = numbers[firsts].astype(np.int64)
    pair_numbers = numbers[ragged_positions(firsts + 1, 2 * label_counts)].astype(np.int64).reshape(-1, 2)
    if len(pair_numbers) and int(pair_numbers.max()) >= len(symbols):
        raise FormatError(f"{path}: a series has a label that is not among the symbols")
    chunk_at = firsts + 1 + 2 * label_counts
    chunk_counts = numbers[chunk_at].astype(np.int64)
    fields = numbers[ragged_positions(chunk_at + 1, 3 * chunk_counts)].reshape(-1, 3)
    chunk_offsets = np.concatenate(([0], np.cumsum(chunk_counts)))
    return PrometheusIndex(
        offsets // SERIES_ALIGN,
        symbols,
        pair_numbers,
        np.concatenate(([0], np.cumsum(label_counts))),
        chunk_offsets,
        *_chunk_metas(fields, chunk_offsets, chunk_counts),
    )


def _chunk_metas(
    fields: npt.NDArray[np.uint64], offsets: Int64s, counts: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """Times and references from differences: the first of a series is signed time and plain reference."""
    first = np.zeros(len(fields), np.bool_)
    first[offsets[:-1][counts > 0]] = True
    start = np.where(first, zigzag_decoded(fields[:, 0]), fields[:, 0].view(np.int64))
    length = fields[:, 1].view(np.int64)
    step = np.where(first, fields[:, 2].view(np.int64), zigzag_decoded(fields[:, 2]))
    # Every start but the first counts from the end before, so an end is the sum of all steps and lengths.
    ends = _running(start + length, first)
    return ends - length, ends, _running(step, first)


def _running(numbers: Int64s, first: npt.NDArray[np.bool_]) -> Int64s:
    """Running sums that begin anew at every first."""
    if len(numbers) == 0:
        return numbers
    total = np.cumsum(numbers)
    at = np.flatnonzero(first)
    before = total[at] - numbers[at]
    return total - np.repeat(before, np.diff(np.append(at, len(numbers))))
