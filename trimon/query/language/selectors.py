"""Series selectors on their own, as in the API's `match[]` and in federation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from trimon.model.matcher import Matcher
from trimon.query.language.checker import Checker
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import Modifiers, VectorSelector
from trimon.query.language.parser import Parser

# Characters, as for queries.
REMEMBERED_MAX: Final = 8192


def parse_selector(text: str, *, any_target: bool = False) -> tuple[Matcher, ...]:
    """The matchers of a plain vector selector, which may match everything only of targets' labels.

    Raises ParseError with Prometheus' wording.
    """
    return _parsed(text, any_target) if len(text) <= REMEMBERED_MAX else _parse(text, any_target)


def _parse(text: str, any_target: bool) -> tuple[Matcher, ...]:
    parsed = Parser(text, frozenset()).parse()
    if any_target and isinstance(parsed, VectorSelector):
        parsed = replace(parsed, bypass_empty_check=True)
    expr = Checker(text).check(parsed)
    if not isinstance(expr, VectorSelector) or expr.modifiers != Modifiers():
        raise ParseError("expected a series selector without modifiers", text, expr.start, expr.end)
    return expr.matchers


_parsed = lru_cache(maxsize=1024)(_parse)
