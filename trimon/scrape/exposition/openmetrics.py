"""The OpenMetrics text format 1.0.0 and 0.0.1, line by line: stricter, timestamps in seconds, `# EOF` at the end."""

from __future__ import annotations

import re
from typing import Final

from trimon.scrape.exposition.records import LineExemplar, MetadataLine, Pairs, SampleTail, unescape
from trimon.scrape.exposition.scanner import OPENMETRICS_TYPES, BodyScanner, OpenMetricsScanner, milliseconds
from trimon.scrape.exposition.textformat import REMARK, plain_head, plain_number

_EOF: Final = b"# EOF"
_METADATA = re.compile(rb"# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n\0]*)")
_LABELS = rb'(?:[a-zA-Z_][a-zA-Z0-9_]*+="(?:[^"\\\n\0]++|\\[^\n\0])*+"(?:,|(?=\})))*+'
_TIME = rb"[0-9+.-][^ \n\0]*"
_TAIL = re.compile(
    rb"([^ \n\0]+)(?: (" + _TIME + rb"))?(?: # \{(" + _LABELS + rb")\} ([^ \n\0]+)(?: (" + _TIME + rb"))?)?"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*+)="((?:[^"\\]++|\\.)*+)"')


def _milliseconds(raw: bytes) -> int | None:
    seconds = plain_number(raw)
    if seconds is None or seconds - seconds != 0:  # NaN or infinite
        return None
    return milliseconds(seconds)


class OpenMetricsFormat:
    """OpenMetrics text."""

    end_mark: Final = _EOF

    def head(self, line: bytes) -> tuple[int, Pairs] | None:
        """Length of the series text with the space after it, and the labels."""
        return plain_head(line)

    def tail(self, tail: bytes) -> SampleTail | None:
        """Value, optional timestamp in seconds, optional exemplar."""
        match = _TAIL.fullmatch(tail)
        if match is None:
            return None
        number, time, labels, exemplar_number, exemplar_time = match.groups()
        value = plain_number(number)
        timestamp_ms = None if time is None else _milliseconds(time)
        if value is None or (timestamp_ms is None and time is not None):
            return None
        if labels is None:
            return SampleTail(value, timestamp_ms)
        exemplar = self._exemplar(labels, exemplar_number, exemplar_time)
        return None if exemplar is None else SampleTail(value, timestamp_ms, exemplar)

    @staticmethod
    def _exemplar(labels: bytes, number: bytes, time: bytes | None) -> LineExemplar | None:
        value = plain_number(number)
        timestamp_ms = None if time is None else _milliseconds(time)
        if value is None or (timestamp_ms is None and time is not None):
            return None
        try:
            text = labels.decode()
        except UnicodeDecodeError:
            return None
        return LineExemplar(tuple(sorted(_LABEL.findall(text))), value, timestamp_ms)

    def remark(self, line: bytes) -> MetadataLine | None:
        """TYPE, HELP, UNIT and the end mark; there are no other comments."""
        if line == _EOF:
            return REMARK
        match = _METADATA.fullmatch(line)
        if match is None:
            return None
        kind, family, text = match.groups()
        if kind == b"TYPE":
            named = OPENMETRICS_TYPES.get(text)
            return MetadataLine("TYPE", family.decode(), named) if named is not None else None
        if kind == b"UNIT" and text and not family.endswith(b"_" + text):
            return None
        try:
            shown = text.decode()
        except UnicodeDecodeError:
            return None
        return MetadataLine(kind.decode(), family.decode(), unescape(shown) if kind == b"HELP" else shown)

    def ends_well(self, body: bytes) -> bool:
        """The last line is `# EOF`, with or without a line end, and there is neither another nor a blank one."""
        text = b"\n" + body.removesuffix(b"\n")
        return text.endswith(b"\n" + _EOF) and text.find(b"\n" + _EOF + b"\n") < 0 and b"\n\n" not in text

    def scanner(self, body: bytes) -> BodyScanner:
        """A scanner of the whole body."""
        return OpenMetricsScanner(body)
