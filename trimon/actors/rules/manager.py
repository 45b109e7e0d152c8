"""Rules: the manager that keeps one actor a group in line with the configuration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.rules.group import RuleGroupActor, end_series
from trimon.actors.rules.seams import RuleSeams
from trimon.records import dataclass
from trimon.rules.group import RuleGroup
from trimon.rules.spec import GroupSpec

# A group may end its iteration when it is told to stop.
DRAIN_S: Final = 10.0
POLICY: Final = RestartPolicy()


@dataclass(slots=True)
class _LeavingGroup:
    """A removed group: its series end at `due_s`, unless something else has written them since."""

    group: RuleGroup
    stamp_ms: int
    due_s: float


class RuleManager:
    """Keeps one actor a group in line with what is configured.

    Owns: the groups, and those that a reload removed until their series have ended.
    Receives: nothing.
    Sends: Append to storage, when the series of a removed group end.
    Crashes when: ending a group has a bug.
    On restart: groups and pool stay, they belong to the tree.
    """

    def __init__(self, pool: Pool[str], seams: RuleSeams) -> None:
        self.groups: dict[str, RuleGroup] = {}
        self.stopping = False
        self._pool = pool
        self._seams = seams
        self._ended: dict[str, RuleGroup] = {}
        self._leaving: dict[str, _LeavingGroup] = {}
        self._changed = trio.Event()
        self._configured = False
        """Whether there was a configuration: groups that come later have no alerts from before the start."""

    def configure(self, specs: Sequence[GroupSpec], directory: Path) -> None:
        """The groups of a new configuration; equal ones go on. `directory` shortens paths in the tree."""
        options, origin = self._seams.options(), self._seams.alerting.origin
        restores, self._configured = not self._configured, True
        groups: dict[str, RuleGroup] = {}
        for spec in specs:
            known = self.groups.get(spec.key)
            if known is None or known.spec != spec:
                known = RuleGroup(spec, options, origin, restores=restores)
            groups[spec.key] = known
        self.groups = groups
        for key in self._ended.keys() - groups.keys():
            # it fell, and nobody came after it: its series end like those of any group that is removed
            self._left(self._ended.pop(key))
        wanted: dict[str, ChildSpec] = {}
        names: Counter[str] = Counter()
        for key, group in groups.items():
            file = Path(group.spec.file)
            shown = file.relative_to(directory) if file.is_relative_to(directory) else file
            name = f"{str(shown).lstrip('/')}/{group.spec.name}"
            names[name] += 1
            wanted[key] = self._spec(group, f"{name}~{names[name]}" if names[name] > 1 else name)
        self._pool.reconcile(wanted)

    def _spec(self, group: RuleGroup, name: str) -> ChildSpec:
        return ChildSpec(
            name,
            lambda: self._make(group),
            restart=Restart.ALWAYS,
            drain_s=DRAIN_S,
            policy=POLICY,
            version=group.spec,
        )

    def _make(self, group: RuleGroup) -> RuleGroupActor:
        key = group.spec.key
        before = self._ended.pop(key, None)
        leaving = self._leaving.pop(key, None)
        if before is None and leaving is not None:
            before = leaving.group
        if before is group:
            for session in group.rules:
                session.forget()
        elif before is not None:
            group.inherit(before)
        return RuleGroupActor(group, self._seams, self._left)

    def _left(self, group: RuleGroup) -> None:
        """A group's actor ended: keep it for a successor, or for the end of its series."""
        key = group.spec.key
        if self.stopping:
            return
        if key in self.groups:
            self._ended[key] = group
            return
        interval_s = group.spec.interval_ms / 1000
        stamp_ms = self._seams.clock.now_ms() - group.spec.query_offset_ms
        self._leaving[key] = _LeavingGroup(group, stamp_ms, trio.current_time() + 2 * interval_s)
        self._changed.set()

    async def run(self) -> None:
        """Ends the series of removed groups when their time has come."""
        while True:
            due_s = min((each.due_s for each in self._leaving.values()), default=math.inf)
            patience_s = due_s - trio.current_time()
            with trio.move_on_after(max(0.0, patience_s)):
                await self._changed.wait()
            self._changed = trio.Event()
            now_s = trio.current_time()
            due = [key for key, leaving in self._leaving.items() if leaving.due_s <= now_s]
            for key in due:
                if key in self._leaving:  # while another waited for the writer, an actor may have taken over
                    await self._end(key)

    async def _end(self, key: str) -> None:
        """Ends the series of a removed group; those that storage refuses to end are offered again in an interval."""
        leaving = self._leaving.pop(key)
        group = leaving.group
        gone, group.leftovers = (*group.leftovers.values(), *group.rules), {}
        if await end_series(self._seams, group, gone, leaving.stamp_ms) or self.stopping:
            return
        successor = self.groups.get(key)
        if successor is not None:  # it has come back meanwhile
            successor.take_ends(group)
        else:
            leaving.due_s = trio.current_time() + group.spec.interval_ms / 1000
            self._leaving[key] = leaving

    def inspect(self) -> Mapping[str, object]:
        """How many groups there are, and how many removed ones wait for their end."""
        return {"groups": len(self.groups), "leaving": len(self._leaving)}
