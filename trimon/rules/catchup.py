"""What recording rules would have recorded while there was no server: their missed iterations, evaluated from stored data.

            last recorded         start                 first slot
    ────●────●────●╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌│╌╌╌╌╌╌╌╌╌●───────●──────────→
                  L   ○    ○    ○      ○
                      the missed slots of the group: evaluated and stored before the first one is due

The rules of a group are evaluated as a backtest does, at all missed times at once where that gives the same. They see what is
stored under their own results. They go on in passes of some slots each, which are stored one after the other: what came
before one that fails stays, and the slots that go by meanwhile are missed slots of the next. The last slot that was recorded
is evaluated again: a series that it gave and the first missed one does not give ends there. It is stored for those rules
alone that have recorded nothing at it, since a kill may have come between two rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.model.components import split
from trimon.model.histogrambatch import with_histograms
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import equal_to
from trimon.model.rows import SampleBatch
from trimon.model.snapshot import Selection, Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.execution.values import holds
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alerting import AlertOrigin
from trimon.rules.backtest.run import Span, backtest
from trimon.rules.backtest.series import RecordedSeries
from trimon.rules.spec import GroupSpec, RecordingSpec

SAMPLES_AT_ONCE: Final = 50_000
"""So many samples are stored in one go."""


SLOTS_AT_ONCE: Final = 360
"""So many missed slots are caught up with in one pass."""


KNOWN_MS: Final = 86_400_000
"""A group that has recorded nothing for so long is a new one."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What the missed iterations of a group came to."""

    slot_ms: int | None = None
    """The last slot that is done; None when the group has recorded nothing."""
    iterations: int = 0
    skipped: int = 0
    """Those from before the furthest time that is caught up with."""
    failures: int = 0
    """Evaluations of a rule that failed."""
    batches: tuple[SampleBatch, ...] = ()


def catch_up(
    snapshot: Snapshot,
    group: GroupSpec,
    offset_ms: int,
    most_ms: int,
    until_ms: int,
    options: QueryOptions,
    budget: Budget,
    after_ms: int | None = None,
) -> CaughtUp:
    """One pass over the missed slots of a group within `most_ms` before `until_ms`, its next one. In a thread.

    `after_ms` is the last slot that the pass before has done; None: what was recorded is looked up.
    Raises QueryError when time or memory is over, OperatingError when samples cannot be read.
    """
    rules = tuple(rule for rule in group.rules if isinstance(rule, RecordingSpec))
    interval_ms, stamp_ms = group.interval_ms, group.query_offset_ms
    if after_ms is None:
        last_ms = _last_recorded_ms(snapshot, rules, until_ms - KNOWN_MS, until_ms, budget)
        if last_ms is None:
            return CaughtUp()
        # The slot of what was recorded last is evaluated again.
        first_ms = last_ms + stamp_ms - (last_ms + stamp_ms - offset_ms) % interval_ms
        behind = [
            not _recorded(snapshot, rule, last_ms, last_ms).living(last_ms, last_ms).any() for rule in rules
        ]
    else:
        first_ms, last_ms, behind = after_ms, after_ms - stamp_ms, [False] * len(rules)
    missed = (until_ms - first_ms) // interval_ms - 1
    if missed < 0 or (missed == 0 and not any(behind)):
        return CaughtUp(first_ms)
    skipped = max(0, missed - most_ms // interval_ms)
    first_ms += skipped * interval_ms
    last_ms = max(last_ms, first_ms - stamp_ms)
    iterations = min(missed - skipped, SLOTS_AT_ONCE)
    end_ms = first_ms + iterations * interval_ms
    span = Span(first_ms, end_ms, phase_ms=offset_ms % interval_ms)
    recording = replace(group, rules=rules)
    outcomes = backtest(snapshot, [recording], span, options, AlertOrigin(), budget, continues=True)
    batches: list[SampleBatch] = []
    for outcome, is_behind in zip(outcomes, behind, strict=True):
        assert outcome.recorded is not None
        batches += _batches(outcome.recorded, last_ms - (is_behind and not skipped))
    failures = sum(len(outcome.problems.failures) for outcome in outcomes)
    return CaughtUp(end_ms, iterations, skipped, failures, tuple(batches))


def _last_recorded_ms(
    snapshot: Snapshot, rules: Sequence[RecordingSpec], oldest_ms: int, until_ms: int, budget: Budget
) -> int | None:
    """When any of the rules recorded something last, or None: not since `oldest_ms`."""
    found: int | None = None
    for rule in budget.watch(rules):
        since_ms = oldest_ms if found is None else found + 1
        selection = _recorded(snapshot, rule, since_ms, until_ms)
        if not selection.living(since_ms, until_ms).any():
            continue
        # There is something at `low` or later, and nothing after `high`.
        low, high = since_ms, until_ms
        while low < high:
            middle = (low + high + 1) // 2
            if selection.living(middle, until_ms).any():
                low = middle
            else:
                high = middle - 1
        found = low
    return found


def _recorded(snapshot: Snapshot, rule: RecordingSpec, start_ms: int, end_ms: int) -> Selection:
    """The series of a rule."""
    return snapshot.select(equal_to([(METRIC_NAME, rule.record), *rule.labels]), start_ms, end_ms)


def _batches(recorded: RecordedSeries, after_ms: int) -> Iterator[SampleBatch]:
    """All that a rule recorded after a time."""
    table = recorded.labels
    begin = 0
    rows_at_once = max(1, SAMPLES_AT_ONCE // recorded.grid.count)
    while begin < table.rows:
        rows = np.arange(begin, min(begin + rows_at_once, table.rows))
        begin += len(rows)
        frame = recorded.frame(rows, after_ms + 1, recorded.grid.end_ms)
        index = np.repeat(np.arange(len(rows), dtype=np.int32), frame.lengths)
        within = np.arange(len(index)) - frame.offsets[index]
        times = frame.times[frame.time_offsets[frame.time_of_row[index]] + within]
        series = tuple(table.labels(int(row)) for row in rows)
        if frame.histograms is None:
            yield SampleBatch(series, index, times, frame.values)
            continue
        native = holds(frame.histograms)
        floats = SampleBatch(series, index[~native], times[~native], frame.values[~native])
        yield with_histograms(
            floats,
            (
                (int(index[place]), int(times[place]), split(frame.histograms[place]))
                for place in np.flatnonzero(native).tolist()
            ),
        )
