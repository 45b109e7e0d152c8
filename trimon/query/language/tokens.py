"""The tokens of PromQL and how Prometheus names them in messages."""

from __future__ import annotations

from enum import Enum
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.records import dataclass


class T(Enum):
    """Token kinds; the value is the text of tokens that have only one."""

    EOF = "end of input"
    IDENTIFIER = "identifier"
    METRIC_IDENTIFIER = "metric identifier"
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    KEYWORD = "keyword"
    AGGREGATOR = "aggregator"
    OPERATOR = "operator"
    LEFT_PAREN = "("
    RIGHT_PAREN = ")"
    LEFT_BRACE = "{"
    RIGHT_BRACE = "}"
    LEFT_BRACKET = "["
    RIGHT_BRACKET = "]"
    COMMA = ","
    ASSIGN = "="
    COLON = ":"
    AT = "@"


WORD_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})
AGGREGATORS: Final = frozenset(
    {
        "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk",
        "count_values", "quantile", "limitk", "limit_ratio",
    }
)  # fmt: skip
PARAMETRIC: Final = frozenset({"topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"})
EXPERIMENTAL_AGGREGATORS: Final = frozenset({"limitk", "limit_ratio"})
FILL_WORDS: Final = frozenset({"fill", "fill_left", "fill_right"})
# What durations are computed with; all words that may stand between brackets.
DURATION_WORDS: Final = frozenset({"step", "range", "max_of", "min_of"})
KEYWORDS: Final = (
    frozenset({"offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"})
    | FILL_WORDS
    | DURATION_WORDS
    | {"start", "end"}
)  # fmt: skip
# Keywords that Prometheus' messages do not call such.
_PREPROCESSED: Final = DURATION_WORDS | {"start", "end"}
# Keywords that can not be the name of a metric without quotes.
NOT_METRIC: Final = frozenset({"bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan"})
COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})
TRIMS: Final = frozenset({"</", ">/"})
MATCH_OPERATORS: Final = frozenset({"=", "!=", "=~", "!~"})


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its text as written, and its byte offset."""

    kind: T
    text: str
    start: int

    @property
    def end(self) -> int:
        """Byte offset behind the token."""
        return self.start + len(self.text.encode("utf-8", "surrogateescape"))

    @property
    def word(self) -> str:
        """The text in lower case: keywords do not care for case."""
        return self.text.lower()

    def is_op(self, *texts: str) -> bool:
        """Whether this is one of the named operators."""
        return self.kind is T.OPERATOR and self.word in texts

    def is_keyword(self, *texts: str) -> bool:
        """Whether this is one of the named keywords."""
        return self.kind is T.KEYWORD and self.word in texts

    def can_name_metric(self) -> bool:
        """Whether this is a name, or a word that may be one."""
        if self.kind is T.OPERATOR:
            return self.word in SET_OPERATORS
        if self.kind is T.KEYWORD:
            return self.word not in NOT_METRIC
        return self.kind in (T.IDENTIFIER, T.METRIC_IDENTIFIER, T.AGGREGATOR)

    def describe(self) -> str:
        """The token as Prometheus' messages name it."""
        kind = self.kind
        if kind is T.EOF:
            return "end of input"
        if kind is T.KEYWORD and self.word not in _PREPROCESSED:
            return f"<{self.text}>"
        if kind is T.AT or (kind is T.OPERATOR and self.text != "="):
            return f"<op:{self.text}>"
        if kind is T.AGGREGATOR:
            return f"<aggr:{self.text}>"
        if kind in (T.IDENTIFIER, T.METRIC_IDENTIFIER):
            return f"{kind.value} {go_quote(self.text)}"
        shown = f"{go_quote(self.text[:10])}..." if len(self.text) > 10 else go_quote(self.text)
        if kind in (T.STRING, T.NUMBER, T.DURATION):
            return f"{kind.value} {shown}"
        return shown
