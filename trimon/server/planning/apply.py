"""A new configuration is written, taken over and watched; when it does harm the one before comes back.

```text
plan ─ write the file ─ reload ─ watch ──── targets that were up, and rules that were well, still are ── kept
                           │        │
                           │        └ more than a tenth of them are not, or who asked has gone away ─┐
                           └ a part refuses it ───────────────────────────────────────────────────────┴ the old file, reload
```

Only what was there before and is to stay counts: targets that the new configuration drops are no harm, nor are new ones
that are down, which are only warned of. A process that is killed while it watches leaves the file of before beside, and the
next start brings it back (`previousfile.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from trimon.config.configuration import ScrapeFileError
from trimon.errors import OperatingError, TrimonError, UserError
from trimon.files import DiskFiles, Files
from trimon.records import dataclass
from trimon.server.configuration import ConfigurationFile
from trimon.server.parts.serverparts import ServerParts
from trimon.server.planning.health import ServerHealth, server_health
from trimon.server.planning.plan import ConfigPlan, Planner
from trimon.server.planning.previousfile import PreviousFile
from trimon.server.settings import Seams

WATCH_S_MAX: Final = 3600.0
LOOK_S: Final = 1.0
GONE: Final = "who asked for it went away before it was watched to the end"
STOPS: Final = "the server stops before it was watched to the end"


@dataclass(frozen=True, slots=True)
class Applied:
    """How it ended: whether the configuration holds, and why if it does not."""

    plan: ConfigPlan
    kept: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()
    """What is not as it should be although the configuration is kept."""

    def shown(self) -> dict[str, object]:
        """As JSON."""
        outcome = "applied" if self.kept else "rolled back"
        return {
            "outcome": outcome,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "plan": self.plan.shown(),
        }


class ConfigApply:
    """Applies one configuration at a time. On the loop's thread."""

    def __init__(
        self,
        source: ConfigurationFile,
        planner: Planner,
        parts: ServerParts,
        reload: Callable[[], Awaitable[None]],
        seams: Seams,
        files: Files | None = None,
    ) -> None:
        self._source = source
        self._planner = planner
        self._parts = parts
        self._reload = reload
        self._files = files or DiskFiles()
        self._threads = seams.parse_threads
        self._log = seams.log
        self._lock = trio.Lock()

    async def apply(self, text: str, name: str, watch_s: float) -> Applied:
        """Take a configuration over, and watch what becomes of it for so many seconds; 0 for not at all.

        Errors call the text `name`. When the caller is cancelled meanwhile, the one before comes back. Raises UserError for a
        bad configuration, and OperatingError when the file cannot be written; nothing has changed then.
        """
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            raise UserError("another configuration is being applied") from None
        try:
            return await self._apply(text, name, watch_s)
        finally:
            self._lock.release()

    async def _apply(self, text: str, name: str, watch_s: float) -> Applied:
        plan = await self._planner.plan(text, name)
        path = self._source.path
        previous = PreviousFile(path, text.encode(), self._files)
        health = server_health(self._parts)
        # Cancelled right after the write, it would stay.
        with trio.CancelScope(shield=True):
            await self._threads.run(previous.replace)
        kept = False
        reason = "the server failed"
        try:
            reason = await self._taken_over() or await self._watched(health, watch_s)
            kept = not reason
        except trio.Cancelled:
            reason = STOPS if self._parts.scraping.manager.stopping else GONE
            raise
        finally:
            if not kept:
                with trio.CancelScope(shield=True):
                    reason += await self._back(path, previous)
                self._log.warning("a configuration is rolled back", file=str(path), reason=reason)
        if not kept:
            return Applied(plan, False, reason)
        with trio.CancelScope(shield=True):
            await self._drop(previous)
        warning = health.new_and_not_up(server_health(self._parts)) if watch_s else ""
        if warning:
            self._log.warning("a configuration is kept", file=str(path), warning=warning)
        return Applied(plan, True, "", (warning,) if warning else ())

    async def _drop(self, previous: PreviousFile) -> None:
        try:
            await self._threads.run(previous.drop)
        except OperatingError as error:
            self._log.warning("the file of before stays beside", err=str(error))

    async def _taken_over(self) -> str:
        try:
            await self._reload()
        except TrimonError as error:
            return f"it is not taken over: {error.unquoted if isinstance(error, ScrapeFileError) else error}"
        return ""

    async def _watched(self, before: ServerHealth, watch_s: float) -> str:
        ends_s = trio.current_time() + min(watch_s, WATCH_S_MAX)
        while trio.current_time() < ends_s:
            await trio.sleep(min(LOOK_S, ends_s - trio.current_time()))
            if self._parts.scraping.manager.stopping:
                return STOPS
        return before.harm(server_health(self._parts)) if watch_s else ""

    async def _back(self, path: Path, previous: PreviousFile) -> str:
        """The file of before again, and loaded; a file that somebody has changed since then stays. Returns what went wrong."""
        try:
            theirs = await self._threads.run(previous.bring_back)
            await self._reload()
        except TrimonError as error:
            self._log.error("the configuration before does not come back", file=str(path), err=str(error))
            why = error.unquoted if isinstance(error, ScrapeFileError) else error
            return f"; the configuration before does not come back: {why}"
        return "; the file was changed meanwhile and is loaded as it is" if theirs else ""
