"""Answers to queries that are asked again before anything new was stored for them.

A dashboard is looked at by many, its panels ask for the same range until the next step, and its single numbers are asked many
times between two scrapes. Nothing of an instant query's answer changes then but the time that stands beside each value:

```text
{"metric":{...},"value":[ 1700000001.5 ,"1"]},{"metric":{...},"value":[ 1700000001.5 ,"0"]}
└──────── a piece ──────┘ └── time ──┘ └───────── a piece ────────────┘ └── time ──┘ └ last ┘
```

It holds for a later time when all of this is so:

- the query reads nothing but the newest sample of each series (`planning/timeless.py`, `QueryStats.frames`),
- the snapshot is of the same samples (`StatefulSnapshot`),
- no sample is newer than the time that was asked for first: none can have come into the window,
- the oldest sample that was read is within the lookback of the later time: none has left it.

The answer to a range query holds for the same range and step, as long as storage gives the very tables and frames that it was
computed of (`SourceRead`), whatever was stored for other series.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

import numpy as np

from trimon.memory.texts import LONGEST
from trimon.model.snapshot import Snapshot, StatefulSnapshot
from trimon.query import engine
from trimon.query.answer.jsonnumbers import format_times
from trimon.query.answer.result import QueryResult
from trimon.query.execution.grid import Grid
from trimon.query.execution.reads import SourceRead
from trimon.query.execution.stats import QueryStats
from trimon.query.language.options import QueryOptions
from trimon.query.planning.timeless import is_timeless

KEPT_BYTES_MAX: Final = 4 << 20
"""Of all: their own texts, those of their queries, and what is noted of each."""
ANSWERS_MAX: Final = 256
ANSWER_BYTES_MAX: Final = 256 * 1024
"""Of the text of one; a longer one takes long to send, too."""
# Of what an answer has beside texts and numbers of each step: its key with options, statistics, matchers.
_NOTED_BYTES: Final = 4096
_VALUE: Final = b'"value":['


class _Instant(NamedTuple):
    """An answer to an instant query, and when it holds."""

    version: Hashable
    time_ms: int
    oldest_ms: int | None
    pieces: list[bytes]
    stats: QueryStats

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.pieces)) + 64 * len(self.pieces)

    def body(self, snapshot: Snapshot, options: QueryOptions, time_ms: int) -> bytes | None:
        """The answer at a time, None where it does not hold."""
        if time_ms < self.time_ms:
            return None
        if self.oldest_ms is not None and self.oldest_ms <= time_ms - options.lookback_ms:
            return None
        state = snapshot.state() if isinstance(snapshot, StatefulSnapshot) else None
        if state is None or state.version != self.version:
            return None
        return _between(time_ms).join(self.pieces)


class _Range(NamedTuple):
    """An answer to a range query, and what it is of."""

    reads: tuple[SourceRead, ...]
    text: bytes
    stats: QueryStats

    @property
    def size_bytes(self) -> int:
        stats = self.stats
        return len(self.text) + stats.samples_per_step.nbytes + stats.read_per_step.nbytes

    def body(self, snapshot: Snapshot, options: QueryOptions, time_ms: int) -> bytes | None:
        """The answer, None where it does not hold."""
        del options, time_ms
        return self.text if all(read.holds(snapshot) for read in self.reads) else None


class RepeatedAnswers:
    """The last answers that may hold again, the newest last. Only on the loop's thread."""

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._kept: dict[Hashable, tuple[_Instant | _Range, int]] = {}
        self._bytes_max = bytes_max
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self, snapshot: Snapshot, text: str, grid: Grid, options: QueryOptions, end_ms: int | None
    ) -> tuple[bytes, QueryStats] | None:
        """The body of the answer over a grid, and what reading it came to; None when it has to be computed.

        `end_ms` is the end of a range, which need not be a step; None asks for one time.
        """
        key = _key(text, grid, options, end_ms)
        found = self._kept.get(key)
        if found is None:
            return None
        kept, _ = found
        body = kept.body(snapshot, options, grid.start_ms)
        if body is None:
            return None
        known, stats = kept.stats, QueryStats(0)
        stats.steps, stats.samples_peak, stats.selected = known.steps, known.samples_peak, known.selected
        stats.samples_per_step, stats.read_per_step = known.samples_per_step, known.read_per_step
        return body, stats

    def keep(
        self,
        snapshot: Snapshot,
        text: str,
        grid: Grid,
        options: QueryOptions,
        end_ms: int | None,
        result: QueryResult,
        body: bytes,
    ) -> None:
        """An answer that was computed; it is not kept where nobody could tell that it holds again."""
        if len(text) > LONGEST:
            return  # it may be parsed here, which takes long where the tree is not remembered
        if result.warnings or result.infos or not 0 < len(body) <= ANSWER_BYTES_MAX:
            return
        answer = _instant(snapshot, text, options, result, body) if end_ms is None else _range(result, body)
        if answer is None:
            return
        key = _key(text, grid, options, end_ms)
        # A character of a query takes up to four bytes, and its text is held twice: by the key, and by the matchers in parts.
        size_bytes = answer.size_bytes + 8 * len(text) + _NOTED_BYTES
        self._drop(key)
        self._kept[key] = answer, size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._bytes_max or len(self._kept) > ANSWERS_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        _, size_bytes = self._kept.pop(key, (None, 0))
        self.size_bytes -= size_bytes


def _key(text: str, grid: Grid, options: QueryOptions, end_ms: int | None) -> Hashable:
    return (text, options) if end_ms is None else (text, options, grid.start_ms, end_ms, grid.step_ms)


def _instant(
    snapshot: Snapshot, text: str, options: QueryOptions, result: QueryResult, body: bytes
) -> _Instant | None:
    stats, time_ms = result.stats, int(result.times_ms[0])
    if result.type != "vector" or result.native is not None or result.cells is not None or stats.frames:
        return None
    if not is_timeless(engine.parse(text, options)):
        return None
    state = snapshot.state() if isinstance(snapshot, StatefulSnapshot) else None
    if state is None or state.newest_ms > time_ms:
        return None
    # In a text of JSON a quote is escaped: this stands nowhere but where a value begins.
    pieces = body.split(_between(time_ms))
    if len(pieces) != result.series + 1:
        return None
    return _Instant(state.version, time_ms, stats.oldest_ms, pieces, stats)


def _range(result: QueryResult, body: bytes) -> _Range | None:
    return None if result.reads is None else _Range(result.reads, body, result.stats)


def _between(time_ms: int) -> bytes:
    (text,) = format_times(np.array([time_ms], np.int64))
    return _VALUE + text.encode() + b","
