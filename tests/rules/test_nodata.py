"""Alerts whose inputs are missing: what stays, what resolves, and what fires because nothing is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimon.errors import UserError
from trimon.model.labels import labels_of
from trimon.model.sample import STALE_NAN
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules.alertsession import AlertingSession
from trimon.rules.file import read_rules
from trimon.rules.group import RuleGroup
from trimon.rules.session import Evaluation
from trimon.rules.spec import RuleDefaults

MINUTE = 60_000
RULE = "groups: [{name: g, rules: [{alert: Full, expr: '%s', for: 3m, on_no_data: %s, annotations: {v: '{{ $value }}'}}]}]"


class Scene:
    """One rule over samples in memory, a minute a step."""

    def __init__(self, expr: str, on_no_data: str = "keep") -> None:
        (spec,) = read_rules(RULE % (expr, on_no_data), Path("r.yml"), RuleDefaults())
        (self.session,) = RuleGroup(spec, QueryOptions()).alerting
        assert isinstance(self.session, AlertingSession)
        self.store = MemoryStore()
        self.time_ms = 0

    def step(self, samples: dict[str, float | None], **labels: str) -> dict[tuple[tuple[str, str], ...], str]:
        """A minute later: samples of metrics arrive (None: it is stale); the states by the labels of the alerts."""
        self.time_ms += MINUTE
        self.push(samples, **labels)
        return self.evaluate()

    def push(self, samples: dict[str, float | None], **labels: str) -> None:
        for name, value in samples.items():
            series = labels_of({"__name__": name, **labels})
            self.store.append(series, self.time_ms, STALE_NAN if value is None else value)

    def evaluate(self) -> dict[tuple[tuple[str, str], ...], str]:
        options = QueryOptions()
        evaluation = Evaluation(self.time_ms, self.time_ms, options, Budget(options))
        self.session.recorded(self.store, evaluation)
        return {labels: alert.state.word for labels, alert in self.session.alerts.items()}


TARGET = {"instance": "a:1", "job": "node"}
ALERT = labels_of({"alertname": "Full", **TARGET})


def test_a_missed_scrape_does_not_reset_for() -> None:
    """While the target does not answer the alert goes on, and fires when it would have."""
    scene = Scene("used > 9")
    assert scene.step({"used": 10.0, "up": 1.0}, **TARGET) == {ALERT: "pending"}
    assert scene.step({"used": None, "up": 0.0}, **TARGET) == {ALERT: "pending"}
    assert scene.step({"used": 10.0, "up": 1.0}, **TARGET) == {ALERT: "pending"}
    assert scene.step({"used": None, "up": 0.0}, **TARGET) == {ALERT: "firing"}
    assert scene.step({"used": 1.0, "up": 1.0}, **TARGET) == {ALERT: "inactive"}


def test_without_the_key_it_does() -> None:
    """The same as Prometheus: nothing found is the end of what is pending."""
    scene = Scene("used > 9", "resolve")
    assert scene.step({"used": 10.0, "up": 1.0}, **TARGET) == {ALERT: "pending"}
    assert scene.step({"used": None, "up": 0.0}, **TARGET) == {}


def test_a_series_that_its_target_no_longer_has_is_gone() -> None:
    """The target answers, without the series: the alert resolves."""
    scene = Scene("used > 9")
    scene.step({"used": 10.0, "up": 1.0}, **TARGET)
    assert scene.step({"used": None, "up": 1.0}, **TARGET) == {}


def test_a_target_that_was_removed_is_gone() -> None:
    """Its `up` has ended as well: the alert resolves."""
    scene = Scene("used > 9")
    scene.step({"used": 10.0, "up": 1.0}, **TARGET)
    assert scene.step({"used": None, "up": None}, **TARGET) == {}


def test_pushed_series_have_no_up() -> None:
    """Who pushes and stops pushes no end: the alert stays, though others go on."""
    scene = Scene("used > 9")
    scene.push({"up": 1.0}, instance="other", job="x")
    assert scene.step({"used": 10.0}, **TARGET) == {ALERT: "pending"}
    for _ in range(7):
        states = scene.step({"used": 1.0}, instance="b:1", job="node")
    assert states == {ALERT: "firing"}


def test_one_missing_input_is_enough() -> None:
    """Of a quotient the divisor is missing: nobody knows."""
    scene = Scene("used / size > 0.9")
    scene.push({"size": 1.0}, instance="b:1", job="node")
    scene.step({"used": 10.0, "size": 10.0, "up": 1.0}, **TARGET)
    assert scene.step({"used": 10.0, "size": None, "up": 0.0}, **TARGET) == {ALERT: "pending"}


def test_a_sum_has_data_while_one_of_its_inputs_has() -> None:
    """The alert of a job resolves when those that are left are well, and stays when all are down."""
    job = labels_of({"alertname": "Full", "job": "node"})
    scene = Scene("sum by (job) (used) > 9")
    scene.time_ms += MINUTE
    scene.push({"used": 10.0, "up": 1.0}, **TARGET)
    scene.push({"used": 1.0, "up": 1.0}, instance="b:1", job="node")
    assert scene.evaluate() == {job: "pending"}
    scene.time_ms += MINUTE
    scene.push({"used": None, "up": 0.0}, **TARGET)
    scene.push({"used": 1.0, "up": 1.0}, instance="b:1", job="node")
    assert scene.evaluate() == {}
    scene.step({"used": 20.0, "up": 1.0}, **TARGET)
    scene.time_ms += MINUTE
    scene.push({"used": None, "up": 0.0}, **TARGET)
    scene.push({"used": None, "up": 0.0}, instance="b:1", job="node")
    assert scene.evaluate() == {job: "pending"}


def test_nothing_at_all_is_an_alert() -> None:
    """With `alert` a selector that gives nothing fires after `for`, with its labels and an annotation that names it."""
    scene = Scene('used{job="node"} / size > 9', "alert")
    nothing = labels_of({"alertname": "Full", "job": "node"})
    bare = labels_of({"alertname": "Full"})
    for _ in range(4):
        states = scene.step({"other": 1.0})
    assert states == {nothing: "firing", bare: "firing"}
    assert dict(scene.session.alerts[nothing].annotations) == {
        "v": "NaN",
        "no_data": 'used{job="node"} gives nothing',
    }
    states = scene.step({"used": 1.0, "size": 1.0}, **TARGET)
    assert states == {nothing: "inactive", bare: "inactive"}


def test_what_may_be_absent_is_no_alert() -> None:
    """A selector on the right of unless, or inside absent(), may give nothing."""
    scene = Scene("used unless muted", "alert")
    assert scene.step({"used": 1.0}, **TARGET) == {ALERT: "pending"}
    scene = Scene("absent(used) unless muted", "alert")
    scene.step({"used": 1.0}, **TARGET)
    assert scene.evaluate() == {}


def test_values_of_the_key() -> None:
    """Another value is refused with its place; recording rules have no alerts."""
    with pytest.raises(UserError, match='on_no_data must be keep, alert or resolve, got "drop"'):
        read_rules(RULE % ("m", "drop"), Path("r.yml"), RuleDefaults())
    text = "groups: [{name: g, rules: [{record: a, expr: b, on_no_data: keep}]}]"
    with pytest.raises(UserError, match="invalid field 'on_no_data' in recording rule"):
        read_rules(text, Path("r.yml"), RuleDefaults())


def test_strict_mode_does_not_know_the_key() -> None:
    """As Prometheus: the field is not found."""
    with pytest.raises(UserError, match=r"field on_no_data not found in type rulefmt\.Rule"):
        read_rules(RULE % ("m", "keep"), Path("r.yml"), RuleDefaults(strict=True))
