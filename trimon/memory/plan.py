"""How the memory of the process is divided between those who hold it."""

from __future__ import annotations

from typing import Final

from trimon.memory.limit import ADDRESS_SPACE, MemoryLimit
from trimon.records import dataclass

_MIB: Final = 2**20
# Of the limit so much is left alone: what nobody counts, and what is freed but not yet given back.
RESERVE_SHARE: Final = 0.1
RESERVE_BYTES_MIN: Final = 16 * _MIB
RESERVE_BYTES_MAX: Final = 1024 * _MIB
# An address space has more in it than memory: stacks of threads, mapped files.
ADDRESS_RESERVE_SHARE: Final = 0.3
# Shares of what is left when the process has started. Heads get half: they can not be made smaller at once.
HEAD_SHARE: Final = 0.5
QUERIES_SHARE: Final = 0.3
CACHES_SHARE: Final = 0.1
CACHES_BYTES_MAX: Final = 400 * _MIB
# Bodies of last scrapes are there for people who look for a fault: a part of what caches may have.
KEPT_BODIES_SHARE: Final = 0.01
KEPT_BODIES_BYTES_MAX: Final = 32 * _MIB
# With less than this nothing can be done; the division then is of as much, and the pressure is told.
USABLE_BYTES_MIN: Final = 32 * _MIB


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The budget of the process and its parts. `base_bytes` is what the process itself took when it had started."""

    limit: MemoryLimit
    budget_bytes: int
    base_bytes: int
    head_bytes: int
    queries_bytes: int
    caches_bytes: int
    bodies_bytes: int
    kept_bodies_bytes: int = 0

    def shares(self) -> dict[str, int]:
        """The parts by their owners."""
        return {
            "head": self.head_bytes,
            "queries": self.queries_bytes,
            "caches": self.caches_bytes,
            "bodies": self.bodies_bytes,
            "kept_bodies": self.kept_bodies_bytes,
        }


def divide(limit: MemoryLimit, base_bytes: int) -> MemoryPlan:
    """The plan for a limit. What caches do not take of their share, queries may."""
    share = ADDRESS_RESERVE_SHARE if limit.source == ADDRESS_SPACE else RESERVE_SHARE
    reserve_bytes = int(min(max(limit.size_bytes * share, RESERVE_BYTES_MIN), RESERVE_BYTES_MAX))
    budget_bytes = max(limit.size_bytes - reserve_bytes, 0)
    usable_bytes = max(budget_bytes - base_bytes, USABLE_BYTES_MIN)
    head_bytes = int(usable_bytes * HEAD_SHARE)
    caches_bytes = int(usable_bytes * CACHES_SHARE)
    bodies_bytes = usable_bytes - head_bytes - int(usable_bytes * QUERIES_SHARE) - caches_bytes
    kept_bytes = min(int(usable_bytes * KEPT_BODIES_SHARE), KEPT_BODIES_BYTES_MAX)
    caches_bytes -= kept_bytes
    spare_bytes = max(caches_bytes - CACHES_BYTES_MAX, 0)
    queries_bytes = int(usable_bytes * QUERIES_SHARE) + spare_bytes
    return MemoryPlan(
        limit,
        budget_bytes,
        base_bytes,
        head_bytes,
        queries_bytes,
        caches_bytes - spare_bytes,
        bodies_bytes,
        kept_bytes,
    )
