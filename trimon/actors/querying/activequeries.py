"""The journal of running queries, `queries.active`: what a crash leaves in it says what the server was doing."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import Final

import orjson

from trimon.errors import OperatingError

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
        with path.open("rb") as file:
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
    """A mapped file of `slots` entries of a fixed size; the kernel keeps it when the process dies.

    Writing an entry copies a thousand bytes into memory and never waits for the disk. Only on the loop's thread.
    """

    def __init__(self, path: Path, slots: int) -> None:
        """Makes the file anew. Raises OperatingError."""
        size = 1 + slots * ENTRY_BYTES
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                # blocks are taken now: a full disk would end the process when a page is touched later
                os.posix_fallocate(descriptor, 0, size)
                self._map = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OperatingError(f"{path}: {error.strerror}") from None
        self._map[0:1] = b"["
        self._free = list(range(slots - 1, -1, -1))

    def begin(self, query: str, time_s: int) -> int:
        """Notes a query; the slot to give back, -1 when all are taken."""
        if not self._free:
            return -1
        slot = self._free.pop()
        at = 1 + slot * ENTRY_BYTES
        self._map[at : at + ENTRY_BYTES] = _entry(query, time_s).ljust(ENTRY_BYTES, b"\0")
        return slot

    def end(self, slot: int) -> None:
        """The query of a slot is over."""
        if slot >= 0:
            at = 1 + slot * ENTRY_BYTES
            self._map[at : at + ENTRY_BYTES] = bytes(ENTRY_BYTES)
            self._free.append(slot)
