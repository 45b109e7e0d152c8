"""Sets of Alertmanagers: addresses from discovered labels, and what each set is told."""

from __future__ import annotations

import pytest

from trimon.config import load_text
from trimon.model.relabel import Relabeling
from trimon.notify.alertmanagers import AlertmanagerSet, relabeled, with_external
from trimon.notify.message import AlertMessage


def set_of(text: str) -> AlertmanagerSet:
    loaded = load_text(f"alerting: {{alertmanagers: [{{timeout: 10s, {text}}}]}}\n", "p.yml")
    (config,) = loaded.main.alerting.alertmanagers
    return AlertmanagerSet(config)


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "/api/v2/alerts"),
        ("path_prefix: /", "/api/v2/alerts"),
        ("path_prefix: /am/x/", "/am/x/api/v2/alerts"),
        ("path_prefix: am", "/am/api/v2/alerts"),
        ("path_prefix: //a//b/../c", "/a/c/api/v2/alerts"),
    ],
)
def test_paths(prefix: str, path: str) -> None:
    """The API's path below a prefix, however that is written."""
    assert set_of(prefix).found([{"__address__": "h:9093"}]).active == (f"http://h:9093{path}",)


def test_addresses_are_relabeled_and_distinct() -> None:
    """Labels may change scheme, address and path; dropped ones are listed, twice the same is one."""
    managers = set_of(
        "scheme: https, relabel_configs: [{source_labels: [p], regex: (.+), target_label: __alerts_path__},"
        " {source_labels: [__address__], regex: 'b:.*', action: drop}]"
    )
    found = managers.found(
        [
            {"__address__": "a:1", "p": "/x"},
            {"__address__": "a:1", "p": "/x", "other": "y"},
            {"__address__": "b:1"},
            {"__address__": "http://c"},
            {"p": "/x"},
        ]
    )
    assert found.active == ("https://a:1/x",)
    assert found.dropped == ("https://b:1/api/v2/alerts",)
    assert found.errors == ('"http://c" is not a valid hostname', "no address")


def test_labels_of_alerts() -> None:
    """External labels fill in what an alert lacks, rules rewrite and drop, and each set has rules of its own."""
    alert = AlertMessage((("alertname", "A"), ("severity", "page")), (), 1, 2)
    (whole,) = with_external([alert], (("dc", "x"), ("severity", "external")))
    assert dict(whole.labels) == {"alertname": "A", "dc": "x", "severity": "page"}
    config = load_text(
        "alerting: {alert_relabel_configs: [{regex: dc, action: labeldrop}]}\n", "p.yml"
    ).main.alerting
    (told,) = relabeled([whole], Relabeling(config.alert_relabel_configs))
    assert dict(told.labels) == {"alertname": "A", "severity": "page"}
    managers = set_of("alert_relabel_configs: [{source_labels: [severity], regex: page, action: drop}]")
    assert managers.told([told]) == []
    assert set_of("").told([told]) == [told]
