"""The memory monitor: compares what owners hold with what the kernel counts, and relieves pressure in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import IntEnum
from typing import Final

import trio

from trimon.log import Log
from trimon.memory.allocator import give_back
from trimon.memory.bodies import BodyMemory
from trimon.memory.limit import resident_bytes
from trimon.memory.plan import MemoryPlan
from trimon.memory.queries import QueryMemory
from trimon.memory.series import SeriesAdmission
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.scrape.records import KeptBodies
from trimon.storage.problems import MEMORY
from trimon.storage.protocols import BoundedStore

LOOK_S: Final = 0.25
# When so much was given back by queries and bodies, and nothing more for a moment, the allocator is told to give it to the
# system: who comes next at once would have to fetch it again. After some seconds it is told all the same.
TRIM_BYTES: Final = 32 * 2**20
TRIM_QUIET_S: Final = 1.5
TRIM_S_MAX: Final = 15.0
TRIM_PRESSED_S: Final = 5.0
# Not all that is freed had an owner who gives it back: answers that nobody read, objects. So the allocator is told, too, when
# the process has grown by so much since it was as small as it has been since the last time, once a minute at the most.
TRIM_GROWN_BYTES: Final = 16 * 2**20
TRIM_GROWN_S: Final = 60.0
FORGET_S: Final = 300.0
# Whose new series are refused is told again after so long.
TOLD_AGAIN_S: Final = 3600.0
# What caches hold is given back when nobody has asked for it so long, or up to twice as long.
UNUSED_S: Final = 60.0
TOLD_S: Final = 60.0
GROWTH_MS: Final = 3_600_000


class Pressure(IntEnum):
    """What is done about memory, each beside all before it. Known series are scraped and alerts evaluated always."""

    NONE = 0
    CACHES = 1
    """Caches are emptied."""
    SERIES = 2
    """The targets that grow fastest get no new series."""
    EXPENSIVE_QUERIES = 3
    """Queries that need more than they may hold without asking wait."""
    QUERIES = 4
    """Clients' queries are refused."""


# From these parts of the budget on.
STEPS: Final = (
    (Pressure.QUERIES, 0.98),
    (Pressure.EXPENSIVE_QUERIES, 0.94),
    (Pressure.SERIES, 0.90),
    (Pressure.CACHES, 0.85),
)


def _nothing() -> None:
    """Nothing is remembered."""


@dataclass(slots=True)
class ProcessMemory:
    """The budget of the process, its owners, and what they hold."""

    plan: MemoryPlan
    queries: QueryMemory
    series: SeriesAdmission
    bodies: BodyMemory
    used_bytes: Callable[[], int] = resident_bytes
    """What the kernel counts of what the limit is about."""
    kept: KeptBodies = field(default_factory=lambda: KeptBodies(0))
    """Bodies of last scrapes."""
    forget_texts: Callable[[], object] = _nothing
    """Gives back what is remembered of the texts of queries."""
    pressure: Pressure = Pressure.NONE
    trims: int = 0
    unused_bytes: int = 0
    """What caches have given back since the start, since nobody asked for it."""
    pressed_s: dict[Pressure, float] = field(default_factory=dict)
    """For how long there was pressure of each kind."""

    @property
    def given_bytes(self) -> int:
        """What queries, bodies and caches have given back since the start."""
        return self.queries.given_bytes + self.bodies.given_bytes + self.unused_bytes


class MemoryMonitor:
    """Looks four times a second.

    Owns: the pressure; the room for new series; what was given back and may go to the system.
    Receives: nothing.
    Sends: nothing; it opens and closes what others ask before they take memory, and empties caches.
    Crashes when: never.
    On restart: looks anew.
    """

    def __init__(
        self,
        memory: ProcessMemory,
        store: BoundedStore,
        offload: Offload,
        log: Log,
        release: Callable[[], object] = give_back,
    ) -> None:
        self._memory = memory
        self._store = store
        self._offload = offload
        self._log = log
        self._release = release
        self._trimmed_bytes = 0
        self._trimmed_s = 0.0
        # what had been given back at the last look, and since when
        self._given_bytes = 0
        self._given_s = 0.0
        # since when there is enough to be trimmed
        self._due_s = math.inf
        self._highest_bytes = 0
        # the least since what was freed went back
        self._lowest_bytes: float = math.inf
        self._used_bytes = 0
        self._quiet_until_s = 0.0
        # who was told of, and when
        self._told: dict[str, float] = {}
        # who was refused new series for the first time, how many, until it is told
        self._untold: dict[str, int] = {}
        store.limit_caches(memory.plan.caches_bytes)

    async def run(self) -> None:
        """Looks, for ever."""
        plan = self._memory.plan
        if plan.budget_bytes <= plan.base_bytes:
            self._log.warning(
                "the limit of memory is below what the process itself takes: nothing new is taken",
                limit_bytes=plan.limit.size_bytes,
                source=plan.limit.source,
                process_bytes=plan.base_bytes,
            )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forget)
            nursery.start_soon(self._forget_unused)
            while True:
                self.look()
                if self._untold:
                    await self._tell_refusals()
                if self._is_trim_due():
                    await self._trim()
                await trio.sleep(LOOK_S)

    async def _forget(self) -> None:
        while True:
            await trio.sleep(FORGET_S)
            self._memory.series.forget()
            since_s = trio.current_time() - TOLD_AGAIN_S
            self._told = {group: at_s for group, at_s in self._told.items() if at_s > since_s}

    async def _forget_unused(self) -> None:
        while True:
            await trio.sleep(UNUSED_S)
            self._memory.unused_bytes += self._store.forget_unused()

    def look(self) -> None:
        """Finds the pressure and what is free; some 20 microseconds."""
        memory, store = self._memory, self._store
        used_bytes = memory.used_bytes()
        self._highest_bytes = max(self._highest_bytes, used_bytes)
        self._lowest_bytes = min(self._lowest_bytes, used_bytes)
        self._used_bytes = used_bytes
        budget_bytes = memory.plan.budget_bytes
        pressure = next((step for step, part in STEPS if used_bytes >= part * budget_bytes), Pressure.NONE)
        self._change(pressure, used_bytes)
        series, caches_bytes = store.head_series, store.cache_bytes
        others_bytes = memory.queries.taken_bytes + memory.bodies.taken_bytes + caches_bytes
        memory.series.refill(series, max(used_bytes - memory.plan.base_bytes - others_bytes, 0))
        store.limit_series(max(series + memory.series.coming, 1))
        for group, count in memory.series.take_refusals().items():
            if group not in self._told:
                self._told[group] = trio.current_time()
                self._untold[group] = count

    def _change(self, pressure: Pressure, used_bytes: int) -> None:
        memory = self._memory
        if pressure:
            memory.pressed_s[pressure] = memory.pressed_s.get(pressure, 0.0) + LOOK_S
            self._store.shed_caches()
            memory.kept.clear()
            memory.forget_texts()
        was, memory.pressure = memory.pressure, pressure
        memory.series.is_pressed = pressure >= Pressure.SERIES
        memory.queries.is_closed = pressure >= Pressure.EXPENSIVE_QUERIES
        memory.queries.is_shut = pressure >= Pressure.QUERIES
        if pressure < was:
            memory.queries.on_given()
        now_s = trio.current_time()
        if pressure > max(was, Pressure.CACHES) and now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + TOLD_S
            self._log.warning(
                "memory is short",
                pressure=pressure.name.lower(),
                used_bytes=used_bytes,
                budget_bytes=memory.plan.budget_bytes,
            )

    async def _tell_refusals(self) -> None:
        """Tell who is refused new series, and what has grown in the last hour: target, metric and label."""
        untold, self._untold = self._untold, {}
        grown = await self._offload.run(lambda: self._store.growth(GROWTH_MS, 1))
        why = f"; in the last hour {culprit}" if (culprit := grown.culprit()) else ""
        for group, count in untold.items():
            self._store.note_problem(
                MEMORY,
                group,
                f"new series of {group} are refused ({count} at once): memory for series is used up, "
                f"{self._memory.series.share_bytes} bytes of the {self._memory.plan.limit.size_bytes} of "
                f"{self._memory.plan.limit.source}{why}",
            )

    def _is_trim_due(self) -> bool:
        memory, now_s = self._memory, trio.current_time()
        given_bytes, since_s = memory.given_bytes, now_s - self._trimmed_s
        if given_bytes != self._given_bytes:
            self._given_bytes, self._given_s = given_bytes, now_s
        has_grown = self._used_bytes - self._lowest_bytes >= TRIM_GROWN_BYTES and since_s >= TRIM_GROWN_S
        if has_grown or given_bytes - self._trimmed_bytes >= TRIM_BYTES:
            self._due_s = min(self._due_s, now_s)
            return now_s - self._given_s >= TRIM_QUIET_S or now_s - self._due_s >= TRIM_S_MAX
        return memory.pressure > Pressure.NONE and since_s >= TRIM_PRESSED_S

    async def _trim(self) -> None:
        self._trimmed_bytes, self._trimmed_s = self._memory.given_bytes, trio.current_time()
        self._due_s = math.inf
        self._memory.trims += 1
        await self._offload.run(self._release)
        self._lowest_bytes = math.inf

    def inspect(self) -> Mapping[str, object]:
        """The pressure and what there is."""
        memory = self._memory
        return {
            "pressure": memory.pressure.name.lower(),
            "budget_bytes": memory.plan.budget_bytes,
            "highest_bytes": self._highest_bytes,
            "trims": memory.trims,
            "series_room": memory.series.room,
        }
