"""The selectors of a rule: whether each of them has ever matched anything.

A rule whose metric was renamed, or whose label is misspelt, never fails and never fires. Nobody hears of it until the alert
that should have come does not. So every rule remembers of each of its selectors when it gave samples last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from trimon.model.matcher import Matcher
from trimon.query.language.nodes import Binary, Call, Expr, MatrixSelector, VectorSelector, children
from trimon.query.language.printer import print_expr
from trimon.records import dataclass

_ABSENCE: Final = frozenset(("absent", "absent_over_time"))

SILENT_EVALUATIONS: Final = 10
SILENT_MS: Final = 600_000
"""A selector that gave nothing in so many evaluations over so long has never matched: a server that starts has nothing yet."""

MatchKey = frozenset[Matcher]


@dataclass(frozen=True, slots=True)
class RuleSelector:
    """One selector of an expression, as it stands there."""

    text: str
    expr: VectorSelector
    optional: bool
    """Whether nothing is a good answer: inside absent(), on the right of `unless`, on either side of `or`."""
    absence: bool = False
    """Whether nothing is what is looked for: inside absent()."""

    @property
    def key(self) -> MatchKey:
        """What selectors with the same matchers have in common."""
        return frozenset(self.expr.matchers)


def selectors_of(expr: Expr) -> tuple[RuleSelector, ...]:
    """The selectors of an expression in the order of its text, equal ones once."""
    found: dict[str, RuleSelector] = {}
    for each, optional, absence in sorted(_walk(expr), key=lambda item: item[0].start):
        selector = each.vector if isinstance(each, MatrixSelector) else each
        text = print_expr(each)
        known = found.get(text)
        if known is not None:
            optional, absence = optional and known.optional, absence and known.absence
        found[text] = RuleSelector(text, selector, optional, absence)
    return tuple(found.values())


def _walk(expr: Expr) -> Iterator[tuple[VectorSelector | MatrixSelector, bool, bool]]:
    """Without recursion, since chains of operators may be longer than a stack is deep."""
    waiting: list[tuple[Expr, bool, bool]] = [(expr, False, False)]
    while waiting:
        each, optional, absence = waiting.pop()
        if isinstance(each, VectorSelector | MatrixSelector):
            yield each, optional, absence
        elif isinstance(each, Binary):
            waiting.append((each.lhs, optional or each.op == "or", absence))
            waiting.append((each.rhs, optional or each.op in ("or", "unless"), absence))
        else:
            absence = absence or (isinstance(each, Call) and each.function in _ABSENCE)
            waiting += [(child, optional or absence, absence) for child in children(each)]


@dataclass(slots=True)
class SelectorUse:
    """What became of one selector since the rule was loaded."""

    selector: RuleSelector
    matched: bool = False
    """In the last evaluation."""
    last_matched_ms: int = 0
    """0: never."""
    first_ms: int = 0
    evaluations: int = 0

    def note(self, matched: bool, time_ms: int) -> None:
        """An evaluation at a time asked the selector."""
        self.first_ms = self.first_ms or time_ms
        self.evaluations += 1
        self.matched = matched
        if matched:
            self.last_matched_ms = time_ms

    def is_silent(self, now_ms: int) -> bool:
        """Whether it has never matched, and has been asked often enough to say so."""
        if self.last_matched_ms:
            return False
        return self.evaluations >= SILENT_EVALUATIONS and now_ms - self.first_ms >= SILENT_MS


class SelectorWatch:
    """The selectors of one rule. Noted in the thread of an evaluation, read on the loop; each field changes at once."""

    def __init__(self, selectors: Sequence[RuleSelector]) -> None:
        self.uses = tuple(SelectorUse(selector) for selector in selectors)
        self._keys = tuple(selector.key for selector in selectors)
        self.told = False
        """Whether the log has heard that one of them is dead."""

    def note(self, matched: Mapping[MatchKey, bool], time_ms: int) -> None:
        """An evaluation has ended; a selector that it did not come to is as it was."""
        for use, key in zip(self.uses, self._keys, strict=True):
            answer = matched.get(key)
            if answer is not None:
                use.note(answer, time_ms)

    def inherit(self, old: SelectorWatch) -> None:
        """Goes on with what is known of the same selectors."""
        known = {use.selector.text: use for use in old.uses}
        for use in self.uses:
            before = known.get(use.selector.text)
            if before is not None:
                use.matched, use.last_matched_ms = before.matched, before.last_matched_ms
                use.first_ms, use.evaluations = before.first_ms, before.evaluations

    def dead(self, now_ms: int) -> list[SelectorUse]:
        """The selectors because of which the rule can give nothing: one that must match, or all that may, never did."""
        return self._lacking(lambda use: use.is_silent(now_ms))

    def unmatched(self) -> list[SelectorUse]:
        """The same of what has matched nothing so far, however short that is."""
        return self._lacking(lambda use: use.evaluations > 0 and not use.last_matched_ms)

    def _lacking(self, is_silent: Callable[[SelectorUse], bool]) -> list[SelectorUse]:
        silent = [use for use in self.uses if not use.selector.optional and is_silent(use)]
        if silent:
            return silent
        wanted = [use for use in self.uses if not use.selector.absence]
        return wanted if all(map(is_silent, wanted)) else []
