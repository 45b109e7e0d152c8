"""The selectors of a rule, and when one that never matches is told."""

from __future__ import annotations

import pytest

from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import parse
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertingRule, AlertOrigin
from trimon.rules.alertsession import AlertingSession
from trimon.rules.selectors import SILENT_EVALUATIONS, SILENT_MS, SelectorWatch, selectors_of
from trimon.rules.session import Evaluation
from trimon.rules.spec import AlertingSpec


def listed(text: str) -> list[tuple[str, bool, bool]]:
    found = selectors_of(parse(text, QueryOptions()))
    return [(each.text, each.optional, each.absence) for each in found]


def watch(text: str) -> SelectorWatch:
    return SelectorWatch(selectors_of(parse(text, QueryOptions())))


def evaluate(watched: SelectorWatch, *matching: str, times: int = SILENT_EVALUATIONS + 1) -> int:
    """Evaluations in which only the named selectors match; the time of the last one."""
    step_ms = SILENT_MS // SILENT_EVALUATIONS
    for number in range(times):
        matched = {use.selector.key: use.selector.expr.name in matching for use in watched.uses}
        watched.note(matched, 1_000_000 + number * step_ms)
    return 1_000_000 + (times - 1) * step_ms


def test_selectors_stand_as_in_the_text() -> None:
    """In order, with range and offset, equal ones once; wherever they stand in the tree."""
    assert listed('sum(rate(a{x="1"}[5m] offset 1m)) / on (j) max_over_time(b[1h:1m]) > b and a') == [
        ('a{x="1"}[5m] offset 1m', False, False),
        ("b", False, False),
        ("a", False, False),
    ]


def test_where_nothing_is_a_good_answer() -> None:
    """Inside absent(), on the right of unless and on both sides of or; not when it stands elsewhere too."""
    assert listed("a unless b") == [("a", False, False), ("b", True, False)]
    assert listed("a or b") == [("a", True, False), ("b", True, False)]
    assert listed("absent(a) * absent_over_time(b[5m])") == [("a", True, True), ("b[5m]", True, True)]
    assert listed("(c or a) + a") == [("c", True, False), ("a", False, False)]


def test_a_selector_that_never_matches_is_dead_after_a_while() -> None:
    """Not before enough evaluations and time; another one of the rule may match or not."""
    watched = watch("a / b")
    now_ms = evaluate(watched, "a", times=SILENT_EVALUATIONS - 1)
    assert watched.dead(now_ms + SILENT_MS) == []
    now_ms = evaluate(watched, "a")
    assert [use.selector.text for use in watched.dead(now_ms)] == ["b"]
    evaluate(watched, "b", times=1)
    assert watched.dead(now_ms) == []


def test_what_has_matched_nothing_so_far() -> None:
    """It is said after the first evaluation, before anything is dead, and not of what was never asked."""
    watched = watch("a / b")
    assert watched.unmatched() == []
    now_ms = evaluate(watched, "a", times=1)
    assert [use.selector.text for use in watched.unmatched()] == ["b"]
    assert watched.dead(now_ms) == []


@pytest.mark.parametrize(
    ("expression", "error"), [("up", "exceeded limit of 1"), ("up * on () up", "many-to-many|duplicate")]
)
def test_a_rule_that_fails_has_read_its_selectors(expression: str, error: str) -> None:
    """More series than the limit, or a failed matching: what it reads has matched all the same."""
    store = MemoryStore()
    for number in range(3):
        store.append(labels_of({"__name__": "up", "n": str(number)}), 1000, 1.0)
    rule = AlertingRule(AlertingSpec("A", expression), QueryOptions(), AlertOrigin())
    session = AlertingSession(rule, "rules/f/g/0")
    evaluation = Evaluation(1000, 1000, QueryOptions(), Budget(QueryOptions()), limit=1)
    with pytest.raises(QueryError, match=error):
        session.evaluate(store, evaluation)
    assert [(use.matched, use.last_matched_ms) for use in session.selectors.uses] == [(True, 1000)]


def test_alternatives_are_dead_together() -> None:
    """Of `a or b` one may never match; when none does the rule is dead. One that looks for absence never is."""
    watched = watch("a or b or absent(c)")
    assert watched.dead(evaluate(watched, "b")) == []
    watched = watch("a or b")
    assert len(watched.dead(evaluate(watched))) == 2
    watched = watch("absent(c)")
    assert watched.dead(evaluate(watched)) == []


def test_what_is_known_outlives_a_reload() -> None:
    """A rule whose text changes keeps what is known of the selectors that stay."""
    before = watch("a / b > 1")
    now_ms = evaluate(before, "a")
    after = watch("a / b > c")
    after.inherit(before)
    assert [use.selector.text for use in after.dead(now_ms)] == ["b"]
