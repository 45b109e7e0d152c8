"""The group supervisor: a fixed, ordered set of children that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

import trio

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.lifecycle import FINAL, State
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec
from trimon.actors.kernel.supervisor import BudgetExhausted, Supervisor

# Between the cancellation of a child and the moment when its group goes on without it.
STUCK_S: Final = 5.0


class Strategy(Enum):
    """Who is restarted when one child falls."""

    ONE_FOR_ONE = "one-for-one"
    """The child alone."""
    ONE_FOR_ALL = "one-for-all"
    """All that still live: ended in reverse order, started again in order."""


class Group(Supervisor):
    """Children that start in order, each after the one before is ready, and stop in reverse order.

    Each stage of the stop is bounded by the child's drain time; a child that does not end when it is cancelled is left
    behind, and the group's own end waits for it. A child whose budget is used up escalates:
    the group stops its children in order and its `run` raises BudgetExhausted. Under ONE_FOR_ALL mailboxes
    keep what waits in them over the restart.
    """

    def __init__(
        self,
        name: str,
        specs: Sequence[ChildSpec],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        reports: CrashReports | None = None,
    ) -> None:
        super().__init__(name)
        if len({spec.name for spec in specs}) != len(specs):
            raise ValueError(f"group {name}: two children have the same name")
        if reports is not None:
            self.reports = reports
        self.specs = tuple(specs)
        self.strategy = strategy
        self._phase = trio.CancelScope()
        self._children: list[Child] = []
        self._turns: dict[Child, trio.Event] = {}
        self._fallen: dict[Child, float] = {}
        self._fault: BudgetExhausted | None = None

    def children(self) -> Sequence[Child]:
        """The children, in the order in which they are started."""
        return tuple(self._children)

    def _wake(self) -> None:
        self._phase.cancel()

    async def _conduct(self) -> None:
        self._fault = None
        self._turns = {}
        self._fallen = {}
        self._phase = trio.CancelScope()
        self._children = [
            Child(
                spec,
                f"{self.path}/{spec.name}",
                self.reports,
                gate=self._gate,
                exhausted=self._escalate,
                end_state=State.FAILED,
                gated=True,
            )
            for spec in self.specs
        ]
        self._turns = {child: trio.Event() for child in self._children}
        async with trio.open_nursery() as nursery:
            for child in self._children:
                nursery.start_soon(child.live)
            while not self._stop_asked and self._fault is None:
                self._phase = trio.CancelScope()
                with self._phase:
                    await self._bring_up()
                    self.ready.set()
                    await trio.sleep_forever()
            for child in reversed(self._children):
                self._tell_to_stop(child)
                # One that does not even end when it is cancelled must not keep the others from their orderly end.
                with trio.move_on_after(child.spec.drain_s + STUCK_S):
                    await child.over.wait()
        if self._fault is not None:
            raise self._fault

    async def _bring_up(self) -> None:
        """Start whoever waits for a turn, in order; under ONE_FOR_ALL first bring down the others."""
        if self._fallen:
            for child in reversed(self._children):
                if self._turns[child].is_set():
                    self._turns[child] = trio.Event()
                if child.interrupt():
                    await child.left.wait()
            await trio.sleep(max(self._fallen.values()))
            self._fallen.clear()
        for child in self._children:
            if child.state not in FINAL:
                self._turns[child].set()
                await child.ready.wait()

    async def _gate(self, child: Child, delay_s: float) -> None:
        """Where a child waits before it starts: for its turn, or alone for its delay."""
        if child.attempt and self.strategy is Strategy.ONE_FOR_ONE:
            await trio.sleep(delay_s)
            return
        if child.attempt:
            child.unready()
            self._turns[child] = trio.Event()
            if not child.interrupted:
                self._fallen[child] = delay_s
                self._phase.cancel()
        while True:
            turn = self._turns[child]
            await turn.wait()
            if turn is self._turns[child]:  # a turn may be taken back before it is used
                return

    def _escalate(self, child: Child, error: BaseException | None) -> None:
        if self._fault is None:
            self._fault = BudgetExhausted(child.path, error)
        self._phase.cancel()
