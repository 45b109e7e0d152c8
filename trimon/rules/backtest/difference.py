"""How two versions of rules differ over the same range: what only one of them does, and what they do at other times."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trimon.model.frame import Times
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import Labels
from trimon.query.answer.jsonnumbers import format_value
from trimon.query.execution.budget import Budget
from trimon.query.execution.labelcodes import shared_groups
from trimon.query.execution.values import Index, Mask, holds
from trimon.records import dataclass
from trimon.rules.backtest.run import RuleOutcome
from trimon.rules.backtest.series import RecordedSeries
from trimon.rules.backtest.timeline import Episode, episodes_of
from trimon.rules.changes import AlertEvent
from trimon.rules.spec import AlertingSpec

# Rule by its group, whether it is an alerting one, its name, and how many before it are named the same.
_Key = tuple[str, bool, str, int]


@dataclass(frozen=True, slots=True)
class AlertDifference:
    """How one alert differs. `texts` is how many changes of state at the same time have other annotations."""

    labels: Labels
    only_old: tuple[Episode, ...]
    only_new: tuple[Episode, ...]
    moved: tuple[tuple[Episode, Episode], ...]
    texts: int = 0


@dataclass(frozen=True, slots=True)
class SampleDifference:
    """How many recorded samples only one version has, and how many have another value; when the first of all these is."""

    only_old: int
    only_new: int
    different: int
    first_ms: int | None

    def __bool__(self) -> bool:
        return self.first_ms is not None


@dataclass(frozen=True, slots=True, eq=False)
class RuleDifference:
    """How a rule differs; None stands for a version that has no such rule."""

    group: str
    name: str
    old: RuleOutcome | None
    new: RuleOutcome | None
    alerts: tuple[AlertDifference, ...] = ()
    samples: SampleDifference | None = None

    @property
    def failures(self) -> tuple[int, int]:
        """How many evaluations of each version failed."""
        old, new = (
            0 if outcome is None else len(outcome.problems.failures) for outcome in (self.old, self.new)
        )
        return old, new

    def __bool__(self) -> bool:
        missing = self.old is None or self.new is None
        failures = self.failures
        return missing or bool(self.alerts or self.samples) or failures[0] != failures[1]


def differences(
    old: Sequence[RuleOutcome], new: Sequence[RuleOutcome], budget: Budget
) -> list[RuleDifference]:
    """The rules that differ, in the order of the old version. Raises QueryError when memory or time is over."""
    ours, theirs = _by_key(old), _by_key(new)
    found = (_difference(key, ours.get(key), theirs.get(key), budget) for key in {**ours, **theirs})
    return [each for each in found if each]


def _by_key(outcomes: Sequence[RuleOutcome]) -> dict[_Key, RuleOutcome]:
    seen: Counter[tuple[str, bool, str]] = Counter()
    out: dict[_Key, RuleOutcome] = {}
    for outcome in outcomes:
        spec = outcome.rule.spec
        named = (outcome.rule.group.name, isinstance(spec, AlertingSpec), spec.name)
        out[*named, seen[named]] = outcome
        seen[named] += 1
    return out


def _difference(
    key: _Key, old: RuleOutcome | None, new: RuleOutcome | None, budget: Budget
) -> RuleDifference:
    group, alerting, name, _ = key
    budget.check()
    outcomes = old, new
    if alerting:
        timelines = [_timelines(outcome) for outcome in outcomes]
        return RuleDifference(group, name, old, new, alerts=tuple(_alerts(*timelines)))
    recorded = [
        outcome.recorded for outcome in outcomes if outcome is not None and outcome.recorded is not None
    ]
    if len(recorded) == 2:
        samples = _samples(recorded[0], recorded[1], budget)
    else:
        count, first_ms = _points(recorded[0])
        samples = SampleDifference(count if old else 0, count if new else 0, 0, first_ms)
    return RuleDifference(group, name, old, new, samples=samples)


def _timelines(outcome: RuleOutcome | None) -> dict[Labels, list[AlertEvent]]:
    return outcome.timelines.events if outcome is not None and outcome.timelines is not None else {}


def _alerts(
    old: dict[Labels, list[AlertEvent]], new: dict[Labels, list[AlertEvent]]
) -> Iterator[AlertDifference]:
    for labels in sorted({**old, **new}):
        ours, theirs = old.get(labels, []), new.get(labels, [])
        only_old, only_new, moved = _moved(episodes_of(ours), episodes_of(theirs))
        texts = {(event.change, event.at_ms): event.annotations for event in ours}
        others = sum(
            texts.get((event.change, event.at_ms), event.annotations) != event.annotations for event in theirs
        )
        if only_old or only_new or moved or others:
            yield AlertDifference(labels, tuple(only_old), tuple(only_new), tuple(moved), others)


def _moved(
    old: Sequence[Episode], new: Sequence[Episode]
) -> tuple[list[Episode], list[Episode], list[tuple[Episode, Episode]]]:
    """Episodes of one alert: those of one version alone, and those that overlap and differ. Both are in order of time."""
    only_old: list[Episode] = []
    only_new: list[Episode] = []
    moved: list[tuple[Episode, Episode]] = []
    ours, theirs = deque(old), deque(new)
    while ours and theirs:
        if ours[0].overlaps(theirs[0]):
            pair = ours.popleft(), theirs.popleft()
            if pair[0] != pair[1]:
                moved.append(pair)
        elif ours[0].began_ms < theirs[0].began_ms:
            only_old.append(ours.popleft())
        else:
            only_new.append(theirs.popleft())
    return [*only_old, *ours], [*only_new, *theirs], moved


def _points(series: RecordedSeries) -> tuple[int, int | None]:
    """The number of samples, and the time of the first."""
    places = np.flatnonzero(series.present.any(axis=0))
    first_ms = series.grid.start_ms + int(places[0]) * series.grid.step_ms if len(places) else None
    return int(np.count_nonzero(series.present)), first_ms


def _samples(old: RecordedSeries, new: RecordedSeries, budget: Budget) -> SampleDifference:
    times = np.union1d(old.grid.times_ms(), new.grid.times_ms())
    rows_old, rows_new, count = shared_groups(old.labels, new.labels)
    budget.take_bytes(40 * count * len(times), "the comparison of recorded samples")
    ours, here = _spread(old, rows_old, count, times)
    theirs, there = _spread(new, rows_new, count, times)
    different = here & there
    rows, places = np.nonzero(different)
    different[rows, places] = _unequal(ours[rows, places], theirs[rows, places])
    any_at = np.flatnonzero(((here != there) | different).any(axis=0))
    return SampleDifference(
        int(np.count_nonzero(here & ~there)),
        int(np.count_nonzero(there & ~here)),
        int(np.count_nonzero(different)),
        int(times[any_at[0]]) if len(any_at) else None,
    )


def _spread(series: RecordedSeries, rows: Index, count: int, times: Times) -> tuple[npt.NDArray[Any], Mask]:
    """The samples, objects where some are histograms, at common rows and times; and which there are."""
    held = series.labels.rows
    places = np.searchsorted(times, series.grid.times_ms())
    target = np.ix_(rows, places)
    values: npt.NDArray[Any] = np.zeros((count, len(times)))
    shown: npt.NDArray[Any] = series.values[:held]
    if series.histograms is not None:
        cells = series.histograms[:held]
        shown = np.where(holds(cells), cells, shown.astype(np.object_))
        values = values.astype(np.object_)
    present = np.zeros(values.shape, np.bool_)
    values[target], present[target] = shown, series.present[:held]
    return values, present


def _unequal(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> Mask:
    if np.object_ not in (ours.dtype, theirs.dtype):
        # by bits: a NaN is equal to itself
        return np.asarray(ours.view(np.int64) != theirs.view(np.int64), np.bool_)
    texts = [[_text(value) for value in values.tolist()] for values in (ours, theirs)]
    return np.array([one != other for one, other in zip(*texts, strict=True)], np.bool_)


def _text(value: float | FloatHistogram) -> str:
    return histogram_text(value) if isinstance(value, FloatHistogram) else format_value(value)
