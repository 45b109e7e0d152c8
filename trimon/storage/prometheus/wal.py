"""Prometheus' write-ahead log: records from pages, and samples of many records at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cramjam
import numpy as np
import numpy.typing as npt
import zstandard

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.labels import Labels
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.prometheus.varint import FormatError, read_at, zigzag_decoded

PAGE_BYTES: Final = 32 * 1024
_HEAD_BYTES: Final = 7
_SNAPPY: Final = 8
_ZSTD: Final = 16
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
SERIES: Final = 1
SAMPLES: Final = 2
_BATCH_RECORDS: Final = 1024
_RECORD_BYTES_MAX: Final = 1 << 28
_REF_AND_TIME: Final = 16


@dataclass(slots=True)
class WalReport:
    """What was read; `problems` names every place where reading a segment ended early."""

    segments: int = 0
    records: int = 0
    series: int = 0
    samples: int = 0
    unknown_series: int = 0
    other_records: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WalSamples:
    """Samples of several records: series reference, time, value."""

    refs: npt.NDArray[np.uint64]
    times: Int64s
    values: Floats


def log_directories(files: Files, path: Path) -> list[Path]:
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
            yield _unpacked(b"".join(parts), flags, name)
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


def read_log(files: Files, path: Path, report: WalReport) -> Iterator[list[tuple[int, Labels]] | WalSamples]:
    """New series and samples, in order. Raises OperatingError if a file cannot be read at all."""
    waiting: list[bytes] = []
    for segment in log_directories(files, path):
        report.segments += 1
        try:
            data = files.map(segment)
        except OSError as error:
            raise OperatingError(f"{segment}: {error}") from error
        for record in read_records(data, segment.name, report):
            report.records += 1
            if record[:1] == bytes([SAMPLES]):
                waiting.append(record)
                if len(waiting) >= _BATCH_RECORDS:
                    yield decode_samples(waiting)
                    waiting = []
            elif record[:1] == bytes([SERIES]):
                if waiting:
                    yield decode_samples(waiting)
                    waiting = []
                yield list(_decode_series(record))
            else:
                report.other_records += 1
    if waiting:
        yield decode_samples(waiting)


def _decode_series(record: bytes) -> Iterator[tuple[int, Labels]]:
    offset = 1
    while offset < len(record):
        ref = int.from_bytes(record[offset : offset + 8], "big")
        count, offset = _uvarint(record, offset + 8)
        pairs: list[tuple[str, str]] = []
        for _ in range(count):
            name, offset = _text(record, offset)
            value, offset = _text(record, offset)
            if value:
                pairs.append((name, value))
        yield ref, tuple(sorted(pairs))


def _text(record: bytes, offset: int) -> tuple[str, int]:
    length, offset = _uvarint(record, offset)
    return record[offset : offset + length].decode("utf-8", "replace"), offset + length


def _uvarint(record: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if offset >= len(record):
            raise FormatError("a WAL record ends within a number")
        byte = record[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7


def decode_samples(records: Sequence[bytes]) -> WalSamples:
    """All samples of sample records, in order of record and place. Raises FormatError."""
    data = np.frombuffer(b"".join(records) + bytes(16), np.uint8)
    sizes = np.array([len(record) for record in records], np.int64)
    ends = np.cumsum(sizes)
    at = ends - sizes + 1
    words = np.ndarray((len(data) - 8,), ">u8", data.data, 0, (1,))
    going = np.flatnonzero(sizes > _REF_AND_TIME)
    base_ref = words[at[going]].astype(np.uint64)
    base_time = words[at[going] + 8].astype(np.uint64).view(np.int64)
    at = at[going] + _REF_AND_TIME
    limit = ends[going]
    owners: list[Int64s] = []
    refs: list[npt.NDArray[np.uint64]] = []
    times: list[Int64s] = []
    values: list[npt.NDArray[np.uint64]] = []
    live = np.flatnonzero(at < limit)
    while len(live):
        step, middle = read_at(data, at[live])
        later, end = read_at(data, middle)
        if (end + 8 > limit[live]).any():
            raise FormatError("a WAL record ends within a sample")
        owners.append(live)
        refs.append(base_ref[live] + zigzag_decoded(step).view(np.uint64))
        times.append(base_time[live] + zigzag_decoded(later))
        values.append(words[end].astype(np.uint64))
        at[live] = end + 8
        live = live[at[live] < limit[live]]
    if not owners:
        none = np.zeros(0, np.int64)
        return WalSamples(none.view(np.uint64), none, np.zeros(0))
    order = np.argsort(np.concatenate(owners), kind="stable")
    return WalSamples(
        np.concatenate(refs)[order],
        np.concatenate(times)[order],
        np.concatenate(values)[order].view(np.float64),
    )
