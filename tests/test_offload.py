"""Work that leaves the event loop."""

from __future__ import annotations

import threading
import time

import trio

from trimon.offload import AbandoningOffload


def test_a_cancelled_caller_leaves_hanging_work_behind() -> None:
    """The caller goes on at once, hears of it, and the place of the thread stays taken until the work ends."""
    go_on = threading.Event()
    heard: list[str] = []

    async def main() -> None:
        offload = AbandoningOffload(1)
        assert await offload.run(lambda: 7) == 7
        began_s = time.monotonic()
        with trio.move_on_after(0.1) as scope:
            await offload.run(lambda: go_on.wait(20), lambda: heard.append("told"))
        assert scope.cancelled_caught
        assert time.monotonic() - began_s < 5
        with trio.move_on_after(0.1) as scope:
            await offload.run(lambda: None)
        assert scope.cancelled_caught
        go_on.set()
        with trio.fail_after(5):
            await offload.run(lambda: None)

    trio.run(main)
    assert heard == ["told"]
