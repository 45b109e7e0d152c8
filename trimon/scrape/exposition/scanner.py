"""Records of a body, one by one and to the letter: what decides where a quick way is in doubt.

The quick ways (`exposition`, `openmetrics`) take the lines that have nothing unusual about them. All others come here, at
some ten microseconds a token: odd spacing, quoted names, records that go over several lines, and every error with the
words and the quotation that Prometheus has for it.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from trimon.errors import UserError
from trimon.gotext.floats import parse_float
from trimon.gotext.strings import go_quote_bytes
from trimon.model.sample import NORMAL_NAN
from trimon.records import dataclass
from trimon.scrape.exposition.lexer import (
    OPENMETRICS_RULES,
    TEXT_RULES,
    ExpositionLexer,
    ExpositionToken,
    LexState,
)
from trimon.scrape.exposition.records import (
    ExpositionError,
    LineExemplar,
    MetadataLine,
    Pairs,
    SampleTail,
    text_of,
    unescape,
)

TEXT_TYPES: Final = {
    b"counter": "counter",
    b"gauge": "gauge",
    b"histogram": "histogram",
    b"summary": "summary",
    b"untyped": "unknown",
}
OPENMETRICS_TYPES: Final = {
    kind.encode(): kind
    for kind in ("counter", "gauge", "gaugehistogram", "histogram", "summary", "info", "stateset", "unknown")
}
# What Go makes of a float that is no int64.
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ScannedSample:
    """A sample as it stands in a body: `head` is its series as text with the white space behind it."""

    head: bytes
    pairs: Pairs
    tail: SampleTail


Record = ScannedSample | MetadataLine | Literal["remark"]


class BodyScanner:
    """What both formats have in common. One scanner a body; `place` is where the next record begins."""

    def __init__(self, lexer: ExpositionLexer) -> None:
        self._lexer = lexer
        self._begin = 0

    @property
    def place(self) -> int:
        """Offset of the next record."""
        return self._lexer.end

    @property
    def fault(self) -> int:
        """Offset of the token that was looked at last: the one that an error is about."""
        return self._lexer.place

    @property
    def at_start(self) -> bool:
        """Whether the last record was read to its end."""
        return self._lexer.state is LexState.START

    def seek(self, place: int) -> None:
        """Goes to the beginning of a line."""
        self._lexer.end = place
        self._lexer.state = LexState.START

    def next(self) -> Record | None:
        """The next record, None at the end of the body. Raises ExpositionError."""
        raise NotImplementedError

    def _error(self, expected: str, got: ExpositionToken) -> ExpositionError:
        lexer = self._lexer
        end = lexer.end + 1
        near, record = lexer.body[lexer.start : end], lexer.body[self._begin : end]
        return ExpositionError(
            f'{expected}, got {go_quote_bytes(near)} ("{got.value}") while parsing: {go_quote_bytes(record)}'
        )

    def _so_far(self) -> str:
        return f"while parsing: {go_quote_bytes(self._lexer.body[self._begin : self._lexer.end])}"

    def _family(self, kind: ExpositionToken) -> bytes:
        token = self._lexer.next()
        if token is not ExpositionToken.METRIC_NAME:
            raise self._error(f"expected metric name after {kind.value}", token)
        name = self._lexer.text
        return name[1:-1] if name.startswith(b'"') else name

    def _comment(
        self, kind: ExpositionToken, family: bytes, text: bytes, types: dict[bytes, str]
    ) -> MetadataLine:
        if kind is ExpositionToken.TYPE:
            if text not in types:
                raise ExpositionError(f"invalid metric type {go_quote_bytes(text)}")
            return MetadataLine("TYPE", family.decode("utf-8", "replace"), types[text])
        try:
            text.decode()
        except UnicodeDecodeError:
            if kind is ExpositionToken.HELP:
                raise ExpositionError(
                    f"help text {go_quote_bytes(text)} is not a valid utf8 string"
                ) from None
        return MetadataLine(kind.value, family.decode("utf-8", "replace"), text.decode("utf-8", "replace"))

    def _labels(
        self, metric: bytes | None, *, exemplar: bool, commas: bool
    ) -> tuple[bytes | None, list[bytes]]:
        """What stands in braces: the metric's name, and label names and values in turn, as written."""
        lexer = self._lexer
        found: list[bytes] = []
        token = lexer.next()
        while True:
            name = lexer.text
            if token is ExpositionToken.BRACE_CLOSE:
                return metric, found
            if token not in (ExpositionToken.LABEL_NAME, ExpositionToken.QUOTED):
                raise self._error("expected label name", token)
            is_quoted = token is ExpositionToken.QUOTED
            name = name[1:-1] if is_quoted else name
            token = lexer.next()
            if is_quoted and token in (ExpositionToken.COMMA, ExpositionToken.BRACE_CLOSE):
                if exemplar:
                    raise self._error("expected label name", token)
                if metric is not None:
                    raise ExpositionError(f"metric name already set {self._so_far()}")
                metric = name
                if token is ExpositionToken.COMMA:
                    token = lexer.next()
                continue
            if token is not ExpositionToken.EQUAL:
                raise self._error("expected equal", token)
            token = lexer.next()
            if token is not ExpositionToken.LABEL_VALUE:
                raise self._error("expected label value", token)
            found += (name, self._label_value())
            token = lexer.next()
            if token is ExpositionToken.COMMA:
                token = lexer.next()
            elif commas and token is not ExpositionToken.BRACE_CLOSE:
                raise self._error("expected comma or brace close", token)

    def _label_value(self) -> bytes:
        text = self._lexer.text
        try:
            text.decode()
        except UnicodeDecodeError:
            raise ExpositionError(f"invalid UTF-8 label value: {go_quote_bytes(text)}") from None
        return text[1:-1]

    def _series(self, token: ExpositionToken, *, commas: bool) -> tuple[Pairs, ExpositionToken]:
        """The series that begins with a token, and the token behind it."""
        lexer = self._lexer
        metric: bytes | None = None
        written: list[bytes] = []
        if token is ExpositionToken.METRIC_NAME:
            metric = lexer.body[self._begin : lexer.end]
            token = lexer.next()
        if token is ExpositionToken.BRACE_OPEN:
            metric, written = self._labels(metric, exemplar=False, commas=commas)
            token = lexer.next()
        if metric is None:
            raise ExpositionError(f"metric name not set {self._so_far()}")
        texts = [unescape(text_of(text)) for text in written]
        return (("__name__", unescape(text_of(metric))), *zip(texts[::2], texts[1::2], strict=True)), token

    def _value(self, token: ExpositionToken, after: str, skip: int) -> float:
        if token is not ExpositionToken.VALUE:
            raise self._error(f"expected value after {after}", token)
        value = self._float(self._lexer.text[skip:])
        return NORMAL_NAN if value != value else value  # noqa: PLR0124 # NaN

    def _float(self, raw: bytes) -> float:
        try:
            return parse_float(text_of(raw))
        except UserError as error:
            if any(letter in raw for letter in b"pP_"):
                message = "unsupported character in float"
            else:
                message = (
                    f"strconv.ParseFloat: parsing {go_quote_bytes(raw)}: {error.message.rpartition(': ')[2]}"
                )
            raise ExpositionError(f"{message} {self._so_far()}") from None


class TextScanner(BodyScanner):
    """The text format 0.0.4 and 1.0.0."""

    def __init__(self, body: bytes) -> None:
        super().__init__(ExpositionLexer(body + b"\n", TEXT_RULES, skips_blanks=True))

    def next(self) -> Record | None:
        """The next record, None at the end of the body. Raises ExpositionError."""
        lexer = self._lexer
        self._begin = lexer.end
        token = lexer.next()
        if token is ExpositionToken.EOF:
            return None
        if token is ExpositionToken.LINEBREAK:
            return "remark"
        if token is ExpositionToken.COMMENT:
            token = lexer.next()
            if token is not ExpositionToken.LINEBREAK:
                raise self._error("linebreak expected after comment", token)
            return "remark"
        if token in (ExpositionToken.HELP, ExpositionToken.TYPE):
            return self._metadata(token)
        if token not in (ExpositionToken.BRACE_OPEN, ExpositionToken.METRIC_NAME):
            raise self._error("expected a valid start token", token)
        pairs, token = self._series(token, commas=False)
        head = lexer.body[self._begin : lexer.start]
        value = self._value(token, "metric", 0)
        return ScannedSample(head, pairs, SampleTail(value, self._timestamp()))

    def _metadata(self, kind: ExpositionToken) -> MetadataLine:
        family = self._family(kind)
        token = self._lexer.next()
        if token is not ExpositionToken.TEXT:
            raise ExpositionError(f"expected text in {kind.value}, got {token.value}")
        comment = self._comment(kind, family, self._lexer.text[1:], TEXT_TYPES)
        token = self._lexer.next()
        if token is not ExpositionToken.LINEBREAK:
            raise self._error("linebreak expected after metadata", token)
        if kind is ExpositionToken.HELP:
            return MetadataLine(comment.kind, comment.family, unescape(comment.text, quotes=False))
        return comment

    def _timestamp(self) -> int | None:
        token = self._lexer.next()
        if token is ExpositionToken.LINEBREAK:
            return None
        if token is not ExpositionToken.TIMESTAMP:
            raise self._error("expected timestamp or new record", token)
        text = self._lexer.text
        # more digits than int() takes are too many in any case
        timestamp_ms = int(text) if len(text) <= 1000 else INT64_MAX + 1
        if timestamp_ms > INT64_MAX:
            raise ExpositionError(
                f"strconv.ParseInt: parsing {go_quote_bytes(text)}: value out of range {self._so_far()}"
            )
        token = self._lexer.next()
        if token is not ExpositionToken.LINEBREAK:
            raise self._error("expected next entry after timestamp", token)
        return timestamp_ms


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds, cut; what no int64 holds is the least of them, long out of bounds."""
    scaled = seconds * 1000
    return int(scaled) if INT64_MIN <= scaled < 2**63 else INT64_MIN


class OpenMetricsScanner(BodyScanner):
    """OpenMetrics text 1.0.0 and 0.0.1."""

    def __init__(self, body: bytes) -> None:
        super().__init__(ExpositionLexer(body, OPENMETRICS_RULES, skips_blanks=False))

    def next(self) -> Record | None:
        """The next record, None at the end of the body. Raises ExpositionError."""
        lexer = self._lexer
        self._begin = lexer.end
        token = lexer.next()
        if token is ExpositionToken.EOF_WORD:
            if lexer.next() is not ExpositionToken.EOF:
                raise ExpositionError("unexpected data after # EOF")
            return None
        if token is ExpositionToken.EOF:
            raise _no_end()
        if token in (ExpositionToken.HELP, ExpositionToken.TYPE, ExpositionToken.UNIT):
            return self._metadata(token)
        if token not in (ExpositionToken.BRACE_OPEN, ExpositionToken.METRIC_NAME):
            raise self._error("expected a valid start token", token)
        pairs, token = self._series(token, commas=True)
        head = lexer.body[self._begin : lexer.start + 1]
        value = self._value(token, "metric", 1)
        return ScannedSample(head, pairs, self._rest(value))

    def _metadata(self, kind: ExpositionToken) -> MetadataLine:
        family = self._family(kind)
        if self._lexer.next() is not ExpositionToken.TEXT:
            raise ExpositionError(f"expected text in {kind.value}")
        text = self._lexer.text[1:-1]
        comment = self._comment(kind, family, text, OPENMETRICS_TYPES)
        if kind is ExpositionToken.HELP:
            return MetadataLine(comment.kind, comment.family, unescape(comment.text))
        if kind is ExpositionToken.UNIT and text and not family.endswith(b"_" + text):
            raise ExpositionError(
                f"unit {go_quote_bytes(text)} not a suffix of metric {go_quote_bytes(family)}"
            )
        return comment

    def _rest(self, value: float) -> SampleTail:
        """What follows the value. A token that fits nothing ends the sample; the next record fails with it."""
        token = self._lexer.next()
        if token is ExpositionToken.EOF:
            raise _no_end()
        if token is ExpositionToken.COMMENT:
            return SampleTail(value, None, self._exemplar())
        if token is not ExpositionToken.TIMESTAMP:
            return SampleTail(value, None)
        timestamp_ms = self._seconds("timestamp")
        token = self._lexer.next()
        if token is ExpositionToken.COMMENT:
            return SampleTail(value, timestamp_ms, self._exemplar())
        if token is not ExpositionToken.LINEBREAK:
            raise self._error("expected next entry after timestamp", token)
        return SampleTail(value, timestamp_ms)

    def _seconds(self, what: str) -> int:
        seconds = self._float(self._lexer.text[1:])
        if not math.isfinite(seconds):
            text = "NaN" if math.isnan(seconds) else "+Inf" if seconds > 0 else "-Inf"
            raise ExpositionError(f"invalid {what} {text}")
        return milliseconds(seconds)

    def _exemplar(self) -> LineExemplar:
        lexer = self._lexer
        _, written = self._labels(None, exemplar=True, commas=True)
        value = self._value(lexer.next(), "exemplar labels", 1)
        token = lexer.next()
        timestamp_ms: int | None = None
        if token is ExpositionToken.TIMESTAMP:
            timestamp_ms = self._seconds("exemplar timestamp")
            token = lexer.next()
            if token is not ExpositionToken.LINEBREAK:
                raise self._error("expected next entry after exemplar timestamp", token)
        elif token is ExpositionToken.EOF:
            raise _no_end()
        elif token is not ExpositionToken.LINEBREAK:
            raise self._error("expected timestamp or comment", token)
        # labels of exemplars keep their escapes
        texts = [text_of(text) for text in written]
        pairs = tuple(sorted(zip(texts[::2], texts[1::2], strict=True)))
        return LineExemplar(pairs, value, timestamp_ms)


def _no_end() -> ExpositionError:
    return ExpositionError("data does not end with # EOF")
