"""HistoryActor: finds, off the loop, which targets came and went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import trio

from trimon.discovery.history import TargetHistory
from trimon.offload import Offload

# Changes that come together are looked at together.
SETTLE_S: Final = 0.5


class HistoryActor:
    """Looks at what the hub noted.

    Owns: nothing; the history belongs to the tree, as the hub does.
    Receives: nothing; the hub writes into the history, which wakes this actor.
    Sends: nothing.
    Crashes when: finding differences has a bug.
    On restart: goes on with what was noted since.
    """

    def __init__(self, history: TargetHistory, offload: Offload) -> None:
        self._history = history
        self._offload = offload
        self._noted = trio.Event()
        history.on_note = self._wake

    def _wake(self) -> None:
        self._noted.set()

    async def run(self) -> None:
        """Waits for changes, and looks at them, for ever."""
        while True:
            await self._noted.wait()
            await trio.sleep(SETTLE_S)
            self._noted = trio.Event()
            await self._offload.run(self._history.work)

    def inspect(self) -> Mapping[str, object]:
        """How much is kept."""
        history = self._history
        return {"since_ms": history.since_ms, "bytes": history.size_bytes, "lost": history.lost}
