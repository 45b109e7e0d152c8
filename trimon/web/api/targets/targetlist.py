"""The list of all targets as JSON: what there is is noted on the loop, and written in a thread.

    pools ─ rows (loop, in slices) ─ sorted, masked, encoded (thread, in slices) ─ one answer

A list of 190,000 targets takes seconds of work. In slices on the loop each of them would wait for a turn, and a server that
scrapes so many has long ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Final, TypeAlias, TypeVar

import orjson
import trio

from trimon.actors.scraping.scrapepool import ScrapePool
from trimon.gotext.times import json_time
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.outcome import TargetState
from trimon.scrape.target import DroppedTarget, Target
from trimon.units import format_duration
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.answer import seconds

T = TypeVar("T")

# What one call writes or sorts: some milliseconds of the interpreter's lock.
ITEMS_AT_ONCE: Final = 500
SORTED_AT_ONCE: Final = 5000
# Rows that are noted at a stretch: about a millisecond.
NOTED_AT_ONCE: Final = 4000

Row: TypeAlias = tuple[Target, TargetState | None]


@dataclass(slots=True)
class TargetList:
    """What is to be shown, as it was at one moment or nearly."""

    active: list[list[Row]] = field(default_factory=list)
    """Of each pool."""
    dropped: list[tuple[str, Sequence[DroppedTarget]]] = field(default_factory=list)
    dropped_counts: Mapping[str, int] | None = None

    async def note(self, pool: ScrapePool) -> None:
        """Take the active targets of a pool, with how they do now."""
        rows: list[Row] = []
        items, sessions = iter(list(pool.targets.items())), pool.sessions
        while some := list(islice(items, NOTED_AT_ONCE)):
            for key, target in some:
                session = sessions.get(key)
                rows.append((target, session.state if session is not None else None))
            await trio.lowlevel.checkpoint()
        self.active.append(rows)

    def pieces(
        self, external: ExternalUrl, mask: Callable[[Labels], Labels], check: Callable[[], None]
    ) -> Iterator[bytes]:
        """All of it as JSON, for a thread. `check` is called now and then, and may raise."""
        active = (row for rows in self.active for row in _sorted(rows))
        yield b'{"activeTargets":'
        yield from _written(active, lambda row: _active(row, external, mask), check)
        yield b',"droppedTargets":'
        dropped = ((name, target) for name, targets in self.dropped for target in targets)
        yield from _written(dropped, lambda one: _dropped(one, mask), check)
        yield b',"droppedTargetCounts":' + orjson.dumps(self.dropped_counts) + b"}"


def _sorted(rows: list[Row]) -> Iterable[Row]:
    """By their labels; one sort of all would hold the interpreter's lock for a second."""
    parts = [
        sorted(rows[at : at + SORTED_AT_ONCE], key=_labels) for at in range(0, len(rows), SORTED_AT_ONCE)
    ]
    return parts[0] if len(parts) == 1 else heapq.merge(*parts, key=_labels)


def _labels(row: Row) -> Labels:
    return row[0].labels


def _written(items: Iterable[T], shown: Callable[[T], object], check: Callable[[], None]) -> Iterator[bytes]:
    left, separator = iter(items), b"["
    while some := [shown(item) for item in islice(left, ITEMS_AT_ONCE)]:
        check()
        yield separator + orjson.dumps(some)[1:-1]
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def _active(row: Row, external: ExternalUrl, mask: Callable[[Labels], Labels]) -> dict[str, object]:
    target, state = row
    url = target.shown_url
    return {
        "discoveredLabels": dict(mask(target.discovered)),
        "labels": dict(target.labels),
        "scrapePool": target.job,
        "scrapeUrl": url,
        "globalUrl": external.of_target(url),
        "lastError": state.last_error if state else "",
        "lastScrape": json_time(state.last_scrape_ms if state else 0),
        "lastScrapeDuration": seconds(state.last_duration_s) if state else 0,
        "health": state.health if state else "unknown",
        "scrapeInterval": format_duration(target.interval_ms),
        "scrapeTimeout": format_duration(target.timeout_ms),
    }


def _dropped(one: tuple[str, DroppedTarget], mask: Callable[[Labels], Labels]) -> dict[str, object]:
    name, target = one
    return {"discoveredLabels": dict(mask(target.discovered)), "scrapePool": name}
