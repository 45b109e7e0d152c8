"""Series selectors on their own, as in the API's `match[]` and in federation."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from trimon.model.matcher import Matcher
from trimon.query.language.parser import Parser

# Characters, as for queries.
REMEMBERED_MAX: Final = 8192


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a plain vector selector; they may match everything.

    Raises ParseError with Prometheus' wording.
    """
    return _parsed(text) if len(text) <= REMEMBERED_MAX else _parse(text)


def _parse(text: str) -> tuple[Matcher, ...]:
    return Parser(text, frozenset()).parse_selector().matchers


_parsed = lru_cache(maxsize=1024)(_parse)
