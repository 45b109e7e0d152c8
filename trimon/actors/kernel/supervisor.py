"""The base of groups and pools: a path, readiness, and an orderly, bounded stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import trio

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.lifecycle import ACTIVE, State
from trimon.actors.kernel.report import CrashReports


class BudgetExhausted(Exception):
    """A child of a group used up its restart budget; the group has stopped."""

    def __init__(self, path: str, error: BaseException | None) -> None:
        why = f": {type(error).__name__}: {error}" if error is not None else ""
        super().__init__(f"{path} used up its restarts{why}")
        self.path = path


class Supervisor(ABC):
    """An actor whose work is its children.

    The same object may run again after it ended (`factory=lambda: pool`); it then starts from fresh children.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = name
        self.reports = CrashReports()
        self.ready = trio.Event()
        """Every child was ready once."""
        self.ended = trio.Event()
        self.since_s = 0.0
        self._attached = False
        self._running = False
        self._stop_asked = False
        self._hurried = False

    def attach(self, path: str, reports: CrashReports) -> None:
        """Called before `run` by whoever runs it: the place in the tree and where crashes are told."""
        self.path = path
        self.reports = reports
        # Somebody may wait for the first run already, so an event is replaced only when it was used.
        if self.ready.is_set():
            self.ready = trio.Event()
        if self.ended.is_set():
            self.ended = trio.Event()
        self._attached = True

    @property
    def state(self) -> State:
        """The state of a supervisor that has no parent to say it."""
        if self._running:
            if self._stop_asked:
                return State.STOPPING
            return State.RUNNING if self.ready.is_set() else State.STARTING
        return State.STOPPED if self.ended.is_set() else State.PLANNED

    @abstractmethod
    def children(self) -> Sequence[Child]:
        """The children, in the order in which they were started."""

    async def run(self) -> None:
        """Start the children and keep them up until told to stop. Raises BudgetExhausted (groups only)."""
        if self._running:
            raise RuntimeError(f"{self.path} runs already")
        if not self._attached:
            self.attach(self.path, self.reports)
        self._running = True
        self.since_s = self.reports.now_s()
        try:
            await self._conduct()
        finally:
            self._running = self._attached = self._stop_asked = self._hurried = False
            self.since_s = self.reports.now_s()
            self.ended.set()

    def drain(self) -> None:
        """Begin the orderly stop; a second call cancels whatever is still waited for."""
        if self._stop_asked:
            self._hurried = True
            for child in self.children():
                if child.stopping:
                    child.cancel()
        self._stop_asked = True
        self._wake()

    async def stop(self, within_s: float) -> None:
        """Stop in order and return when it is done; after `within_s` the rest is cancelled.

        Called a second time while the first waits, it cancels at once. Called before the first run, that run
        ends without starting anything.
        """
        if not self._running:
            self._stop_asked = not self.ended.is_set()
            return
        self.drain()
        with trio.move_on_after(within_s):
            await self.ended.wait()
        if not self.ended.is_set():
            self.drain()
            await self.ended.wait()

    def inspect(self) -> Mapping[str, object]:
        """How many children there are, by state."""
        children = self.children()
        counts: dict[str, object] = {"children": len(children)}
        for child in children:
            state = child.state.value
            count = counts.get(state, 0)
            assert isinstance(count, int)
            counts[state] = count + 1
        return counts

    def _tell_to_stop(self, child: Child) -> None:
        """First the polite word; the second, when there is hurry."""
        child.stop()
        if self._hurried and child.state in ACTIVE:
            child.cancel()

    @abstractmethod
    async def _conduct(self) -> None:
        """The work between start and end."""

    @abstractmethod
    def _wake(self) -> None:
        """Something changed that `_conduct` waits for."""
