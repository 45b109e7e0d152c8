"""Backtests beside the sessions of a server, evaluated one time after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.model.labels import Labels, labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.rules.alert import ActiveAlerts
from trimon.rules.alerting import AlertOrigin
from trimon.rules.alertsession import AlertingSession
from trimon.rules.backtest.run import RuleOutcome, Span, backtest
from trimon.rules.backtest.timeline import Timelines
from trimon.rules.file import read_rules
from trimon.rules.group import RuleGroup
from trimon.rules.session import RuleSession
from trimon.rules.spec import GroupSpec, RuleDefaults
from trimon.rules.testing.world import World

OPTIONS = QueryOptions(features=ALL_LANGUAGE_FEATURES)
ORIGIN = AlertOrigin(lambda: (("dc", "north"),), "http://prom.test")
STEP_MS = 15_000
SLOTS = 32
START_MS = 1_700_000_010_000 // STEP_MS * STEP_MS
END_MS = START_MS + (SLOTS - 1) * STEP_MS
Samples = list[tuple[int, Labels, float]]


def specs_of(text: str) -> tuple[GroupSpec, ...]:
    return read_rules(text, Path("r.yml"), RuleDefaults(STEP_MS, query=OPTIONS))


def store_of(samples: Samples) -> MemoryStore:
    store = MemoryStore()
    for stamp_ms, labels, value in samples:
        store.append(labels, stamp_ms, value)
    return store


def run(store: MemoryStore, text: str, **span: Any) -> list[RuleOutcome]:
    bounds = {"start_ms": START_MS, "end_ms": END_MS, **span}
    return backtest(store, specs_of(text), Span(**bounds), OPTIONS, ORIGIN, Budget(OPTIONS))


class Stepped(World):
    """A world that notes what the alerts of its rules do."""

    def __init__(self, samples: Samples, text: str) -> None:
        groups = [RuleGroup(spec, OPTIONS, ORIGIN) for spec in specs_of(text)]
        super().__init__(samples, groups, OPTIONS)
        self.timelines: dict[RuleSession, Timelines] = {}
        self.failures: dict[RuleSession, dict[int, str]] = {}

    def _evaluate(self, spec: GroupSpec, session: RuleSession, time_ms: int) -> bool:
        shows = False
        before: ActiveAlerts = session.alerts if isinstance(session, AlertingSession) else {}
        try:
            shows = super()._evaluate(spec, session, time_ms)
        except QueryError as error:
            self.failures.setdefault(session, {})[time_ms] = str(error)
        if isinstance(session, AlertingSession):
            timelines = self.timelines.setdefault(session, Timelines(session.spec.alert))
            timelines.observe({**before, **session.alerts}, before, session.alerts, time_ms)
        return shows

    @property
    def sessions(self) -> list[RuleSession]:
        return [session for group in self.groups for session in group.rules]


def recorded_of(outcomes: list[RuleOutcome]) -> dict[Labels, dict[int, int]]:
    """The bits of all samples that rules recorded, staleness markers too; of the same sample that of the first rule counts."""
    out: dict[Labels, dict[int, int]] = {}
    for outcome in outcomes:
        series = outcome.recorded
        if series is None:
            continue
        frame = series.frame(np.arange(series.labels.rows), 0, 2 * END_MS)
        bits = frame.values.view(np.int64).tolist()
        for row in range(frame.rows):
            found = out.setdefault(series.labels.labels(row), {})
            begin, array = int(frame.offsets[row]), frame.time_of_row[row]
            times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]].tolist()
            for at, time_ms in enumerate(times):
                found.setdefault(time_ms, bits[begin + at])
    return {labels: points for labels, points in out.items() if points}


def stored_of(store: MemoryStore) -> dict[Labels, dict[int, int]]:
    """The same of a world's store."""
    return {
        labels: dict(zip(series.times, np.array(series.values).view(np.int64).tolist(), strict=True))
        for labels, series in store.series.items()
        if dict(labels)["__name__"] in ("recorded", "later", "other")
    }


def shown(timelines: Timelines | None) -> dict[Labels, list[tuple[object, ...]]]:
    assert timelines is not None
    return {
        labels: [(event.change, event.at_ms, repr(event.value), event.annotations) for event in events]
        for labels, events in timelines.events.items()
    }


def check_equal(samples: Samples, text: str) -> None:
    """What a backtest finds is what the sessions find, time after time."""
    stepped = Stepped(samples, text)
    for slot in range(SLOTS):
        stepped.step(START_MS + slot * STEP_MS)
    outcomes = run(store_of(samples), text)
    for session, outcome in zip(stepped.sessions, outcomes, strict=True):
        times = outcome.grid.times_ms().tolist()
        failures = {times[place]: text for place, text in outcome.problems.failures.items()}
        assert failures == stepped.failures.get(session, {}), session.spec
        if isinstance(session, AlertingSession):
            assert shown(outcome.timelines) == shown(stepped.timelines[session]), session.spec
    assert recorded_of(outcomes) == stored_of(stepped.store)


EXPRESSIONS = (
    "up == 0",
    "up{job='a'} < 2",
    "sum by (job) (up) > 2",
    "up > 0 and on (instance) load > 1",
    "absent(up{instance='0'})",
    "max_over_time(load[1m]) >= 2",
    "topk(1, load) > 1",
    "up * on (job) load",
    "load - load offset 30s > 0",
    "recorded > 1",
    "other - 1 > 0",
    "avg_over_time(recorded[45s]) > 1",
    "recorded offset -15s > 0",
    "{__name__=~'up|recorded|other'} > 1",
    "limitk(1, load)",
    "vector(time()) % 60 < 20",
    "up @ start() == 0",
    "count(ALERTS{alertstate='firing'}) > 1",
    "ALERTS{alertstate='firing', alertname!='A1'} unless up",
    "label_replace(up, 'instance', 'x', '', '') > 1",
)
RECORDED = (
    "load * 2",
    "max by (instance) (load)",
    "up + recorded",
    "recorded + 1 or vector(1)",
    "later",
    "up > 1",
)
LABELS = ("page", "{{ $labels.job }}", "{{ $value }}")
ANNOTATION = "{{ $labels.instance }} is {{ $value }} in {{ $externalLabels.dc }}"


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    found: Samples = []
    for name, job, instance in (
        ("up", "a", "0"),
        ("up", "a", "1"),
        ("up", "b", "0"),
        ("load", "a", "0"),
        ("load", "b", "1"),
    ):
        labels = labels_of({"__name__": name, "job": job, "instance": instance})
        values = draw(
            st.lists(
                st.sampled_from((None, None, 0.0, 1.0, 2.0, 3.0)), min_size=SLOTS + 4, max_size=SLOTS + 4
            )
        )
        shift = draw(st.integers(0, STEP_MS - 1))
        for at, value in enumerate(values):
            if value is not None and (at < 9 or at > 25 or job == "b"):
                found.append((START_MS + (at - 4) * STEP_MS + shift, labels, value))
    return sorted(found, key=lambda sample: sample[0])


@st.composite
def rules(draw: st.DrawFn, number: int) -> dict[str, object]:
    if draw(st.booleans()):
        name = "other" if number >= 10 else draw(st.sampled_from(("recorded", "recorded", "later")))
        expr = draw(st.sampled_from(RECORDED))
        labels = {"number": str(number)} if draw(st.booleans()) else {}
        return {"record": name, "expr": expr, "labels": labels}
    return {
        "alert": f"A{number}",
        "expr": draw(st.sampled_from(EXPRESSIONS)),
        "for": draw(st.sampled_from(("0s", "15s", "20s", "1m"))),
        "keep_firing_for": draw(st.sampled_from(("0s", "0s", "15s", "50s"))),
        "labels": {"severity": draw(st.sampled_from(LABELS))},
        "annotations": {"text": ANNOTATION},
        "on_no_data": draw(st.sampled_from(("resolve", "resolve", "keep", "alert"))),
    }


@st.composite
def rule_files(draw: st.DrawFn) -> str:
    groups = [
        {
            "name": f"g{number}",
            "limit": draw(st.sampled_from((0, 0, 0, 1, 2))),
            "query_offset": draw(st.sampled_from(("0s", "0s", "30s"))),
            "rules": [draw(rules(10 * number + at)) for at in range(draw(st.integers(1, 4)))],
        }
        for number in range(draw(st.integers(1, 2)))
    ]
    return json.dumps({"groups": groups})


@settings(deadline=None, max_examples=40)
@given(samples(), rule_files())
def test_a_backtest_does_what_the_sessions_of_a_server_do(found: Samples, text: str) -> None:
    """Changes of state with values and annotations, recorded samples and failures are those of evaluations one by one."""
    check_equal(found, text)


def test_groups_of_different_intervals_see_one_another_as_in_time() -> None:
    """A group sees of an earlier one what was recorded up to the time, of a later one what was recorded before it."""
    text = """
groups:
- {name: a, interval: 15s, rules: [{record: fast, expr: vector(time())}, {record: back, expr: slow}]}
- {name: b, interval: 1m, rules: [{record: slow, expr: fast}, {alert: A, expr: "back < fast"}]}
"""
    fast, back, slow, alert = run(MemoryStore(), text)
    assert alert.grid.count == SLOTS // 4
    (fasts,), (slows,) = recorded_of([fast]).values(), recorded_of([slow]).values()
    assert list(slows) == [time_ms for time_ms in fasts if time_ms % 60_000 == 0]
    assert {time_ms: fasts[time_ms] for time_ms in slows} == slows
    (backs,) = recorded_of([back]).values()
    for time_ms, bits in backs.items():
        assert bits == slows[max(each for each in slows if each < time_ms)]
    assert alert.timelines is not None
    ((first, *_),) = alert.timelines.events.values()
    assert first.at_ms == list(slows)[1]
