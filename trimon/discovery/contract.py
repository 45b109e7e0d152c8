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
from functools import cached_property
from typing import ClassVar, TypeVar

import trio
from trio.testing import MockClock

from trimon.clock import WallClock
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.plugin import Context, Discovery
from trimon.offload import InlineOffload, ThreadOffload
from trimon.virtualclock import VirtualClock

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

    def change(self, fetch: PreparedFetch) -> None:
        """Change the source so that the targets are others. Without this the test of changes is skipped."""

    def break_source(self, fetch: PreparedFetch) -> None:
        """Break the source. Without this the tests of a broken source are skipped."""

    # ---- the machinery

    def _play(self, scene: Callable[[_Stage], Awaitable[T]]) -> T:
        """Run a scene with fresh doubles."""
        fetch = PreparedFetch()
        self.prepare(fetch)
        clock = WallClock() if self.real_time else VirtualClock()
        offload = ThreadOffload(4) if self.real_time else InlineOffload()
        context = context_of_doubles(fetch=fetch, clock=clock, offload=offload)

        async def main() -> T:
            return await scene(_Stage(self, fetch, context))

        virtual = None if self.real_time else MockClock(autojump_threshold=0)
        return trio.run(main, clock=virtual, instruments=[self._steps])

    @cached_property
    def _steps(self) -> _Steps:
        return _Steps()

    def _skip_unless_overridden(self, hook: str) -> None:
        if getattr(type(self), hook) is getattr(DiscoveryContract, hook):
            import pytest  # noqa: PLC0415 - only tests come here, and the server does without pytest

            pytest.skip(f"{type(self).__name__} does not say how to {hook}")

    # ---- the tests

    def test_constructor_publishes_nothing(self) -> None:
        """Making a discovery asks nobody and holds nothing up: work begins in run."""

        async def scene(stage: _Stage) -> None:
            began = time.perf_counter()
            discovery = self.make(stage.context)
            assert time.perf_counter() - began < self.step_s_max, "the constructor takes its time"
            assert not stage.fetch.requests, "the constructor asks its source"
            assert callable(getattr(discovery, "run", None)), "a discovery has async run(sink)"
            await trio.lowlevel.checkpoint()

        self._play(scene)

    def test_first_publish_comes_and_is_valid(self) -> None:
        """The first publish comes in time, and every target has an address."""

        async def scene(stage: _Stage) -> None:
            found = await stage.observe()
            for labels in found.targets:
                assert labels.get("__address__"), f"a target without __address__: {dict(labels)}"

        self._play(scene)

    def test_two_runs_say_the_same(self) -> None:
        """A second discovery for the same source finds the same: sources and labels do not depend on the run."""

        async def scene(stage: _Stage) -> None:
            found, again = await stage.observe(), await stage.observe()
            assert found.canonical() == again.canonical(), "two runs found different targets"

        self._play(scene)

    def test_cancelling_ends_it(self) -> None:
        """A discovery that is cancelled ends at once and leaves nothing running."""

        async def scene(stage: _Stage) -> float:
            began = 0.0

            async def look(_: Found) -> None:
                nonlocal began
                began = time.perf_counter()

            await stage.observe(look)
            return time.perf_counter() - began

        took_s = self._play(scene)
        assert took_s < 2, f"it took {took_s:.1f} s to cancel the discovery"

    def test_a_change_is_published(self) -> None:
        """When the source changes the targets become those of the new source."""
        self._skip_unless_overridden("change")

        async def scene(stage: _Stage) -> None:
            before: list[object] = []

            async def look(found: Found) -> None:
                before.append(found.canonical())
                changes = found.changes
                self.change(stage.fetch)
                with trio.move_on_after(self.patience_s):
                    while found.changes == changes:
                        await found.arrived.wait()

            found = await stage.observe(look)
            assert [found.canonical()] != before, f"the change did not show within {self.patience_s:g} s"

        self._play(scene)

    def test_a_broken_source_takes_nothing_away(self) -> None:
        """While the source is broken nothing is published: raising is fine, a part of the truth is not."""
        self._skip_unless_overridden("break_source")

        async def scene(stage: _Stage) -> None:
            before: list[object] = []

            async def look(found: Found) -> None:
                before.append(found.canonical())
                self.break_source(stage.fetch)
                await trio.sleep(self.patience_s)

            found = await stage.observe(look)
            assert [found.canonical()] == before, "targets changed while the source was broken"

        self._play(scene)

    def test_a_source_broken_from_the_start_publishes_nothing(self) -> None:
        """Without a source there is no first publish, not even an empty one."""
        self._skip_unless_overridden("break_source")

        async def scene(stage: _Stage) -> None:
            self.break_source(stage.fetch)
            found = await stage.watch()
            assert not found.published, "something was published although the source is broken"

        self._play(scene)

    def test_it_does_not_hold_the_loop(self) -> None:
        """No step between two checkpoints takes long: what blocks goes through context.offload."""

        async def scene(stage: _Stage) -> None:
            async def look(_: Found) -> None:
                await trio.sleep(self.patience_s)

            await stage.observe(look)

        self._play(scene)
        longest_s = self._steps.longest_s
        assert longest_s < self.step_s_max, f"a step held the event loop for {longest_s:.2f} s"


class _Stage:
    """The doubles of one test, and the running of discoveries against them."""

    def __init__(self, contract: DiscoveryContract, fetch: PreparedFetch, context: Context) -> None:
        self.fetch = fetch
        self.context = context
        self._contract = contract
        self._error: Exception | None = None

    async def watch(self, look: Callable[[Found], Awaitable[None]] | None = None) -> Found:
        """Run a new discovery to its first publish, look, and cancel it; the look goes on when it raises."""
        found = Found(self.context.clock)
        discovery = self._contract.make(self.context)
        self._error = None
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(self._contract.patience_s) as waiting:
                nursery.start_soon(self._run, discovery, found, waiting)
                await found.wait_published()
            if found.published and look is not None:
                await look(found)
            nursery.cancel_scope.cancel()
        return found

    async def observe(self, look: Callable[[Found], Awaitable[None]] | None = None) -> Found:
        """The same, and there must have been a first publish."""
        found = await self.watch(look)
        if not found.published:
            why = f"; it raised {self._error!r}" if self._error is not None else ""
            raise AssertionError(
                f"nothing was published within {self._contract.patience_s:g} s{why}"
            ) from self._error
        return found

    async def _run(self, discovery: Discovery, found: Found, waiting: trio.CancelScope) -> None:
        """Run it; what it raises is its right."""
        try:
            await discovery.run(found.sink)
        except Exception as error:  # noqa: BLE001 - a discovery may raise whatever it likes
            self._error = error
        if not found.published:
            waiting.cancel()
