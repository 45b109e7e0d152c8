"""Where the segments of the log end that are written no more, so that one that vanishes or is cut is found out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import msgpack

from trimon.files import Files
from trimon.openfiles import OddFileError
from trimon.random import Randomness
from trimon.records import dataclass
from trimon.storage.block.damage import DamagedError
from trimon.storage.wal.log import SegmentName, list_segments, segment_bytes

FILE: Final = "log-ends"
IDENTITY: Final = "log-id"
MAGIC: Final = b"TRIMEND1"
EPOCHS_MAX: Final = 10**15
_NAME: Final = re.compile(rb"[0-9a-f]{32}")
_SHOWN_BYTES: Final = 40


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
class GoneFiles:
    """Segments that vanished or were cut since they were last seen, and how many bytes that is.

    Of `unsized` ones of them nobody knows the bytes.
    """

    vanished: int = 0
    cut: int = 0
    size_bytes: int = 0
    unsized: int = 0


@dataclass(slots=True)
class InspectedLog:
    """The log of a directory before it is read: its name, its segments, and what is missing of it.

    `closed` are segments that are known to have been whole, `last_epoch` the run before the next one, `done` are those that are
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
    gone: GoneFiles


def inspect_log(files: Files, path: Path, done_of: Callable[[str], Collection[int]]) -> InspectedLog:
    """What there is of the log of a data directory; `done_of` tells the runs of a log that are in blocks. Raises OSError."""
    problems: list[tuple[str, str]] = []
    gone = GoneFiles()
    segments = list_segments(files, path / "wal")
    ends = _read_ends(files, path, problems)
    what = f"{IDENTITY} is missing"
    try:
        if known := read_identity(files, path):
            what = f"{IDENTITY} is {known!r}"
    except (OddFileError, DamagedError) as error:
        known, what = "", str(error)
        if not ends.log_id:
            problems.append((IDENTITY, f"{error}: which runs of the log are in blocks nobody can tell"))
    if ends.log_id and known != ends.log_id:
        problems.append((IDENTITY, f"{what} instead of {ends.log_id!r}, which is the log's name"))
    if (known or ends.log_id) and not segments:
        gone.unsized += not ends.sizes
        problems.append(("log", f"the log has vanished: {path / 'wal'} holds no segment"))
    log_id = ends.log_id or known
    done = set(done_of(log_id))
    expected = sorted({*segments, *ends.sizes})
    for epoch, names in groupby(expected, key=lambda name: name.epoch):
        if epoch not in done:
            problems += _missing(files, path / "wal", list(names), set(segments), ends.sizes, gone)
    used = done.union(name.epoch for name in expected)
    # Numbers of runs that nobody has counted up to leave no room above them; new runs go below.
    last = max((epoch for epoch in used if epoch < EPOCHS_MAX), default=-1)
    while last + 1 in used:
        last += 1
    closed = set(segments).intersection(ends.sizes)
    return InspectedLog(log_id, log_id != known, segments, closed, last, done, problems, gone)


def _read_ends(files: Files, path: Path, problems: list[tuple[str, str]]) -> LogEnds:
    """What the file of ends says; nothing if it cannot be read, which is a problem."""
    try:
        return LogEnds.unpack(files.read(path / FILE))
    except FileNotFoundError:
        pass
    except DamagedError as error:
        problems.append((FILE, str(error)))
    except OSError as error:
        problems.append((FILE, f"{error}: nobody can tell whether the log is complete"))
    return LogEnds()


def _missing(
    files: Files,
    wal: Path,
    expected: Sequence[SegmentName],
    there: Collection[SegmentName],
    sizes: Mapping[SegmentName, int],
    gone: GoneFiles,
) -> list[tuple[str, str]]:
    """Problems of the segments of one run: those that vanished, were cut or emptied, which are counted as `gone`."""
    found: list[tuple[str, str]] = []
    for name in expected:
        size = sizes.get(name)
        now = segment_bytes(files, wal, name)
        if name not in there:
            gone.vanished += 1
            gone.size_bytes += size or 0
            found.append((str(name), f"WAL segment {name} has vanished, it had {size} bytes"))
        elif size is not None and now is not None and now < size:
            gone.cut += 1
            gone.size_bytes += size - now
            found.append((str(name), f"WAL segment {name} was cut: {now} bytes are left of {size}"))
        elif size is None and now == 0:
            gone.cut += 1
            gone.unsized += 1
            found.append((str(name), f"WAL segment {name} is empty: what it held, if anything, is lost"))
    return found + _gaps(expected, gone)


def _gaps(expected: Sequence[SegmentName], gone: GoneFiles) -> list[tuple[str, str]]:
    """Problems of segments that are missing between those of a run, a line for each range."""
    found: list[tuple[str, str]] = []
    epoch = expected[0].epoch
    for before, number in pairwise((-1, *(name.segment for name in expected))):
        first, last = SegmentName(epoch, before + 1), SegmentName(epoch, number - 1)
        gone.vanished += number - before - 1
        gone.unsized += number - before - 1
        if first == last:
            found.append((str(first), f"WAL segment {first} has vanished"))
        elif first < last:
            count = number - before - 1
            found.append((str(first), f"{count} WAL segments have vanished: {first} to {last}"))
    return found


def read_identity(files: Files, path: Path) -> str:
    """The name of a data directory's log, which tells its runs from those of others; empty if it has none yet.

    Raises OSError, and DamagedError for what is no such name: taken for one, it would be another log's.
    """
    try:
        content = files.read(path / IDENTITY).strip()
    except FileNotFoundError:
        return ""
    if content and not _NAME.fullmatch(content):
        raise DamagedError(f"{IDENTITY} is damaged: it holds {content[:_SHOWN_BYTES]!r}")
    return content.decode("ascii")


def new_identity(randomness: Randomness) -> str:
    """A name for a log."""
    return randomness.token(16).hex()


def write_identity(files: Files, path: Path, log_id: str) -> None:
    """Note the name of the log. Raises OSError."""
    files.write_atomic(path / IDENTITY, log_id.encode("ascii"))


def save_ends(files: Files, path: Path, log_id: str, *, without: Collection[int] = ()) -> None:
    """Note where all segments end, but those of runs that are removed next or still written. Raises OSError."""
    wal = path / "wal"
    listed = {name: segment_bytes(files, wal, name) for name in list_segments(files, wal)}
    sizes = {name: size for name, size in listed.items() if size is not None and name.epoch not in without}
    files.write_atomic(path / FILE, LogEnds(log_id, sizes).pack())
