"""The journal of running queries, `queries.active`: what a crash leaves in it says what the server was doing."""

from __future__ import annotations

import contextlib
import os
import re
from io import FileIO
from pathlib import Path
from typing import Final

import orjson

from trimon.errors import OperatingError
from trimon.openfiles import open_regular

ENTRY_BYTES: Final = 1000
# What an entry has besides the query: names, punctuation, the time.
_FRAME_BYTES: Final = 60


def _entry(query: str, time_s: int) -> bytes:
    """An entry of at most ENTRY_BYTES, the query cut to fit."""
    while True:
        text = orjson.dumps({"query": query, "timestamp_sec": time_s})
        if len(text) < ENTRY_BYTES:
            return text + b","
        excess = len(text) - ENTRY_BYTES + 1
        query = query[: min(len(query) - 1, max(0, len(query) - excess))]


def left_over(path: Path, bytes_max: int = 2**20) -> list[tuple[str, int]]:
    """(query, Unix second) of all that an earlier run did not finish; nothing of a file that is none or damaged."""
    try:
        with FileIO(open_regular(path)) as file:
            data = file.read(bytes_max)
    except OSError:
        return []
    found = []
    for text in re.findall(rb'\{"query":.*?"timestamp_sec":-?\d+\}', data):
        try:
            entry = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        found.append((str(entry["query"]), int(entry["timestamp_sec"])))
    return found


class ActiveFile:
    """A file of `slots` entries of a fixed size; the kernel keeps what was written when the process dies.

    Writing an entry copies a thousand bytes to the kernel, whose place on the disk was taken before. Only on the loop's thread.
    """

    def __init__(self, path: Path, slots: int) -> None:
        """Makes the file anew. Raises OperatingError."""
        self._descriptor = -1
        try:
            self._descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
            os.ftruncate(self._descriptor, 0)
            os.posix_fallocate(self._descriptor, 0, 1 + slots * ENTRY_BYTES)
            os.pwrite(self._descriptor, b"[", 0)
        except OSError as error:
            self.close()
            raise OperatingError(f"{path}: {error.strerror}") from None
        self._free = list(range(slots - 1, -1, -1))

    def close(self) -> None:
        """Nothing is written any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()

    def begin(self, query: str, time_s: int) -> int:
        """Notes a query; the slot to give back, -1 when all are taken."""
        if not self._free:
            return -1
        slot = self._free.pop()
        self._write(slot, _entry(query, time_s).ljust(ENTRY_BYTES, b"\0"))
        return slot

    def end(self, slot: int) -> None:
        """The query of a slot is over."""
        if slot >= 0:
            self._write(slot, bytes(ENTRY_BYTES))
            self._free.append(slot)

    def _write(self, slot: int, entry: bytes) -> None:
        # A journal that somebody cut, on a disk that is full or fails, is no reason to refuse a query.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, entry, 1 + slot * ENTRY_BYTES)
