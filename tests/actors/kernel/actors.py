"""Small actors that record what happens to them, for the tests of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio
from trio.testing import MockClock

from trimon.actors.kernel import ChildSpec, Mailbox, RestartPolicy


class Journal:
    """What happened, in order: (event, name)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.running: list[str] = []

    def names(self, event: str) -> list[str]:
        """The names of one kind of event, in order."""
        return [name for what, name in self.events if what == event]


class Worker:
    """Runs for ever, or for `lives_s` and then crashes; writes its start and end in the journal."""

    def __init__(self, name: str, journal: Journal, lives_s: float | None = None) -> None:
        self.name = name
        self.journal = journal
        self.lives_s = lives_s

    async def run(self) -> None:
        self.journal.events.append(("start", self.name))
        self.journal.running.append(self.name)
        try:
            if self.lives_s is None:
                await trio.sleep_forever()
            await trio.sleep(self.lives_s or 0)
            raise ValueError(f"{self.name} fell")
        finally:
            self.journal.running.remove(self.name)
            self.journal.events.append(("end", self.name))

    def inspect(self) -> Mapping[str, object]:
        return {"lives_s": self.lives_s}


class Drainer(Worker):
    """A worker that needs `finish_s` to finish once told to."""

    def __init__(self, name: str, journal: Journal, finish_s: float) -> None:
        super().__init__(name, journal)
        self.finish_s = finish_s
        self.told = trio.Event()

    def drain(self) -> None:
        self.told.set()

    async def run(self) -> None:
        self.journal.events.append(("start", self.name))
        self.journal.running.append(self.name)
        try:
            await self.told.wait()
            await trio.sleep(self.finish_s)
            self.journal.events.append(("finished", self.name))
        finally:
            self.journal.running.remove(self.name)
            self.journal.events.append(("end", self.name))


class Server:
    """Hands every message of a mailbox to `handle`."""

    def __init__(self, mailbox: Mailbox[Any], handle: Callable[[Any], None]) -> None:
        self.mailbox = mailbox
        self.handle = handle

    async def run(self) -> None:
        async for message in self.mailbox:
            self.handle(message)

    def inspect(self) -> Mapping[str, object]:
        return {}


QUICK = RestartPolicy(restarts_max=3, window_s=100.0, delay_first_s=1.0, jitter=0.1)


def worker_spec(name: str, journal: Journal, lives_s: float | None = None, **more: Any) -> ChildSpec:
    """The spec of a Worker."""
    more.setdefault("policy", QUICK)
    return ChildSpec(name, lambda: Worker(name, journal, lives_s), **more)


def run_virtual(main: Callable[[], Any]) -> Any:
    """Run an async function under a clock that jumps whenever everybody sleeps."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))
