"""One alerting rule: from the result of its expression to alerts, and from alerts to the series that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from trimon.rules.alert import Alert, AlertState, AlertValue, FoundAlert
from trimon.rules.recording import NOT_A_VECTOR, Recorded
from trimon.rules.spec import AlertingSpec
from trimon.templates.alerts import AlertData, AlertTemplates
from trimon.templates.errors import TemplateError
from trimon.templates.functions.function import QuerySample

ALERTS: Final = "ALERTS"
ALERTS_FOR_STATE: Final = "ALERTS_FOR_STATE"
ALERT_NAME: Final = "alertname"
ALERT_STATE: Final = "alertstate"
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
        self.query = print_expr(parse(spec.expr, options))
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

        def query(text: str) -> list[QuerySample]:
            try:
                told = instant(snapshot, text, time_ms, options, budget)
            except QueryError as error:
                raise UserError(str(error)) from None
            return [QuerySample(dict(labels), value) for labels, value in samples_of(told)]

        errors: list[TemplateError] = []
        external = dict(self._origin.external_labels())

        def found(labels: Labels, value: AlertValue) -> FoundAlert:
            data = AlertData(dict(labels), value, external, self._origin.external_url)
            texts = self._templates.expand(data, query, time_ms)
            errors.extend(texts.errors)
            merged = {name: text for name, text in labels if name != METRIC_NAME}
            merged |= texts.labels
            merged[ALERT_NAME] = self.spec.alert
            return FoundAlert(labels_of(merged), tuple(sorted(texts.annotations.items())), value)

        alerts = tuple(found(labels, value) for labels, value in budget.watch(samples_of(result)))
        if len({each.labels for each in alerts}) < len(alerts):
            raise QueryError(SAME_LABELS)
        expansions = len(alerts) * (len(self.spec.labels) + len(self.spec.annotations))
        return FoundAlerts(alerts, result.stats, expansions, tuple(errors))

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
