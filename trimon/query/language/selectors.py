"""Series selectors on their own, as in the API's `match[]` and in federation."""

from __future__ import annotations

from trimon.memory.texts import TextCache
from trimon.model.matcher import Matcher
from trimon.query.language.parser import Parser


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a plain vector selector; they may match everything.

    Raises ParseError with Prometheus' wording.
    """
    return _parsed.get(text)


def _parse(text: str) -> tuple[Matcher, ...]:
    return Parser(text, frozenset()).parse_selector().matchers


_parsed = TextCache(_parse)


def forget_texts() -> None:
    """Gives back what is remembered of texts."""
    _parsed.clear()
