"""How a query can fail: it does not parse, or it fails while it runs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum
from typing import Final

from trimon.errors import Position, TrimonError, UserError

_LINE_END: Final = ord("\n")


class ParseError(UserError):
    """A query text that is not PromQL; `str(error)` is `LINE:COL: parse error: MESSAGE`.

    `start` and `end` are byte offsets in the text. An empty text has no position.
    """

    def __init__(self, message: str, text: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message, position_of(text, start) if text else None)
        self.start = start
        self.end = end

    def __str__(self) -> str:
        where = str(self.position) or "unknown position"
        return f"{where}: parse error: {self.message}"


class FailureKind(Enum):
    """What stopped a running query; the value is the API's error type."""

    EXECUTION = "execution"
    TIMEOUT = "timeout"
    CANCELED = "canceled"


class QueryError(TrimonError):
    """A query that parsed and failed: wrong data for an operator, a limit, a timeout, a cancel.

    `str(error)` is Prometheus' text alone. `samples` and `elapsed_s` say how far it got, where known.
    """

    def __init__(
        self,
        message: str,
        kind: FailureKind = FailureKind.EXECUTION,
        samples: int = 0,
        elapsed_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.samples = samples
        self.elapsed_s = elapsed_s


class MemoryExceeded(QueryError):
    """A query that needs more memory than one query may hold; to ask it again later does not help."""


class MemoryFull(QueryError):
    """A query for which there is no memory now, as others hold it; it may be asked again later."""

    retry_after_s = 5.0


def position_of(text: str, offset: int) -> Position:
    """Line and column of a byte offset; columns count bytes from 1."""
    return positions_of(text, (offset,))[0]


def positions_of(text: str, offsets: Sequence[int]) -> list[Position]:
    """Lines and columns of many byte offsets of one text."""
    raw = text.encode("utf-8", "surrogateescape")
    ends = [at for at, byte in enumerate(raw) if byte == _LINE_END] if b"\n" in raw else []
    out = []
    for offset in offsets:
        line = bisect_left(ends, offset)
        out.append(Position(line + 1, offset - (ends[line - 1] if line else -1)))
    return out
