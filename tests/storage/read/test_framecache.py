"""What is kept from earlier queries never shows: reading with it equals reading everything anew."""

from __future__ import annotations

import gc
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.storage.block.test_blocks import maintain
from tests.storage.conftest import ALL, START_MS, Bench, batch, first_row, series
from trimon.model.frame import SampleFrame
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row
from trimon.model.sample import ABSENT, STALE_NAN, is_absent, is_stale
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head import loose, scrapegroup
from trimon.storage.head.page import seal
from trimon.storage.head.scrapegroup import RawChunk
from trimon.storage.head.view import HeadView
from trimon.storage.read import keptframe, narrowingcache, narrowvalues
from trimon.storage.read.cachedsnapshot import CachedSnapshot
from trimon.storage.read.framebuilder import assemble
from trimon.storage.read.framecache import FrameCache
from trimon.storage.read.partialframe import PartialFrame

NAMES = [series(name, i=str(i)) for name in ("a", "b") for i in range(4)]
SCRAPED = [series("a", scraped=str(i)) for i in range(4)]
ASKED = [
    ALL,
    (Matcher("__name__", MatchType.EQUAL, "a"),),
    (Matcher("i", MatchType.REGEXP, "1|3"),),
]
VALUES = st.sampled_from([0.0, 1.5, float("nan"), STALE_NAN])


def rows_of(frame: SampleFrame, start_ms: int, end_ms: int) -> list[list[tuple[int, int]]]:
    """(time, bits) of the samples of every row in the closed interval."""
    out = []
    lengths = frame.lengths.tolist()
    for row in range(frame.rows):
        begin = int(frame.offsets[row])
        values = frame.values[begin : begin + lengths[row]]
        array = int(frame.time_of_row[row])
        times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
        assert len(times) == len(values)
        assert (np.diff(times) > 0).all()
        assert frame.has_stale[row] or not is_stale(values).any()
        inside = (times >= start_ms) & (times <= end_ms)
        bits = np.ascontiguousarray(values).view(np.int64)[inside].tolist()
        out.append(list(zip(times[inside].tolist(), bits, strict=True)))
    return out


def check(bench: Bench, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> None:
    """One reading both ways."""
    snapshot = bench.store.snapshot()
    selection = snapshot.select(matchers, start_ms, end_ms)
    wide = selection.wide_frame(start_ms, end_ms, lambda _: None)
    exact = selection.frame(start_ms, end_ms)
    assert rows_of(wide, start_ms, end_ms) == rows_of(exact, start_ms, end_ms)
    assert wide.count(start_ms, end_ms) == len(exact.values)
    plain = CachedSnapshot(snapshot.sources, FrameCache()).select(matchers, start_ms, end_ms)  # type: ignore[arg-type] # as made
    assert [plain.labels.labels(r) for r in range(plain.labels.rows)] == [
        selection.labels.labels(r) for r in range(selection.labels.rows)
    ]


class Readings(RuleBasedStateMachine):
    """Pushed and scraped samples, late ones, blocks that are cut, deletions, and readings in between."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="trimon-kept-")
        self.bench = Bench(Path(self.directory.name) / "data")
        self.bench.configure(out_of_order_window_ms=7_200_000)
        self.now_ms = START_MS + 60_000
        self.columns: dict[str, dict[Labels, int]] = {}

    def _clock(self) -> None:
        self.bench.clock.value_ms = max(self.bench.clock.value_ms, self.now_ms)

    @rule(count=st.integers(1, 12), names=st.integers(1, 8), value=VALUES)
    def push(self, count: int, names: int, value: float) -> None:
        """A sender's samples, the same times for all its series."""
        points = [
            (labels, self.now_ms + step * 15_000, float(step) if step % 5 else value)
            for labels in NAMES[:names]
            for step in range(count)
        ]
        self.bench.append(batch(*points))
        self.now_ms += count * 15_000
        self._clock()

    @rule(back=st.integers(1, 400), name=st.sampled_from(NAMES), value=VALUES)
    def late(self, back: int, name: tuple[tuple[str, str], ...], value: float) -> None:
        """A sample out of order."""
        self.bench.append(batch((name, self.now_ms - back * 7_000, value)))

    @rule(
        group=st.sampled_from(["g", "h"]),
        chosen=st.lists(st.sampled_from([*NAMES[5:], *SCRAPED]), unique=True, max_size=6),
        ended=st.integers(0, 2),
        value=VALUES,
        rows=st.integers(1, 9),
    )
    def scrape(self, group: str, chosen: list[Labels], ended: int, value: float, rows: int) -> None:
        """Rows of a target; some of its series are pushed too, or another target's, some come and some end."""
        self._scrape(group, chosen, ended, value, rows)

    def _scrape(self, group: str, chosen: list[Labels], ended: int, value: float, rows: int) -> None:
        held = self.columns.setdefault(group, {})
        for number in range(rows):
            known = [labels for labels in chosen if labels in held]
            new = [labels for labels in chosen if labels not in held]
            gone = [labels for labels in held if labels not in chosen][: ended if number == 0 else 0]
            message = Row(
                group,
                self.now_ms,
                np.array([held[labels] for labels in known], np.int32),
                np.full(len(known), value if number == 0 else float(number)),
                tuple(new),
                np.full(len(new), value),
                np.array([held[labels] for labels in gone], np.int32),
            )
            (answer,) = self.bench.append(message)
            held.update(zip(new, answer.columns.tolist(), strict=True))
            for labels in gone:
                del held[labels]
            self.now_ms += 15_000
        self._clock()

    @rule()
    def restart(self) -> None:
        """The process ends and starts."""
        self.bench.reopen()
        self.columns = {}

    @rule(hours=st.sampled_from([0.2, 1.0, 2.3]))
    def advance(self, hours: float) -> None:
        """Time passes, and what is due is cut and merged."""
        self.now_ms += int(hours * 3_600_000)
        self._clock()
        maintain(self.bench)

    @rule(name=st.sampled_from(["a", "b"]), back=st.integers(0, 500), long=st.integers(0, 200))
    def delete(self, name: str, back: int, long: int) -> None:
        """Samples are deleted."""
        start_ms = self.now_ms - back * 15_000
        matcher = Matcher("__name__", MatchType.EQUAL, name)
        self.bench.store.delete_series((matcher,), start_ms, start_ms + long * 15_000)

    @rule(
        asked=st.sampled_from(ASKED),
        back=st.sampled_from([0, 3, 20, 200, 700, 3000]),
        long=st.sampled_from([0, 5, 100, 2900]),
        times=st.integers(1, 4),
    )
    def ask(self, asked: tuple[Matcher, ...], back: int, long: int, times: int) -> None:
        """The same question several times: the later answers come from what is kept."""
        start_ms = self.now_ms - back * 15_000
        for _ in range(times):
            check(self.bench, asked, start_ms, start_ms + long * 15_000)

    @rule(
        asked=st.sampled_from(ASKED),
        long=st.sampled_from([10, 250, 2900]),
        moves=st.lists(
            st.tuples(
                st.sampled_from(["push", "g", "h", "late", "end"]),
                st.sampled_from([1, 2, 9, 17]),
                st.integers(0, 3),
                VALUES,
            ),
            min_size=3,
            max_size=9,
        ),
    )
    def refresh(
        self, asked: tuple[Matcher, ...], long: int, moves: list[tuple[str, int, int, float]]
    ) -> None:
        """A dashboard: the same question up to now, while samples arrive, of the same series or others."""
        for what, count, first, value in moves:
            check(self.bench, asked, self.now_ms - long * 15_000, self.now_ms)
            if what == "push":
                points = [(labels, self.now_ms, value) for labels in NAMES[first : first + count]]
                self.bench.append(batch(*points))
            elif what == "late":
                self.bench.append(batch((SCRAPED[first], self.now_ms - count * 40_001, value)))
            elif what == "end":
                for group in ("g", "h"):
                    self._scrape(group, SCRAPED[: first + 1], first, value, 1)
            else:
                self._scrape(what, SCRAPED[first:], 0, value, count)
            self.now_ms += 15_000
        self._clock()
        check(self.bench, asked, self.now_ms - long * 15_000, self.now_ms)

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.store.close()
            self.directory.cleanup()


@contextmanager
def small_pages(samples: int) -> Iterator[None]:
    """Loose samples are sealed soon."""
    patch = pytest.MonkeyPatch()
    patch.setattr(loose, "SEAL_SAMPLES", samples)
    patch.setattr(scrapegroup, "SEAL_ROWS", 12)
    try:
        yield
    finally:
        patch.undo()


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_readings_with_and_without_what_is_kept(monkeypatch: pytest.MonkeyPatch, *, narrow: bool) -> None:
    """Whatever is written, cut, deleted and asked in any order, kept samples and labels equal those read anew."""
    if narrow:
        monkeypatch.setattr(narrowingcache, "WIDE_SHARE", 1 << 40)
        monkeypatch.setattr(keptframe, "NARROWED_BYTES_MIN", 0)
        monkeypatch.setattr(narrowvalues, "OTHERS_SHARE", 2)
    with small_pages(40):
        run_state_machine_as_test(
            Readings,
            settings=settings(
                max_examples=80,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_what_is_asked_twice_is_kept(bench: Bench) -> None:
    """The second reading builds what the third one is given as it is; a new sample joins without reading again."""
    with small_pages(40):
        for step in range(30):
            bench.append(batch(*((labels, START_MS + step * 15_000, float(step)) for labels in NAMES)))
    asked = ASKED[1]
    end_ms = START_MS + 600_000

    def ask() -> SampleFrame:
        return (
            bench.store.snapshot().select(asked, START_MS, end_ms).wide_frame(START_MS, end_ms, reads.append)
        )

    reads: list[int] = []
    ask()
    second, third = ask(), ask()
    assert third is second
    assert len(reads) == 2
    bench.append(batch((NAMES[0], START_MS + 500_000, 7.0)))
    reads.clear()
    assert len(ask().values) == len(second.values) + 1
    assert reads == [8 * (len(second.values) + 1)]
    bench.store.delete_series(asked, START_MS, START_MS + 100_000)
    assert len(ask().values) < len(second.values)


def test_what_takes_more_than_half_of_the_room_is_narrowed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came first takes half as much, is admitted when it is asked for, and has the same notes."""
    monkeypatch.setattr(keptframe, "NARROWED_BYTES_MIN", 0)
    for step in range(300):
        bench.append(batch(*((labels, START_MS + step * 100, step / 8) for labels in NAMES)))
    end_ms = START_MS + 40_000
    memory, admitted = FrameCache(60_000), list[int]()

    def ask(matchers: tuple[Matcher, ...]) -> SampleFrame:
        sources: Any = bench.store.snapshot().sources
        selection = CachedSnapshot(sources, memory).select(matchers, START_MS, end_ms)
        return selection.wide_frame(START_MS, end_ms, admitted.append)

    for matchers in ASKED[:2] * 2:
        before = ask(matchers)
    assert memory.frames.used_bytes < 30_000
    admitted.clear()
    wide = ask(ASKED[0])
    assert admitted == [8 * len(wide.values)]
    again = ask(ASKED[0])
    assert again is not wide
    assert again.facts is wide.facts
    assert again.values.tobytes() == wide.values.tobytes()
    assert len(wide.values) == 2 * len(before.values) == 2400


def test_frames_are_grouped_by_their_times() -> None:
    """Rows of equal times become neighbours in a grouped frame, in their order, and ABSENT cells still go."""
    first = PartialFrame.matrix(
        np.array([0, 2, 4]), np.array([1, 2, 3]), np.arange(9.0).reshape(3, 3), absent=False
    )
    second = PartialFrame.matrix(
        np.array([1, 3]), np.array([1, 5]), np.arange(4.0).reshape(2, 2), absent=False
    )
    frame = assemble(6, [first, second], grouped=True)
    assert frame.lengths.tolist() == [3, 2, 3, 2, 3, 0]
    assert [frame.values[o : o + n].tolist() for o, n in zip(frame.offsets, frame.lengths, strict=False)] == [
        [0, 1, 2],
        [0, 1],
        [3, 4, 5],
        [2, 3],
        [6, 7, 8],
        [],
    ]
    begins = frame.offsets[[0, 2, 4]]
    assert np.diff(begins).tolist() == [3, 3]
    later = PartialFrame.matrix(
        np.array([0, 2, 4]), np.array([9]), np.array([[1.0], [2.0], [3.0]]), absent=False
    )
    joined = assemble(6, [PartialFrame.of(frame), later], grouped=True)
    assert rows_of(joined, 0, 99)[2] == [
        (t, int(np.float64(v).view(np.int64))) for t, v in ((1, 3.0), (2, 4.0), (3, 5.0), (9, 2.0))
    ]


@pytest.mark.parametrize("grouped", [False, True])
def test_rows_with_the_same_gaps_share_their_times(grouped: bool) -> None:
    """Ten series that came, five that went and three that never were: two timestamp arrays beside that of the rest."""
    values = np.arange(80.0).reshape(20, 4)
    values[:10, :2] = ABSENT
    values[10:15, 3] = ABSENT
    values[15:18] = ABSENT
    piece = PartialFrame.matrix(np.arange(20), np.array([1, 2, 3, 4]), values, absent=True)
    frame = assemble(20, [piece], grouped=grouped)
    assert frame.lengths.tolist() == [2] * 10 + [3] * 5 + [0] * 3 + [4] * 2
    assert len(frame.times) == 4 + 2 + 3
    for row in range(20):
        begin, length = frame.offsets[row], frame.lengths[row]
        assert frame.values[begin : begin + length].tolist() == values[row][~is_absent(values[row])].tolist()
        times = frame.times[frame.time_offsets[frame.time_of_row[row]] :][:length]
        assert times.tolist() == {2: [3, 4], 3: [1, 2, 3], 0: [], 4: [1, 2, 3, 4]}[int(length)]


def test_overlapping_pieces_without_any_sample_make_an_empty_frame() -> None:
    """Where everything was deleted from pieces that overlap, rows are empty, in grouped frames too."""
    pieces = [
        PartialFrame.matrix(np.array([0]), np.array(times), np.full((1, len(times)), ABSENT), absent=True)
        for times in ([1, 5], [3])
    ]
    for grouped in (False, True):
        assert assemble(2, pieces, grouped=grouped).lengths.tolist() == [0, 0]


def test_a_series_in_two_columns_of_a_chunk_keeps_all_samples() -> None:
    """A series that came back to a group in another column has the samples of both after sealing."""
    owners = np.array([3, 8, 3], np.int32)
    values = np.array([[1.0, 5.0, ABSENT], [2.0, 6.0, ABSENT], [ABSENT, 7.0, 4.0]])
    page = seal([(np.array([10, 20, 30]), values, owners)], ArrayCache())
    assert page is not None
    (piece,) = page.read(np.arange(2), np.array([3, 8], np.int32), 0, 99)
    frame = assemble(2, [piece])
    assert frame.values.tolist() == [1.0, 2.0, 4.0, 5.0, 6.0, 7.0]


def test_what_is_kept_does_not_hold_an_old_head(bench: Bench) -> None:
    """Rows that a head has sealed since are freed, though a selection and its samples are kept."""
    with small_pages(40):
        names = [series("m", i=str(i)) for i in range(8)]
        (answer,) = bench.append(first_row("g", START_MS, dict.fromkeys(names, 1.0)))
        columns = np.asarray(answer.columns, np.int32)
        for _ in range(3):
            check(bench, ALL, START_MS, START_MS + 600_000)
        view = bench.store.snapshot().sources[-1]
        assert isinstance(view, HeadView)
        rows = view.groups[0].raw[0]
        assert isinstance(rows, RawChunk)
        chunk = weakref.ref(rows.values)
        del view, rows
        for step in range(1, 20):
            bench.append(Row("g", START_MS + step * 15_000, columns, np.full(8, float(step))))
        check(bench, ALL, START_MS, START_MS + 600_000)
        gc.collect()
        assert chunk() is None


def test_of_two_samples_at_one_time_the_older_head_has_the_say(bench: Bench) -> None:
    """A pushed sample of an earlier run still counts before a scraped one of this run, when both are kept."""
    bench.configure(out_of_order_window_ms=7_200_000)
    name = series("a")
    time_ms = START_MS + 30_000
    bench.append(batch((name, time_ms, 1.0), (name, time_ms + 1, 1.5)))
    bench.reopen()
    bench.append(first_row("g", START_MS + 45_000, {name: 3.0}))
    bench.append(batch((name, time_ms, 2.0)))
    for _ in range(3):
        check(bench, ALL, START_MS, START_MS + 60_000)
    assert bench.read()[name][0] == (time_ms, 1.0)


def test_after_a_pause_only_what_is_asked_for_is_read(bench: Bench) -> None:
    """What came between two queries that are far apart is not read, and the reader is asked before anything is."""
    names = [series("a", i=str(i)) for i in range(3)]
    (answer,) = bench.append(first_row("g", START_MS, dict.fromkeys(names, 0.0)))
    columns = np.asarray(answer.columns, np.int32)
    reads: list[int] = []

    def ask(end_ms: int) -> SampleFrame:
        selection = bench.store.snapshot().select(ALL, end_ms - 300_000, end_ms)
        return selection.wide_frame(end_ms - 300_000, end_ms, reads.append)

    bench.clock.value_ms = START_MS + 7_000_000
    for step in range(1, 420):
        bench.append(Row("g", START_MS + step * 15_000, columns, np.full(3, float(step))))
        if step in (40, 41, 42):
            ask(START_MS + step * 15_000)
    reads.clear()
    assert len(ask(START_MS + 419 * 15_000).values) == 3 * 21
    assert len(reads) == 1


def test_what_is_asked_once_is_counted(bench: Bench) -> None:
    """The series of a selection count towards the memory that is kept, also before any sample of it is."""
    bench.append(first_row("g", START_MS, {series("m", i=str(i)): 1.0 for i in range(2000)}))
    memory = FrameCache()
    sources = bench.store.snapshot().sources
    for number in range(20):
        asked = (Matcher("i", MatchType.NOT_EQUAL, f"{number}"),)
        for _ in range(2):
            snapshot = CachedSnapshot(sources, memory)  # type: ignore[arg-type] # as made
            snapshot.select(asked, START_MS, START_MS).wide_frame(START_MS, START_MS, lambda _: None)
            assert memory.frames.used_bytes > 2000 * 4 * (number + 1)
