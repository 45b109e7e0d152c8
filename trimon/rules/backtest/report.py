"""What a backtest found, as plain data: what the API answers and what texts are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.floats import format_e
from trimon.gotext.times import json_time
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.snapshot import Snapshot
from trimon.query.answer.jsonnumbers import format_value
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alert import AlertValue
from trimon.rules.alerting import AlertOrigin
from trimon.rules.backtest.difference import AlertDifference, RuleDifference, differences
from trimon.rules.backtest.run import RuleOutcome, Span, backtest
from trimon.rules.backtest.series import RecordedSeries
from trimon.rules.backtest.timeline import Episode, Timelines, episodes_of
from trimon.rules.changes import AlertEvent
from trimon.rules.slots import HELD
from trimon.rules.spec import AlertingSpec, GroupSpec


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What is asked for: the groups of some rules, of their old version where two are compared, and the times.

    The names are those of both versions, as people know them.
    """

    groups: tuple[GroupSpec, ...]
    compared: tuple[GroupSpec, ...] | None
    span: Span
    name: str = ""
    compared_name: str = ""

    def answer(
        self, snapshot: Snapshot, options: QueryOptions, origin: AlertOrigin, budget: Budget
    ) -> dict[str, object]:
        """Plain data. To be run in a thread.

        Raises UserError for what exceeds a limit, QueryError when time or memory is over.
        """
        new = backtest(snapshot, self.groups, self.span, options, origin, budget)
        if self.compared is None:
            self._check(new)
            return report(new, self.span)
        held_bytes = sum(outcome.size_bytes for outcome in new)
        old = backtest(snapshot, self.compared, self.span, options, origin, budget, held_bytes)
        self._check([*old, *new])
        budget.keep_only(held_bytes + sum(outcome.size_bytes for outcome in old), HELD)
        rules = [_difference(each) for each in differences(old, new, budget)]
        return {
            **report(new, self.span),
            "compared": _groups(old),
            "difference": {
                "old": self.compared_name,
                "new": self.name,
                "equal": not rules,
                "rules": rules,
            },
        }

    def warnings(self, snapshot: Snapshot) -> list[str]:
        """What makes an answer worth little: that there is nothing to try the rules on."""
        if snapshot.label_names((), self.span.start_ms, self.span.end_ms):
            return []
        start, end = json_time(self.span.start_ms), json_time(self.span.end_ms)
        return [f"no sample is stored between {start} and {end}"]

    def _check(self, outcomes: Sequence[RuleOutcome]) -> None:
        if not outcomes:
            names = ", ".join(sorted(self.span.rules))
            raise UserError(f"there is no rule named {names}" if names else "there is no rule")


def report(outcomes: Sequence[RuleOutcome], span: Span) -> dict[str, object]:
    """One run: its groups with their rules."""
    return {"start": json_time(span.start_ms), "end": json_time(span.end_ms), "groups": _groups(outcomes)}


def _groups(outcomes: Sequence[RuleOutcome]) -> list[dict[str, object]]:
    by_group = groupby(outcomes, lambda outcome: outcome.rule.group)
    return [
        {
            "file": group.file,
            "name": group.name,
            "interval": some[0].grid.step_ms / 1000,
            "rules": [_rule(outcome) for outcome in some],
        }
        for group, some in ((group, list(each)) for group, each in by_group)
    ]


def _rule(outcome: RuleOutcome) -> dict[str, object]:
    spec, grid, problems = outcome.rule.spec, outcome.grid, outcome.problems
    shown: dict[str, object] = {
        "name": spec.name,
        "type": "alerting" if isinstance(spec, AlertingSpec) else "recording",
        "query": spec.expr,
        "evaluations": grid.count,
        "failures": len(problems.failures),
    }
    if problems.failures:
        first = min(problems.failures)
        at = json_time(grid.start_ms + first * grid.step_ms)
        shown["firstFailure"] = {"at": at, "error": problems.failures[first]}
    if problems.template_error:
        shown["templateError"] = problems.template_error
    if outcome.timelines is not None:
        return shown | _alerts(outcome.timelines, grid.end_ms)
    assert outcome.recorded is not None
    return shown | _recorded(outcome.recorded)


def _alerts(timelines: Timelines, end_ms: int) -> dict[str, object]:
    """`end_ms` is the last evaluation: what fires then has fired up to it."""
    episodes = {labels: episodes_of(events) for labels, events in timelines.events.items()}
    every = [episode for some in episodes.values() for episode in some]
    return {
        "alerts": len(episodes),
        "fired": _fired(every),
        "firingSeconds": _firing_s(every, end_ms),
        "series": [
            {
                "labels": dict(labels),
                "fired": _fired(episodes[labels]),
                "firingSeconds": _firing_s(episodes[labels], end_ms),
                "events": [_event(event) for event in timelines.events[labels]],
            }
            for labels in sorted(timelines.events)
        ],
    }


def _fired(episodes: Iterable[Episode]) -> int:
    return sum(episode.fired_ms is not None for episode in episodes)


def _firing_s(episodes: Iterable[Episode], end_ms: int) -> float:
    return sum(episode.firing_ms(end_ms) for episode in episodes) / 1000


def _event(event: AlertEvent) -> dict[str, object]:
    return {
        "state": event.change.value,
        "at": json_time(event.at_ms),
        "value": _value(event.value),
        "annotations": dict(event.annotations),
    }


def _value(value: AlertValue) -> str:
    return histogram_text(value) if isinstance(value, FloatHistogram) else format_e(value)


def _recorded(series: RecordedSeries) -> dict[str, object]:
    alive = np.flatnonzero(series.present.any(axis=1))
    if len(alive) > limits.BACKTEST_SERIES_SHOWN_MAX:
        alive = alive[: limits.BACKTEST_SERIES_SHOWN_MAX]
    times = series.grid.times_ms()
    shown = []
    for row in alive.tolist():
        places = np.flatnonzero(series.present[row])
        first, last = int(places[0]), int(places[-1])
        shown.append(
            {
                "labels": dict(series.labels.labels(row)),
                "samples": len(places),
                "first": [int(times[first]) / 1000, _sample(series, row, first)],
                "last": [int(times[last]) / 1000, _sample(series, row, last)],
            }
        )
    return {
        "samples": int(np.count_nonzero(series.present)),
        "seriesCount": int(np.count_nonzero(series.present.any(axis=1))),
        "series": shown,
    }


def _sample(series: RecordedSeries, row: int, place: int) -> str:
    cell = None if series.histograms is None else series.histograms[row, place]
    return (
        histogram_text(cell)
        if isinstance(cell, FloatHistogram)
        else format_value(float(series.values[row, place]))
    )


def _difference(found: RuleDifference) -> dict[str, object]:
    ways = "both" if found.old and found.new else "old" if found.old else "new"
    shown: dict[str, object] = {
        "group": found.group,
        "name": found.name,
        "type": "alerting" if found.samples is None else "recording",
        "in": ways,
        "failures": dict(zip(("old", "new"), found.failures, strict=True)),
    }
    if found.samples is None:
        return {**shown, "series": [_alert_difference(each) for each in found.alerts]}
    counts = found.samples
    shown["samples"] = {
        "onlyOld": counts.only_old,
        "onlyNew": counts.only_new,
        "different": counts.different,
    }
    if counts.first_ms is not None:
        shown["firstDifference"] = json_time(counts.first_ms)
    return shown


def _alert_difference(found: AlertDifference) -> dict[str, object]:
    return {
        "labels": dict(found.labels),
        "onlyOld": [_episode(episode) for episode in found.only_old],
        "onlyNew": [_episode(episode) for episode in found.only_new],
        "moved": [{"old": _episode(one), "new": _episode(other)} for one, other in found.moved],
        "otherAnnotations": found.texts,
    }


def _episode(episode: Episode) -> dict[str, object]:
    times = {"active": episode.began_ms, "firing": episode.fired_ms, "ended": episode.ended_ms}
    return {name: None if time_ms is None else json_time(time_ms) for name, time_ms in times.items()}
