"""One supervised child: it starts the actor, waits for its end, and decides what comes next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from trimon.actors.kernel.faults import FAULTS, split_fault
from trimon.actors.kernel.lifecycle import ACTIVE, FINAL, Lifecycle, State
from trimon.actors.kernel.mailbox import MailboxClosed
from trimon.actors.kernel.place import PATH
from trimon.actors.kernel.report import CrashReport, CrashReports
from trimon.actors.kernel.restarts import RestartBudget
from trimon.actors.kernel.spec import Actor, ChildSpec, Restart

Gate: TypeAlias = Callable[["Child", float], Awaitable[None]]


class Child:
    """The life of one child, in one task, through all its restarts.

    `gate(child, delay_s)` is awaited before each start (with 0 before the first, when `gated`): it returns
    when the child may start. `exhausted(child, error)` is told when the child fell for good; `end_state` is
    the state it then gets.
    """

    def __init__(
        self,
        spec: ChildSpec,
        path: str,
        reports: CrashReports,
        *,
        gate: Gate,
        exhausted: Callable[[Child, BaseException | None], None],
        end_state: State,
        gated: bool = False,
    ) -> None:
        self.spec = spec
        self.path = path
        self.actor: Actor | None = None
        self.attempt = 0
        self.restarts = 0
        self.forced = False
        """The child did not stop within its drain time and was cancelled."""
        self.last_crash: CrashReport | None = None
        self.ready = trio.Event()
        """Ready for the first time, or over."""
        self.over = trio.Event()
        """The task of this child has ended."""
        self.left = trio.Event()
        """The present attempt has ended. A new event with each attempt."""
        self.stopping = False
        self.interrupted = False
        """The present or last attempt was cut short by the group, not by itself."""
        self._reports = reports
        self._gate = gate
        self._gated = gated
        self._exhausted = exhausted
        self._end_state = end_state
        self._life = Lifecycle(reports.now_s())
        self._budget = RestartBudget(spec.policy, path)
        self._scope: trio.CancelScope | None = None
        if spec.mailbox is not None:
            spec.mailbox.open()

    @property
    def state(self) -> State:
        """Where the child is in its life."""
        return self._life.state

    @property
    def since_s(self) -> float:
        """Wall time since when it is in that state."""
        return self._life.since_s

    def _move(self, state: State) -> None:
        self._life.move(state, self._reports.now_s())

    # ---- what the supervisor says

    def stop(self) -> None:
        """End, for good: drain within the spec's time, then be cancelled. A second call cancels at once."""
        if self.stopping:
            self.cancel()
            return
        self.stopping = True
        if self.state not in ACTIVE:
            self.cancel()
            return
        self._move(State.STOPPING)
        assert self._scope is not None
        if self._begin_drain():
            self._scope.deadline = trio.current_time() + self.spec.drain_s
        else:
            self._scope.cancel()

    def cancel(self) -> None:
        """Cut short whatever the child does now; after `stop` it ends without further waiting."""
        if self._scope is not None:
            self._scope.cancel()

    def interrupt(self) -> bool:
        """Cancel the present attempt and start anew through the gate, without it counting as a crash.

        False when there is no attempt to cancel; otherwise `left` tells when it has ended.
        """
        if self.state not in (State.STARTING, State.RUNNING):
            return False
        self.interrupted = True
        self.cancel()
        return True

    def unready(self) -> None:
        """Make `ready` mean the next start."""
        if self.ready.is_set() and self.state not in FINAL:
            self.ready = trio.Event()

    def _begin_drain(self) -> bool:
        """Tell the actor to finish; False when it has no way to hear that."""
        drain = getattr(self.actor, "drain", None)
        if self.spec.drain_s <= 0 or (drain is None and self.spec.mailbox is None):
            return False
        if self.spec.mailbox is not None:
            self.spec.mailbox.close()
        if drain is not None:
            try:
                drain()
            except FAULTS as error:  # the actor's code; it is reported and then cancelled
                self._report(error, 0.0)
                return False
        return True

    # ---- its life

    async def live(self) -> None:
        """Start, run, restart as the spec says, until the child is over. Raises nothing but trio.Cancelled."""
        PATH.set(self.path)
        try:
            going = not self._gated or await self._pass_gate(0.0)
            while going and not self.stopping:
                delay_s = await self._attempt()
                going = delay_s is not None and await self._pass_gate(delay_s)
        finally:
            self._end()

    async def _pass_gate(self, delay_s: float) -> bool:
        if self.stopping:
            return False
        self._scope = trio.CancelScope()
        with self._scope:
            await self._gate(self, delay_s)
        return not self.stopping

    async def _attempt(self) -> float | None:
        """One start of the actor up to its end; the delay before the next, None when there is none."""
        self.attempt += 1
        self.left = trio.Event()
        self.interrupted = False
        self._scope = trio.CancelScope()
        self._move(State.STARTING)
        started_s = trio.current_time()
        crash: BaseException | None = None
        try:
            with self._scope:
                self.actor = self.spec.factory()
                await self._run(self.actor)
        except BaseException as error:  # noqa: BLE001 - a cancellation is raised again below
            crash, rest = split_fault(error)
            if self.stopping and isinstance(crash, MailboxClosed):
                crash = None  # the end of its mailbox is how a server actor hears that it is to stop
            if crash is not None:
                self._report(crash, trio.current_time() - started_s)
            if rest is not None:
                raise rest from None
        finally:
            self._close_attempt()
        if self._scope.cancelled_caught and self.state is State.STOPPING and self.spec.drain_s > 0:
            self.forced = self._scope.deadline <= trio.current_time()
        return self._decide(crash, trio.current_time() - started_s)

    async def _run(self, actor: Actor) -> None:
        attach = getattr(actor, "attach", None)
        if attach is not None:
            attach(self.path, self._reports)
        ready = getattr(actor, "ready", None)
        if not isinstance(ready, trio.Event):
            self._became_ready()
            await actor.run()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, ready)
            await actor.run()
            nursery.cancel_scope.cancel()

    async def _watch(self, ready: trio.Event) -> None:
        await ready.wait()
        self._became_ready()

    def _became_ready(self) -> None:
        if self.state is State.STARTING:
            self._move(State.RUNNING)
        self.ready.set()

    def _report(self, error: BaseException, uptime_s: float) -> None:
        in_hand = self.spec.mailbox.in_hand if self.spec.mailbox is not None else ""
        self.last_crash = self._reports.add(self.path, self.attempt, error, uptime_s, in_hand)

    def _close_attempt(self) -> None:
        if self.spec.mailbox is not None:
            self.spec.mailbox.abandon()
        self.left.set()

    def _decide(self, crash: BaseException | None, uptime_s: float) -> float | None:
        if self.stopping:
            self._move(State.STOPPED)
            return None
        self.interrupted = self.interrupted and crash is None
        if self.interrupted:
            self._move(State.BACKOFF)
            return 0.0
        again = self.spec.restart is Restart.ALWAYS or (
            crash is not None and self.spec.restart is Restart.ON_CRASH
        )
        if not again:
            self._move(State.DONE if crash is None else State.FAILED)
            return None
        delay_s = self._budget.spend(trio.current_time(), uptime_s, crash)
        if delay_s is None:
            self._move(self._end_state)
            self._exhausted(self, crash)
            delay_s = self._budget.retry() if self.state is State.QUARANTINED else None
            self.restarts += delay_s is not None
            return delay_s
        self.restarts += 1
        self._move(State.BACKOFF)
        return delay_s

    def _end(self) -> None:
        if self.state in (State.STARTING, State.RUNNING):  # cancelled from outside
            self._move(State.STOPPING)
        if self.state not in FINAL:
            self._move(State.STOPPED)
        if self.spec.mailbox is not None:
            self.spec.mailbox.close()
            self.spec.mailbox.clear()
        self.ready.set()
        self.over.set()
