"""Prometheus' write-ahead log: records from the pages of its segments, and what they say, in order."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Final

import cramjam
import zstandard

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.prometheus import walrecords as r
from trimon.storage.prometheus.varint import FormatError

PAGE_BYTES: Final = 32 * 1024
_HEAD_BYTES: Final = 7
_SNAPPY: Final = 8
_ZSTD: Final = 16
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_BATCH_RECORDS: Final = 1024
_RECORD_BYTES_MAX: Final = 1 << 28


WalPart = r.WalSeries | r.WalSamples | r.WalHistograms | r.WalTombstones | r.WalMetadata | r.WalExemplars

_DECODERS: Final[dict[int, Callable[[bytes], WalPart]]] = {
    r.SERIES: r.decode_series,
    r.TOMBSTONES: r.decode_tombstones,
    r.EXEMPLARS: r.decode_exemplars,
    r.METADATA: r.decode_metadata,
    **dict.fromkeys(r.HISTOGRAMS, r.decode_histograms),
}
_SAMPLE_DECODERS: Final[dict[int, Callable[[list[bytes]], r.WalSamples]]] = {
    r.SAMPLES: r.decode_samples,
    r.SAMPLES_WITH_START: r.decode_samples_with_start,
}


@dataclass(slots=True)
class WalReport:
    """What was read of a log.

    `unknown_records` counts records of types that are not known, by type; `problems` names every segment of which
    the rest could not be read, and every record that says something else than its type.
    """

    segments: int = 0
    records: int = 0
    series: int = 0
    samples: int = 0
    unknown_records: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def segment_files(files: Files, path: Path) -> list[Path]:
    """Segment files in the order they are read: the last checkpoint's, then those after it."""
    names = files.names(path)
    checkpoints = sorted(n for n in names if n.startswith("checkpoint.") and n[11:].isdecimal())
    found: list[Path] = []
    after = -1
    if checkpoints:
        last = checkpoints[-1]
        after = int(last[11:])
        found = [path / last / name for name in files.names(path / last) if name.isdecimal()]
    return found + [path / name for name in names if name.isdecimal() and int(name) > after]


def read_records(data: memoryview, name: str, report: WalReport) -> Iterator[bytes]:
    """The records of a segment; ends at the first damage, as Prometheus does."""
    offset = 0
    parts: list[bytes] = []
    while offset + _HEAD_BYTES <= len(data):
        flags = data[offset]
        kind = flags & 7
        if kind == 0:
            offset += PAGE_BYTES - offset % PAGE_BYTES
            continue
        length = data[offset + 1] << 8 | data[offset + 2]
        stored = int.from_bytes(data[offset + 3 : offset + 7], "big")
        part = bytes(data[offset + _HEAD_BYTES : offset + _HEAD_BYTES + length])
        if len(part) < length or _crc(part) != stored or kind > _LAST:
            report.problems.append(
                f"WAL segment {name}: damaged at byte {offset}, the rest of it is left out"
            )
            return
        offset += _HEAD_BYTES + length
        if kind in {_FULL, _FIRST}:
            parts = []
        parts.append(part)
        if kind in {_FULL, _LAST}:
            try:
                record = _unpacked(b"".join(parts), flags, name)
            except FormatError as error:
                report.problems.append(f"{error}; the rest of the segment is left out")
                return
            yield record
            parts = []
        if PAGE_BYTES - offset % PAGE_BYTES < _HEAD_BYTES:
            offset += PAGE_BYTES - offset % PAGE_BYTES


def _crc(part: bytes) -> int:
    """CRC-32C by way of snappy's frame format, whose chunks begin with it (rotated and shifted)."""
    if not part:
        return 0
    framed = bytes(cramjam.snappy.compress(part))
    masked = int.from_bytes(framed[14:18], "little")
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def _unpacked(data: bytes, flags: int, name: str) -> bytes:
    try:
        if flags & _SNAPPY:
            return bytes(cramjam.snappy.decompress_raw(data))
        if flags & _ZSTD:
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=_RECORD_BYTES_MAX)
    except (cramjam.DecompressionError, zstandard.ZstdError, zlib.error) as error:
        raise FormatError(f"WAL segment {name}: {error}") from error
    return data


def read_log(files: Files, path: Path, report: WalReport) -> Iterator[WalPart]:
    """What the log tells, nearly in order. Raises OperatingError if a file cannot be read at all.

    Samples wait for those of later records, since many are decoded at the cost of few, and come before histograms and all
    else but series between them: so does Prometheus write what it takes at once. What names series comes in order.
    """
    waiting = _Waiting(report)
    for segment in segment_files(files, path):
        report.segments += 1
        try:
            data = memoryview(files.read(segment))
        except OSError as error:
            raise OperatingError(f"{segment}: {error}") from error
        for record in read_records(data, segment.name, report):
            report.records += 1
            kind = record[0] if record else 0
            if kind == r.SERIES or waiting.count >= _BATCH_RECORDS:
                yield from waiting.decoded(segment.name)
            if kind in _SAMPLE_DECODERS or kind in _DECODERS:
                waiting.add(kind, record)
            elif kind != r.MMAP_MARKERS:
                # Markers say where samples of the log are stored besides.
                report.unknown_records[kind] += 1
        yield from waiting.decoded(segment.name)


class _Waiting:
    """Records of a segment that are not decoded yet."""

    def __init__(self, report: WalReport) -> None:
        self._report = report
        self._samples: dict[int, list[bytes]] = {}
        self._others: list[bytes] = []
        self.count = 0

    def add(self, kind: int, record: bytes) -> None:
        """Keep a record of a type that is known."""
        self.count += 1
        if kind in _SAMPLE_DECODERS:
            self._samples.setdefault(kind, []).append(record)
        else:
            self._others.append(record)

    def decoded(self, name: str) -> Iterator[WalPart]:
        """What they say, of series first: one that names series comes alone or before all others. None waits then."""
        samples, others = self._samples, self._others
        self._samples, self._others, self.count = {}, [], 0
        first = 0
        while first < len(others) and others[first][0] == r.SERIES:
            yield from self._one(others[first], name)
            first += 1
        for records in samples.values():
            yield from _samples(records, name, self._report)
        for record in others[first:]:
            yield from self._one(record, name)

    def _one(self, record: bytes, name: str) -> Iterator[WalPart]:
        try:
            yield _DECODERS[record[0]](record)
        except FormatError as error:
            self._report.problems.append(f"WAL segment {name}: record of type {record[0]}: {error}")


def _samples(records: list[bytes], name: str, report: WalReport) -> Iterator[r.WalSamples]:
    """The samples of records of one type; of a record that cannot be read none."""
    decode = _SAMPLE_DECODERS[records[0][0]]
    try:
        yield decode(records)
    except FormatError:
        for record in records:
            try:
                yield decode([record])
            except FormatError as error:
                report.problems.append(f"WAL segment {name}: record of type {record[0]}: {error}")
