"""The file that says how far a queue has come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.offload import Offload
from trimon.remote.sending.backlog import Savepoint


class SavepointFile:
    """Reads and writes one savepoint; trouble with the disk is told to `on_trouble`, and None when it is over."""

    def __init__(
        self, path: Path, files: Files, offload: Offload, on_trouble: Callable[[Exception | None], None]
    ) -> None:
        self._path = path
        self._files = files
        self._offload = offload
        self._on_trouble = on_trouble
        self._saving = trio.Lock()
        self._asked = self._saved = 0

    async def load(self, log_id: str) -> Savepoint | None:
        """The savepoint; None where there is none, or one of another log."""
        try:
            found = await self._offload.run(lambda: Savepoint.unpack(self._files.read(self._path)))
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

    async def save(self, present: Callable[[], Savepoint]) -> None:
        """Writes down what `present` says when it is written; several that ask at once are answered by one file."""
        self._asked += 1
        mine = self._asked
        async with self._saving:
            if self._saved >= mine:
                return
            covered, data = self._asked, present().pack()
            try:
                await self._offload.run(lambda: self._write(data))
                self._on_trouble(None)
            except OSError as error:
                self._on_trouble(error)
            self._saved = covered

    def _write(self, data: bytes) -> None:
        self._files.make_directory(self._path.parent)
        self._files.write_atomic(self._path, data)
