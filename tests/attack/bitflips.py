"""Bits flipped at random places of blocks and log: nothing crashes, nothing is refused, nothing is wrong or lost untold.

Each round flips one bit of a copy of a store whose content is known, opens it, reads everything, and verifies it offline.
What is missing then must lie in the page that was hit: of the data a page of samples or of a timetable, of the index and
of all other files of a block nothing at all, of the log the record and the rows that build on it, up to the next whole one.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.attack import bitflips_peer
from tests.attack.figures import arguments, figure
from trimon.clock import StoppedClock
from trimon.files import AppendFile, DiskFiles
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row, SampleBatch
from trimon.openfiles import DiskReadFile
from trimon.random import SeededRandomness
from trimon.storage.block.bands import unpack_page
from trimon.storage.block.reader import Block
from trimon.storage.block.timetable import ENTRIES_PER_PAGE
from trimon.storage.options import HOUR_MS, StoreOptions
from trimon.storage.store import Store
from trimon.storage.tools.checking import verify
from trimon.storage.tools.offline import open_offline
from trimon.storage.wal import sections
from trimon.storage.wal.frame import RECORD_BATCH, LogRecord, records, segment_seed
from trimon.storage.wal.log import SegmentName, list_segments
from trimon.storage.wal.payload import Payload

START_MS: Final = 1_700_006_400_000
EVER: Final = (-(1 << 60), 1 << 60)
STEP_MS: Final = 120_000
WINDOWS: Final = 3
GROUPS: Final = 3
SERIES: Final = 40
KINDS: Final = ("index", "data", "meta.json", "wal", "tombstones", "names of the log")

Numbers = npt.NDArray[np.int64]


class _QuickFiles(DiskFiles):
    """The real file system without waiting for the medium."""

    def sync_directory(self, path: Path) -> None:
        """Nothing."""

    def create(self, path: Path) -> AppendFile:
        file = super().create(path)
        file.sync = lambda: None  # type: ignore[method-assign] # of this object alone
        return file


@dataclass
class Content:
    """Samples as (series, time) in one number, ascending, and the bits of their values."""

    keys: Numbers
    bits: Numbers


@dataclass
class Target:
    """A place that may be hit: a file, and which samples may go with each byte of it."""

    path: Path
    allowed: Callable[[int], Numbers]


@dataclass
class World:
    """A directory, what it holds, and what may be lost where."""

    path: Path
    options: StoreOptions
    numbers: dict[Labels, int]
    content: Content
    targets: dict[str, list[Target]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def _values(step: int, group: int) -> npt.NDArray[np.float64]:
    base = np.arange(SERIES, dtype=np.float64) * (group + 1)
    return np.where(np.arange(SERIES) % 3 == 0, base + step, base + np.sin(step + base))


def _names(group: int) -> tuple[Labels, ...]:
    return tuple(
        labels_of({"__name__": f"metric_{i % 6}", "group": f"g{group}", "i": str(i)}) for i in range(SERIES)
    )


def build(directory: Path) -> World:
    """Blocks of two windows, merged and not, and a log of a third; closed in order."""
    clock = StoppedClock(START_MS)
    options = StoreOptions(directory, fsync="never", max_block_ms=2 * HOUR_MS, wal_segment_bytes=15_000)
    store = Store.open(options, _QuickFiles(), clock, SeededRandomness(1))
    store.replay()
    columns: list[npt.NDArray[np.int32]] = []
    late = labels_of({"__name__": "late", "kind": "loose"})
    for step in range(WINDOWS * 2 * HOUR_MS // STEP_MS - 8):
        time_ms = clock.value_ms = START_MS + step * STEP_MS
        for group in range(GROUPS):
            if step == 0:
                row = Row(
                    f"g{group}",
                    time_ms,
                    np.zeros(0, np.int32),
                    np.zeros(0),
                    _names(group),
                    _values(step, group),
                )
                columns.append(store.append([row])[0].columns)
            elif (step + group) % 17 and step % (2 * group + 1) == 0:
                store.append([Row(f"g{group}", time_ms, columns[group], _values(step, group))])
        if step % 3 == 0:
            one = SampleBatch(
                (late,), np.zeros(1, np.int32), np.array([time_ms + 7], np.int64), np.array([step / 3])
            )
            store.append([one])
        if step % 30 == 29:
            for job in store.plan(clock.value_ms):
                job.run()
                job.install()
    store.delete_series((Matcher("i", MatchType.EQUAL, "7"),), START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)
    numbers: dict[Labels, int] = {}
    content = read(store, numbers)
    store.close()
    world = World(directory, options, numbers, content)
    _aim(world)
    return world


def read(store: Store, numbers: dict[Labels, int]) -> Content:
    """All samples of a store; series that are not known yet get the next number."""
    return _content(store, numbers)[0]


def _content(store: Store, numbers: dict[Labels, int]) -> tuple[Content, tuple[str, ...]]:
    selection = store.snapshot().select((), *EVER)
    frame = selection.frame(*EVER)
    label_sets = [selection.labels.labels(row) for row in range(selection.labels.rows)]
    series = np.array([numbers.setdefault(labels, len(numbers)) for labels in label_sets], np.int64)
    lengths = frame.lengths
    places = np.repeat(frame.time_offsets[:-1][frame.time_of_row] - (np.cumsum(lengths) - lengths), lengths)
    times = frame.times[places + np.arange(len(places))]
    keys = np.repeat(series, lengths) << 44 | (times - START_MS)
    order = np.argsort(keys)
    return Content(keys[order], frame.values.view(np.int64)[order]), frame.missing


def _inside(world: World, series: set[int] | None, first_ms: int, last_ms: int) -> Numbers:
    keys = world.content.keys
    times = (keys & (1 << 44) - 1) + START_MS
    mine = (times >= first_ms) & (times <= last_ms)
    if series is not None:
        mine &= np.isin(keys >> 44, list(series))
    return keys[mine]


def _aim(world: World) -> None:
    nothing = np.zeros(0, np.int64)
    targets = world.targets
    opened = open_offline(_QuickFiles(), world.path)
    for block in opened.blocks:
        assert isinstance(block, Block)
        for kind in ("index", "meta.json"):
            targets[kind].append(Target(block.path / kind, lambda _offset: nothing))
        if (block.path / "tombstones").exists():
            targets["tombstones"].append(Target(block.path / "tombstones", lambda _offset: nothing))
        targets["data"].append(_data_target(world, block))
    targets["names of the log"] = [
        Target(world.path / name, lambda _offset: nothing) for name in ("log-id", "log-ends")
    ]
    segments = list_segments(_QuickFiles(), world.path / "wal")
    for _, names in groupby(segments, key=lambda name: name.epoch):
        targets["wal"].extend(_log_targets(world, list(names)))


def _data_target(world: World, block: Block) -> Target:
    samples, size = block._samples, (block.path / "data").stat().st_size
    table = block.table(np.arange(block.series, dtype=np.int32))
    numbers = np.array([world.numbers[table.labels(row)] for row in range(block.series)])
    band_of, place_of = samples._series_band, samples._series_place
    allowed: list[tuple[int, int, Numbers]] = []
    pages, times = samples._pages, samples._times
    needs: dict[tuple[int, int], set[int]] = {}
    for page, offset in enumerate(pages["offset"].tolist()):
        members = np.flatnonzero(band_of == pages["band"][page])
        members = members[np.argsort(place_of[members])]
        first_ms, last_ms = int(pages["first_ms"][page]), int(pages["last_ms"][page])
        mine = set(numbers[members].tolist())
        allowed.append((offset, int(pages["length"][page]), _inside(world, mine, first_ms, last_ms)))
        rows = unpack_page(samples._checked(pages, page), None)
        for row, entry in enumerate(rows.entries.tolist()):
            if rows.lengths[row]:
                key = (int(pages["slice"][page]), entry // ENTRIES_PER_PAGE)
                needs.setdefault(key, set()).add(int(numbers[members[row]]))
    for page, offset in enumerate(times["offset"].tolist()):
        number = int(times["slice"][page])
        mine_pages = pages["slice"] == number
        first_ms, last_ms = int(pages["first_ms"][mine_pages].min()), int(pages["last_ms"][mine_pages].max())
        mine = needs.get((number, int(times["first"][page]) // ENTRIES_PER_PAGE), set())
        allowed.append((offset, int(times["length"][page]), _inside(world, mine, first_ms, last_ms)))
    by_byte = np.full(size, -1, np.int64)
    for which, (offset, length, _) in enumerate(allowed):
        by_byte[offset : offset + length] = which
    return Target(
        block.path / "data",
        lambda at: allowed[by_byte[at]][2] if by_byte[at] >= 0 else np.zeros(0, np.int64),
    )


def _log_targets(world: World, names: list[SegmentName]) -> list[Target]:
    """The segments of a run: a record may take what it holds, and of a group the rows until the next whole one.

    With labels of series, or columns, everything that comes after may go.
    """
    paths = [world.path / "wal" / str(name) for name in names]
    contents = [DiskReadFile(path) for path in paths]
    found = [
        (number, record, Payload(record.payload).sections if record.type == RECORD_BATCH else [])
        for number, name in enumerate(names)
        for record in records(contents[number], segment_seed(name.epoch, name.segment))
        if isinstance(record, LogRecord)
    ]
    rows: dict[int, dict[int, int]] = {}
    moments: list[set[int]] = []
    for _, _, parts in found:
        moments.append(set())
        for part in parts:
            if part[0] == sections.ROW:
                rows.setdefault(part[1], {})[part[2]] = part[3]
                moments[-1].add(part[3])
    last_ms = max((time_ms for mine in moments for time_ms in mine), default=0)
    by_byte = [np.full(content.size_bytes, -1, np.int64) for content in contents]
    allowed: list[Numbers] = []
    for number, record, parts in found:
        by_byte[number][record.offset : record.end] = len(allowed)
        mine: list[Numbers] = [np.zeros(0, np.int64)]
        began_ms = min((time_ms for each in moments[len(allowed) :] for time_ms in each), default=last_ms)
        for part in parts:
            if part[0] == sections.ROW:
                end = (part[2] // sections.KEY_ROW_EVERY + 1) * sections.KEY_ROW_EVERY
                times = [rows[part[1]][row] for row in range(part[2], end) if row in rows[part[1]]]
                mine.extend(_inside(world, None, time_ms, time_ms) for time_ms in times)
            elif part[0] == sections.LOOSE:
                # Records of a run are written after one another, and so are their late samples; rows may lie between.
                mine.append(_inside(world, None, began_ms - 8 * STEP_MS, began_ms + 2 * STEP_MS))
            elif part[0] in (sections.PAIRS, sections.SERIES, sections.GROUPS) or (
                part[0] == sections.GRANT and len(allowed) < 2
            ):
                mine.append(_inside(world, None, began_ms, last_ms + STEP_MS))
        allowed.append(np.unique(np.concatenate(mine)))

    def allowed_at(number: int, offset: int) -> Numbers:
        which = by_byte[number][offset]
        return allowed[which] if which >= 0 else np.zeros(0, np.int64)

    return [Target(path, partial(allowed_at, number)) for number, path in enumerate(paths)]


@dataclass
class Tally:
    """What came of the rounds."""

    places: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def fail(self, what: str, place: str) -> None:
        """Count a failure, with the place of the first few."""
        self.failures[what] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {place}")


def flip_once(world: World, directory: Path, dice: random.Random, tally: Tally) -> None:
    """One bit in a copy of the world; everything is read and verified."""
    kind = dice.choice(KINDS)
    target = dice.choice(world.targets[kind])
    offset, bit = dice.randrange(target.path.stat().st_size), dice.randrange(8)
    place = f"{target.path.relative_to(world.path)} byte {offset} bit {bit}"
    tally.places[kind] += 1
    copy = directory / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(world.path, copy)
    hit = copy / target.path.relative_to(world.path)
    content = bytearray(hit.read_bytes())
    content[offset] ^= 1 << bit
    hit.write_bytes(content)
    try:
        told = [line for fine, line in verify(_QuickFiles(), copy) if not fine]
        _judge(world, replace(world.options, path=copy), target.allowed(offset), place, kind, tally)
        if not told:
            tally.fail("not told by verify", place)
    except Exception as error:  # noqa: BLE001 # whatever it is, it is counted
        tally.fail(f"crash {type(error).__name__}: {str(error)[:80]}", place)


def _judge(
    world: World, options: StoreOptions, allowed: Numbers, place: str, kind: str, tally: Tally
) -> None:
    clock = StoppedClock(START_MS + WINDOWS * 2 * HOUR_MS)
    store = Store.open(options, _QuickFiles(), clock)
    try:
        report = store.replay()
        numbers = dict(world.numbers)
        found, missing = _content(store, numbers)
        truth = world.content
        at = np.minimum(np.searchsorted(truth.keys, found.keys), len(truth.keys) - 1)
        if not np.array_equal(truth.keys[at], found.keys) or not np.array_equal(truth.bits[at], found.bits):
            tally.fail("wrong value", place)
        lost = np.setdiff1d(truth.keys, found.keys)
        if not len(lost):
            return
        tally.lost[kind] += len(lost)
        if len(np.setdiff1d(lost, allowed)):
            tally.fail("loss beyond the page", place)
        if not (store.problems and (missing or kind == "wal")) and not report.problems:
            tally.fail("loss untold", place)
    finally:
        store.close()


def attack(seed: int, rounds: int) -> Tally:
    """So many flips, each in a fresh copy."""
    dice, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        directory = Path(name)
        world = build(directory / "store")
        for number in range(rounds):
            flip_once(world, directory, dice, tally)
            if number % 1000 == 999:
                sys.stderr.write(f"{number + 1} places, {sum(tally.failures.values())} failures\n")
    return tally


def main() -> None:
    """Flip, and print the table's lines."""
    parser = arguments(__doc__ or "", rounds=10_000)
    parser.add_argument(
        "--peer", action="store_true", help="flip bits of a block of Debian's prometheus instead"
    )
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} places", flush=True)
    if options.peer:
        for result, count in bitflips_peer.attack(options.seed, options.rounds).most_common():
            figure("a flipped bit in index or chunks of a block of Prometheus", result, f"{count} places")
        return
    tally = attack(options.seed, options.rounds)
    for example in tally.examples:
        print(example)
    for kind in KINDS:
        figure(f"a flipped bit in {kind}", f"{tally.lost[kind]} samples lost", f"{tally.places[kind]} places")
    bad = ", ".join(f"{count} {what}" for what, count in tally.failures.most_common())
    figure(
        "flipped bits",
        bad or "no crash, refusal, wrong value, loss beyond the page or untold",
        str(options.rounds),
    )


if __name__ == "__main__":
    main()
