"""`print` and its kin, and the escaping of text for HTML, JavaScript and URLs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote_plus

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.format import sprint, sprintf, sprintln
from trimon.gotext.values import ANY, STRING, Pointer, Value, indirect, text_bytes, type_of
from trimon.templates.errors import CallError
from trimon.templates.functions.function import Calling, Function

_HTML: Final = {
    0: "\ufffd",
    ord('"'): "&#34;",
    ord("'"): "&#39;",
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
}
_JS: Final = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def printable(value: Value) -> Value:
    """What is printed of a value: what a pointer points to, `<no value>` where there is none."""
    if isinstance(value, Pointer):
        target, _ = indirect(value)
        if isinstance(target, Pointer) or target is None:
            return target
        # The pointer may know how to print what it points to.
        return target if type_of(target).shown is not None or type_of(value).shown is None else value
    return "<no value>" if value is None else value


def text_of(values: Sequence[Value]) -> str:
    """Values as the escaping functions take them: one after the other."""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint([printable(value) for value in values], limits.TEMPLATE_OUTPUT_BYTES_MAX)


def _formatted(calling: Calling, write: Callable[[], str]) -> str:
    try:
        text = write()
    except UserError as error:
        raise CallError(error.message) from None
    calling.spend_text(text)
    return text


def _print(calling: Calling, *values: Value) -> str:
    return _formatted(calling, lambda: sprint(values, limits.TEMPLATE_OUTPUT_BYTES_MAX))


def _println(calling: Calling, *values: Value) -> str:
    return _formatted(calling, lambda: sprintln(values, limits.TEMPLATE_OUTPUT_BYTES_MAX))


def _printf(calling: Calling, template: str, *values: Value) -> str:
    calling.spend_text(template)
    return _formatted(calling, lambda: sprintf(template, values, limits.TEMPLATE_OUTPUT_BYTES_MAX))


def _html(calling: Calling, *values: Value) -> str:
    return _formatted(calling, lambda: text_of(values).translate(_HTML))


def _js(calling: Calling, *values: Value) -> str:
    return _formatted(calling, lambda: "".join(map(_js_character, text_of(values))))


def _js_character(character: str) -> str:
    special = _JS.get(character)
    if special is not None:
        return special
    if character < " ":
        return f"\\u{ord(character):04X}"
    if character < "\x80" or character.isprintable() or "\udc80" <= character <= "\udcff":
        return character
    return f"\\u{ord(character):04X}"


def _urlquery(calling: Calling, *values: Value) -> str:
    return _formatted(calling, lambda: query_escape(text_of(values)))


def query_escape(text: str) -> str:
    """A text as a part of a URL's query; a blank is a plus."""
    return quote_plus(text_bytes(text), safe="")


FUNCTIONS = (
    Function("html", _html, variadic=ANY, builtin=True),
    Function("js", _js, variadic=ANY, builtin=True),
    Function("print", _print, variadic=ANY, builtin=True),
    Function("printf", _printf, (STRING,), ANY, builtin=True),
    Function("println", _println, variadic=ANY, builtin=True),
    Function("urlquery", _urlquery, variadic=ANY, builtin=True),
)
