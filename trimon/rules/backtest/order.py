"""In which order the rules of a backtest are evaluated: each at all its times at once, or some in turn at each time.

A rule can be evaluated at all times at once when all it reads of other rules is complete by then, and nothing of it is there
that a server would not have had yet:

    a: sum(x)      b: a / 2      c: rate(b[5m]) > 1                       a, then b, then c
    a: sum(x)      b: a + d      c: max(b)      d: c * 2                  a, then at each time b, c, d
    a: sum(x)      b: b offset 1m + a                                     a, then at each time b

A rule that looks ahead of its time (a negative offset, `@`, `smoothed`), or has a smaller query offset than what it reads,
would see the future of that one: all from the one to the other are evaluated in turn. So is an alerting rule that says
what becomes of its alerts when its inputs are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import MatchType
from trimon.query.engine import parse
from trimon.query.language.nodes import Duration, DurationNumber, Expr, Subquery, VectorSelector, nodes_of
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.alerting import ALERT_NAME, ALERTS, ALERTS_FOR_STATE
from trimon.rules.slots import durations_of
from trimon.rules.spec import AlertingSpec, GroupSpec, OnNoData, RecordingSpec, RuleSpec

_ASKS: Final = "query"


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule and the group that it is in."""

    group: GroupSpec
    place: int

    @property
    def spec(self) -> RuleSpec:
        """What the rule file says."""
        return self.group.rules[self.place]


@dataclass(frozen=True, slots=True)
class Turn:
    """Rules that are evaluated together, by their places: one at all times at once, or all in turn at each time."""

    rules: range
    at_once: bool


class Dependencies:
    """Which rules read what others record."""

    def __init__(self, rules: Sequence[PlacedRule], options: QueryOptions, check: Callable[[], None]) -> None:
        """`check` is called once a rule, and may raise."""
        self._rules = rules
        self._ahead: list[bool] = []
        self._read: list[frozenset[int]] = []
        by_metric: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            for metric in _written(rule.spec):
                by_metric.setdefault(metric, []).append(place)
        for rule in rules:
            check()
            nodes = list(nodes_of(parse(rule.spec.expr, options)))
            self._ahead.append(any(_looks_ahead(node) for node in nodes))
            asked = _asked_in_templates(rule.spec)
            read = {
                place for metric, places in by_metric.items() if asked and metric in asked for place in places
            }
            for node in nodes:
                if isinstance(node, VectorSelector):
                    read |= self._matched(node, by_metric)
            self._read.append(frozenset(read))

    def _matched(self, selector: VectorSelector, by_metric: Mapping[str, Sequence[int]]) -> set[int]:
        """The rules whose output a selector may match, by the names of metrics and alerts."""
        names = [matcher for matcher in selector.matchers if matcher.name == METRIC_NAME]
        alerts = [matcher for matcher in selector.matchers if matcher.name == ALERT_NAME]
        exact = next((matcher.value for matcher in names if matcher.type is MatchType.EQUAL), None)
        metrics = by_metric if exact is None else (exact,)
        found: set[int] = set()
        for metric in metrics:
            if metric not in by_metric or not all(matcher.matches(metric) for matcher in names):
                continue
            for place in by_metric[metric]:
                spec = self._rules[place].spec
                if isinstance(spec, RecordingSpec) or all(matcher.matches(spec.alert) for matcher in alerts):
                    found.add(place)
        return found

    def needed(self, wanted: Sequence[int]) -> list[int]:
        """Some rules and all those of which they read, directly or not, ascending."""
        found: set[int] = set()
        waiting = list(wanted)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += self._read[place]
        return sorted(found)

    def read(self) -> frozenset[int]:
        """The rules that some rule reads."""
        return frozenset().union(*self._read)

    def turns(self) -> list[Turn]:
        """All rules in the order of evaluation."""
        together = [
            (min(place, other), max(place, other))
            for place, read in enumerate(self._read)
            for other in read
            if not self._is_complete(place, other)
        ]
        together += [(at, at) for at, rule in enumerate(self._rules) if _asks_for_data(rule.spec)]
        turns: list[Turn] = []
        begin = 0
        for first, last in _united(together):
            turns += [Turn(range(place, place + 1), at_once=True) for place in range(begin, first)]
            turns.append(Turn(range(first, last + 1), at_once=False))
            begin = last + 1
        return turns + [
            Turn(range(place, place + 1), at_once=True) for place in range(begin, len(self._rules))
        ]

    def _is_complete(self, reader: int, read: int) -> bool:
        """Whether all that a rule may see of an earlier one at a time has been recorded by then."""
        offsets_ms = [self._rules[place].group.query_offset_ms for place in (reader, read)]
        return read < reader and offsets_ms[1] <= offsets_ms[0] and not self._ahead[reader]


def _united(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that have no place in common, ascending."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def _looks_ahead(node: Expr) -> bool:
    """Whether a selector or subquery may look at samples after the time of the evaluation."""
    if not isinstance(node, VectorSelector | Subquery):
        return False
    if node.modifiers.fixed or (isinstance(node, VectorSelector) and node.smoothed):
        return True
    return any(_may_be_negative(duration) for duration in durations_of(node))


def _may_be_negative(duration: Duration) -> bool:
    return not isinstance(duration, DurationNumber) or duration.value < 0


def _asks_for_data(spec: RuleSpec) -> bool:
    """Whether what becomes of its alerts depends on which of its inputs there are at a time."""
    return isinstance(spec, AlertingSpec) and spec.on_no_data is not OnNoData.RESOLVE


def _written(spec: RuleSpec) -> tuple[str, ...]:
    return (spec.record,) if isinstance(spec, RecordingSpec) else (ALERTS, ALERTS_FOR_STATE)


def _asked_in_templates(spec: RuleSpec) -> str:
    """The templates of a rule that ask queries, which may name anything."""
    if isinstance(spec, RecordingSpec):
        return ""
    return "\n".join(text for _, text in (*spec.labels, *spec.annotations) if "{{" in text and _ASKS in text)
