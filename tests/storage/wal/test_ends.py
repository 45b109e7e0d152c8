"""What is missing of the log is found out at the next start and by verify; the start goes on."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from tests.storage.block.test_blocks import HOUR, fill, maintain
from tests.storage.conftest import START_MS, Bench, first_row, series
from trimon.files import DiskFiles
from trimon.model.rows import Row
from trimon.storage.block.damage import DamagedError
from trimon.storage.store import Store
from trimon.storage.tools.checking import verify
from trimon.storage.wal.ends import LogEnds
from trimon.storage.wal.log import SegmentName

T = START_MS


def rows(bench: Bench, count: int = 50) -> None:
    """Rows that fill a few small segments."""
    bench.configure(wal_segment_bytes=1500)
    names = tuple(series("m", i=str(i)) for i in range(20))
    (answer,) = bench.append(first_row("g", T, dict.fromkeys(names, 1.0)))
    for step in range(1, count):
        values = np.sin(np.arange(20) * step)
        bench.append(Row("g", T + step * 1000, answer.columns, values))


def started(bench: Bench) -> list[str]:
    """The problems of another start."""
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    return bench.store.problems


def damaged(bench: Bench) -> list[str]:
    """The bad lines of verify."""
    return [line for fine, line in verify(DiskFiles(), bench.options.path) if not fine]


def test_a_log_that_vanished_is_told(bench: Bench) -> None:
    """Without any segment, and with one fewer, start and verify say which; the store goes on, and says it once."""
    rows(bench)
    bench.store.close()
    wal = bench.options.path / "wal"
    names = sorted(path.name for path in wal.iterdir())
    assert len(names) > 3
    (wal / names[1]).unlink()
    assert any(f"{names[1]} has vanished" in line for line in damaged(bench))
    assert any(f"{names[1]} has vanished" in line for line in started(bench))
    bench.reopen()
    assert not any("has vanished, it had" in line for line in bench.store.problems)
    bench.store.close()
    shutil.rmtree(wal)
    assert any("the log has vanished" in line for line in damaged(bench))
    assert any("the log has vanished" in line for line in started(bench))
    (answer,) = bench.append(first_row("g", T + 60_000, {series("fresh"): 1.0}))
    assert answer.appended == 1
    bench.reopen()
    assert bench.store.problems == []
    assert list(bench.read()) == [series("fresh")]


@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
def test_a_log_that_was_cut_is_told(bench: Bench, keep: float) -> None:
    """A segment that ends before it did, between records or within one, has lost something and is named."""
    rows(bench)
    bench.store.close()
    last = max(path for path in (bench.options.path / "wal").iterdir() if path.stat().st_size > 500)
    content = last.read_bytes()
    # at a mark of a record, or just within the last one
    places = [at for at in range(len(content)) if content[at : at + 2] == b"\xa9\x57"]
    cut = len(content) - 5 if keep == 1.0 else places[int(keep * (len(places) - 1))]
    last.write_bytes(content[:cut])
    wanted = f"{last.name} was cut: {cut} bytes are left of {len(content)}"
    assert any(wanted in line for line in damaged(bench))
    assert any(wanted in line for line in started(bench))


def test_the_summary_has_what_vanished_and_was_cut(bench: Bench) -> None:
    """Bytes of files that vanished or were cut are damaged ones; how many samples they held is unknown, and not 0."""
    rows(bench)
    bench.store.close()
    wal = bench.options.path / "wal"
    fine = Store.open(bench.options, bench.files, bench.clock)
    report = fine.replay()
    assert (report.damaged_bytes, report.fields()["lost_samples"], report.lines()) == (0, 0, [])
    fine.close()
    paths = sorted(path for path in wal.iterdir() if path.stat().st_size > 100)
    gone, cut = paths[0], paths[-1]
    assert gone != cut
    gone_bytes, cut_bytes = gone.stat().st_size, cut.stat().st_size
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-5])
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    report = bench.store.replay()
    fields = report.fields()
    assert (fields["vanished_files"], fields["cut_files"], fields["torn_tails"]) == (1, 1, 0)
    # The rest of the record that was cut through is of no use either.
    assert gone_bytes + 5 < report.damaged_bytes == report.unknown_bytes <= gone_bytes + cut_bytes
    assert (
        fields["lost_samples"] == "unknown" if report.lost_samples == 0 else f"at least {report.lost_samples}"
    )
    assert "1 files have vanished, 1 were cut" in report.lines()[-1]
    assert bench.store.figures().counts["log_corruptions"] == report.corruptions >= 2


def test_another_name_of_the_log_is_told_and_mended(bench: Bench) -> None:
    """The name that the log's own records of itself say counts: blocks that tell of its runs go on to count."""
    fill(bench, 2.5)
    maintain(bench)
    bench.store.close()
    path = bench.options.path / "log-id"
    name = path.read_text()
    for other in ("0" * 32, None):
        path.unlink()
        if other is not None:
            path.write_text(other)
        assert any(name in line for line in damaged(bench))
        assert any("log-id" in line and name in line for line in started(bench))
        assert path.read_text() == name
        bench.reopen()
        assert bench.store.problems == []
        bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()


def test_a_kill_is_no_fault(bench: Bench) -> None:
    """A process that died, and one that was cut into blocks, leave a log of which nothing is said to be missing."""
    fill(bench, 4.5)
    maintain(bench)
    bench.store.sync()
    copy = bench.options.path.with_name("killed")
    shutil.copytree(bench.options.path, copy)
    for _ in range(3):
        assert not [line for line in damaged(bench) if "WAL" in line or "log" in line]
        bench.reopen()
        assert bench.store.problems == []
        bench.clock.value_ms += 4 * HOUR
        maintain(bench)
    options = bench.options
    bench.store.close()
    bench.options = type(options)(copy)
    assert started(bench) == []


def test_ends_of_a_log_keep_and_check_themselves() -> None:
    """What is packed is unpacked; a flipped bit anywhere is found."""
    ends = LogEnds("abc", {SegmentName(3, 1): 77, SegmentName(2, 9): 5})
    content = ends.pack()
    assert LogEnds.unpack(content) == ends
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= 1
        with pytest.raises(DamagedError):
            LogEnds.unpack(bytes(broken))


@pytest.mark.parametrize("with_ends", [True, False], ids=["with ends", "without ends"])
def test_a_name_of_the_log_that_is_none_is_told_and_never_taken(with_ends: bool, bench: Bench) -> None:
    """A flipped bit in the name makes it damaged, not another name: it is told, a good one is written, nothing is lost."""
    fill(bench, 2.5)
    bench.store.close()
    path = bench.options.path / "log-id"
    name = path.read_bytes()
    path.write_bytes(name[:5] + bytes([name[5] ^ 0x80]) + name[6:])
    if not with_ends:
        (bench.options.path / "log-ends").unlink()
    assert any("log-id is damaged" in line for line in damaged(bench))
    assert any("log-id is damaged" in line for line in started(bench))
    now = path.read_bytes()
    assert re.fullmatch(rb"[0-9a-f]{32}", now)
    assert (now == name) == with_ends
    bench.reopen()
    assert bench.store.problems == []
