"""Following the log: what was stored comes as columns, from any position, also of runs that are in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support.collector import uncollected
from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.labels import Labels
from trimon.model.rows import NO_COLUMNS, NO_VALUES, Row, SampleBatch
from trimon.storage.head.arena import Int32s
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.storage.wal.tail import LogPosition, LogTail

START_MS = 1_700_000_000_000
SERIES = tuple((("__name__", "m"), ("n", str(number))) for number in range(5))


class Names:
    """Numbers series in the order in which they come."""

    def __init__(self) -> None:
        self.known: list[Labels] = []

    def resolve(self, series: Sequence[Labels]) -> Int32s:
        """The number of each."""
        self.known += [each for each in series if each not in self.known]
        return np.array([self.known.index(each) for each in series], np.int32)


def opened(path: Path, clock: StoppedClock) -> Store:
    store = Store.open(StoreOptions(path, wal_segment_bytes=2000), DiskFiles(), clock)
    store.replay()
    return store


def told(
    store: Store, position: LogPosition, at_once: int = 10**9
) -> tuple[list[tuple[str, int, float]], LogPosition]:
    """(value of n, time, value) of all from a position on, and the position behind."""
    names = Names()
    tail = LogTail(store, store.kept_log.open, position, names)
    found = []
    while True:
        read = tail.read(at_once)
        for number, time_ms, value in zip(
            read.series.tolist(), read.times_ms.tolist(), read.values.tolist(), strict=True
        ):
            found.append((dict(names.known[number])["n"], time_ms, value))
        assert not read.damaged_bytes
        assert not read.lost_sections
        if read.is_end:
            return found, read.position


def fill(
    store: Store, first: int, rows: int, columns: Int32s | None = None
) -> tuple[Int32s, list[tuple[str, int, float]]]:
    """Rows of one group, and a loose sample after each third."""
    wanted = []
    for row in range(first, first + rows):
        time_ms = START_MS + row * 1000
        values = np.array([row * 10.0 + number for number in range(5)])
        if columns is None:
            answer = store.append([Row("g", time_ms, NO_COLUMNS, NO_VALUES, SERIES, values)])[0]
            columns = answer.columns
        else:
            store.append([Row("g", time_ms, columns, values)])
        wanted += [(str(number), time_ms, value) for number, value in enumerate(values.tolist())]
        if row % 3 == 0:
            labels = (("__name__", "loose"), ("n", "9"))
            store.append(
                [SampleBatch((labels,), np.zeros(1, np.int32), np.array([time_ms]), np.array([float(row)]))]
            )
            wanted.append(("9", time_ms, float(row)))
    assert columns is not None
    return columns, wanted


def test_everything_is_told_in_order_whatever_is_read_at_once(tmp_path: Path) -> None:
    """Over several segments and key rows, and from a position in between, nothing is left out or comes twice."""
    store = opened(tmp_path, StoppedClock(START_MS))
    begin = LogTail.at_end(store)
    columns, wanted = fill(store, 0, 150)
    assert len(store.log_extents()[-1].segments) > 1
    found, end = told(store, begin)
    assert found == wanted
    assert told(store, begin, 7)[0] == wanted
    _, more = fill(store, 150, 20, columns)
    assert told(store, end)[0] == more
    store.close()


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """The rest of the run before, then the new run; the state that rows build on is read, and not told again."""
    clock = StoppedClock(START_MS)
    store = opened(tmp_path, clock)
    begin = LogTail.at_end(store)
    columns, _ = fill(store, 0, 70)
    _, middle = told(store, begin)
    _, rest = fill(store, 70, 20, columns)
    store.close()
    store = opened(tmp_path, clock)
    _, later = fill(store, 90, 5)
    assert told(store, middle)[0] == rest + later
    store.close()


def test_runs_in_blocks_are_kept_for_who_has_not_read_them(tmp_path: Path) -> None:
    """Retired runs move beside the log and are read there; released ones are gone, and the reader goes on without them."""
    store = opened(tmp_path, StoppedClock(START_MS))
    store.kept_log.wanted = True
    begin = LogTail.at_end(store)
    _, wanted = fill(store, 0, 70)
    run = store.log_extents()[-1].epoch
    store.close()
    store = opened(tmp_path, StoppedClock(START_MS))
    store.kept_log.wanted = True
    store.kept_log.retire({run})
    assert {name.epoch for name in store.kept_log.segments()} == {run}
    assert told(store, begin)[0] == wanted
    assert store.kept_log.beyond(0, 1) == [run]
    store.kept_log.release(set())
    assert told(store, begin)[0] == []
    store.close()


def open_segments(folder: Path) -> int:
    """How many descriptors this process has of segments in a folder, removed ones too."""
    links = Path("/proc/self/fd").iterdir()
    return sum(str(link.readlink()).startswith(str(folder)) for link in links if link.is_symlink())


def test_files_are_let_go_of_when_they_are_read(tmp_path: Path) -> None:
    """A tail has a file open of a run that goes on, none of one that is over nor when it is closed, without a collection."""
    clock = StoppedClock(START_MS)
    store = opened(tmp_path, clock)
    begin = LogTail.at_end(store)
    fill(store, 0, 150)
    store.close()
    store = opened(tmp_path, clock)
    _, wanted = fill(store, 150, 30)
    before = open_segments(tmp_path)
    with uncollected():
        tail = LogTail(store, store.kept_log.open, begin, Names())
        most, samples = 0, 0
        while not (read := tail.read(20)).is_end:
            samples += len(read.series)
            most = max(most, open_segments(tmp_path) - before)
        assert most == 1
        assert samples + len(read.series) > len(wanted)
        assert tail.finished == 1
        assert open_segments(tmp_path) == before + 1
        tail.close()
        assert open_segments(tmp_path) == before
        _, more = fill(store, 180, 1)
        assert len(tail.read(10**9).series) == len(more)
        assert open_segments(tmp_path) == before + 1
        # A tail that nobody closes is no circle, and its file goes with it.
        del tail
        assert open_segments(tmp_path) == before
    store.close()
