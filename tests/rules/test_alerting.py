"""An alerting rule over samples in memory: its alerts, their texts, the series that show them."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from trimon.errors import UserError
from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertingRule, AlertOrigin
from trimon.rules.file import read_rules
from trimon.rules.spec import AlertingSpec, RuleDefaults

OPTIONS = QueryOptions()
ORIGIN = AlertOrigin(lambda: (("dc", "north"),), "http://prom.test/x")


def store() -> MemoryStore:
    here = MemoryStore()
    for instance, value in (("a", 1.0), ("b", 0.0)):
        here.append(labels_of({"__name__": "up", "instance": instance}), 60_000, value)
    return here


def evaluate(spec: AlertingSpec, origin: AlertOrigin = ORIGIN) -> dict[str, dict[str, str]]:
    """Of every alert the labels and annotations, by instance."""
    found = AlertingRule(spec, OPTIONS, origin).evaluate(store(), 60_000, OPTIONS, Budget(OPTIONS))
    return {
        dict(alert.labels)["instance"]: {**dict(alert.labels), **dict(alert.annotations)}
        for alert in found.alerts
    }


def test_labels_and_annotations_are_expanded_for_each_series() -> None:
    """Templates see labels, value, external labels and URL of the server; a label of the rule wins over that of the series."""
    spec = AlertingSpec(
        "Up",
        "up",
        labels=(("dc", "{{ $externalLabels.dc }}"), ("kind", "k{{ $value }}")),
        annotations=(("text", "{{ $labels.instance }} is {{ $value }} at {{ externalURL }}"),),
    )
    found = evaluate(spec)
    assert found["a"] == {
        "alertname": "Up",
        "dc": "north",
        "instance": "a",
        "kind": "k1",
        "text": "a is 1 at http://prom.test/x",
    }
    assert found["b"]["kind"] == "k0"


def test_a_template_may_query_at_the_time_of_the_evaluation() -> None:
    """`query` answers from the same samples; what it refuses stands in the place of the text."""
    spec = AlertingSpec(
        "Up",
        'up{instance="a"}',
        annotations=(
            ("count", '{{ query "count(up)" | first | value }}'),
            ("bad", '{{ query "sum(" }}'),
            ("twice", '{{ query "up * on() up" }}'),
        ),
    )
    (alert,) = evaluate(spec).values()
    assert alert["count"] == "2"
    assert "<error expanding template: " in alert["bad"]
    assert "unclosed left parenthesis" in alert["bad"]
    assert "found duplicate series" in alert["twice"]


def test_failures_of_templates_are_counted_and_alerts_live() -> None:
    """An alert whose text cannot be made is an alert with the error in its text."""
    spec = AlertingSpec("Up", "up", annotations=(("a", "{{ .Nope }}"), ("b", "fine")))
    rule = AlertingRule(spec, OPTIONS, ORIGIN)
    found = rule.evaluate(store(), 60_000, OPTIONS, Budget(OPTIONS))
    assert (len(found.alerts), found.expansions, len(found.template_errors)) == (2, 4, 2)
    assert dict(found.alerts[0].annotations)["b"] == "fine"


def test_two_alerts_with_the_same_labels_are_an_error() -> None:
    """Labels that make two series one alert fail the rule, as in Prometheus."""
    with pytest.raises(QueryError, match="same labelset after applying alert labels"):
        evaluate(AlertingSpec("Up", "up", labels=(("instance", "one"),)))


SAMPLE = """groups:
  - name: node
    interval: 30s
    rules:
      - alert: InstanceDown
        expr: up{job="node"} == 0
        for: 5m
        keep_firing_for: 1m
        labels: {severity: page, team: '{{ if eq $labels.dc "x" }}a{{ else }}b{{ end }}'}
        annotations:
          summary: 'Instance {{ $labels.instance }} down for {{ $value | humanizeDuration }}'
          all: '{{ range query "up" }}{{ .Labels.instance }}={{ .Value | printf "%.2f" }} {{ end }}'
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {kind: x}
"""


@pytest.mark.parametrize("seed", range(20))
def test_no_mutation_of_a_rule_file_is_a_bug(seed: int) -> None:
    """A file with some bytes changed is taken, or refused with a UserError, within its time; its templates then expand."""
    chance = random.Random(seed)
    alphabet = "{}[]()|$.:\"'\\-_ \n\t#&*!%@`~abz019é\x00\udc80"
    for _ in range(50):
        text = list(SAMPLE)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[place] = chance.choice(alphabet)
                case 1:
                    del text[place : place + chance.randint(1, 8)]
                case _:
                    text.insert(place, chance.choice(alphabet) * chance.randint(1, 3))
        began_s = time.monotonic()
        try:
            groups = read_rules("".join(text), Path("/r.yml"), RuleDefaults())
            for spec in (rule for group in groups for rule in group.rules if isinstance(rule, AlertingSpec)):
                AlertingRule(spec, OPTIONS, ORIGIN).evaluate(store(), 60_000, OPTIONS, Budget(OPTIONS))
        except (UserError, QueryError):
            pass
        assert time.monotonic() - began_s < 5, "".join(text)
