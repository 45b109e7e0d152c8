"""The series that show the alerts of a rule, at all times at once: ALERTS and ALERTS_FOR_STATE from their timelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from trimon.model.labels import Labels
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.records import dataclass
from trimon.rules.alert import Alert, AlertState
from trimon.rules.alerting import AlertingRule
from trimon.rules.backtest.timeline import Timelines, episodes_of
from trimon.rules.slots import HELD, Failures, SlotResults

# Of a value, of its presence and of its end.
_CELL_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Samples of one value from one place up to another."""

    labels: Labels
    value: float
    begin: int
    end: int


def alert_series(
    rule: AlertingRule, timelines: Timelines, grid: Grid, failures: Failures, budget: Budget
) -> SlotResults:
    """What the rule records at the times of its evaluations. Raises QueryError when memory is over."""
    stretches = list(_stretches(rule, timelines, grid))
    rows: dict[Labels, int] = {}
    for each in budget.watch(stretches):
        rows.setdefault(each.labels, len(rows))
    shape = (len(rows), grid.count)
    budget.take_bytes(_CELL_BYTES * shape[0] * shape[1], HELD)
    values, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for each in budget.watch(stretches):
        # Of two alerts that look the same the first one's sample counts, as in storage.
        places = np.arange(each.begin, each.end)
        places = places[~present[rows[each.labels], places]]
        values[rows[each.labels], places] = each.value
        present[rows[each.labels], places] = True
    results = SlotResults(LabelTable.of(list(rows)), values, present, None, {})
    return results.without(failures)


def _stretches(rule: AlertingRule, timelines: Timelines, grid: Grid) -> Iterator[_Stretch]:
    for labels, events in timelines.events.items():
        for episode in episodes_of(events):
            end = grid.count if episode.ended_ms is None else _place(grid, episode.ended_ms)
            fired = end if episode.fired_ms is None else _place(grid, episode.fired_ms)
            states = (
                (AlertState.PENDING, _place(grid, episode.began_ms), fired),
                (AlertState.FIRING, fired, end),
            )
            for state, first, last in states:
                if first < last:
                    shown = rule.recorded([Alert(labels, (), 1.0, state, episode.began_ms)])
                    for row, value in enumerate(shown.values.tolist()):
                        yield _Stretch(shown.labels.labels(row), value, first, last)


def _place(grid: Grid, time_ms: int) -> int:
    return (time_ms - grid.start_ms) // grid.step_ms
