"""Queries: instant, range, format, parse, explain."""

from __future__ import annotations

from werkzeug.datastructures import MultiDict

from trimon import limits
from trimon.errors import UserError
from trimon.query.options import QueryOptions
from trimon.web import params
from trimon.web.context import WebContext
from trimon.web.envelope import ApiError, bad_parameter

Rendered = tuple[bytes, list[str], list[str]]


def _options(context: WebContext, values: MultiDict[str, str]) -> QueryOptions:
    timeout_s = lookback_ms = None
    if text := values.get("timeout", ""):
        try:
            timeout_s = params.parse_span_ms(text) / 1000
        except UserError as error:
            raise bad_parameter("timeout", error) from None
    if text := values.get("lookback_delta", ""):
        try:
            lookback_ms = params.parse_span_ms(text)
        except UserError as error:
            raise ApiError("bad_data", f"error parsing lookback delta duration: {error}") from None
    return context.query_options().with_(lookback_ms=lookback_ms, timeout_s=timeout_s)


def _text(values: MultiDict[str, str]) -> str:
    text = values.get("query", "")
    size = len(text.encode())
    if size > limits.QUERY_TEXT_BYTES_MAX:
        raise bad_parameter("query", f"{size} bytes, the limit is {limits.QUERY_TEXT_BYTES_MAX}")
    return text
