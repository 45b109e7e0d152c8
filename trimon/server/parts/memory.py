"""The part that watches over memory: the plan, what owners reserve from, and the monitor."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from trimon.actors.memory import MemoryMonitor, ProcessMemory
from trimon.actors.metrics.memory import memory_metrics, owners
from trimon.actors.querying.waitingroom import WaitingRoom
from trimon.actors.scraping.manager import ScrapeManager
from trimon.memory.allocator import heap_figures
from trimon.memory.bodies import BodyMemory
from trimon.memory.limit import (
    ADDRESS_SPACE,
    address_bytes,
    anonymous_bytes,
    cgroup_of,
    memory_limit,
    resident_bytes,
)
from trimon.memory.plan import divide
from trimon.memory.queries import QueryMemory
from trimon.memory.series import SeriesAdmission
from trimon.query.engine import forget_texts
from trimon.scrape.records import KeptBodies
from trimon.server.settings import Seams, Settings
from trimon.storage.store import Store

# Of what is made later: labels, trees, rows of caches. Modules have larger ones.
OBJECT_BYTES_MAX: Final = 80


class MemoryPart:
    """One budget for the process, divided between head, queries, caches and bodies on their way."""

    def __init__(self, store: Store, settings: Settings, seams: Seams) -> None:
        limit = settings.memory if settings.memory is not None else memory_limit(0)
        used_bytes = address_bytes if limit.source == ADDRESS_SPACE else resident_bytes
        plan = divide(limit, used_bytes())
        self.memory = ProcessMemory(
            plan,
            QueryMemory(plan.queries_bytes),
            SeriesAdmission(plan.head_bytes, store.group_series),
            BodyMemory(plan.bodies_bytes),
            used_bytes,
            KeptBodies(plan.kept_bodies_bytes if settings.keep_bodies else 0),
            forget_texts,
        )
        self.room = WaitingRoom(self.memory.queries, log=seams.log)
        self.monitor = MemoryMonitor(self.memory, store, seams.parse_threads, seams.log)
        self._store = store
        self._interpreter_bytes = anonymous_bytes()
        self._blocks_at_start = sys.getallocatedblocks()
        heap = heap_figures()
        self._heap_at_start = 0 if heap is None else heap.used_bytes
        # What a small object took until now, with what the interpreter keeps beside it for others.
        object_bytes = (self._interpreter_bytes - self._heap_at_start) / self._blocks_at_start
        self._object_bytes = min(object_bytes, OBJECT_BYTES_MAX)
        self._manager: ScrapeManager | None = None
        seams.log.info(
            "memory is divided", limit_bytes=limit.size_bytes, source=limit.source, **_named(plan.shares())
        )

    def collect(self, manager: ScrapeManager, seams: Seams) -> None:
        """Shows what owners hold under the self metrics; `manager` has the bodies that targets are remembered by."""
        self._manager = manager
        seams.metrics.collect(memory_metrics(self.memory, self.room, self._owners))

    def _owners(self) -> dict[str, int]:
        sessions = [] if self._manager is None else self._manager.sessions()
        return owners(self.memory, self._store, sessions)

    def describe(self) -> Mapping[str, object]:
        """What `/debug/memory` shows: the owners beside what the kernel counts, and the difference."""
        memory, plan = self.memory, self.memory.plan
        held, counted_bytes, cgroup = self._owners(), memory.used_bytes(), cgroup_of()
        return {
            "limit": {"bytes": plan.limit.size_bytes, "source": plan.limit.source},
            "budget_bytes": plan.budget_bytes,
            "shares": plan.shares(),
            "owners": held,
            "owners_bytes": sum(held.values()),
            "kernel": {
                "counted_bytes": counted_bytes,
                "resident_bytes": resident_bytes(),
                "address_bytes": address_bytes(),
                "cgroup": None
                if cgroup is None
                else {"limit_bytes": cgroup.limit_bytes, "used_bytes": cgroup.used_bytes},
            },
            "anonymous": self._anonymous(),
            "difference": {
                "bytes": counted_bytes - sum(held.values()),
                "what": "Python objects nobody counts, memory freed and not yet given back, reservations not yet used",
            },
            "pressure": memory.pressure.name.lower(),
            "pressed_s": {step.name.lower(): seconds for step, seconds in memory.pressed_s.items()},
            "series": {
                "room": memory.series.room,
                "max": memory.series.series_max,
                "refused": memory.series.refused,
            },
            "queries": {
                "reserved_bytes": memory.queries.taken_bytes,
                "reserved_bytes_peak": memory.queries.peak_bytes,
                **self.room.inspect(),
            },
            "bodies": {
                "held_bytes": memory.bodies.taken_bytes,
                "waiting": memory.bodies.waiting,
                "refused": memory.bodies.refused,
            },
            "trims": memory.trims,
        }

    def _anonymous(self) -> dict[str, object]:
        """What is in no file, by owner; what nobody counts is the rest."""
        memory, heap = self.memory, heap_figures()
        sessions = [] if self._manager is None else self._manager.sessions()
        held = {
            **self._store.held(),
            "targets": sum(session.size_bytes for session in sessions),
            "queries": memory.queries.taken_bytes,
            "bodies": memory.bodies.taken_bytes,
            "kept_bodies": memory.kept.size_bytes,
        }
        counted_bytes, heap_bytes = anonymous_bytes(), sum(held.values()) - self._store.mapped_bytes
        # Modules that were imported later, caches of the interpreter, and objects that nobody counts.
        made = int((sys.getallocatedblocks() - self._blocks_at_start) * self._object_bytes)
        if heap is not None:
            made += heap.used_bytes - self._heap_at_start
        held["interpreter"] = self._interpreter_bytes
        # An estimate, from how many there are: no more than what is left.
        held["objects"] = max(min(made - heap_bytes, counted_bytes - sum(held.values())), 0)
        rest_bytes = counted_bytes - sum(held.values())
        # Of what was freed a part may have gone back: it is no more than what nobody holds.
        held["freed"] = max(min(rest_bytes, 0 if heap is None else heap.free_bytes), 0)
        return {
            "bytes": counted_bytes,
            "owners": held,
            "rest_bytes": rest_bytes - held["freed"],
            "heap": None if heap is None else heap._asdict(),
        }


def _named(shares: Mapping[str, int]) -> dict[str, int]:
    return {f"{owner}_bytes": size_bytes for owner, size_bytes in shares.items()}
