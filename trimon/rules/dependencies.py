"""Which rules of a group read what others of it write, and so which may be evaluated at once, or share a reading.

The order is Prometheus': all rules that read of no other at once, then those in the middle one by one, in the order of the
file, then at once those of which nobody reads.

    a: sum(x)    b: a / 2    c: b > 1    d: sum(y)         a d | b | c

Whether a rule reads another is decided by the names of metrics. A selector without one may read anything: then the whole
group goes one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.query.engine import parse
from trimon.query.language.nodes import Expr, VectorSelector
from trimon.query.language.options import QueryOptions
from trimon.rules.selectors import selectors_of
from trimon.rules.spec import AlertingSpec, RuleSpec

_QUERY: Final = "query"
_ALERTS: Final = frozenset(("ALERTS", "ALERTS_FOR_STATE"))

Batch = tuple[int, ...]
"""Places of rules in their group that may be evaluated at once."""


def batches_of(rules: Sequence[RuleSpec], options: QueryOptions) -> tuple[Batch, ...]:
    """The rules in the order of evaluation."""
    in_turn: tuple[Batch, ...] = tuple((place,) for place in range(len(rules)))
    if len(rules) < 2:
        return in_turn
    read: list[set[int]] = []
    for place, rule in enumerate(rules):
        found = _read_by(parse(rule.expr, options), rules)
        if found is None:
            return in_turn
        read.append(found - {place})
    wanted = set().union(*read)
    free = tuple(place for place, others in enumerate(read) if not others)
    middle = [place for place, others in enumerate(read) if others and place in wanted]
    last = tuple(place for place, others in enumerate(read) if others and place not in wanted)
    return tuple(batch for batch in (free, *((place,) for place in middle), last) if batch)


def readings_of(rules: Sequence[RuleSpec], options: QueryOptions) -> tuple[int, ...]:
    """Of every rule the number of the reading that it may share, when they go one after the other; the numbers ascend.

    A new reading begins before a rule that may read what another one has recorded since the last one began.
    """
    numbers: list[int] = []
    first = 0
    for place, rule in enumerate(rules):
        read = None if _asks(rule) else _read_by(parse(rule.expr, options), rules)
        if place and (read is None or any(first <= other < place for other in read)):
            first = place
        numbers.append(first)
    return tuple(numbers)


def _asks(rule: RuleSpec) -> bool:
    """Whether a template of a rule asks a query, which may read anything."""
    texts = (*rule.labels, *rule.annotations) if isinstance(rule, AlertingSpec) else ()
    return any("{{" in text and _QUERY in text for _, text in texts)


def _read_by(expr: Expr, rules: Sequence[RuleSpec]) -> set[int] | None:
    """The rules whose output an expression reads; None where that can be anything."""
    found: set[int] = set()
    for selector in selectors_of(expr):
        name = _name(selector.expr)
        if not name:
            return None
        found.update(place for place, rule in enumerate(rules) if _writes(rule, name, selector.expr.matchers))
    return found


def _writes(rule: RuleSpec, name: str, matchers: Sequence[Matcher]) -> bool:
    if not isinstance(rule, AlertingSpec):
        return rule.record == name
    named = (matcher for matcher in matchers if matcher.name == "alertname")
    return name in _ALERTS and all(matcher.matches(rule.alert) for matcher in named)


def _name(selector: VectorSelector) -> str:
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.type is MatchType.EQUAL:
            return matcher.value
    return ""
