"""Runs of the log that storage is done with and somebody still reads: they are kept beside the log, not removed.

What is in blocks needs no log any more, but a receiver of samples that was away for hours has not had it yet. Such a run is
moved out of `wal/`, as a whole, so that nothing which replays the log ever sees it again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trimon.clock import Clock
from trimon.files import Files
from trimon.openfiles import ReadFile
from trimon.storage.wal.log import SegmentName, list_segments, remove_segments, segment_bytes

FOLDER: Final = "remote-write"


class RunExtent(NamedTuple):
    """How far a run of the log goes: the bytes of each of its segments that hold whole records."""

    epoch: int
    segments: Mapping[int, int]
    is_open: bool
    """Whether it is still written to."""

    @property
    def end(self) -> tuple[int, int]:
        """Its last segment, and the bytes of that."""
        last = max(self.segments, default=0)
        return last, self.segments.get(last, 0)


class KeptLog:
    """The log's segments, those in `wal/` and those that are kept in `remote-write/log/`. From any thread."""

    def __init__(self, files: Files, path: Path, clock: Clock) -> None:
        self.folder = path / FOLDER
        """What belongs to remote write in the data directory."""
        self.path = self.folder / "log"
        self.wanted = False
        """Whether runs that storage is done with are kept: somebody reads the log, or did in the process before."""
        self._files = files
        self._wal = path / "wal"
        self._clock = clock
        self._moving = threading.Lock()
        self._since_ms: dict[int, int] = {}

    def segments(self) -> list[SegmentName]:
        """The segments that are kept."""
        return list_segments(self._files, self.path)

    def retire(self, epochs: Collection[int]) -> None:
        """Storage is done with these runs: keep or remove them. Raises OSError."""
        if self.wanted:
            with self._moving:
                self._files.make_directory(self.path)
                # Newest first, so that what is left in the log is always a beginning.
                for name in reversed(list_segments(self._files, self._wal)):
                    old = self._wal / str(name)
                    if name.epoch in epochs and not self._files.is_directory(old):
                        self._files.rename(old, self.path / str(name))
                self._files.sync_directory(self.path)
        remove_segments(self._files, self._wal, set(epochs))

    def extents(self, listed: Collection[int], written: Mapping[int, tuple[int, int]]) -> list[RunExtent]:
        """Each run that was `listed`, oldest first; `written` are those still written to and how far."""
        names = [*list_segments(self._files, self._wal), *self.segments()]
        sizes: dict[int, dict[int, int]] = {epoch: {} for epoch in sorted({*listed, *written})}
        for name in names:
            if name.epoch not in sizes:
                continue
            last, end = written.get(name.epoch, (None, 0))
            if last == name.segment:
                sizes[name.epoch][name.segment] = end
            elif last is None or name.segment < last:
                sizes[name.epoch][name.segment] = self._size(name) or 0
        return [RunExtent(epoch, found, epoch in written) for epoch, found in sizes.items() if found]

    def _size(self, name: SegmentName) -> int | None:
        found = segment_bytes(self._files, self._wal, name)
        return segment_bytes(self._files, self.path, name) if found is None else found

    def open(self, name: SegmentName) -> ReadFile:
        """A segment, wherever it is. Raises OSError."""
        for folder in (self._wal, self.path, self._wal):
            try:
                return self._files.open(folder / str(name))
            except FileNotFoundError:
                continue
        raise FileNotFoundError(f"WAL segment {name} is gone")

    @property
    def size_bytes(self) -> int:
        """What is kept."""
        return sum(segment_bytes(self._files, self.path, name) or 0 for name in self.segments())

    def release(self, needed: Collection[int]) -> None:
        """Remove the runs that nobody needs any more. Raises OSError."""
        with self._moving:
            remove_segments(self._files, self.path, {name.epoch for name in self.segments()} - set(needed))

    def beyond(self, age_ms: int, size_max: int) -> list[int]:
        """The oldest runs that are kept beyond an age or a size; 0 for any."""
        now_ms = self._clock.now_ms()
        sizes: dict[int, int] = {}
        for name in self.segments():
            sizes[name.epoch] = sizes.get(name.epoch, 0) + (segment_bytes(self._files, self.path, name) or 0)
        self._since_ms = {epoch: self._since_ms.get(epoch, now_ms) for epoch in sizes}
        whole, gone = sum(sizes.values()), []
        for epoch in sorted(sizes):
            old = age_ms and now_ms - self._since_ms[epoch] > age_ms
            if not old and not (size_max and whole > size_max):
                break
            gone.append(epoch)
            whole -= sizes[epoch]
        return gone
