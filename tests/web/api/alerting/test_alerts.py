"""/api/v1/alerts: values as Prometheus 3.14 shows them."""

from __future__ import annotations

from tests.support.oracle import recorded
from tests.support.template_world import StoreQueries, recorded_histograms
from trimon.model.histogram import FloatHistogram
from trimon.rules.alert import Alert, AlertState
from trimon.web.api.alerting.alerts import shown_alert


def test_values_are_those_of_prometheus() -> None:
    """The value of every recorded alert is that of Prometheus to the letter: 0 where it is a native histogram."""
    setup, *cases = recorded("templates/cases.jsonl")
    queries = StoreQueries(recorded_histograms(setup))
    histograms = 0
    for case in cases:
        if "alert_value" not in case:
            continue
        (found,) = queries(case["expr"])
        histograms += isinstance(found.value, FloatHistogram)
        alert = Alert((), (), found.value, AlertState.FIRING, 0)
        assert shown_alert(alert)["value"] == case["alert_value"], case["id"]
    assert histograms > 10
