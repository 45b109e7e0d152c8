"""The OpenMetrics text format 1.0.0 and 0.0.1, line by line: stricter, timestamps in seconds, `# EOF` at the end."""

from __future__ import annotations

import math
import re
from typing import Final

from trimon.scrape.exposition import (
    Comment,
    Pairs,
    ParseError,
    Tail,
    parse_series,
    parse_value,
    shown,
    unescape,
)

_EOF: Final = b"# EOF"
_COMMENT = re.compile(rb'# (HELP|TYPE|UNIT) (?:"((?:[^"\\]|\\.)*)"|([^ ]+))(?: (.*))?', re.DOTALL)
_EXEMPLAR = re.compile(rb'\{((?:[^"{}\n]|"(?:[^"\\\n]|\\.)*")*)\} ([^ ]+)(?: ([^ ]+))?')
_TYPES: Final = frozenset(
    ("counter", "gauge", "gaugehistogram", "histogram", "summary", "info", "stateset", "unknown")
)


def _timestamp_ms(raw: bytes, line: bytes) -> int:
    seconds = parse_value(raw, line)
    if not math.isfinite(seconds):
        raise ParseError(f"invalid timestamp {shown(raw)} while parsing: {shown(line)}")
    return int(seconds * 1000)


class OpenMetricsFormat:
    """OpenMetrics text."""

    def head(self, line: bytes) -> tuple[int, Pairs]:
        """Length of the series text with the space after it, and the labels."""
        return parse_series(line)

    def tail(self, line: bytes, tail: bytes) -> Tail:
        """Value, optional timestamp in seconds, optional exemplar (checked, not kept)."""
        sample, mark, exemplar = tail.partition(b" # ")
        if mark and not _EXEMPLAR.fullmatch(exemplar):
            raise ParseError(f"invalid exemplar {shown(exemplar)} while parsing: {shown(line)}")
        parts = sample.split(b" ")
        value = parse_value(parts[0], line)
        if len(parts) == 1:
            return Tail(value, None)
        if len(parts) > 2:
            raise ParseError(
                f"expected next entry after timestamp, got {shown(tail)} while parsing: {shown(line)}"
            )
        return Tail(value, _timestamp_ms(parts[1], line))

    def comment(self, line: bytes) -> Comment | None:
        """TYPE, HELP and UNIT; nothing else may start with `#` but the end mark."""
        if line == _EOF:
            return None
        match = _COMMENT.fullmatch(line)
        if match is None:
            raise ParseError(f"unexpected comment {shown(line)}: only HELP, TYPE, UNIT and EOF are allowed")
        kind = match[1].decode()
        try:
            family = unescape((match[2] if match[2] is not None else match[3]).decode())
            text = (match[4] or b"").decode()
        except UnicodeDecodeError:
            raise ParseError(f"help text is not UTF-8 while parsing: {shown(line)}") from None
        if kind == "HELP":
            return Comment(kind, family, unescape(text))
        if kind == "TYPE" and text not in _TYPES:
            raise ParseError(f'invalid metric type "{text}"')
        if kind == "UNIT" and text and not family.endswith(f"_{text}"):
            raise ParseError(f'unit "{text}" not a suffix of metric "{family}"')
        return Comment(kind, family, text)

    def check_end(self, lines: list[bytes]) -> None:
        """The last line is `# EOF`, and it is there once."""
        end = len(lines)
        if end and lines[-1] == b"":
            end -= 1
        if not end or lines[end - 1] != _EOF:
            if _EOF in lines:
                raise ParseError("unexpected data after # EOF")
            raise ParseError("data does not end with # EOF")
