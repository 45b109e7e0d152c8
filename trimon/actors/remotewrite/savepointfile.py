"""The file that says how far a queue has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files, OverwrittenFile
from trimon.offload import Offload
from trimon.remote.sending.savepoint import SLOTS, Savepoint, newest_of, pack_slot, slot_bytes_for

# A power failure repeats what was sent in so long a time; a killed process one request.
SYNC_S: Final = 1.0
# A write that took longer is left to a thread the next time.
QUICK_S: Final = 0.001


class SavepointFile:
    """Reads and writes one savepoint; trouble with the disk is told to `on_trouble`, and None when it is over.

    The loop says with `note` how far the queue is, which costs nothing; whoever is in a thread next calls `write`, and nobody
    sends before.
    """

    def __init__(
        self, path: Path, files: Files, offload: Offload, on_trouble: Callable[[Exception | None], None]
    ) -> None:
        self._path = path
        self._files = files
        self._offload = offload
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._noted: Savepoint | None = None
        self._file: OverwrittenFile | None = None
        self._slot_bytes = 0
        self._sequence = 0
        self._written = self._synced = 0
        """The slots that are not to be touched."""
        self._synced_s = 0.0
        self._is_slow = False
        self._trouble: OSError | None = None

    async def load(self, log_id: str) -> Savepoint | None:
        """The savepoint; None where there is none, or one of another log."""
        try:
            found = await self._offload.run(lambda: newest_of(self._files.read(self._path)))
        except FileNotFoundError:
            return None
        except (OSError, OperatingError) as error:
            self._on_trouble(
                OperatingError(
                    f"{self._path} cannot be read, so the queue goes on at the end of the log, "
                    f"and what waited is not sent: {error}"
                )
            )
            return None
        return found if found.log_id == log_id else None

    def note(self, point: Savepoint) -> None:
        """How far the queue is now; for the loop."""
        self._noted = point
        self._on_trouble(self._trouble)

    def write(self) -> None:
        """Write down what was noted last, where that was not done yet. In a thread."""
        with self._lock:
            point, self._noted = self._noted, None
            if point is None:
                return
            try:
                self._put(point.pack())
                self._trouble = None
            except OSError as error:
                # The file is made anew by the next write, whatever state it is in.
                self._trouble = error
                self._forget_file()

    def try_write(self) -> bool:
        """As `write`, for the loop, where it costs microseconds; False where a thread has to do it.

        That is where a thread is at it, the medium is due, the file has to be made, or writing was slow the last time.
        """
        if self._noted is None:
            return True
        is_due = time.monotonic() - self._synced_s >= SYNC_S
        if self._file is None or is_due or self._is_slow or not self._lock.acquire(blocking=False):
            return False
        try:
            data = pack_slot(self._noted.pack(), self._sequence + 1)
            if len(data) > self._slot_bytes:
                return False
            self._sequence += 1
            self._noted = None
            self._write_slot(self._file, data)
        except OSError as error:
            self._trouble = error
            self._forget_file()
        finally:
            self._lock.release()
        return True

    async def save(self) -> None:
        """Have `write` done now, by who has nothing else to do in a thread."""
        await self._offload.run(self.write)
        self._on_trouble(self._trouble)

    async def aclose(self) -> None:
        """Have what was written on the medium, and close."""
        await self._offload.run(self._close)

    def _put(self, content: bytes) -> None:
        self._sequence += 1
        data = pack_slot(content, self._sequence)
        if self._file is None or len(data) > self._slot_bytes:
            self._begin(data)
            return
        self._write_slot(self._file, data)
        if time.monotonic() - self._synced_s >= SYNC_S:
            self._sync(self._file)

    def _write_slot(self, file: OverwrittenFile, data: bytes) -> None:
        """Into a slot that is neither the last one written nor the last one on the medium."""
        slot = next(each for each in range(SLOTS) if each not in (self._written, self._synced))
        began_s = time.monotonic()
        file.write_at(slot * self._slot_bytes, data)
        self._written = slot
        self._is_slow = time.monotonic() - began_s > QUICK_S

    def _begin(self, data: bytes) -> None:
        """A new file with one slot written, in the place of the old one."""
        self._forget_file()
        self._slot_bytes = slot_bytes_for(len(data))
        self._files.make_directory(self._path.parent)
        self._files.write_atomic(self._path, data.ljust(SLOTS * self._slot_bytes, b"\0"))
        self._file = self._files.overwrite(self._path)
        self._written = self._synced = 0
        self._synced_s = time.monotonic()

    def _sync(self, file: OverwrittenFile) -> None:
        file.sync()
        self._synced = self._written
        self._synced_s = time.monotonic()

    def _forget_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _close(self) -> None:
        with self._lock:
            if self._file is not None:
                with suppress(OSError):
                    self._sync(self._file)
            self._forget_file()
