"""No data is not OK: which alerts stay though their expression does not give them any more, since its inputs are missing.

An expression gives nothing for a series in two cases, and Prometheus takes both for the end of an alert:

    disk_used / disk_size > 0.9      used 0.8, size 1     it is well again
    disk_used / disk_size > 0.9      (nothing) / size     nobody knows

With `on_no_data: keep` an alert of the second kind stays as it is: pending goes on towards firing, firing goes on firing. An
alert has no data when one of the selectors that its expression cannot do without gives no series that agrees with it in all
labels that both have; staleness markers count as nothing. What then decides is `up`:

    an `up` that agrees is 0                          the target does not answer           no data: the alert stays
    those that agree are 1                            it answers, without the series       the series is gone: it resolves
    none agrees, one did within the last hour         the target is gone                   it resolves
    none agrees, and none did                         nobody scrapes it: it was pushed     no data: the alert stays

With `on_no_data: alert` a selector that gives nothing at all is besides an alert of its own, as absent() of it would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.matcher import MatchType
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.nodes import Expr
from trimon.query.language.options import QueryOptions
from trimon.rules.alert import ActiveAlerts, Alert, AlertState, FoundAlert
from trimon.rules.selectors import RuleSelector

_UP: Final = "up"
_UP_BEFORE: Final = "max_over_time(up[1h])"


class RuleInputs:
    """What the selectors of a rule give at one time. In a thread; asked for only when an alert is missing."""

    def __init__(
        self,
        selectors: Sequence[RuleSelector],
        snapshot: Snapshot,
        time_ms: int,
        options: QueryOptions,
        budget: Budget,
    ) -> None:
        self._selectors = [each for each in selectors if not each.optional]
        self._snapshot = snapshot
        self._time_ms = time_ms
        self._options = options
        self._budget = budget

    def held(self, alerts: ActiveAlerts, found: Sequence[FoundAlert]) -> list[FoundAlert]:
        """The alerts that were not found and stay as they are, for want of data. Raises QueryError."""
        seen = {each.labels for each in found}
        missing = [
            alert
            for labels, alert in alerts.items()
            if labels not in seen and alert.state is not AlertState.INACTIVE
        ]
        return [
            FoundAlert(alert.labels, alert.annotations, alert.value, alert.source)
            for alert in self._budget.watch(missing)
            if self._lacks(alert)
        ]

    def silent(self) -> list[tuple[RuleSelector, Labels]]:
        """The selectors that give nothing at all, with the labels that absent() of them would have. Raises QueryError."""
        tables = zip(self._selectors, self._given, strict=True)
        return [(selector, _asked_for(selector)) for selector, table in tables if not table.rows]

    def _lacks(self, alert: Alert) -> bool:
        if all(_agree(table, alert.source) for table in self._given):
            return False
        agreeing = _rows(self._up.labels, alert.source)
        if agreeing.any():
            return bool((self._up.values[agreeing, 0] == 0).any())
        return not _agree(self._up_before, alert.source)

    @cached_property
    def _given(self) -> list[LabelTable]:
        return [_present(self._ask(each.expr)) for each in self._selectors]

    @cached_property
    def _up(self) -> QueryResult:
        return self._ask(_UP)

    @cached_property
    def _up_before(self) -> LabelTable:
        return _present(self._ask(_UP_BEFORE))

    def _ask(self, query: str | Expr) -> QueryResult:
        return instant(self._snapshot, query, self._time_ms, self._options, self._budget)


def _present(result: QueryResult) -> LabelTable:
    return result.labels.take(np.flatnonzero(result.present[:, 0]))


def _agree(table: LabelTable, labels: Labels) -> bool:
    return bool(_rows(table, labels).any())


def _rows(table: LabelTable, labels: Labels) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The rows that have no other value of any label than `labels`, where both have it."""
    agree = np.ones(table.rows, np.bool_)
    wanted: Mapping[str, str] = dict(labels)
    for name, column, values in zip(table.names, table.columns, table.values, strict=True):
        if name == METRIC_NAME or name not in wanted:
            continue
        value = wanted[name]
        codes = [0, *(code for code, known in enumerate(values) if code and known == value)]
        agree &= np.isin(column, codes)
    return agree


def _asked_for(selector: RuleSelector) -> Labels:
    """The labels that a selector asks for by one value each."""
    named: dict[str, str] = {}
    twice: set[str] = set()
    for matcher in selector.expr.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.type is MatchType.EQUAL and matcher.name not in named:
            named[matcher.name] = matcher.value
        else:
            twice.add(matcher.name)
    return labels_of({name: value for name, value in named.items() if name not in twice and value})
