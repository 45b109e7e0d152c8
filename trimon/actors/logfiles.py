"""Files that grow by lines, written off the loop: the query log, logs of failed scrapes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import orjson

from trimon.actors.kernel.mailbox import Mailbox, MessageTooLarge, Overflow
from trimon.actors.kernel.reply import ActorGone
from trimon.clock import Clock
from trimon.gotext.times import rfc3339
from trimon.log import Log
from trimon.offload import Offload
from trimon.openfiles import os_errors
from trimon.records import dataclass

MAILBOX_LINES_MAX: Final = 10_000
MAILBOX_BYTES_MAX: Final = 16 * 2**20
BATCH_LINES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a file; without text it only makes the writer look which files are wanted."""

    path: str
    text: bytes


def check_log(path: str) -> None:
    """Makes a log file when there is none. Blocks on the disk. Raises OSError when it cannot be opened."""
    os.close(_open(path))


def _open(path: str) -> int:
    # A pipe that nobody reads is an error, at once, and one that is full loses lines: nobody waits for a log.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    with os_errors(path):
        return os.open(path, flags, 0o666)


def line_mailbox() -> Mailbox[Line]:
    """The writer's mailbox: on a slow disk the oldest lines are lost, and counted; nobody waits for a log."""
    return Mailbox(
        "line-files",
        max=MAILBOX_LINES_MAX,
        policy=Overflow.DROP_OLDEST,
        bytes_max=MAILBOX_BYTES_MAX,
        size_of=lambda line: len(line.text) + 64,
    )


class LineFiles:
    """Appends lines to files, all that waits at once, in a worker thread.

    Owns: the open files.
    Receives: Line.
    Sends: nothing.
    Crashes when: it has a bug; a file that cannot be written is logged once and tried again with the next line.
    On restart: files are opened anew.
    """

    def __init__(self, mailbox: Mailbox[Line], clock: Clock, offload: Offload, log: Log) -> None:
        self.written = 0
        self.failures = 0
        self._mailbox = mailbox
        self._clock = clock
        self._offload = offload
        self._log = log
        self._wanted: frozenset[str] = frozenset()
        self._generation = 0
        self._opened = 0
        self._files: dict[str, int] = {}
        self._errors: dict[str, str] = {}

    def configure(self, paths: Collection[str]) -> None:
        """The files of a new configuration: all are opened anew, so that they can be rotated, the others closed."""
        self._wanted = frozenset(path for path in paths if path)
        self._generation += 1
        self._send(Line("", b""))

    def write(self, path: str, level: str, message: str, fields: Mapping[str, object]) -> None:
        """A line of JSON with time, level and message before the fields. Never waits."""
        entry = {"time": rfc3339(self._clock.now_ms()), "level": level, "msg": message, **fields}
        self._send(Line(path, orjson.dumps(entry, default=str) + b"\n"))

    def _send(self, line: Line) -> None:
        with contextlib.suppress(
            ActorGone, MessageTooLarge
        ):  # the server stops, or nobody could read such a line
            self._mailbox.send_nowait(line)

    @property
    def dropped(self) -> int:
        """Lines that were lost because the disk is too slow."""
        return self._mailbox.stats().dropped

    async def run(self) -> None:
        """Writes until the mailbox is closed and empty."""
        try:
            while True:
                await self._write_batch(await self._mailbox.receive_batch(BATCH_LINES_MAX))
        finally:
            self._close()

    async def _write_batch(self, lines: Sequence[Line]) -> None:
        wanted, generation = self._wanted, self._generation
        await self._offload.run(lambda: self._write(lines, wanted, generation))

    def _write(self, lines: Sequence[Line], wanted: frozenset[str], generation: int) -> None:
        if generation != self._opened:
            self._close()
            self._opened = generation
            self._errors = {path: reason for path, reason in self._errors.items() if path in wanted}
            for path in wanted:
                self._append(path, b"")
        texts: dict[str, list[bytes]] = {}
        for line in lines:
            if line.path in wanted:
                texts.setdefault(line.path, []).append(line.text)
        for path, parts in texts.items():
            if self._append(path, b"".join(parts)):
                self.written += len(parts)
            else:
                self.failures += len(parts)

    def _append(self, path: str, data: bytes) -> bool:
        try:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _open(path)
            while data:
                data = data[os.write(file, data) :]
        except OSError as error:
            reason = error.strerror or str(error)
            if self._errors.get(path) != reason:
                self._log.error("a log file cannot be written", file=path, err=reason)
            self._errors[path] = reason
            return False
        self._errors.pop(path, None)
        return True

    def _close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files = {}

    def inspect(self) -> Mapping[str, object]:
        """Files, lines written, and what cannot be written."""
        return {
            "files": sorted(self._wanted),
            "written": self.written,
            "failures": self.failures,
            "errors": dict(self._errors),
        }
