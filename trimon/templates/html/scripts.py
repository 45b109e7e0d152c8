"""Where a text is within JavaScript."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.templates.html.context import HtmlContext, HtmlState, Slash, failed

_SPACE: Final = (
    "\f\n\r\t\v \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000\ufeff"
)
_MARKS: Final = re.compile(r"""["`'/{}<\-#]""")
# What comes before a regular expression: whatever cannot end an operand.
_OPERATORS: Final = frozenset(",<>=*%&|^?!~([:;{}")
_KEYWORDS: Final = frozenset(
    (
        *(
            "break",
            "case",
            "continue",
            "delete",
            "do",
            "else",
            "finally",
            "in",
            "instanceof",
            "return",
            "throw",
        ),
        *("try", "typeof", "void"),
    )
)
_LAST_WORD: Final = re.compile(r"[$0-9A-Z_a-z]*$")
_STRINGS: Final = {'"': HtmlState.JS_DOUBLE, "'": HtmlState.JS_SINGLE, "`": HtmlState.JS_TEMPLATE}
_SPECIAL: Final = {HtmlState.JS_DOUBLE: '\\"', HtmlState.JS_SINGLE: "\\'", HtmlState.JS_REGEXP: "\\/[]"}
_SCRIPT_TYPES: Final = frozenset(
    (
        *("", "application/ecmascript", "application/javascript", "application/json", "application/ld+json"),
        *(
            "application/x-ecmascript",
            "application/x-javascript",
            "module",
            "text/ecmascript",
            "text/javascript",
        ),
        *(f"text/javascript1.{minor}" for minor in range(6)),
        *("text/jscript", "text/livescript", "text/x-ecmascript", "text/x-javascript"),
    )
)


def is_script_type(text: str) -> bool:
    """Whether a `type` of a script element is one of JavaScript or JSON."""
    return text.split(";", 1)[0].lower().strip() in _SCRIPT_TYPES


def is_word_character(character: str) -> bool:
    """Whether a character is one of a word that could run together with a value."""
    return character in ("$", "_") or (character.isascii() and character.isalnum())


def slash_after(text: str, before: Slash) -> Slash:
    """What a slash means behind a piece of script without strings and comments."""
    text = text.rstrip(_SPACE)
    if not text:
        return before
    last = text[-1]
    if last in "+-":
        # A pair of them may end an operand; one that is left over is an operator.
        run = len(text) - len(text.rstrip(last))
        return Slash.REGEXP if run % 2 else Slash.DIVISION
    if last == ".":
        return Slash.DIVISION if text[-2:-1].isascii() and text[-2:-1].isdigit() else Slash.REGEXP
    if last in _OPERATORS:
        return Slash.REGEXP
    word = _LAST_WORD.search(text)
    return Slash.REGEXP if word is not None and word[0] in _KEYWORDS else Slash.DIVISION


def in_js(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """A script outside of strings and comments."""
    found = _MARKS.search(text)
    if found is None:
        return replace(context, slash=slash_after(text, context.slash)), len(text)
    at, mark = found.start(), found[0]
    context = replace(context, slash=slash_after(text[:at], context.slash))
    if mark in _STRINGS:
        return replace(context, state=_STRINGS[mark], slash=Slash.REGEXP), at + 1
    if mark == "/":
        return _slash(context, text, at)
    if mark in "{}":
        return _brace(context, mark, at)
    for start, state in (
        ("<!--", HtmlState.JS_HTML_OPEN_COMMENT),
        ("-->", HtmlState.JS_HTML_CLOSE_COMMENT),
        ("#!", HtmlState.JS_LINE_COMMENT),
    ):
        if text.startswith(start, at):
            return replace(context, state=state), at + len(start)
    return context, at + 1


def _slash(context: HtmlContext, text: str, at: int) -> tuple[HtmlContext, int]:
    following = text[at + 1 : at + 2]
    if following == "/":
        return replace(context, state=HtmlState.JS_LINE_COMMENT), at + 2
    if following == "*":
        return replace(context, state=HtmlState.JS_BLOCK_COMMENT), at + 2
    if context.slash is Slash.REGEXP:
        return replace(context, state=HtmlState.JS_REGEXP), at + 1
    if context.slash is Slash.DIVISION:
        return replace(context, slash=Slash.REGEXP), at + 1
    return failed(f"'/' could start a division or regexp: {go_quote(text[at : at + 32])}"), len(text)


def _brace(context: HtmlContext, mark: str, at: int) -> tuple[HtmlContext, int]:
    """Braces count only within `${` of a template literal, which the last one of them ends."""
    braces = context.braces
    after = slash_after(mark, context.slash)
    if not braces:
        return replace(context, slash=after), at + 1
    depth = braces[-1] + (1 if mark == "{" else -1)
    if depth >= 0:
        return replace(context, slash=after, braces=(*braces[:-1], depth)), at + 1
    return replace(context, state=HtmlState.JS_TEMPLATE, braces=braces[:-1]), at + 1


def in_js_template(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """A literal between back quotes."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            if at == len(text):
                return _unfinished(text)
        elif text.startswith("${", at):
            return replace(context, state=HtmlState.JS, braces=(*context.braces, 0)), at + 2
        elif text[at] == "`":
            return replace(context, state=HtmlState.JS), at + 1
        at += 1
    return context, len(text)


def _unfinished(text: str) -> tuple[HtmlContext, int]:
    return failed(f"unfinished escape sequence in JS string: {go_quote(text)}"), len(text)


def in_js_literal(context: HtmlContext, text: str) -> tuple[HtmlContext, int]:
    """A string or regular expression."""
    special, at, in_set = _SPECIAL[context.state], 0, False
    while at < len(text):
        character = text[at]
        if character not in special:
            at += 1
            continue
        if character == "\\":
            at += 1
            if at == len(text):
                return _unfinished(text)
        elif character == "[":
            in_set = True
        elif character == "]":
            in_set = False
        elif character == "/" and at and text[at - 1 : at + 7].lower() == "</script":
            # Escaped later, it ends nothing.
            at += 1
        elif not in_set:
            return replace(context, state=HtmlState.JS, slash=Slash.DIVISION), at + 1
        at += 1
    if in_set:
        return failed(f"unfinished JS regexp charset: {go_quote(text)}"), len(text)
    return context, len(text)
