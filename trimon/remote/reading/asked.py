"""Who is asked what: a selection as the request of one endpoint."""

from __future__ import annotations

from typing import Final

from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.records import dataclass
from trimon.remote.read_request import SAMPLES, STREAMED_CHUNKS
from trimon.wire import put_block, put_number, put_varint

_TYPES: Final = {
    MatchType.EQUAL: 0,
    MatchType.NOT_EQUAL: 1,
    MatchType.REGEXP: 2,
    MatchType.NOT_REGEXP: 3,
}
_ACCEPTED: Final = put_block(2, put_varint(STREAMED_CHUNKS) + put_varint(SAMPLES))


@dataclass(frozen=True, slots=True)
class Asked:
    """One selection as it is asked of one endpoint."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    added: frozenset[str] = frozenset()
    """Names of external labels that are among the matchers for this endpoint alone: its answers go without them."""

    def encoded(self) -> bytes:
        """The ReadRequest."""
        parts = [_number(1, self.start_ms), _number(2, self.end_ms)]
        parts += [put_block(3, _matcher(matcher)) for matcher in self.matchers]
        parts.append(put_block(4, _number(3, self.start_ms) + _number(4, self.end_ms)))
        return put_block(1, b"".join(parts)) + _ACCEPTED


def _number(number: int, value: int) -> bytes:
    return put_number(number, value) if value else b""


def _matcher(matcher: Matcher) -> bytes:
    kind = _TYPES[matcher.type]
    name, value = matcher.name.encode(), matcher.value.encode()
    return _number(1, kind) + put_block(2, name) + (put_block(3, value) if value else b"")


@dataclass(frozen=True, slots=True)
class Scope:
    """What an endpoint is asked of: which selections, and which times."""

    required: Labels = ()
    """A selection is asked for when it has all of these as equality matchers."""
    external: Labels = ()
    """Added to what a selection says, where it says nothing of the label."""
    read_recent: bool = False
    """Whether it is asked for times, too, that local storage has."""

    def asked(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, local_start_ms: int
    ) -> Asked | None:
        """What to ask for; None when local storage knows all, or the endpoint is for other selections."""
        if not self.read_recent:
            if start_ms > local_start_ms:
                return None
            end_ms = min(end_ms, local_start_ms)
        equal = {(matcher.name, matcher.value) for matcher in matchers if matcher.type is MatchType.EQUAL}
        if not equal.issuperset(self.required):
            return None
        named = {matcher.name for matcher in matchers}
        more = [pair for pair in self.external if pair[0] not in named]
        added = tuple(Matcher(name, MatchType.EQUAL, value) for name, value in more)
        return Asked((*matchers, *added), start_ms, end_ms, frozenset(name for name, _ in more))
