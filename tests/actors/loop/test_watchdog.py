"""The watchdog: who holds the event loop is named while it is held."""

from __future__ import annotations

import threading
import time

import pytest
import trio
from trio.testing import MockClock

from trimon.actors.kernel import ChildSpec, Group, Restart, tree
from trimon.actors.kernel.place import task_at_work
from trimon.actors.loop.lag import LagMonitor
from trimon.actors.loop.watchdog import Watchdog
from trimon.log import LogBuffer
from trimon.selfmetrics import SelfMetrics

HOLD_S = 0.8


class Holder:
    """Blocks once, in a task of its own."""

    async def run(self) -> None:
        await trio.sleep(0.2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.hold)
        await trio.sleep_forever()

    async def hold(self) -> None:
        time.sleep(HOLD_S)  # noqa: ASYNC251 - a plug-in that blocks is what is tested

    def inspect(self) -> dict[str, object]:
        return {}


def test_who_holds_the_loop_is_named_while_it_is_held() -> None:
    """An actor that blocks is in the log within a second, with its path and its stack, and then in the tree."""
    log = LogBuffer()
    metrics = SelfMetrics()
    seen_s: list[float] = []

    class Noting(LogBuffer):
        def warning(self, event: str, **fields: object) -> None:
            seen_s.append(time.monotonic())
            log.warning(event, **fields)

    lag = LagMonitor(metrics, Watchdog(Noting()))
    specs = [ChildSpec("lag", lambda: lag), ChildSpec("holder", Holder, restart=Restart.NEVER)]
    root = Group("root", specs)
    shown: list[object] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(root.run)
            await trio.sleep(0.2 + HOLD_S + 0.4)
            children = tree(root)["children"]
            assert isinstance(children, list)
            shown.append(children[0])
            await root.stop(1)

    began_s = time.monotonic()
    trio.run(main)
    assert seen_s[0] - began_s < 0.2 + HOLD_S
    (level, _, fields), *more = log.entries
    assert (level, more, fields["actor"]) == ("warn", [], "root/holder")
    assert "hold (" in str(fields["stack"])
    assert metrics.value("trimon_event_loop_stalls_total") == 1
    stalls = lag.inspect()["last_stalls"]
    assert isinstance(stalls, list)
    (stall,) = stalls
    assert stall["ended"]
    assert HOLD_S - 0.1 < stall["held_s"] < HOLD_S + 1
    assert "root/holder" in str(shown)


def test_a_loop_that_waits_is_not_held() -> None:
    """A loop that waits for a thread, without a beat because its clock stands, is no stall."""
    watchdog = Watchdog(LogBuffer())

    async def main() -> None:
        watchdog.start()
        await trio.to_thread.run_sync(time.sleep, 0.6)
        watchdog.stop()

    trio.run(main, clock=MockClock())
    assert watchdog.count == 0


def test_who_stops_the_watchdog_does_not_hold_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that begins as the watchdog is stopped finds the task that waits for its end, and tells nothing."""
    looks = threading.Event()

    def at_work(thread: int) -> object:
        looks.set()
        time.sleep(0.2)
        return task_at_work(thread)

    watchdog = Watchdog(LogBuffer())

    async def main() -> None:
        watchdog.start()
        await trio.to_thread.run_sync(looks.wait, 5)
        watchdog.stop()

    monkeypatch.setattr("trimon.actors.loop.watchdog.task_at_work", at_work)
    trio.run(main)
    assert looks.is_set()
    assert watchdog.count == 0


def test_each_actor_is_told_and_a_long_stall_again_at_its_end() -> None:
    """One that blocks shortly before does not hide another; what lasted over a second is told with its whole length."""
    log = LogBuffer()
    lag = LagMonitor(SelfMetrics(), Watchdog(log))

    class Blocking:
        def __init__(self, at_s: float, hold_s: float) -> None:
            self.at_s, self.hold_s = at_s, hold_s

        async def run(self) -> None:
            await trio.sleep(self.at_s)
            time.sleep(self.hold_s)  # noqa: ASYNC251 - a plug-in that blocks is what is tested
            await trio.sleep_forever()

        def inspect(self) -> dict[str, object]:
            return {}

    specs = [
        ChildSpec("lag", lambda: lag),
        ChildSpec("short", lambda: Blocking(0.2, 0.6)),
        ChildSpec("long", lambda: Blocking(1.2, 1.4)),
    ]
    root = Group("root", specs)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(root.run)
            await trio.sleep(3)
            await root.stop(1)

    trio.run(main)
    told = [(event, fields["actor"]) for _, event, fields in log.entries]
    assert told == [
        ("the event loop is held", "root/short"),
        ("the event loop is held", "root/long"),
        ("the event loop goes on", "root/long"),
    ]
    held_s = log.entries[-1][2]["held_s"]
    assert isinstance(held_s, float)
    assert 1.3 < held_s < 3
