"""Alerts, as the API shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trimon.gotext.floats import format_e
from trimon.gotext.times import json_time
from trimon.model.histogram import FloatHistogram
from trimon.rules.alert import Alert, AlertState
from trimon.rules.alertsession import AlertingSession
from trimon.rules.group import RuleGroup
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.pieces import success_in_slices
from trimon.web.http.request import Request


def alerts_endpoints(context: WebContext) -> list[Endpoint]:
    """/alerts and /alertmanagers."""

    async def alerts(_: Request) -> Answer:
        return context.held(await success_in_slices({"alerts": active_alerts(context.rules)}))

    async def alertmanagers(_: Request) -> Answer:
        active, dropped = context.alertmanagers()
        return success({"activeAlertmanagers": _urls(active), "droppedAlertmanagers": _urls(dropped)})

    return [
        Endpoint(
            API_PREFIX + "/alerts", ("GET",), alerts, summary="Lists alerts that are pending or firing."
        ),
        Endpoint(
            API_PREFIX + "/alertmanagers",
            ("GET",),
            alertmanagers,
            summary="Lists the Alertmanagers that get alerts, and those that were dropped.",
        ),
    ]


def _urls(urls: Sequence[str]) -> list[dict[str, str]]:
    return [{"url": url} for url in urls]


def active_alerts(groups: Callable[[], Sequence[RuleGroup]]) -> Iterator[dict[str, object]]:
    """All alerts that are pending or firing, by group and rule."""
    for group in sorted(groups(), key=lambda group: (group.spec.file, group.spec.name)):
        for session in group.alerting:
            yield from shown_alerts(session)


def shown_alerts(session: AlertingSession) -> Iterator[dict[str, object]]:
    """The alerts of a rule that are pending or firing."""
    for alert in list(session.alerts.values()):
        if alert.state is not AlertState.INACTIVE:
            yield shown_alert(alert)


def shown_alert(alert: Alert) -> dict[str, object]:
    """One alert as data."""
    shown: dict[str, object] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state.word,
        "activeAt": json_time(alert.active_at_ms),
    }
    if alert.keep_firing_since_ms:
        shown["keepFiringSince"] = json_time(alert.keep_firing_since_ms)
    # Clients parse a number: that of a native histogram is 0, as in Prometheus; the history of alerts has it in words.
    shown["value"] = format_e(0.0 if isinstance(alert.value, FloatHistogram) else alert.value)
    return shown
