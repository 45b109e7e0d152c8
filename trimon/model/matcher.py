"""Label matchers, evaluated once per distinct value and never per series.

Regular expressions are RE2 (linear time), anchored at both ends, and the dot matches a newline. Literals,
alternations of literals and literal prefixes are recognised and need no automaton.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

import re2

from trimon.gotext.regexp import GoPattern, bad_regexp
from trimon.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LITERAL = re.compile(r"[^\\.+*?()|\[\]{}^$]*", re.DOTALL)
_PREFIX = re.compile(r"([^\\.+*?()|\[\]{}^$]+)(\.[*+])", re.DOTALL)
# RE2 compiles with all threads stopped: a tenth of a second for so many bytes, at most.
_COMPILE_BYTES_MAX: Final = 8 << 20
# An instruction takes some 30 bytes, forwards and backwards.
_PROGRAMS_MAX: Final = 512
_INSTRUCTIONS_MAX: Final = 2_000_000
# Values between two looks at the clock: a millisecond or some.
_WATCHED: Final = 4096
# Parsed queries are remembered by the thousand, and their matchers with them: those keep small programs only.
_KEPT_INSTRUCTIONS_MAX: Final = 1000


class MatchType(Enum):
    """The four operators of a matcher."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEXP = "=~"
    NOT_REGEXP = "!~"


_watch = threading.local()


@contextmanager
def watched(check: Callable[[], None]) -> Iterator[None]:
    """Within, matchers call `check` every few thousand values; it may raise. Holds for this thread."""
    before = getattr(_watch, "check", None)
    _watch.check = check
    try:
        yield
    finally:
        _watch.check = before


class _Programs:
    """Compiled patterns that were used of late, bounded by their number and their instructions. Any thread may call."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, re2._Regexp] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, pattern: str) -> re2._Regexp | None:
        """A pattern that is remembered."""
        with self._lock:
            found = self._found.get(pattern)
            if found is not None:
                self._found.move_to_end(pattern)
            return found

    def put(self, pattern: str, compiled: re2._Regexp) -> None:
        """Remember a pattern, and forget those that were not used for the longest time."""
        with self._lock:
            if pattern in self._found:
                return
            self._found[pattern] = compiled
            self._size += compiled.programsize
            while len(self._found) > 1 and (
                len(self._found) > _PROGRAMS_MAX or self._size > _INSTRUCTIONS_MAX
            ):
                _, oldest = self._found.popitem(last=False)
                self._size -= oldest.programsize


_programs = _Programs()


def _compiled(pattern: str) -> re2._Regexp:
    text = GoPattern(pattern).text
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _COMPILE_BYTES_MAX
    try:
        return re2.compile(text, options)
    except re2.error:
        # The grammar was checked.
        raise bad_regexp("expression too large", pattern) from None


def compile_regexp(pattern: str) -> re2._Regexp:
    """The compiled RE2 pattern, for full matches; dot matches newline. Raises UserError in Go's words."""
    found = _programs.get(pattern)
    if found is None:
        found = _compiled(pattern)
        _programs.put(pattern, found)
    return found


def compile_search(pattern: str) -> re2._Regexp:
    """The compiled RE2 pattern as Go has it: to search with, dot matches no newline. Raises UserError in Go's words."""
    text = f"(?-s:{pattern})"
    found = _programs.get(text)
    if found is None:
        # Errors show the pattern as it was given.
        GoPattern(pattern)
        found = compile_regexp(text)
    return found


def anchored(pattern: str) -> str:
    """The pattern as Prometheus compiles it for relabeling and `label_replace`: errors show the anchors."""
    return f"^(?s:{pattern})$"


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


def _regexp_test(pattern: str) -> Callable[[str], bool] | None:
    """Whether a value matches; None where the program is too large to be kept."""
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
    if compiled.programsize > _KEPT_INSTRUCTIONS_MAX:
        return None
    return lambda value: full_match(compiled, value) is not None


def _negated(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda value: not test(value)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a missing label is the empty string. Raises UserError for a bad regexp."""

    name: str
    type: MatchType
    value: str
    # None where the program is too large to be kept.
    _kept: Callable[[str], bool] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        value = self.value
        test: Callable[[str], bool] | None
        if self.type is MatchType.EQUAL:
            test = value.__eq__
        elif self.type is MatchType.NOT_EQUAL:
            test = value.__ne__
        else:
            matches = _regexp_test(value)
            test = matches if self.type is MatchType.REGEXP or matches is None else _negated(matches)
        object.__setattr__(self, "_kept", test)

    @property
    def _test(self) -> Callable[[str], bool]:
        if self._kept is not None:
            return self._kept
        compiled, wanted = compile_regexp(self.value), self.type is MatchType.REGEXP
        return lambda text: (full_match(compiled, text) is not None) is wanted

    def matches(self, value: str) -> bool:
        """Whether one label value satisfies the matcher."""
        return self._test(value)

    def matching(self, values: Iterable[str], count: int) -> npt.NDArray[np.bool_]:
        """Which of `count` label values satisfy the matcher; stops where `watched` says so."""
        import numpy as np  # noqa: PLC0415 # whoever only checks a file need not wait for the library

        test, left = self._test, iter(values)
        check: Callable[[], None] | None = getattr(_watch, "check", None)
        if check is None or count <= _WATCHED:
            return np.fromiter(map(test, left), np.bool_, count)
        out = np.zeros(count, np.bool_)
        for start in range(0, count, _WATCHED):
            check()
            some = min(_WATCHED, count - start)
            out[start : start + some] = np.fromiter(map(test, islice(left, some)), np.bool_, some)
        return out

    @property
    def matches_empty(self) -> bool:
        """Whether series without the label satisfy the matcher."""
        return self._test("")

    @property
    def instructions(self) -> int:
        """The size of the compiled pattern; 0 where nothing is compiled."""
        if self.type in (MatchType.EQUAL, MatchType.NOT_EQUAL) or regexp_literals(self.value) is not None:
            return 0
        return int(compile_regexp(self.value).programsize)

    def literals(self) -> tuple[str, ...] | None:
        """The only values that satisfy a positive matcher, when they can be listed; else None."""
        if self.type is MatchType.EQUAL:
            return (self.value,)
        if self.type is MatchType.REGEXP:
            return regexp_literals(self.value)
        return None

    def select(self, values: Sequence[str]) -> list[int]:
        """The indexes in a dictionary of distinct values that satisfy the matcher, ascending."""
        found: list[int] = self.matching(values, len(values)).nonzero()[0].tolist()
        return found

    def __str__(self) -> str:
        return f'{self.name}{self.type.value}"{self.value}"'


def satisfied(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether one label set satisfies every matcher: for a few, series are matched by their tables."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def equal_to(pairs: Iterable[tuple[str, str]]) -> list[Matcher]:
    """The matchers of series that have these names and values."""
    return [Matcher(name, MatchType.EQUAL, value) for name, value in pairs]
