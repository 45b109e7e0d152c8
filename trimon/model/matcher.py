"""Label matchers, evaluated once per distinct value and never per series.

Regular expressions are RE2 (linear time), anchored at both ends, and the dot matches a newline. Literals,
alternations of literals and literal prefixes are recognised and need no automaton.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

import re2

from trimon.errors import UserError

_LITERAL = re.compile(r"[^\\.+*?()|\[\]{}^$]*", re.DOTALL)
_PREFIX = re.compile(r"([^\\.+*?()|\[\]{}^$]+)(\.[*+])", re.DOTALL)


class MatchType(Enum):
    """The four operators of a matcher."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEXP = "=~"
    NOT_REGEXP = "!~"


def _options() -> object:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = 8 << 20
    return options


@lru_cache(maxsize=512)
def compile_regexp(pattern: str) -> re2._Regexp:
    """The compiled RE2 pattern, for full matches; dot matches newline. Raises UserError."""
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else "syntax error"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise UserError(f"error parsing regexp: {text}") from None
    except UnicodeEncodeError:
        raise UserError("error parsing regexp: invalid UTF-8") from None


def full_match(compiled: re2._Regexp, value: str) -> re2._Match | None:
    """The match of a whole value, or None; a value that is not UTF-8 matches nothing."""
    try:
        return compiled.fullmatch(value)
    except UnicodeEncodeError:
        return None


def regexp_literals(pattern: str) -> tuple[str, ...] | None:
    """The strings a pattern matches when it is a literal or an alternation of literals, else None."""
    grouped = pattern.startswith("(") and pattern.endswith(")")
    body = pattern[1:-1].removeprefix("?:") if grouped else pattern
    parts = body.split("|")
    if all(_LITERAL.fullmatch(part) for part in parts):
        return tuple(dict.fromkeys(parts))
    return None


def _regexp_test(pattern: str) -> Callable[[str], bool]:
    literals = regexp_literals(pattern)
    if literals is not None and pattern.isascii():
        # an automaton of thousands of names, as dashboards list them, takes a megabyte
        return frozenset(literals).__contains__
    compiled = compile_regexp(pattern)
    if literals is not None:
        return frozenset(literals).__contains__
    if pattern in (".*", "(.*)"):
        return lambda _: True
    if pattern in (".+", "(.+)"):
        return bool
    prefix = _PREFIX.fullmatch(pattern)
    if prefix is not None:
        head, tail = prefix.groups()
        shortest = len(head) + (tail == ".+")
        return lambda value: value.startswith(head) and len(value) >= shortest
    return lambda value: full_match(compiled, value) is not None


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a missing label is the empty string. Raises UserError for a bad regexp."""

    name: str
    type: MatchType
    value: str
    _test: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        value = self.value
        test: Callable[[str], bool]
        if self.type is MatchType.EQUAL:
            test = value.__eq__
        elif self.type is MatchType.NOT_EQUAL:
            test = value.__ne__
        else:
            matches = _regexp_test(value)
            test = matches if self.type is MatchType.REGEXP else lambda text: not matches(text)
        object.__setattr__(self, "_test", test)

    def matches(self, value: str) -> bool:
        """Whether one label value satisfies the matcher."""
        return self._test(value)

    @property
    def matches_empty(self) -> bool:
        """Whether series without the label satisfy the matcher."""
        return self._test("")

    def literals(self) -> tuple[str, ...] | None:
        """The only values that satisfy a positive matcher, when they can be listed; else None."""
        if self.type is MatchType.EQUAL:
            return (self.value,)
        if self.type is MatchType.REGEXP:
            return regexp_literals(self.value)
        return None

    def select(self, values: Sequence[str]) -> list[int]:
        """The indexes in a dictionary of distinct values that satisfy the matcher, ascending."""
        test = self._test
        return [index for index, value in enumerate(values) if test(value)]

    def __str__(self) -> str:
        return f'{self.name}{self.type.value}"{self.value}"'
