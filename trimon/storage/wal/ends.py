"""Where the segments of the log end that are written no more, so that one that vanishes or is cut is found out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

import msgpack

from trimon.files import Files
from trimon.random import Randomness
from trimon.storage.block.damage import DamagedError
from trimon.storage.wal.log import SegmentName, list_segments

FILE: Final = "log-ends"
IDENTITY: Final = "log-id"
MAGIC: Final = b"TRIMEND1"


@dataclass(frozen=True, slots=True)
class LogEnds:
    """The name of a directory's log, and the bytes of each segment that was closed in order or replayed."""

    log_id: str = ""
    sizes: dict[SegmentName, int] = field(default_factory=dict)

    def pack(self) -> bytes:
        """The content of the file."""
        listed = [[name.epoch, name.segment, size] for name, size in sorted(self.sizes.items())]
        body = msgpack.packb([self.log_id, listed])
        return b"".join((MAGIC, zlib.crc32(body).to_bytes(4, "little"), body))

    @classmethod
    def unpack(cls, data: bytes) -> LogEnds:
        """The inverse of `pack`. Raises DamagedError."""
        body = data[len(MAGIC) + 4 :]
        if data[: len(MAGIC) + 4] != MAGIC + zlib.crc32(body).to_bytes(4, "little"):
            raise DamagedError(
                f"{FILE} does not pass its checksum: nobody can tell whether the log is complete"
            )
        log_id, listed = msgpack.unpackb(body)
        return cls(log_id, {SegmentName(epoch, segment): size for epoch, segment, size in listed})


@dataclass(slots=True)
class InspectedLog:
    """The log of a directory before it is read: its name, its segments, and what is missing of it.

    `closed` are segments that are known to have been whole, `last_epoch` the last run known of, `done` are those that are
    in blocks. Problems are (subject, text).
    """

    log_id: str
    is_unnamed: bool
    """Whether the name is to be written."""
    segments: list[SegmentName]
    closed: set[SegmentName]
    last_epoch: int
    done: set[int]
    problems: list[tuple[str, str]]


def inspect_log(files: Files, path: Path, done_of: Callable[[str], Collection[int]]) -> InspectedLog:
    """What there is of the log of a data directory; `done_of` tells the runs of a log that are in blocks. Raises OSError."""
    problems: list[tuple[str, str]] = []
    segments = list_segments(files, path / "wal")
    ends = LogEnds()
    try:
        ends = LogEnds.unpack(files.read(path / FILE))
    except FileNotFoundError:
        pass
    except DamagedError as error:
        problems.append((FILE, str(error)))
    known = read_identity(files, path)
    if ends.log_id and known != ends.log_id:
        what = f"is {known!r}" if known else "is missing"
        problems.append((IDENTITY, f"{IDENTITY} {what} instead of {ends.log_id!r}, which is the log's name"))
    if (known or ends.log_id) and not segments:
        problems.append(("log", f"the log has vanished: {path / 'wal'} holds no segment"))
    done = done_of(ends.log_id or known)
    there = set(segments)
    for name, size in ends.sizes.items():
        if name.epoch in done:
            continue
        if name not in there:
            problems.append((str(name), f"WAL segment {name} has vanished, it had {size} bytes"))
        elif (now := files.size(path / "wal" / str(name))) < size:
            problems.append((str(name), f"WAL segment {name} was cut: {now} bytes are left of {size}"))
    for epoch, names in groupby(segments, key=lambda name: name.epoch):
        numbers = [name.segment for name in names]
        for number in sorted(set(range(numbers[-1])).difference(numbers)):
            gone = SegmentName(epoch, number)
            if epoch not in done and gone not in ends.sizes:
                problems.append((str(gone), f"WAL segment {gone} has vanished"))
    last = max([*done, *(name.epoch for name in (*segments, *ends.sizes))], default=-1)
    log_id = ends.log_id or known
    return InspectedLog(
        log_id, log_id != known, segments, there.intersection(ends.sizes), last, set(done), problems
    )


def read_identity(files: Files, path: Path) -> str:
    """The name of a data directory's log, which tells its runs from those of others; empty if it has none yet.

    Raises OSError.
    """
    try:
        return files.read(path / IDENTITY).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def new_identity(randomness: Randomness) -> str:
    """A name for a log."""
    return randomness.token(16).hex()


def write_identity(files: Files, path: Path, log_id: str) -> None:
    """Note the name of the log. Raises OSError."""
    files.write_atomic(path / IDENTITY, log_id.encode("ascii"))


def save_ends(files: Files, path: Path, log_id: str, *, without: Collection[int] = ()) -> None:
    """Note where all segments end, but those of runs that are removed next or still written. Raises OSError."""
    wal = path / "wal"
    sizes = {
        name: files.size(wal / str(name)) for name in list_segments(files, wal) if name.epoch not in without
    }
    files.write_atomic(path / FILE, LogEnds(log_id, sizes).pack())
