"""The data directory itself, which somebody may remove or replace while the server runs."""

from __future__ import annotations

from trimon.errors import OperatingError
from trimon.files import DirectoryLock
from trimon.storage.appender import Appender
from trimon.storage.state import StoreCore
from trimon.storage.wal.ends import read_identity


class DataDirectory:
    """Looks whether the directory is the one that was opened and holds what was written to it; `lock` is held in it.

    One that is gone is made anew, and the log goes on there with what is appended from then on; one that was put in its
    place is used if its log has the same name. In that of another log nothing is written: `core.refusal` says so.
    """

    def __init__(self, core: StoreCore, appender: Appender, lock: DirectoryLock | None) -> None:
        self.lock = lock
        self._core = core
        self._appender = appender
        self._opened = core.files.identity(core.path)

    def release(self) -> None:
        """Give the lock back."""
        if self.lock is not None:
            if self._core.refusal:
                # The name of the lock is somebody else's file now.
                self.lock.abandon()
            else:
                self.lock.release()
            self.lock = None

    def check(self) -> None:
        """Notice what happened to it, and go on as well as can be; all is told as problems. Not in the loop."""
        core = self._core
        try:
            if not self._fault() and not self._missing_blocks() and not core.refusal:
                return
            # Something may have changed while it was looked at; under the lock nothing does.
            with core.writing:
                fault = self._fault()
                if fault or core.refusal:
                    self._go_on(fault)
                for name in self._missing_blocks():
                    core.missing_blocks.add(name)
                    what = f"block {name} was removed while it is in use: it is read until the server stops"
                    core.problem("blocks", name, what)
        except (OSError, OperatingError) as error:
            core.problem("files", "directory", f"data directory {core.path} cannot be used: {error}")

    def _fault(self) -> str:
        """What is wrong with the directory or the log in it; empty if nothing is."""
        core = self._core
        now = core.files.identity(core.path)
        if now != self._opened:
            return f"data directory {core.path} was removed or replaced while the server runs"
        logs = [live.log for live in self._appender.open_heads if live.log is not None]
        if not all(log.is_whole() for log in logs):
            return f"the log in data directory {core.path} was removed or cut while the server runs"
        return ""

    def _missing_blocks(self) -> list[str]:
        core = self._core
        used = {block.meta.ulid for block in core.state.blocks}
        core.missing_blocks &= used
        return sorted(used.difference(core.files.names(core.path), core.missing_blocks))

    def _go_on(self, fault: str) -> None:
        core = self._core
        core.files.make_directory(core.path)
        identity = core.files.identity(core.path)
        try:
            self._take_over(identity != self._opened)
        except OperatingError as error:
            core.refusal = f"{fault or core.refusal.partition(': ')[0]}: {error}"
            core.problem("files", "directory", f"{core.refusal}: nothing is stored")
            return
        core.refusal = ""
        if not fault:
            return
        self._opened = identity
        core.problem(
            "files",
            "directory",
            f"{fault}: what was in it is lost, but for what this process has in memory; the log goes on there with "
            "what is appended from now on",
        )
        core.is_named = False
        core.name_log()
        core.files.make_directory(core.wal_path)
        for live in self._appender.open_heads:
            if live.log is not None:
                live.log.restart()

    def _take_over(self, is_another: bool) -> None:
        """Lock a directory that is not the one that was opened. Raises OperatingError if it is not for us."""
        core = self._core
        there = read_identity(core.files, core.path)
        if there and there != core.log_id:
            raise OperatingError(
                f"its log is {there!r} and not {core.log_id!r}, restart the server to use it"
            )
        if is_another and self.lock is not None:
            taken = core.files.lock(core.path / "lock")
            self.lock.abandon()
            self.lock = taken
