"""What is told of backtests, and of how two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trimon import limits
from trimon.errors import UserError
from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertOrigin
from trimon.rules.backtest.report import BacktestRequest
from trimon.rules.backtest.run import Span
from trimon.rules.file import read_rules
from trimon.rules.spec import RuleDefaults

OPTIONS = QueryOptions()
START_MS = 1_700_000_040_000
MINUTE_MS = 60_000


def store() -> MemoryStore:
    """Sixty minutes; `a` is down from 10 to 19 and from 40 to 59, `b` never; from 30 to 34 both are silent."""
    here = MemoryStore()
    for at in range(60):
        for instance in "ab":
            down = instance == "a" and (10 <= at < 20 or at >= 40)
            if not 30 <= at < 35:
                labels = labels_of({"__name__": "up", "instance": instance})
                here.append(labels, START_MS + at * MINUTE_MS, float(not down))
    return here


def answer(text: str, new: str | None = None, options: QueryOptions = OPTIONS, **span: Any) -> Any:
    """The backtest of a text; of two the first is the old version, which the other one is compared with."""
    bounds = {"start_ms": START_MS, "end_ms": START_MS + 59 * MINUTE_MS, **span}
    groups, old = (read_rules(each, Path("r.yml"), RuleDefaults()) for each in (new or text, text))
    request = BacktestRequest(groups, old if new else None, Span(**bounds), "new.yml", "old.yml")
    return request.answer(store(), options, AlertOrigin(), Budget(options))


DOWN = """
groups:
- name: g
  rules:
  - {record: "job:up:sum", expr: sum(up)}
  - alert: Down
    expr: up == 0
    for: FOR
    labels: {severity: page}
    annotations: {text: "{{ $labels.instance }} has {{ $value }}"}
"""


def at(minute: int) -> str:
    total = 14 + minute
    return f"2023-11-14T{22 + total // 60}:{total % 60:02d}:00Z"


def test_the_timeline_of_an_alert() -> None:
    """Each change of state is told with time, value and annotations, and how often and how long the alert fired."""
    recording, alerting = answer(DOWN.replace("FOR", "5m"))["groups"][0]["rules"]
    (series,) = alerting["series"]
    texts = {"value": "0e+00", "annotations": {"text": "a has 0"}}
    assert series == {
        "labels": {"alertname": "Down", "instance": "a", "severity": "page"},
        "fired": 2,
        "firingSeconds": 5 * 60 + 14 * 60,
        "events": [
            {"state": "pending", "at": at(10), **texts},
            {"state": "firing", "at": at(15), **texts},
            {"state": "resolved", "at": at(20), **texts},
            {"state": "pending", "at": at(40), **texts},
            {"state": "firing", "at": at(45), **texts},
        ],
    }
    assert (alerting["alerts"], alerting["fired"], alerting["evaluations"], alerting["failures"]) == (
        1,
        2,
        60,
        0,
    )
    assert recording["series"] == [
        {
            "labels": {"__name__": "job:up:sum"},
            "samples": 59,
            "first": [START_MS / 1000, "2"],
            "last": [START_MS / 1000 + 59 * 60, "1"],
        }
    ]


def test_what_differs_between_two_versions() -> None:
    """A higher `for` moves what fires; other labels are other alerts; other values are counted with the first time."""
    text = DOWN.replace("FOR", "5m")
    assert answer(text, text)["difference"] == {
        "old": "old.yml",
        "new": "new.yml",
        "equal": True,
        "rules": [],
    }
    (moved,) = answer(text, DOWN.replace("FOR", "15m"))["difference"]["rules"]
    (series,) = moved["series"]
    assert (series["onlyOld"], series["onlyNew"]) == ([], [])
    assert series["moved"] == [
        {
            "old": {"active": at(10), "firing": at(15), "ended": at(20)},
            "new": {"active": at(10), "firing": None, "ended": at(20)},
        },
        {
            "old": {"active": at(40), "firing": at(45), "ended": None},
            "new": {"active": at(40), "firing": at(55), "ended": None},
        },
    ]
    (other,) = answer(text, text.replace("page", "mail"))["difference"]["rules"]
    assert [(len(each["onlyOld"]), len(each["onlyNew"])) for each in other["series"]] == [(0, 2), (2, 0)]
    (texts,) = answer(text, text.replace("has", "shows"))["difference"]["rules"]
    assert texts["series"][0]["otherAnnotations"] == 5
    (counted,) = answer(text, text.replace("sum(up)", "sum(up) + (time() > bool 1700002440)"))["difference"][
        "rules"
    ]
    assert counted["samples"] == {"onlyOld": 0, "onlyNew": 0, "different": 19}
    assert counted["firstDifference"] == at(41)
    (gone,) = answer(text, text.split("  - alert")[0])["difference"]["rules"]
    assert (gone["name"], gone["in"]) == ("Down", "old")


def test_versions_at_different_intervals() -> None:
    """Samples of versions with other intervals are compared by their times."""
    text = DOWN.replace("FOR", "0s").split("  - alert")[0]
    (found,) = answer(text, text.replace("name: g", "name: g\n  interval: 2m"))["difference"]["rules"]
    assert found["samples"] == {"onlyOld": 30, "onlyNew": 0, "different": 0}


def test_evaluations_that_fail_are_counted() -> None:
    """An evaluation that fails leaves the alerts as they were; the first error is told with its time."""
    text = (
        "groups: [{name: g, rules: [{alert: A, expr: 'up * on () (up == 0)'}, {alert: B, expr: vector(1)}]}]"
    )
    rule = answer(text)["groups"][0]["rules"][0]
    assert rule["failures"] == 30
    assert rule["firstFailure"]["at"] == at(10)
    assert "multiple matches for labels" in rule["firstFailure"]["error"]


def test_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many evaluations, alerts, changes of state and annotations are errors that name the value and the limit."""
    text = DOWN.replace("FOR", "0s")
    with pytest.raises(UserError, match=r"3540001 evaluations .* exceed the limit of 11000"):
        answer(text, interval_ms=1)
    with pytest.raises(UserError, match="no multiple of its interval of 1m lies in"):
        answer(text, start_ms=START_MS + 1, end_ms=START_MS + 2)
    with pytest.raises(UserError, match="there is no rule named X"):
        answer(text, rules=frozenset("X"))
    for name, message in (
        ("BACKTEST_ALERTS_MAX", "more than 0 different alerts"),
        ("BACKTEST_EVENTS_MAX", "change their state more than 0 times"),
        ("BACKTEST_TEXT_BYTES_MAX", "annotations have more than 0 bytes"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(limits, name, 0)
            with pytest.raises(UserError, match=message):
                answer(text)
    with pytest.raises(QueryError, match="bytes"):
        answer(text, options=QueryOptions(bytes_max=1000))
    with pytest.raises(QueryError, match="timed out"):
        answer(text, options=QueryOptions(timeout_s=0))


def test_one_rule_is_evaluated_with_what_it_reads() -> None:
    """Only the named rule is shown; it reads what an earlier rule of the file records, and nothing that is stored."""
    text = "groups: [{name: g, rules: [{record: up, expr: 'vector(0)'}, {alert: A, expr: 'up == 0'}]}]"
    (rule,) = answer(text, rules=frozenset("A"))["groups"][0]["rules"]
    assert [each["labels"] for each in rule["series"]] == [{"alertname": "A"}]


def test_alerts_that_flap_are_compared_in_order() -> None:
    """Of an alert that comes and goes each time is in one version, in both, or moved."""
    text = "groups: [{name: g, rules: [{alert: A, expr: 'minute() % 4 < X'}]}]"
    (found,) = answer(text.replace("X", "1"), text.replace("X", "3"))["difference"]["rules"]
    (series,) = found["series"]
    assert (len(series["moved"]), series["onlyOld"], len(series["onlyNew"])) == (15, [], 1)
    shifted = text.replace("minute()", "(minute() + 2)").replace("X", "1")
    (found,) = answer(text.replace("X", "1"), shifted)["difference"]["rules"]
    (series,) = found["series"]
    assert (series["moved"], len(series["onlyOld"]), len(series["onlyNew"])) == ([], 15, 15)
