"""Text: case, regular expressions, host names, links."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.replacement import Replacement
from trimon.gotext.strings import go_quote
from trimon.gotext.urls import path_of, without_end_slash
from trimon.gotext.values import STRING, GoScalar, Value
from trimon.model.matcher import compile_search
from trimon.templates.errors import CallError
from trimon.templates.functions.function import Calling, Function
from trimon.templates.functions.printing import query_escape
from trimon.templates.types import HTML


def _title(calling: Calling, text: str) -> str:
    calling.spend_text(text)
    return title(text)


def title(text: str) -> str:
    """The first letter with cases of every word in its title case, the others as they are."""
    out, begun = [], False
    for at, character in enumerate(text):
        cased = character.lower() != character or character.upper() != character
        out.append(character.title() if cased and not begun else character)
        begun = (begun or cased) and _joins(text, at)
    return "".join(out)


def _joins(text: str, at: int) -> bool:
    """Whether the word goes on behind a character."""
    character = text[at]
    if character == "_":
        return True
    if unicodedata.category(character) in _WORD_CATEGORIES and character != _ZERO_WIDTH_SPACE:
        # Each ideograph is a word.
        return not _IDEOGRAPH.match(character)
    begin = at
    while begin and unicodedata.category(text[begin - 1]) in _MARKS:
        begin -= 1
    before, following = text[max(begin - 1, 0) : begin], text[at + 1 : at + 2]
    if character in _BETWEEN_LETTERS and _is_letter(before) and _is_letter(following):
        return not _IDEOGRAPH.match(following)
    return character in _BETWEEN_DIGITS and before.isdecimal() and following.isdecimal()


def _is_letter(character: str) -> bool:
    return character.isalpha() or (character != "" and unicodedata.category(character) == "Nl")


_ZERO_WIDTH_SPACE: Final = "\u200b"
_MARKS: Final = frozenset(("Mn", "Mc", "Me", "Cf"))
_WORD_CATEGORIES: Final = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd", "Mn", "Mc", "Me", "Cf"))
_IDEOGRAPH: Final = re.compile("[\u2e80-\u30a0\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_BETWEEN_LETTERS: Final = frozenset(".':·\u2019")
_BETWEEN_DIGITS: Final = frozenset(".',;\u2019")


def _upper(calling: Calling, text: str) -> str:
    calling.spend_text(text)
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in text)


def _lower(calling: Calling, text: str) -> str:
    calling.spend_text(text)
    return "".join("i" if character == "İ" else character.lower() for character in text)


def _match(calling: Calling, pattern: str, text: str) -> bool:
    calling.spend_text(pattern, text)
    try:
        found = compile_search(pattern).search(text)
    except UserError as error:
        raise CallError(error.message) from None
    except UnicodeEncodeError:
        return False
    return found is not None


def _replace_all(calling: Calling, pattern: str, replacement: str, text: str) -> str:
    calling.spend_text(pattern, text)
    try:
        compiled = compile_search(pattern)
    except UserError as error:
        shown = f"`{pattern}`" if "`" not in pattern else go_quote(pattern)
        raise CallError(f"regexp: Compile({shown}): {error.message}") from None
    template = Replacement(replacement)
    pieces: list[str] = []
    size, at = 0, 0
    try:
        for found in compiled.finditer(text):
            if found.end() == at and found.start() == at and at:
                # An empty match where the one before ended is none to Go.
                continue
            pieces += (text[at : found.start()], template.expand(found))
            size += len(pieces[-1]) + len(pieces[-2])
            if size > limits.TEMPLATE_OUTPUT_BYTES_MAX:
                raise CallError(f"text is longer than {limits.TEMPLATE_OUTPUT_BYTES_MAX} bytes")
            at = found.end()
            calling.spend(1)
    except UnicodeEncodeError:
        # A text that is not UTF-8 is left alone.
        return text
    result = "".join(pieces) + text[at:]
    calling.spend_text(result)
    return result


def _split_host_port(text: str) -> tuple[str, str] | None:
    """Host and port as `net.SplitHostPort` splits them; None where it refuses."""
    colon = text.rfind(":")
    if colon < 0:
        return None
    if text.startswith("["):
        close = text.find("]")
        if close < 0 or close + 1 != colon:
            return None
        host, rest_open, rest_close = text[1:close], text[1:], text[close + 1 :]
    else:
        host, rest_open, rest_close = text[:colon], text, text
        if ":" in host:
            return None
    if "[" in rest_open or "]" in rest_close:
        return None
    return host, text[colon + 1 :]


def _strip_port(_: Calling, text: str) -> str:
    split = _split_host_port(text)
    return text if split is None else split[0]


def _strip_domain(_: Calling, text: str) -> str:
    host, port = _split_host_port(text) or (text, "")
    if _is_address(host):
        return text
    host = host.split(".", 1)[0]
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_address(host: str) -> bool:
    """Whether it is an IP address without a zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _graph_link(_: Calling, expression: str) -> str:
    return f"/graph?g0.expr={query_escape(expression)}&g0.tab=0"


def _table_link(_: Calling, expression: str) -> str:
    return f"/graph?g0.expr={query_escape(expression)}&g0.tab=1"


def _url_query_escape(calling: Calling, text: str) -> str:
    calling.spend_text(text)
    return query_escape(text)


def _safe_html(_: Calling, text: str) -> Value:
    return GoScalar(HTML, text)


def _external_url(calling: Calling) -> str:
    return without_end_slash(calling.external_url)


def _path_prefix(calling: Calling) -> str:
    return path_of(without_end_slash(calling.external_url))


FUNCTIONS = (
    Function("externalURL", _external_url),
    Function("graphLink", _graph_link, (STRING,)),
    Function("match", _match, (STRING, STRING)),
    Function("pathPrefix", _path_prefix),
    Function("reReplaceAll", _replace_all, (STRING, STRING, STRING)),
    Function("safeHtml", _safe_html, (STRING,)),
    Function("stripDomain", _strip_domain, (STRING,)),
    Function("stripPort", _strip_port, (STRING,)),
    Function("tableLink", _table_link, (STRING,)),
    Function("title", _title, (STRING,)),
    Function("toLower", _lower, (STRING,)),
    Function("toUpper", _upper, (STRING,)),
    Function("urlQueryEscape", _url_query_escape, (STRING,)),
)
