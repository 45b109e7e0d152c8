"""Work that leaves the event loop."""

from __future__ import annotations

import threading
import time

import pytest
import trio

from trimon.offload import AbandoningLanes, ThreadOffload, ThreadsShort


def test_a_cancelled_caller_leaves_hanging_work_behind() -> None:
    """The caller goes on at once, hears of it, and the place of the thread stays taken until the work ends."""
    go_on = threading.Event()
    heard: list[str] = []

    async def main() -> None:
        offload = AbandoningLanes(1).lane("a")
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


def test_threads_are_left_behind_once_the_process_is_to_end() -> None:
    """A cancelled caller waits for its thread; after `abandon` it goes on without, and what the thread says is nobody's."""
    go_on = threading.Event()
    ended: list[str] = []

    async def main() -> int:
        offload = ThreadOffload(2)

        def work(name: str) -> None:
            go_on.wait(20)
            ended.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(offload.run, lambda: work("first"))
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
            threading.Timer(0.1, go_on.set).start()
        assert ended == ["first"]
        go_on.clear()
        offload.abandon()
        with trio.move_on_after(0.05) as scope:
            await offload.run(lambda: work("second"))
        assert scope.cancelled_caught
        assert offload.abandoned == 1
        assert await offload.run(lambda: 7) == 7
        go_on.set()
        while len(ended) < 2:  # noqa: ASYNC110 # a thread's own list
            await trio.sleep(0.01)
        return offload.abandoned

    assert trio.run(main) == 1


def test_without_threads_work_fails_as_an_operating_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system starts no thread the work is refused, its place is free again, and nothing crashes."""

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        offload = ThreadOffload(1)
        with monkeypatch.context() as patch:
            patch.setattr(trio.lowlevel, "start_thread_soon", refused)
            with pytest.raises(ThreadsShort, match="no more threads"):
                await offload.run(lambda: None)
        with trio.fail_after(5):
            assert await offload.run(lambda: 7) == 7

    trio.run(main)
