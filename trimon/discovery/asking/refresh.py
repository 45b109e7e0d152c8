"""Discoveries that ask their source for everything, again and again: the loop, its delays and its figures.

    refresh ─┬─ all groups ─ publish what changed, empty groups for what is gone ─ interval ──────────┐
             └─ an error ─── nothing is published, what is known stays ─ 1 s, 2 s, 4 s … interval ────┤
       ▲                                                     (or as long as the source asks to wait)  │
       └──────────────────────────────────────────────────────────────────────────────────────────────┘

A source that fails is asked sooner than after the interval at first, since most trouble is short, and never more often
than in a time without trouble later on. The delay varies by a quarter, so that a thousand servers that lost the same
source do not come back in the same moment.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Final

import trio

from trimon.discovery.plugin import Context, Sink, TargetGroup
from trimon.discovery.sink import BadPublish, check_groups
from trimon.errors import OperatingError
from trimon.records import dataclass

RETRY_FIRST_S: Final = 1.0
# More targets than this are checked in a thread.
CHECK_INLINE_MAX: Final = 200
TROUBLE: Final = (OperatingError, BadPublish, OSError, trio.TooSlowError)
"""What a source in trouble raises, or says that no target can have; anything else is a bug."""


@dataclass(slots=True)
class SourceStats:
    """What became of asking a source, for people and for metrics."""

    refreshes: int = 0
    """Attempts, failed ones too."""
    failures: int = 0
    refresh_s: float = 0.0
    """The time of all attempts together."""
    last_success_ms: int = 0
    last_error: str = ""
    """Empty after a success."""
    last_error_ms: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """What the mechanism counts by itself; the table of metrics names them."""

    def succeeded(self, now_ms: int) -> None:
        """The source said all it knows."""
        self.last_success_ms, self.last_error = now_ms, ""

    def failed(self, error: BaseException, now_ms: int) -> None:
        """It did not."""
        self.failures += 1
        self.last_error, self.last_error_ms = str(error) or type(error).__name__, now_ms

    def shown(self) -> dict[str, object]:
        """All of it as plain values."""
        return {
            "refreshes": self.refreshes,
            "refresh_failures": self.failures,
            "refresh_s": self.refresh_s,
            "last_success_ms": self.last_success_ms,
            "last_error": self.last_error,
            "last_error_ms": self.last_error_ms,
            "counts": dict(self.counts),
        }


class Retries:
    """How long to wait after each failure in a row. Deterministic when it is given its chance."""

    def __init__(self, delay_max_s: float, chance: random.Random | None = None) -> None:
        self._delay_max_s = delay_max_s
        self._chance = chance or random.Random()  # noqa: S311 # delays are no secret
        self._in_row = 0

    def succeeded(self) -> None:
        """The next failure is the first."""
        self._in_row = 0

    def delay_s(self, error: BaseException) -> float:
        """How long to wait now, at least as long as the source asks for."""
        doubled_s = RETRY_FIRST_S * 2.0 ** min(self._in_row, 30)
        self._in_row += 1
        delay_s = min(doubled_s, self._delay_max_s) * self._chance.uniform(0.75, 1.0)
        return max(delay_s, float(getattr(error, "retry_after_s", 0.0)))


class RefreshDiscovery:
    """A discovery that has `refresh`, which says all that there is, or raises."""

    def __init__(self, context: Context, interval_s: float) -> None:
        self.context = context
        self.interval_s = interval_s
        self.stats = SourceStats()
        self._retries = Retries(interval_s)
        self._sources: set[str] = set()

    async def refresh(self) -> Iterable[TargetGroup]:
        """All groups. Raises OperatingError (SourceError, FetchError), OSError or trio.TooSlowError in trouble."""
        raise NotImplementedError

    async def run(self, sink: Sink) -> None:
        """Ask, publish, wait; for ever."""
        self._sources = set()
        while True:
            delay_s = await self._once(sink)
            await trio.sleep(delay_s)

    async def _once(self, sink: Sink) -> float:
        """One refresh; how long to wait after it."""
        began_s = trio.current_time()
        self.stats.refreshes += 1
        try:
            groups = list(await self.refresh())
            await self._publish(sink, groups)
        except TROUBLE as error:
            self.stats.failed(error, self.context.clock.now_ms())
            self.context.log.error("Unable to refresh target groups", err=self.stats.last_error)
            return self._retries.delay_s(error)
        finally:
            self.stats.refresh_s += trio.current_time() - began_s
        self.stats.succeeded(self.context.clock.now_ms())
        self._retries.succeeded()
        return self.interval_s

    async def _publish(self, sink: Sink, groups: list[TargetGroup]) -> None:
        sources = {group.source for group in groups}
        gone = [TargetGroup(source) for source in self._sources - sources]
        await publish(sink, self.context, [*groups, *gone])
        self._sources = sources

    def inspect(self) -> Mapping[str, object]:
        """The figures of asking."""
        return {"interval_s": self.interval_s, **self.stats.shown()}


async def publish(sink: Sink, context: Context, groups: list[TargetGroup]) -> None:
    """Publish groups, looked at in a thread where they are many. Raises BadPublish."""
    if sum(len(group.targets) for group in groups) <= CHECK_INLINE_MAX:
        sink.publish(groups)
    else:
        sink.publish(await context.offload.run(lambda: check_groups(groups)))
