"""Native histograms of Prometheus' log have the empty buckets that its chunks give them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.storage.conftest import EVER, NAMES
from tests.storage.prometheus.test_import import EXEMPLARS, SERIES, write_log
from tests.storage.prometheus.xor2 import varint
from tests.support.histogram_rows import row_arrays
from trimon.files import DiskFiles
from trimon.model.sample import STALE_NAN
from trimon.storage.prometheus.importing import import_directory
from trimon.storage.prometheus.wal import WalReport, read_log
from trimon.storage.prometheus.walrecords import WalSamples
from trimon.storage.tools.offline import open_offline

COUNTER, RESET, GAUGE = 0, 1, 3
REF = 7

# Time, hint, counts of positive and of negative buckets by index; None for a staleness marker.
Told = tuple[int, int, dict[int, int] | None, dict[int, int]]


def uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def buckets(counts: dict[int, int], *, floats: bool) -> tuple[bytes, bytes]:
    """A span for each bucket, and the counts."""
    spans, numbers, at, before = uvarint(len(counts)), uvarint(len(counts)), 0, 0
    for index, count in sorted(counts.items()):
        spans += varint(index - at) + uvarint(1)
        numbers += struct.pack(">d", count) if floats else varint(count - before)
        at, before = index + 1, count
    return spans, numbers


def record(told: list[Told], *, floats: bool) -> bytes:
    """A record of type 7 or 8 with histograms of one series."""
    out = struct.pack(">BQQ", 8 if floats else 7, REF, 0)
    for time_ms, hint, positive, negative in told:
        total = float("nan") if positive is None else 1.5
        sides = buckets(positive or {}, floats=floats), buckets(negative, floats=floats)
        count = 2 + sum((positive or {}).values()) + sum(negative.values())
        numbers = struct.pack(">dd", 2, count) if floats else uvarint(2) + uvarint(count)
        out += varint(0) + varint(time_ms) + bytes([hint]) + varint(0) + struct.pack(">d", 0.001) + numbers
        out += struct.pack(">d", STALE_NAN if positive is None else total)
        out += sides[0][0] + sides[1][0] + sides[0][1] + sides[1][1]
    return out


def found(tmp_path: Path) -> dict[int, list[str]]:
    """Which buckets the histograms have in what is imported, by time."""
    reports = [
        report for _, report in import_directory(DiskFiles(), tmp_path / "theirs", tmp_path / "ours", NAMES)
    ]
    assert reports[-1].complete, reports[-1]
    selection = open_offline(DiskFiles(), tmp_path / "ours").snapshot().select_stored((), *EVER)
    frame = selection.frame(*EVER)
    listed: dict[int, list[str]] = {}
    for row in range(frame.rows):
        text = dict(selection.labels.labels(row)).get("", "")
        for time_ms in row_arrays(frame, row)[0].tolist():
            listed.setdefault(time_ms, [])
            if text.rpartition(":")[2][:1] in {"+", "-"}:
                listed[time_ms].append(text.rpartition(":")[2])
    return {time_ms: sorted(texts) for time_ms, texts in listed.items()}


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("log", ["wal", "wbl"])
def test_empty_buckets_come_back(tmp_path: Path, log: str, floats: bool) -> None:
    """What one histogram of a chunk has, all have, on both sides, those before it too; a reset and a marker end the chunk."""
    told: list[Told] = [
        (1000, COUNTER, {}, {}),
        (2000, COUNTER, {1: 3}, {}),
        (3000, COUNTER, {1: 3, 4: 1}, {2: 1}),
        (4000, COUNTER, {1: 2}, {}),
        (5000, COUNTER, None, {}),
        (6000, COUNTER, {3: 5}, {}),
        (7000, RESET, {3: 5, 4: 1}, {}),
    ]
    write_log(tmp_path / "theirs" / "wal", SERIES, *([record(told, floats=floats)] if log == "wal" else []))
    if log == "wbl":
        write_log(tmp_path / "theirs" / "wbl", record(told[::-1], floats=floats))
    of_chunk = ["+1", "+4", "-2"]
    assert found(tmp_path) == {
        1000: of_chunk,
        2000: of_chunk,
        3000: of_chunk,
        4000: ["+1"],
        5000: [],
        6000: ["+3"],
        7000: ["+3", "+4"],
    }


@pytest.mark.parametrize("floats", [False, True])
def test_a_gauge_keeps_the_buckets_of_its_chunk(tmp_path: Path, floats: bool) -> None:
    """A gauge whose bucket is empty now has it as an empty one, until `chunks_head` says that another chunk begins."""
    told: list[Told] = [
        (1000, GAUGE, {1: 6}, {}),
        (2000, GAUGE, {}, {}),
        (3000, GAUGE, {}, {}),
        (4000, GAUGE, {2: 1}, {}),
    ]
    write_log(tmp_path / "theirs" / "wal", SERIES, record(told, floats=floats))
    chunks = struct.pack(">QqqB", REF, 3000, 4000, 3 if floats else 2) + uvarint(3) + bytes(3 + 4)
    head = tmp_path / "theirs" / "chunks_head"
    head.mkdir()
    (head / "000001").write_bytes(b"\x01\x30\xbc\x91\x01\0\0\0" + chunks + bytes(200))
    assert found(tmp_path) == {1000: ["+1"], 2000: ["+1"], 3000: ["+2"], 4000: ["+2"]}


def test_a_chunk_ends_with_its_two_hours(tmp_path: Path) -> None:
    """Buckets of one range of two hours are not those of the next."""
    last = 7_200_000
    told: list[Told] = [
        (last - 2000, GAUGE, {1: 6}, {}),
        (last - 1000, GAUGE, {}, {}),
        (last, GAUGE, {}, {}),
    ]
    write_log(tmp_path / "theirs" / "wal", SERIES, record(told, floats=False))
    assert found(tmp_path) == {last - 2000: ["+1"], last - 1000: ["+1"], last: []}


def test_samples_between_other_records_are_decoded_together(
    tmp_path: Path,
) -> None:
    """Exemplars and histograms between records of samples do not part them; series do, and are told before what names them."""
    sample = struct.pack(">BQQBBd", 2, REF, 1000, 0, 0, 1.0)
    others: list[str | bytes] = [EXEMPLARS, record([(1000, COUNTER, {}, {})], floats=False)]
    write_log(tmp_path, SERIES, sample, *others, sample, *others, SERIES, sample)
    read = read_log(DiskFiles(), tmp_path, WalReport())
    told = [(type(part).__name__, len(part.refs) if isinstance(part, WalSamples) else 0) for part in read]
    rest = [("WalExemplars", 0), ("WalHistograms", 0)] * 2
    assert told == [("WalSeries", 0), ("WalSamples", 2), *rest, ("WalSeries", 0), ("WalSamples", 1)]
