"""The text exposition format 0.0.4 and 1.0.0, line by line: the quick way for lines with nothing unusual about them.

A line has a head (the series as text, with the space after it) and a tail (value, timestamp). The layout remembers heads;
this file reads what it has not seen. Whatever is not plain is left to the scanner, and so is every error.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from trimon.errors import UserError
from trimon.gotext.floats import parse_float
from trimon.model.labels import METRIC_NAME
from trimon.model.sample import NORMAL_NAN
from trimon.scrape.exposition.records import MetadataLine, Pairs, SampleTail, unescape
from trimon.scrape.exposition.scanner import INT64_MAX, TEXT_TYPES, BodyScanner, TextScanner

# A name, perhaps labels in braces, one space, and something behind it. Both formats read such a line alike.
_HEAD = re.compile(
    rb'([a-zA-Z_:][a-zA-Z0-9_:]*+)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*+="(?:[^"\\\n\0]++|\\[^\n\0])*+"(?:,|(?=\})))*+)\})? '
    rb"(?=[^ \t\n{\0])"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*+)="((?:[^"\\]++|\\.)*+)"')
_TAIL = re.compile(rb"([^{ \t\n\0]+)(?:[ \t]+([0-9]{1,19}))?[ \t]*")
_METADATA = re.compile(rb"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^ \t\n\0][^\n\0]*)")
_REMARK = re.compile(rb"[ \t]*|#(?:[^ \t\0][^\0]*)?|#[ \t]++(?!HELP|TYPE)[^\0]*")
_PAIRS_KEPT_MAX: Final = 2048
# A line that says nothing: blank, or a comment that is no metadata.
REMARK: Final = MetadataLine("", "", "")


class ExpositionFormat(Protocol):
    """One exposition format, as the layout uses it. What is not plain is None, and the scanner's to judge."""

    @property
    def end_mark(self) -> bytes:
        """The line that ends a body, empty where a body may end anywhere."""
        ...

    def head(self, line: bytes) -> tuple[int, Pairs] | None:
        """Length of the series text with the space after it, and the labels, name included, in any order."""
        ...

    def tail(self, tail: bytes) -> SampleTail | None:
        """Value, timestamp and exemplar of the rest of a line."""
        ...

    def remark(self, line: bytes) -> MetadataLine | None:
        """What a blank line or one that starts with `#` says."""
        ...

    def ends_well(self, body: bytes) -> bool:
        """Whether the lines of a body end as the format demands, and nothing in between looks like an end."""
        ...

    def scanner(self, body: bytes) -> BodyScanner:
        """A scanner of the whole body."""
        ...


class _Pairs(dict[bytes, tuple[str, str]]):
    """Pairs as they were read, by their text: most of a new series are those of others. Each thread may read and add."""

    def __missing__(self, text: bytes) -> tuple[str, str]:
        pair = self.read(text)
        if len(self) >= _PAIRS_KEPT_MAX:
            self.clear()
        self[text] = pair
        return pair

    @staticmethod
    def read(text: bytes) -> tuple[str, str]:
        """The pair of a label's name and value, with a quote before the value and none behind. Raises UnicodeDecodeError."""
        name, _, value = text.decode().partition('="')
        return name, value


class _Names(_Pairs):
    """The same for names of metrics."""

    @staticmethod
    def read(text: bytes) -> tuple[str, str]:
        return METRIC_NAME, text.decode()


_PAIRS: Final = _Pairs()
_NAMES: Final = _Names()


def plain_head(line: bytes) -> tuple[int, Pairs] | None:
    """Length of the series text of a plain line with its space, and its labels with `__name__` first."""
    match = _HEAD.match(line)
    if match is None:
        return None
    name, inner = match.groups()
    if not inner:
        return match.end(), (_NAMES[name],)
    try:
        # Without these, a quote before a comma ends a value, and nothing else does.
        if b"\\" not in inner and b'=",' not in inner:
            return match.end(), (_NAMES[name], *map(_PAIRS.__getitem__, inner.rstrip(b",")[:-1].split(b'",')))
        text = inner.decode()
    except UnicodeDecodeError:
        return None
    pairs = [(label, unescape(value)) for label, value in _LABEL.findall(text)]
    return match.end(), (_NAMES[name], *pairs)


def plain_number(raw: bytes) -> float | None:
    """A value; every NaN becomes the ordinary one. None for what is none."""
    try:
        value = parse_float(raw.decode())
    except (UserError, UnicodeDecodeError):
        return None
    return NORMAL_NAN if value != value else value  # noqa: PLR0124 # NaN


class TextFormat:
    """The classic text format."""

    end_mark: Final = b""

    def head(self, line: bytes) -> tuple[int, Pairs] | None:
        """Length of the series text with the space after it, and the labels."""
        return plain_head(line)

    def tail(self, tail: bytes) -> SampleTail | None:
        """Value and optional millisecond timestamp."""
        match = _TAIL.fullmatch(tail)
        if match is None:
            return None
        value = plain_number(match[1])
        if value is None:
            return None
        if match[2] is None:
            return SampleTail(value, None)
        timestamp_ms = int(match[2])
        return SampleTail(value, timestamp_ms) if timestamp_ms <= INT64_MAX else None

    def remark(self, line: bytes) -> MetadataLine | None:
        """TYPE and HELP; anything else after `#` is a remark."""
        match = _METADATA.fullmatch(line)
        if match is None:
            return REMARK if _REMARK.fullmatch(line) else None
        kind, family, text = match.groups()
        if kind == b"TYPE":
            named = TEXT_TYPES.get(text)
            return MetadataLine("TYPE", family.decode(), named) if named is not None else None
        try:
            return MetadataLine("HELP", family.decode(), unescape(text.decode(), quotes=False))
        except UnicodeDecodeError:
            return None

    def ends_well(self, body: bytes) -> bool:  # noqa: ARG002 # the protocol's
        """A body may end anywhere between two lines."""
        return True

    def scanner(self, body: bytes) -> BodyScanner:
        """A scanner of the whole body."""
        return TextScanner(body)
