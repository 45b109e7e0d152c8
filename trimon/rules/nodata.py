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

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

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
        given = zip(self._selectors, self._given, strict=True)
        return [(selector, _asked_for(selector)) for selector, series in given if not series.table.rows]

    def _lacks(self, alert: Alert) -> bool:
        if all(series.agreeing(alert.source).any() for series in self._given):
            return False
        values, series = self._up
        agreeing = series.agreeing(alert.source)
        if agreeing.any():
            return bool((values[agreeing] == 0).any())
        return not self._up_before.agreeing(alert.source).any()

    @cached_property
    def _given(self) -> list[_GivenSeries]:
        return [self._present(each.expr) for each in self._selectors]

    @cached_property
    def _up(self) -> tuple[npt.NDArray[np.float64], _GivenSeries]:
        result = self._ask(_UP)
        return result.values[:, 0], _GivenSeries(result.labels)

    @cached_property
    def _up_before(self) -> _GivenSeries:
        return self._present(_UP_BEFORE)

    def _present(self, query: str | Expr) -> _GivenSeries:
        result = self._ask(query)
        return _GivenSeries(result.labels.take(np.flatnonzero(result.present[:, 0])))

    def _ask(self, query: str | Expr) -> QueryResult:
        return instant(self._snapshot, query, self._time_ms, self._options, self._budget)


class _GivenSeries:
    """Series that are asked for by labels again and again: each dictionary is turned around once."""

    def __init__(self, table: LabelTable) -> None:
        self.table = table
        self._codes: dict[str, dict[str, int]] = {}

    def agreeing(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which rows have no other value of any label than `labels`, where both have it."""
        agree = np.ones(self.table.rows, np.bool_)
        wanted = dict(labels)
        for name, column, values in zip(self.table.names, self.table.columns, self.table.values, strict=True):
            if name == METRIC_NAME or name not in wanted:
                continue
            codes = self._codes.get(name)
            if codes is None:
                codes = self._codes[name] = {value: code for code, value in enumerate(values)}
            agree &= (column == 0) | (column == codes.get(wanted[name], 0))
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
