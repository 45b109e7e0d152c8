"""trimon_memory_* of our own /metrics: the budget, its owners, and what was refused for want of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from trimon.actors.memory import ProcessMemory
from trimon.actors.querying.waitingroom import WaitingRoom
from trimon.scrape.session import ScrapeSession
from trimon.selfmetrics import MetricFamily
from trimon.storage.protocols import BoundedStore


def owners(memory: ProcessMemory, store: BoundedStore, sessions: Iterable[ScrapeSession]) -> dict[str, int]:
    """Bytes by who holds them; of queries and bodies what they have reserved."""
    figures = store.figures()
    return {
        "process": memory.plan.base_bytes,
        "head": figures.head_bytes + figures.symbol_bytes,
        "targets": sum(session.size_bytes for session in sessions),
        "queries": memory.queries.taken_bytes,
        "caches": store.cache_bytes,
        "bodies": memory.bodies.taken_bytes,
        "kept_bodies": memory.kept.size_bytes,
    }


def memory_metrics(
    memory: ProcessMemory, room: WaitingRoom, held: Callable[[], Mapping[str, int]]
) -> Callable[[], Iterator[MetricFamily]]:
    """Families of the budget of memory."""

    def families() -> Iterator[MetricFamily]:
        plan = memory.plan
        limit = [((plan.limit.source,), float(plan.limit.size_bytes))]
        yield MetricFamily(
            "trimon_memory_limit_bytes",
            "Most memory of the process, by who says so.",
            "gauge",
            limit,
            label_names=("source",),
        )
        yield _by_owner(
            "trimon_memory_share_bytes", "Most memory of each owner within the budget.", plan.shares()
        )
        yield _by_owner("trimon_memory_held_bytes", "Memory that owners hold or have reserved.", held())
        for name, text, value in (
            ("budget_bytes", "Memory that is divided: the limit less a reserve.", plan.budget_bytes),
            ("used_bytes", "Memory that the kernel counts.", memory.used_bytes()),
            (
                "pressure",
                "0: none, 1: caches emptied, 2: no new series where many come, 3: expensive queries wait, 4: all are refused.",
                memory.pressure,
            ),
            ("series_room", "New series that there is memory for.", memory.series.room),
            ("queries_waiting", "Queries that wait for memory.", room.waiting),
            ("bodies_waiting", "Bodies of scrapes that wait for memory.", memory.bodies.waiting),
        ):
            yield MetricFamily(f"trimon_memory_{name}", text, "gauge", [((), float(value))])
        for name, text, value in (
            (
                "series_refused_total",
                "New series of scrapes that were refused for want of memory.",
                memory.series.refused,
            ),
            ("queries_refused_total", "Queries that were refused for want of memory.", room.refused),
            (
                "bodies_refused_total",
                "Requests that were refused as others hold the memory for bodies.",
                memory.bodies.refused,
            ),
            ("trims_total", "How often freed memory was given back to the system.", memory.trims),
        ):
            yield MetricFamily(f"trimon_memory_{name}", text, "counter", [((), float(value))])

    return families


def _by_owner(name: str, text: str, sizes: Mapping[str, int]) -> MetricFamily:
    samples = [((owner,), float(size_bytes)) for owner, size_bytes in sizes.items()]
    return MetricFamily(name, text, "gauge", samples, label_names=("owner",))
