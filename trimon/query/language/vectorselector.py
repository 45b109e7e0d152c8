"""Vector selectors: names, braces and matchers."""

from __future__ import annotations

from trimon.errors import UserError
from trimon.gotext.strings import unquote
from trimon.limits import QUERY_REGEXP_INSTRUCTIONS_MAX
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.query.language.errors import ParseError
from trimon.query.language.nodes import VectorSelector
from trimon.query.language.tokens import MATCH_OPERATORS, T, Token
from trimon.query.language.tokenstream import TokenStream

_TYPES = {kind.value: kind for kind in MatchType}


def parse_vector_selector(stream: TokenStream, name: Token | None) -> VectorSelector:
    """A selector; the metric name before the braces, if there is one, is already consumed."""
    start = stream.peek().start if name is None else name.start
    matchers: list[Matcher] = []
    if name is None or stream.at(T.LEFT_BRACE):
        matchers = _braces(stream)
    text = ""
    if name is not None:
        text = name.text
        matchers.append(Matcher(METRIC_NAME, MatchType.EQUAL, text))
    return VectorSelector(text, tuple(matchers), start=start, end=stream.last_end)


def _braces(stream: TokenStream) -> list[Matcher]:
    stream.expect(T.LEFT_BRACE)
    matchers: list[Matcher] = []
    if stream.accept(T.RIGHT_BRACE):
        return matchers
    while True:
        matchers.append(_matcher(stream))
        if stream.accept(T.COMMA):
            if stream.accept(T.RIGHT_BRACE):
                return matchers
            continue
        stream.expect(T.RIGHT_BRACE, "label matching", '"," or "}"')
        return matchers


def _matcher(stream: TokenStream) -> Matcher:
    token = stream.peek()
    if token.kind is T.STRING:
        stream.take()
        name = string_value(stream, token)
        if not _at_match_operator(stream):
            return Matcher(METRIC_NAME, MatchType.EQUAL, name)
    elif token.kind is T.IDENTIFIER:
        stream.take()
        name = token.text
    else:
        raise stream.unexpected("label matching", 'identifier or "}"')
    if not _at_match_operator(stream):
        raise stream.unexpected("label matching", "label matching operator")
    operator = stream.take()
    value = stream.expect(T.STRING, "label matching", "string")
    try:
        matcher = Matcher(name, _TYPES[operator.text], string_value(stream, value))
    except ParseError:
        raise
    except UserError as error:
        raise stream.error(error.message, token.start) from None
    stream.instructions += matcher.instructions
    if stream.instructions > QUERY_REGEXP_INSTRUCTIONS_MAX:
        raise stream.error(
            f"regular expressions compile to {stream.instructions} instructions, more than the limit of "
            f"{QUERY_REGEXP_INSTRUCTIONS_MAX}",
            token.start,
        )
    return matcher


def _at_match_operator(stream: TokenStream) -> bool:
    token = stream.peek()
    return token.kind is T.OPERATOR and token.text in MATCH_OPERATORS


def string_value(stream: TokenStream, token: Token) -> str:
    """The text that a string token stands for."""
    try:
        return unquote(token.text)
    except UserError as error:
        raise stream.error(error.message, token.start) from None
