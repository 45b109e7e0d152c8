"""Rebuilding heads from all segments of a directory, window by window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.matcher import Matcher, MatchType
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.damage import TellLost
from trimon.storage.wal.lazy import LoggedHead
from trimon.storage.wal.log import SegmentName
from trimon.storage.wal.replay import SEGMENTS, EpochReplay, ReplayReport, read_window, replay_segment
from trimon.storage.wal.sections import DELETE


class Recovery:
    """Reads the segments of earlier runs; runs of one window become one head.

    With `mend` a torn tail is cut off, of segments that are not `closed`, which were whole once. `tell` hears what of the
    heads turns out to be lost when it is read later on.
    """

    def __init__(
        self,
        files: Files,
        directory: Path,
        segments: Sequence[SegmentName],
        on_progress: Callable[[int, int], None],
        note: Callable[[list[Any]], None],
        *,
        mend: bool = True,
        closed: Collection[SegmentName] = (),
        cache: ArrayCache | None = None,
        tell: TellLost | None = None,
    ) -> None:
        self._tell = tell
        self._cache = ArrayCache() if cache is None else cache
        self.report = ReplayReport()
        self.deletions: list[tuple[int, list[Any]]] = []
        """The notes of deletions, each with the run in whose log it stands."""
        self._files = files
        self._directory = directory
        self._segments = segments
        self._on_progress = on_progress
        self._note = note
        self._mend = mend
        self._closed = closed

    def run(self) -> list[tuple[LoggedHead, set[int]]]:
        """The heads, oldest window first, and the runs each was made of."""
        heads: dict[tuple[int, int], tuple[LoggedHead, set[int]]] = {}
        done, total = 0, len(self._segments)
        self._on_progress(done, total)
        for epoch, names in groupby(self._segments, key=lambda name: name.epoch):
            segments = list(names)
            window = _window(self._files, self._directory, segments) or (0, 0)
            head, epochs = heads.setdefault(window, (LoggedHead(*window, self._cache, self._tell), set()))
            epochs.add(epoch)

            def noted(numbers: list[Any], epoch: int = epoch) -> None:
                self._noted(epoch, numbers, heads.values())

            target = EpochReplay(head, self.report, noted)
            for name in segments:
                try:
                    # what was whole once has no torn tail
                    mend = self._mend and name is segments[-1] and name not in self._closed
                    path = self._directory / str(name)
                    replay_segment(self._files, path, name, target, self.report, mend=mend)
                except (OSError, OperatingError) as error:
                    self.report.unknown_files += 1
                    self.report.problem(SEGMENTS, str(name), f"WAL segment {name}: {error}")
                done += 1
                self._on_progress(done, total)
        for head, _ in heads.values():
            head.publish()
        return [heads[window] for window in sorted(heads)]

    def deletions_in(self, epochs: Collection[int]) -> list[tuple[int, list[Any]]]:
        """Those that are in the head of some runs, and stand in the logs of others."""
        wanted = set(epochs)
        return [each for each in self.deletions if each[0] not in wanted and wanted.intersection(each[1][4])]

    def _noted(self, epoch: int, numbers: list[Any], heads: Iterable[tuple[LoggedHead, set[int]]]) -> None:
        """Deletions are applied here, to the heads they name; other notes are passed on."""
        if numbers[0] != DELETE:
            self._note(numbers)
            return
        self.deletions.append((epoch, numbers))
        _, start_ms, end_ms, listed, deleted_in = numbers
        matchers = [Matcher(name, MatchType(kind), value) for name, kind, value in listed]
        for head, epochs in heads:
            if epochs.intersection(deleted_in):
                head.delete(matchers, start_ms, end_ms)


def latest_window(files: Files, directory: Path, segments: Sequence[SegmentName]) -> int | None:
    """The start of the latest window that the logs of earlier runs tell; None if none does. Reads a record of each run."""
    runs = groupby(segments, key=lambda name: name.epoch)
    windows = [_window(files, directory, list(names)) for _, names in runs]
    return max((window[0] for window in windows if window is not None), default=None)


def _window(files: Files, directory: Path, segments: Sequence[SegmentName]) -> tuple[int, int] | None:
    """The window any of a run's segments tells; None if none does."""
    for name in segments:
        try:
            window = read_window(files, directory / str(name), name)
        except OSError:
            continue
        if window is not None:
            return window
    return None
