"""Where a text is within CSS."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.templates.html.context import HtmlContext, HtmlState, UrlPart, failed

_SPACE: Final = "\t\n\f\r "
_MARKS: Final = re.compile(r"""[("'/]""")
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[\t\n\f\r ])?|(.)|$)", re.DOTALL)
_ENDS: Final = {
    HtmlState.CSS_DOUBLE: '\\"',
    HtmlState.CSS_DOUBLE_URL: '\\"',
    HtmlState.CSS_SINGLE: "\\'",
    HtmlState.CSS_SINGLE_URL: "\\'",
    HtmlState.CSS_URL: "\\\t\n\f\r )",
}
_Walk = Callable[[HtmlContext, str], tuple[HtmlContext, int]]


def decode_css(text: str) -> str:
    """The text with escapes replaced by what they stand for."""

    def decoded(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[2] or ""
        code = int(found[1], 16)
        if code > 0x10FFFF:
            return chr(code // 16) + found[1][-1]
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    return _ESCAPE.sub(decoded, text) if "\\" in text else text


def is_name_character(character: str) -> bool:
    """Whether a character may be within a name of CSS."""
    if character.isascii():
        return character.isalnum() or character in "-_"
    return not 0xD800 <= ord(character) < 0xE000 and ord(character) not in (0xFFFE, 0xFFFF)


def url_part_after(context: HtmlContext, text: str) -> HtmlContext:
    """How far the URL is after more of it."""
    if "#" in text or "?" in text:
        return replace(context, url_part=UrlPart.QUERY_OR_FRAGMENT)
    if context.url_part is UrlPart.NONE and text.strip(_SPACE):
        return replace(context, url_part=UrlPart.PRE_QUERY)
    return context


def in_css(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """Style rules: strings, comments and `url(` begin here."""
    for mark in _MARKS.finditer(text):
        at = mark.start()
        match mark[0]:
            case "(":
                if _ends_with_url(text[:at].rstrip(_SPACE)):
                    return _url_begin(context, text, at + 1)
            case "/":
                following = text[at + 1 : at + 2]
                if following == "/":
                    return replace(context, state=HtmlState.CSS_LINE_COMMENT), at + 2
                if following == "*":
                    return replace(context, state=HtmlState.CSS_BLOCK_COMMENT), at + 2
            case '"':
                return replace(context, state=HtmlState.CSS_DOUBLE), at + 1
            case _:
                return replace(context, state=HtmlState.CSS_SINGLE), at + 1
    return context, len(text)


def _ends_with_url(text: str) -> bool:
    before = text[:-3]
    return text[-3:].lower() == "url" and not (before and is_name_character(before[-1]))


def _url_begin(context: HtmlContext, text: str, at: int) -> tuple[HtmlContext, int]:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    quote = text[at : at + 1]
    if quote == '"':
        return replace(context, state=HtmlState.CSS_DOUBLE_URL), at + 1
    if quote == "'":
        return replace(context, state=HtmlState.CSS_SINGLE_URL), at + 1
    return replace(context, state=HtmlState.CSS_URL), at


def in_css_string(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """Strings and URLs, which are treated alike."""
    ends, done, at = _ENDS[context.state], 0, 0
    while at < len(text):
        if text[at] not in ends:
            at += 1
            continue
        if text[at] != "\\":
            return replace(context, state=HtmlState.CSS), at + 1
        at += 1
        if at == len(text):
            return failed(f"unfinished escape sequence in CSS string: {go_quote(text)}"), len(text)
        context = url_part_after(context, decode_css(text[: at + 1]))
        at += 1
        done = at
    return url_part_after(context, decode_css(text[done:])), len(text)


def in_block_comment(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """`/* … */` in a style or script."""
    close = text.find("*/")
    if close < 0:
        return context, len(text)
    state = HtmlState.JS if context.state is HtmlState.JS_BLOCK_COMMENT else HtmlState.CSS
    return replace(context, state=state), close + 2


def in_line_comment(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """A comment to the end of the line, which is no part of it."""
    style = context.state is HtmlState.CSS_LINE_COMMENT
    ends = "\n\f\r" if style else "\n\r\u2028\u2029"
    for at, character in enumerate(text):
        if character in ends:
            return replace(context, state=HtmlState.CSS if style else HtmlState.JS), at
    return context, len(text)
