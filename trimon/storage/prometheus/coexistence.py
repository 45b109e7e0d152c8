"""Where samples are kept when the data directory that is named is a Prometheus'.

    metrics2/                    named by --storage.tsdb.path
    ├── 01J…/chunks index …      a block of Prometheus ─┐
    ├── chunks_head/                                    ├ never touched: it may go on, or be gone back to
    ├── wal/00000042                                    ─┘
    └── trimon/                  a data directory of ours, made beside it

Whoever switches changes the command and nothing else, so the server is told a directory that it cannot read and must not write:
Prometheus does not start over a block without chunks, and both would write into the same `wal`. Prometheus looks at no
other folder than its own, so one of ours inside is in nobody's way. It stays the place when Prometheus' files are removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trimon.files import Files
from trimon.storage.block.meta import is_ulid
from trimon.storage.wal.ends import IDENTITY

FOLDER: Final = "trimon"
_SEGMENT_DIGITS: Final = 8


def own_directory(files: Files, path: Path) -> Path:
    """The data directory of ours that a path names: itself, or the folder in that of a Prometheus. Blocks on the disk."""
    names = _names(files, path)
    if IDENTITY in names:
        return path
    if FOLDER in names or _is_prometheus(files, path, names):
        return path / FOLDER
    return path


def read_directory(files: Files, path: Path) -> Path:
    """The directory that a path to be read names: that of a Prometheus itself, unless one of ours lies inside."""
    names = _names(files, path)
    return path / FOLDER if FOLDER in names and IDENTITY not in names else path


def _is_prometheus(files: Files, path: Path, names: set[str]) -> bool:
    """Whether a Prometheus has written there: a log, chunks of the head or a block are left."""
    segments = _names(files, path / "wal")
    if "chunks_head" in names or any(len(name) == _SEGMENT_DIGITS and name.isdigit() for name in segments):
        return True
    return any("chunks" in _names(files, path / name) for name in names if is_ulid(name))


def _names(files: Files, path: Path) -> set[str]:
    """What is in a directory; nothing when it cannot be read: whoever opens it says why."""
    try:
        return set(files.names(path))
    except OSError:
        return set()
