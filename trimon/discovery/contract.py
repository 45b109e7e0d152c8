"""The contract of a discovery as tests, for the authors of plug-ins to run on theirs.

    from trimon.discovery.contract import DiscoveryContract

    class TestMyDiscovery(DiscoveryContract):
        def make(self, context):
            return MyDiscovery({"url": "http://inventory/"}, context)

        def prepare(self, fetch):
            fetch.answers["http://inventory/"] = '["a:1", "b:1"]'

        def change(self, fetch):
            fetch.answers["http://inventory/"] = '["a:1"]'

        def break_source(self, fetch):
            del fetch.answers["http://inventory/"]

pytest finds the tests in the subclass; it needs no plug-in of pytest. Time is virtual unless `real_time` is set: a
discovery that opens sockets by itself, instead of through `context.fetch`, needs real time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import trio
from trio.testing import MockClock

from trimon.clock import VirtualClock, WallClock
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.plugin import Context, Discovery
from trimon.offload import InlineOffload, ThreadOffload

T = TypeVar("T")


class _Steps(trio.abc.Instrument):
    """The longest time that one task held the event loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - trio's signature
        """A task gets the loop."""
        self._began = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - trio's signature
        """A task gives it back."""
        self.longest_s = max(self.longest_s, time.perf_counter() - self._began)


class DiscoveryContract:
    """Subclass it as `Test...`, say how to make the discovery, and what its source looks like."""

    real_time: ClassVar[bool] = False
    patience_s: ClassVar[float] = 120.0
    """How long anything may take to show; set it above the refresh interval, low with `real_time`."""
    step_s_max: ClassVar[float] = 0.25
    """The longest that the discovery may hold the event loop."""

    # ---- what a subclass says

    def make(self, context: Context) -> Discovery:
        """A new discovery, always for the same source."""
        raise NotImplementedError("say how to make the discovery: def make(self, context)")

    def prepare(self, fetch: PreparedFetch) -> None:
        """Set the source up as it is before each test."""

    def change(self, fetch: PreparedFetch) -> None:  # noqa: ARG002 - for subclasses
        """Change the source so that the targets are others. Without this the test of changes is skipped."""
        _skip("the subclass does not say how its source changes (change)")

    def break_source(self, fetch: PreparedFetch) -> None:  # noqa: ARG002 - for subclasses
        """Break the source. Without this the tests of a broken source are skipped."""
        _skip("the subclass does not say how its source breaks (break_source)")

    # ---- the machinery

    def _play(self, scene: Callable[[PreparedFetch, Context, Found], Awaitable[T]]) -> T:
        """Run a scene with fresh doubles."""
        fetch = PreparedFetch()
        self.prepare(fetch)
        clock = WallClock() if self.real_time else VirtualClock()
        offload = ThreadOffload(4) if self.real_time else InlineOffload()
        context = context_of_doubles(fetch=fetch, clock=clock, offload=offload)
        self._steps = _Steps()

        async def main() -> T:
            return await scene(fetch, context, Found(clock))

        virtual = None if self.real_time else MockClock(autojump_threshold=0)
        return trio.run(main, clock=virtual, instruments=[self._steps])

    async def _first(self, nursery: trio.Nursery, context: Context, found: Found) -> None:
        """Start a discovery and wait for its first publish."""
        nursery.start_soon(self.make(context).run, found.sink)
        with trio.move_on_after(self.patience_s):
            await found.wait_published()
        assert found.published, f"nothing was published within {self.patience_s:g} s"

    # ---- the tests

    def test_constructor_publishes_nothing(self) -> None:
        """Making a discovery asks nobody and holds nothing up: work begins in run."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:  # noqa: ARG001 - all scenes' form
            began = time.perf_counter()
            discovery = self.make(context)
            assert time.perf_counter() - began < self.step_s_max, "the constructor takes its time"
            assert not fetch.requests, "the constructor asks its source"
            assert callable(getattr(discovery, "run", None)), "a discovery has async run(sink)"
            await trio.lowlevel.checkpoint()

        self._play(scene)

    def test_first_publish_comes_and_is_valid(self) -> None:
        """The first publish comes in time, and every target has an address."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:  # noqa: ARG001 - all scenes' form
            async with trio.open_nursery() as nursery:
                await self._first(nursery, context, found)
                nursery.cancel_scope.cancel()
            for labels in found.targets:
                assert labels.get("__address__"), f"a target without __address__: {dict(labels)}"

        self._play(scene)

    def test_two_runs_say_the_same(self) -> None:
        """A second discovery for the same source finds the same: sources and labels do not depend on the run."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:  # noqa: ARG001 - all scenes' form
            again = Found(context.clock)
            async with trio.open_nursery() as nursery:
                await self._first(nursery, context, found)
                await self._first(nursery, context, again)
                nursery.cancel_scope.cancel()
            assert found.canonical() == again.canonical(), "two runs found different targets"

        self._play(scene)

    def test_cancelling_ends_it(self) -> None:
        """A discovery that is cancelled ends at once and leaves nothing running."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> float:  # noqa: ARG001 - all scenes' form
            async with trio.open_nursery() as nursery:
                await self._first(nursery, context, found)
                began = time.perf_counter()
                nursery.cancel_scope.cancel()
            return time.perf_counter() - began

        took_s = self._play(scene)
        assert took_s < 2, f"it took {took_s:.1f} s to cancel the discovery"

    def test_a_change_is_published(self) -> None:
        """When the source changes the targets become those of the new source."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:
            async with trio.open_nursery() as nursery:
                await self._first(nursery, context, found)
                before, changes = found.canonical(), found.changes
                self.change(fetch)
                with trio.move_on_after(self.patience_s):
                    while found.changes == changes:
                        await found.arrived.wait()
                nursery.cancel_scope.cancel()
            assert found.canonical() != before, f"the change did not show within {self.patience_s:g} s"

        self._play(scene)

    def test_a_broken_source_takes_nothing_away(self) -> None:
        """While the source is broken nothing is published: raising is fine, a part of the truth is not."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:
            discovery = self.make(context)
            with trio.move_on_after(self.patience_s) as waiting:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_run_quietly, discovery, found)
                    await found.wait_published()
                    waiting.deadline = float("inf")
                    before = found.canonical()
                    self.break_source(fetch)
                    await trio.sleep(self.patience_s)
                    nursery.cancel_scope.cancel()
            assert found.published, f"nothing was published within {self.patience_s:g} s"
            assert found.canonical() == before, "targets changed while the source was broken"

        self._play(scene)

    def test_a_source_broken_from_the_start_publishes_nothing(self) -> None:
        """Without a source there is no first publish, not even an empty one."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:
            self.break_source(fetch)
            with trio.move_on_after(self.patience_s):
                await _run_quietly(self.make(context), found)
            assert not found.published, "something was published although the source is broken"

        self._play(scene)

    def test_it_does_not_hold_the_loop(self) -> None:
        """No step between two checkpoints takes long: what blocks goes through context.offload."""

        async def scene(fetch: PreparedFetch, context: Context, found: Found) -> None:  # noqa: ARG001 - all scenes' form
            async with trio.open_nursery() as nursery:
                await self._first(nursery, context, found)
                await trio.sleep(min(self.patience_s, 5) if self.real_time else self.patience_s)
                nursery.cancel_scope.cancel()

        self._play(scene)
        longest_s = self._steps.longest_s
        assert longest_s < self.step_s_max, f"a step held the event loop for {longest_s:.2f} s"


async def _run_quietly(discovery: Discovery, found: Found) -> None:
    """Run it; what it raises is its right."""
    try:
        await discovery.run(found.sink)
    except Exception:  # noqa: BLE001 - a discovery may raise whatever it likes
        await trio.lowlevel.checkpoint()


def _skip(reason: str) -> None:
    """Skip the test, for authors who run pytest."""
    import pytest  # noqa: PLC0415 - only tests come here, and the server does without pytest

    pytest.skip(reason)
