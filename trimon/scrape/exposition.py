"""The text exposition format 0.0.4 and 1.0.0, line by line.

A line has a head (the series as text, with the space after it) and a tail (value, timestamp). The layout remembers heads;
this file reads what it has not seen. Errors name the text at fault, in Prometheus' words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from trimon.errors import OperatingError, UserError
from trimon.model.gofloat import parse_float
from trimon.model.labels import METRIC_NAME
from trimon.model.sample import NORMAL_NAN

# A series as text: an optional name, optional braces (quotes may hold anything), then white space.
_SERIES = re.compile(
    rb'[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)?[ \t]*(?:\{((?:[^"{}\n]++|"(?:[^"\\\n]++|\\.)*+")*+)\})?[ \t]*'
)
_PLAIN_LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"(?:,|$)')
_LABEL = re.compile(
    rb'[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|"((?:[^"\\]|\\.)*)")[ \t]*(=[ \t]*"((?:[^"\\]|\\.)*)")?[ \t]*(,?)'
)
_COMMENT = re.compile(
    rb'#[ \t]*(HELP|TYPE|UNIT)[ \t]+(?:"((?:[^"\\]|\\.)*)"|([^ \t]+))(?:[ \t]+(.*))?', re.DOTALL
)
_BLANKS = re.compile(rb"[ \t]+")
_ESCAPE = re.compile(r'\\([\\n"])')
_HELP_ESCAPE = re.compile(r"\\([\\n])")
_TEXT_TYPES: Final = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "untyped": "unknown",
    "unknown": "unknown",
}

Pairs = tuple[tuple[str, str], ...]


class ParseError(OperatingError):
    """A body that is not the format it claims to be; the whole scrape fails."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the series: the value, and an explicit timestamp if there is one."""

    value: float
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class Comment:
    """A metadata line: `kind` is TYPE, HELP or UNIT."""

    kind: str
    family: str
    text: str


class Format(Protocol):
    """One exposition format, as the layout uses it."""

    def head(self, line: bytes) -> tuple[int, Pairs]:
        """Length of the series text with the white space after it, and the labels, name included, in any order."""
        ...

    def tail(self, line: bytes, tail: bytes) -> Tail:
        """Value and timestamp of the rest of a line."""
        ...

    def comment(self, line: bytes) -> Comment | None:
        """The metadata of a line that starts with `#`, None for other comments."""
        ...

    def check_end(self, lines: list[bytes]) -> None:
        """Raises ParseError when the body does not end as the format demands."""
        ...


def _text(raw: bytes, line: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ParseError(f"invalid UTF-8 label value: {shown(line)}") from None


def shown(line: bytes) -> str:
    """A line as errors quote it, cut at 120 bytes."""
    return '"' + line[:120].decode("utf-8", "backslashreplace").replace('"', '\\"') + '"'


def unescape(text: str) -> str:
    r"""Label values: `\\`, `\"` and `\n`; any other backslash stays."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)


def parse_series(line: bytes) -> tuple[int, Pairs]:
    """Length of the series text of a line with trailing white space, and its labels with `__name__` first.

    Raises ParseError.
    """
    match = _SERIES.match(line)
    assert match is not None  # every part of the pattern is optional
    name, inner = match.groups()
    end = match.end()
    if name is None and inner is None:
        raise ParseError(
            f"expected a valid start token, got {shown(line[end : end + 1])} while parsing: {shown(line)}"
        )
    if end < len(line) and end == match.end(1) and inner is None:
        raise ParseError(
            f'expected value after metric, got {shown(line[end:])} ("INVALID") while parsing: {shown(line)}'
        )
    if not inner:
        if name is None:
            raise ParseError(f"metric name not set while parsing: {shown(line)}")
        return end, ((METRIC_NAME, name.decode()),)
    return end, _labels(line, name, inner)


def _labels(line: bytes, name: bytes | None, inner: bytes) -> Pairs:
    try:
        text = inner.decode()
    except UnicodeDecodeError:
        raise ParseError(f"invalid UTF-8 label value: {shown(line)}") from None
    plain: list[tuple[str, str]] = _PLAIN_LABELS.findall(text)
    # besides names and values an equals sign, two quotes and a comma, which the last may lack
    size = sum(map(len, chain.from_iterable(plain))) + 4 * len(plain)
    if name is not None and plain and size - 1 <= len(text) <= size:
        return ((METRIC_NAME, name.decode()), *plain)
    return _odd_labels(line, name, inner)


def _odd_labels(line: bytes, name: bytes | None, inner: bytes) -> Pairs:
    """Labels with escapes, spaces, quoted names or a quoted metric name."""
    metric = name.decode() if name is not None else None
    pairs: list[tuple[str, str]] = []
    position = 0
    rest = inner.rstrip(b" \t")
    while position < len(rest):
        match = _LABEL.match(rest, position)
        if match is None or match.end() == position:
            raise ParseError(
                f"expected label name, got {shown(rest[position:])} while parsing: {shown(line)}"
            )
        bare, quoted, equals, value, _comma = match.groups()
        label = bare.decode() if bare is not None else unescape(_text(quoted, line))
        if equals is not None:
            pairs.append((label, unescape(_text(value, line))))
        elif bare is not None:
            raise ParseError(f"expected equal, got {shown(rest[match.end() :])} while parsing: {shown(line)}")
        elif metric is not None:
            raise ParseError(f"metric name already set while parsing: {shown(line)}")
        else:
            metric = label
        position = match.end()
    if metric is None:
        raise ParseError(f"metric name not set while parsing: {shown(line)}")
    return ((METRIC_NAME, metric), *pairs)


def parse_value(raw: bytes, line: bytes) -> float:
    """A sample value; every NaN becomes the ordinary one. Raises ParseError."""
    try:
        value = parse_float(raw.decode())
    except (UserError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, UserError) else "invalid UTF-8"
        raise ParseError(f"{reason} while parsing: {shown(line)}") from None
    return NORMAL_NAN if value != value else value  # noqa: PLR0124 # NaN


class TextFormat:
    """The classic text format."""

    def head(self, line: bytes) -> tuple[int, Pairs]:
        """Length of the series text with the white space after it, and the labels."""
        return parse_series(line)

    def tail(self, line: bytes, tail: bytes) -> Tail:
        """Value and optional millisecond timestamp."""
        parts = _BLANKS.split(tail.strip(b" \t"))
        if not parts[0]:
            raise ParseError(
                f'expected value after metric, got "\\n" ("LINEBREAK") while parsing: {shown(line)}'
            )
        value = parse_value(parts[0], line)
        if len(parts) == 1:
            return Tail(value, None)
        if len(parts) > 2 or not parts[1].isdigit() or len(parts[1]) > 18:
            raise ParseError(
                f"expected timestamp or new record, got {shown(b' '.join(parts[1:]))} while parsing: {shown(line)}"
            )
        return Tail(value, int(parts[1]))

    def comment(self, line: bytes) -> Comment | None:
        """TYPE and HELP; anything else after `#` is a remark."""
        match = _COMMENT.match(line)
        if match is None or match[1] == b"UNIT":
            return None
        kind = match[1].decode()
        try:
            family = unescape((match[2] if match[2] is not None else match[3]).decode())
            text = (match[4] or b"").decode()
        except UnicodeDecodeError:
            raise ParseError(f"help text is not UTF-8 while parsing: {shown(line)}") from None
        if kind == "HELP":
            return Comment(kind, family, _HELP_ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], text))
        metric_type = _TEXT_TYPES.get(text.strip(" \t"))
        if metric_type is None:
            raise ParseError(f'invalid metric type "{text}"')
        return Comment(kind, family, metric_type)

    def check_end(self, lines: list[bytes]) -> None:
        """A body may end anywhere between two lines."""
