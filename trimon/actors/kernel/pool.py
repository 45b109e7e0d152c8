"""The pool supervisor: many children of one kind, reconciled to a wanted set."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

import trio

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.lifecycle import FINAL, State
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec
from trimon.actors.kernel.supervisor import Supervisor

K = TypeVar("K", bound=Hashable)

# Children that are started or stopped at a stretch: some 15 µs each, and up to ten times as much in their own tasks.
SLICE_STEPS: Final = 25


class Pool(Supervisor, Generic[K]):
    """Keyed children, independent of one another.

    Each has its own restart budget; one whose budget is used up is quarantined, alone and visible, until its spec changes,
    it is no longer wanted, or its policy has it tried again. At the end all are told to stop together, the youngest first.
    The wanted set outlives a run.
    """

    def __init__(self, name: str, *, reports: CrashReports | None = None) -> None:
        super().__init__(name)
        if reports is not None:
            self.reports = reports
        self._wanted: dict[K, ChildSpec] = {}
        self._by_key: dict[K, Child] = {}
        self._heirs: dict[K, ChildSpec] = {}
        self._nursery: trio.Nursery | None = None
        self._steps: Iterator[float] = iter(())
        self._unfinished = trio.Event()

    def reconcile(self, wanted: Mapping[K, ChildSpec]) -> None:
        """Make the children be exactly those: start new ones, stop (drain) those gone, restart the changed.

        A child is kept when its spec is equal. Synchronous; the work goes on in the children's tasks, and what is
        more than SLICE_STEPS changes a slice at a time, so that thousands do not hold the event loop. Before `run`
        it says what to start with. Raises ValueError when two keys have specs of one name.
        """
        if len({spec.name for spec in wanted.values()}) != len(wanted):
            raise ValueError(f"pool {self.path}: two children have the same name")
        self._wanted = dict(wanted)
        if self._nursery is not None and not self._stop_asked:
            self._steps = self._changes()
            self._apply_slice()

    def children(self) -> Sequence[Child]:
        """The children, in the order in which they were started."""
        return tuple(self._by_key.values())

    def child(self, key: K) -> Child | None:
        """The present child of a key, also when it is quarantined or on its way out."""
        return self._by_key.get(key)

    def inspect(self) -> Mapping[str, object]:
        """How many children there are, by state, and how many are wanted."""
        return {"wanted": len(self._wanted), **super().inspect()}

    def _wake(self) -> None:
        self._unfinished.set()

    def _is_told_to_stop(self) -> bool:
        return self._stop_asked

    async def _conduct(self) -> None:
        self._by_key = {}
        self._heirs = {}
        self._unfinished = trio.Event()
        if self._stop_asked:
            return
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._steps = self._changes()
                self._unfinished.set()
                while True:
                    await self._unfinished.wait()
                    if self._is_told_to_stop():
                        break
                    # Replaced here and nowhere else: this task must not wait for an event that nobody sets any more.
                    self._unfinished = trio.Event()
                    if self._apply_slice():
                        self.ready.set()
                    await trio.lowlevel.checkpoint()
                self._steps = iter(())
                self._heirs = {}
                for child in reversed(list(self._by_key.values())):
                    self._tell_to_stop(child)
        finally:
            self._nursery = None

    def _apply_slice(self) -> bool:
        """Make a slice of the changes that are left; whether that was all."""
        weight = 0.0
        for step in self._steps:
            weight += step
            if weight >= SLICE_STEPS:
                self._unfinished.set()
                return False
        return True

    def _changes(self) -> Iterator[float]:
        """From the present children to the wanted ones, a child at a time; yields what each step weighs."""
        wanted = self._wanted
        for key, child in list(self._by_key.items()):
            if key not in wanted and self._by_key.get(key) is child:
                self._heirs.pop(key, None)
                self._retire(key, child)
                yield 1.0
        for key, spec in wanted.items():
            present = self._by_key.get(key)
            if present is None:
                self._start(key, spec)
                yield 1.0
            elif present.spec != spec or present.stopping:
                self._heirs[key] = spec
                self._retire(key, present)
                yield 1.0
            else:
                self._heirs.pop(key, None)
                yield 0.05

    def _retire(self, key: K, child: Child) -> None:
        """End a child that is not wanted as it is; its task, or this call, makes room for the heir."""
        if child.state in FINAL and child.over.is_set():
            self._bury(key, child)
        elif not child.stopping:
            child.stop()

    def _bury(self, key: K, child: Child) -> None:
        if self._by_key.get(key) is child:
            del self._by_key[key]
        heir = self._heirs.pop(key, None)
        if heir is not None and not self._stop_asked:
            self._start(key, heir)

    def _start(self, key: K, spec: ChildSpec) -> None:
        assert self._nursery is not None
        child = Child(
            spec,
            f"{self.path}/{spec.name}",
            self.reports,
            gate=self._gate,
            exhausted=self._quarantine,
            end_state=State.QUARANTINED,
        )
        self._by_key[key] = child
        self._nursery.start_soon(self._keep, key, child)

    async def _keep(self, key: K, child: Child) -> None:
        await child.live()
        if child.stopping:
            self._bury(key, child)

    async def _gate(self, child: Child, delay_s: float) -> None:  # noqa: ARG002 - the gate's signature
        await trio.sleep(delay_s)

    def _quarantine(self, child: Child, error: BaseException | None) -> None:
        """Nothing to do: the child's state says it, and nobody else is concerned."""
