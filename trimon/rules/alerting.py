"""One alerting rule: from the result of its expression to alerts, and from alerts to the series that show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.errors import UserError
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult
from trimon.query.engine import instant, parse
from trimon.query.execution.budget import Budget
from trimon.query.execution.stats import QueryStats
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr
from trimon.records import dataclass
from trimon.rules.alert import ActiveAlerts, Alert, AlertState, AlertValue, FoundAlert
from trimon.rules.nodata import RuleInputs
from trimon.rules.recording import Recorded
from trimon.rules.selectors import selectors_of
from trimon.rules.slots import NOT_A_VECTOR
from trimon.rules.spec import AlertingSpec, OnNoData
from trimon.templates.alerts import AlertData, AlertTemplates
from trimon.templates.errors import TemplateError
from trimon.templates.functions.function import QueryFunction, QuerySample

ALERTS: Final = "ALERTS"
ALERTS_FOR_STATE: Final = "ALERTS_FOR_STATE"
ALERT_NAME: Final = "alertname"
ALERT_STATE: Final = "alertstate"
NO_DATA: Final = "no_data"
"""The annotation of an alert that is there because a selector gives nothing: which one."""
SAME_LABELS: Final = "vector contains metrics with the same labelset after applying alert labels"


@dataclass(frozen=True, slots=True)
class AlertOrigin:
    """What templates know of the server: its labels as they are configured now, and where it is found."""

    external_labels: Callable[[], Labels] = tuple
    external_url: str = ""


@dataclass(frozen=True, slots=True)
class FoundAlerts:
    """What an evaluation found."""

    alerts: tuple[FoundAlert, ...]
    stats: QueryStats | None = None
    expansions: int = 0
    """How many templates were expanded."""
    template_errors: tuple[TemplateError, ...] = ()


class AlertingRule:
    """An alerting rule that can be evaluated, in any thread."""

    def __init__(self, spec: AlertingSpec, options: QueryOptions, origin: AlertOrigin) -> None:
        self.spec = spec
        parsed = parse(spec.expr, options)
        self.selectors = selectors_of(parsed)
        self.query = print_expr(parsed)
        """The expression as the API shows it."""
        self._origin = origin
        self._templates = AlertTemplates(spec.alert, spec.labels, spec.annotations)

    def evaluate(
        self, snapshot: Snapshot, time_ms: int, options: QueryOptions, budget: Budget
    ) -> FoundAlerts:
        """The alerts at a time. Raises ParseError or QueryError."""
        result = instant(snapshot, self.spec.expr, time_ms, options, budget)
        if result.type not in ("vector", "scalar"):
            raise QueryError(NOT_A_VECTOR)

        query = template_query(snapshot, time_ms, options, budget)
        errors: list[TemplateError] = []
        alerts = tuple(
            self.found(labels, value, query, time_ms, errors)
            for labels, value in budget.watch(samples_of(result))
        )
        if len({each.labels for each in alerts}) < len(alerts):
            raise QueryError(SAME_LABELS)
        expansions = len(alerts) * (len(self.spec.labels) + len(self.spec.annotations))
        return FoundAlerts(alerts, result.stats, expansions, tuple(errors))

    def completed(
        self,
        found: FoundAlerts,
        alerts: ActiveAlerts,
        snapshot: Snapshot,
        time_ms: int,
        options: QueryOptions,
        budget: Budget,
    ) -> FoundAlerts:
        """What was found, with what counts as found for want of data, by `on_no_data`. Raises QueryError."""
        mode = self.spec.on_no_data
        if mode is OnNoData.RESOLVE:
            return found
        inputs = RuleInputs(self.selectors, snapshot, time_ms, options, budget)
        every = {each.labels: each for each in (*found.alerts, *inputs.held(alerts, found.alerts))}
        errors = list(found.template_errors)
        if mode is OnNoData.ALERT:
            query = template_query(snapshot, time_ms, options, budget)
            for selector, labels in inputs.silent():
                told = self.found(labels, math.nan, query, time_ms, errors)
                annotations = {**dict(told.annotations), NO_DATA: f"{selector.text} gives nothing"}
                every.setdefault(told.labels, replace(told, annotations=labels_of(annotations)))
        return replace(found, alerts=tuple(every.values()), template_errors=tuple(errors))

    def found(
        self,
        labels: Labels,
        value: AlertValue,
        query: QueryFunction,
        time_ms: int,
        errors: list[TemplateError],
    ) -> FoundAlert:
        """The alert of a series of the result; what templates fail with is added to `errors`."""
        texts = self._templates.expand(self._data(labels, value), query, time_ms)
        errors.extend(texts.errors)
        annotations = tuple(sorted(texts.annotations.items()))
        return FoundAlert(self._merged(labels, texts.labels), annotations, value, labels)

    def identity(self, labels: Labels, value: AlertValue, query: QueryFunction, time_ms: int) -> Labels:
        """The labels of the alert of a series: what it is known by."""
        return self._merged(labels, self._templates.expand_labels(self._data(labels, value), query, time_ms))

    @property
    def identity_is_fixed(self) -> bool:
        """Whether the alert of a series is the same at every time and with every value."""
        return self._templates.labels_are_fixed

    def _data(self, labels: Labels, value: AlertValue) -> AlertData:
        external = dict(self._origin.external_labels())
        return AlertData(dict(labels), value, external, self._origin.external_url)

    def _merged(self, labels: Labels, expanded: Mapping[str, str]) -> Labels:
        merged = {name: text for name, text in labels if name != METRIC_NAME}
        merged |= expanded
        merged[ALERT_NAME] = self.spec.alert
        return labels_of(merged)

    def recorded(self, alerts: Iterable[Alert], stats: QueryStats | None = None) -> Recorded:
        """ALERTS and ALERTS_FOR_STATE of the alerts that are pending or firing."""
        shown = [alert for alert in alerts if alert.state is not AlertState.INACTIVE]
        own = dict(self.spec.labels)
        sets: list[Labels] = []
        for alert in shown:
            # A label whose template expands to nothing shows the template here, as in Prometheus.
            labels = {**own, **dict(alert.labels)}
            sets.append(labels_of({**labels, METRIC_NAME: ALERTS, ALERT_STATE: alert.state.word}))
            sets.append(labels_of({**labels, METRIC_NAME: ALERTS_FOR_STATE}))
        values = np.ones(len(sets))
        values[1::2] = [alert.active_at_ms // 1000 for alert in shown]
        return Recorded(LabelTable.of(sets), values, stats)


def too_many(limit: int, alerts: int) -> str:
    """The error of a rule that has more alerts than its group's limit."""
    return f"exceeded limit of {limit} with {alerts} alerts"


def samples_of(result: QueryResult) -> list[tuple[Labels, AlertValue]]:
    """The samples of an instant vector or scalar, as pairs of labels and value."""
    if result.type == "scalar":
        return [((), float(result.values.reshape(-1)[0]))]
    out: list[tuple[Labels, AlertValue]] = []
    for row in np.flatnonzero(result.present[:, 0]).tolist():
        cell = None if result.histograms is None else result.histograms[row, 0]
        value = cell if isinstance(cell, FloatHistogram) else float(result.values[row, 0])
        out.append((result.labels.labels(row), value))
    return out


def template_query(snapshot: Snapshot, time_ms: int, options: QueryOptions, budget: Budget) -> QueryFunction:
    """What `query` in a template asks at a time."""

    def query(text: str) -> list[QuerySample]:
        try:
            told = instant(snapshot, text, time_ms, options, budget)
        except QueryError as error:
            raise UserError(str(error)) from None
        return [QuerySample(dict(labels), value) for labels, value in samples_of(told)]

    return query
