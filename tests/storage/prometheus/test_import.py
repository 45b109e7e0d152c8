"""What a Prometheus data directory holds is imported, or it is said what and how much is not.

The records in hexadecimal are what Prometheus 3.16 writes.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.conftest import NAMES, START_MS, Bench, batch, exact, read, series
from tests.storage.prometheus.xor2 import bits, encoded, varint
from tests.support.commandline import run_trimon
from trimon.files import DiskFiles
from trimon.storage.options import StoreOptions
from trimon.storage.prometheus import export
from trimon.storage.prometheus.block import PrometheusBlock
from trimon.storage.prometheus.crc import crc32c
from trimon.storage.prometheus.importing import ImportReport, import_directory
from trimon.storage.prometheus.walrecords import decode_histograms, decode_samples, decode_samples_with_start
from trimon.storage.store import Store
from trimon.storage.tools.dumping import dump
from trimon.storage.tools.exporting import export_directory
from trimon.storage.tools.offline import open_offline

# Series 7 is a{x="1"}, 3 is b, 9 is c.
SERIES = (
    "01000000000000000702085f5f6e616d655f5f016101780131000000000000000301085f5f6e616d655f5f0162"
    "000000000000000901085f5f6e616d655f5f0163"
)
# 7 at 1000: 1; 3 at 1000: 2; 9 at 2000: stale; 7 at 16000: 1.5, the start timestamps 500, 500, none and 900.
WITH_START = (
    "0b0ed00fe8073ff000000000000007000140000000000000000cd00f007ff000000000000203b0ea0102a0063ff8000000000000"
)
_EXPONENTIAL = "00023f50624dd2f1a9fc020c403266666666666602000202020100010402020100010a"
_FLOATS = (
    "00023f50624dd2f1a9fc4000000000000000402800000000000040326666666666660200020202010001043ff0000000000000"
    "40000000000000003ff00000000000003ff0000000000000014014000000000000"
)
_CUSTOM = "00690000000000000000000540326666666666660100020002040200023ff00000000000004004000000000000"
_CUSTOM_FLOATS = (
    "00690000000000000000000000000000000040140000000000004032666666666666010002000240000000000000004008"
    "00000000000000023ff00000000000004004000000000000"
)
_PLAIN = "000000000000000700000000000003e8"
# A histogram of 7 at 1000 and one of 3 at 16000, in all types of record.
HISTOGRAMS = [
    f"07{_PLAIN}0000{_EXPONENTIAL}07b0ea01{_EXPONENTIAL}",
    f"08{_PLAIN}0000{_FLOATS}07b0ea01{_FLOATS}",
    f"09{_PLAIN}0000{_CUSTOM}07b0ea01{_CUSTOM}",
    f"0a{_PLAIN}0000{_CUSTOM_FLOATS}07b0ea01{_CUSTOM_FLOATS}",
    f"0c0ed00fe807{_EXPONENTIAL}07b0ea0100{_EXPONENTIAL}",
    f"0d0ed00fe807{_FLOATS}07b0ea0100{_FLOATS}",
    f"0c0ed00fe807{_CUSTOM}07b0ea0100{_CUSTOM}",
    f"0d0ed00fe807{_CUSTOM_FLOATS}07b0ea0100{_CUSTOM_FLOATS}",
]
# Type counter, unit s, help "some help", of 7.
METADATA = "0607010204554e495401730448454c5009736f6d652068656c70"
# What they are.
SHOWN = (
    "{count:12, sum:18.4, [-1,-0.7071067811865475):5, [-0.001,0.001]:2, (0.7071067811865475,1]:1, "
    "(1,1.414213562373095]:2, (2,2.82842712474619]:1, (2.82842712474619,4]:1}"
)
SHOWN_CUSTOM = "{count:5, sum:18.4, [-Inf,1]:2, (1,2.5]:3}"
EXEMPLARS = (
    "04000000000000000700000000000003e800004000000000000000010874726163655f69640361626307d00f"
    "4000000000000000020161016201630164"
)
# Of 7 the intervals [500, 1500] and [-5, 20].
TOMBSTONES = "030000000000000007e807b81700000000000000070928"
MARKERS = "0500000000000000070000000000000005"


def write_log(directory: Path, *records: str | bytes) -> None:
    """A segment with records that fit into a page."""
    directory.mkdir(parents=True, exist_ok=True)
    out = b""
    for record in records:
        body = bytes.fromhex(record) if isinstance(record, str) else record
        out += struct.pack(">BHI", 1, len(body), crc32c(body)) + body
    (directory / "00000000").write_bytes(out.ljust(32768, b"\0"))


def imported(source: Path) -> tuple[ImportReport, list[str]]:
    """The report of an import and a dump of what was made."""
    target = source.parent / "ours"
    report = [report for _, report in import_directory(DiskFiles(), source, target, NAMES)][-1]
    return report, list(dump(open_offline(DiskFiles(), target).snapshot()))


def test_samples_with_start_timestamps_are_imported(tmp_path: Path) -> None:
    """A record of type 11 gives its samples; the start timestamps, which nothing reads yet, are stepped over."""
    write_log(tmp_path / "theirs" / "wal", SERIES, WITH_START)
    report, lines = imported(tmp_path / "theirs")
    assert lines == [
        '{__name__="a", x="1"} 1 1000',
        '{__name__="a", x="1"} 1.5 16000',
        '{__name__="b"} 2 1000',
        '{__name__="c"} NaN 2000',
    ]
    assert report.complete


@pytest.mark.parametrize("record", HISTOGRAMS)
def test_histograms_of_the_log_are_imported(record: str, tmp_path: Path) -> None:
    """Two native histograms, whatever the type of their record: each is imported."""
    found = decode_histograms(bytes.fromhex(record))
    assert (found.refs.tolist(), found.times.tolist()) == ([7, 3], [1000, 16000])
    write_log(tmp_path / "theirs" / "wal", SERIES, record)
    report, lines = imported(tmp_path / "theirs")
    shown = SHOWN_CUSTOM if record.find(_CUSTOM) > 0 or record.find(_CUSTOM_FLOATS) > 0 else SHOWN
    assert lines == [f'{{__name__="a", x="1"}} {shown} 1000', f'{{__name__="b"}} {shown} 16000']
    assert report.complete


@pytest.mark.parametrize("record", [WITH_START, *HISTOGRAMS])
def test_a_cut_record_is_named(record: str, tmp_path: Path) -> None:
    """A record that ends within a sample is a problem that names its type; what follows it is imported."""
    write_log(tmp_path / "theirs" / "wal", SERIES, record[:-6], WITH_START)
    report, lines = imported(tmp_path / "theirs")
    assert len(lines) == 4
    (problem,) = report.problems
    assert f"record of type {int(record[:2], 16)}" in problem


def test_what_else_the_log_tells(tmp_path: Path) -> None:
    """Metadata is imported, tombstones are honoured, markers need nothing, the rest is counted."""
    unknown_series = bytes.fromhex("02") + struct.pack(">QQBBd", 99, 1000, 0, 0, 1.0)
    write_log(
        tmp_path / "theirs" / "wal",
        SERIES,
        METADATA,
        TOMBSTONES,
        WITH_START,
        EXEMPLARS,
        MARKERS,
        unknown_series,
        "2a01",
        "2a02",
    )
    report, lines = imported(tmp_path / "theirs")
    assert [line for line in lines if "x=" in line] == ['{__name__="a", x="1"} 1.5 16000']
    assert report.left_out == Counter(
        {
            "exemplars": 2,
            "samples of series that the log does not name": 1,
            "log records of unknown type 42": 2,
        }
    )
    assert report.problems == []
    store = Store.open(StoreOptions(tmp_path / "ours"), DiskFiles(), Bench(tmp_path / "bench").clock)
    assert store.metadata == {"a": ("counter", "some help", "s")}
    store.close()


def test_samples_that_came_out_of_order_are_imported(tmp_path: Path) -> None:
    """The second log, `wbl`, has samples of the first one's series; all of them count, whatever is in blocks."""
    write_log(tmp_path / "theirs" / "wal", SERIES)
    write_log(tmp_path / "theirs" / "wbl", MARKERS, WITH_START)
    report, lines = imported(tmp_path / "theirs")
    assert len(lines) == 4
    assert report.complete


SAMPLES = st.lists(
    st.tuples(
        st.integers(1, 2**63 - 1),
        st.integers(-(2**40), 2**41),
        st.sampled_from([0, 5, 1_700_000_000_000, -7]),
        st.integers(0, 2**64 - 1),
    ),
    max_size=6,
)


def plain_record(samples: list[tuple[int, int, int, int]]) -> bytes:
    out = bytearray(b"\x02")
    for ref, time_ms, _, value in samples:
        if len(out) == 1:
            out += struct.pack(">Qq", *samples[0][:2])
        out += varint(ref - samples[0][0]) + varint(time_ms - samples[0][1]) + struct.pack(">Q", value)
    return bytes(out)


def record_with_start(samples: list[tuple[int, int, int, int]]) -> bytes:
    out = bytearray(b"\x0b")
    before = (0, 0, 0, 0)
    for ref, time_ms, start_ms, value in samples:
        first = samples[0]
        if len(out) == 1:
            out += varint(ref) + varint(time_ms) + varint(start_ms)
        else:
            out += varint(ref - before[0]) + varint(time_ms - first[1])
            if start_ms in {0, before[2]}:
                out.append(0 if start_ms == 0 else 1)
            else:
                out += b"\x02" + varint(start_ms - first[2])
        out += struct.pack(">Q", value)
        before = (ref, time_ms, start_ms, value)
    return bytes(out)


@given(st.lists(SAMPLES, min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_sample_records_are_read_many_at_once(records: list[list[tuple[int, int, int, int]]]) -> None:
    """Records of both types, empty ones too, give their samples in order of record and place."""
    flat = [sample for record in records for sample in record]
    for encode, decode in (
        (plain_record, decode_samples),
        (record_with_start, decode_samples_with_start),
    ):
        found = decode([encode(record) for record in records])
        assert found.refs.tolist() == [ref for ref, _, _, _ in flat]
        assert found.times.tolist() == [time_ms for _, time_ms, _, _ in flat]
        assert found.values.view(np.uint64).tolist() == [value for _, _, _, value in flat]


# ---- blocks


def exported(bench: Bench, target: Path) -> Path:
    """A store with two series of 300 samples as a block of Prometheus; its directory."""
    for name in ("a", "b"):
        bench.append(batch(*((series(name), START_MS + 1000 * i, i / 8) for i in range(300))))
    bench.store.sync()
    ((_, meta),) = export_directory(DiskFiles(), bench.options.path, target, NAMES)
    assert meta is not None
    return target / meta.ulid


def recoded(block: Path, encoding: int, *, chunks: int) -> None:
    """Give the first chunks of a block another encoding, with checksums that pass."""
    path = block / "chunks" / "000001"
    data = bytearray(path.read_bytes())
    offset = 8
    for _ in range(chunks):
        size, begin = data[offset], offset + 1
        if size >= 0x80:
            size, begin = size & 0x7F | data[begin] << 7, begin + 1
        data[begin] = encoding
        end = begin + 1 + size
        data[end : end + 4] = crc32c(bytes(data[begin:end])).to_bytes(4, "big")
        offset = end + 4
    path.write_bytes(data)


@pytest.mark.parametrize("encoding", [2, 3, 5, 6])
def test_a_block_whose_histograms_are_damaged_is_left_out(
    encoding: int, bench: Bench, tmp_path: Path
) -> None:
    """Chunks that say that they hold histograms and do not: the block is left out, the reason is said, the exit code is 1."""
    recoded(exported(bench, tmp_path / "theirs"), encoding, chunks=2)
    ran = run_trimon("tsdb", "import-prometheus", tmp_path / "theirs", tmp_path / "ours")
    assert ran.exit_code == 1
    assert re.search(r"is left out: a (histogram )?chunk", ran.stdout)


def test_a_block_of_unknown_chunks_only(bench: Bench, tmp_path: Path) -> None:
    """A block of which nothing can be read is not called empty."""
    recoded(exported(bench, tmp_path / "theirs"), 77, chunks=6)
    ran = run_trimon("tsdb", "import-prometheus", tmp_path / "theirs", tmp_path / "ours")
    assert ran.exit_code == 1
    assert "holds nothing that can be read" in ran.stdout
    assert "left out: 6 chunks of unknown encoding 77" in ran.stderr


def test_chunks_of_an_unknown_encoding_are_counted(bench: Bench, tmp_path: Path) -> None:
    """What a later Prometheus may write is counted in chunks."""
    block = exported(bench, tmp_path / "theirs")
    recoded(block, 77, chunks=1)
    assert PrometheusBlock(DiskFiles(), block).left_out() == Counter({"chunks of unknown encoding 77": 1})


def test_a_block_of_xor2_chunks_is_imported(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sample of XOR2 chunks is in the block that is made of them."""

    def encode(
        times: npt.NDArray[np.int64], values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        pairs = list(zip(times.tolist(), bits(values), strict=True))
        ends = np.cumsum(counts).tolist()
        raw = [encoded(pairs[end - count : end]) for end, count in zip(ends, counts.tolist(), strict=True)]
        return np.frombuffer(b"".join(raw), np.uint8), np.array([len(chunk) for chunk in raw])

    monkeypatch.setattr(export, "encode_chunks", encode)
    monkeypatch.setattr(export, "_XOR_ENCODING", 4)
    exported(bench, tmp_path / "theirs")
    ran = run_trimon("tsdb", "import-prometheus", tmp_path / "theirs", tmp_path / "ours")
    assert (ran.exit_code, ran.stderr) == (0, "")
    store = Store.open(StoreOptions(tmp_path / "ours"), DiskFiles(), bench.clock)
    assert exact(read(store)) == exact(bench.read())
    store.close()


def test_nothing_to_import(tmp_path: Path) -> None:
    """A directory that is none of Prometheus' is an error and no success."""
    (tmp_path / "theirs").mkdir()
    ran = run_trimon("tsdb", "import-prometheus", tmp_path / "theirs", tmp_path / "ours")
    assert ran.exit_code == 1
    assert "neither blocks nor a log" in ran.stderr


def test_a_block_of_prometheus_in_our_directory_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    """It is named as what it is and keeps its name, whereas a block of ours with a broken document is set aside."""
    block = exported(bench, tmp_path / "ours")
    broken = block.with_name("01" + "0" * 24)
    broken.mkdir()
    (broken / "meta.json").write_text('{"trimon": {"format": 1}}')
    store = Store.open(StoreOptions(tmp_path / "ours"), DiskFiles(), bench.clock)
    assert any(block.name in problem and "block of Prometheus" in problem for problem in store.problems)
    assert block.is_dir()
    assert not broken.is_dir()
    store.close()
