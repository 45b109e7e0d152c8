"""The escapers that actions of a page get: each makes any value safe for one kind of place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.format import sprint
from trimon.gotext.values import ANY, GoScalar, Pointer, Value, bytes_text, text_bytes, type_of
from trimon.templates.errors import CallError
from trimon.templates.functions.function import Calling, Function
from trimon.templates.html.attributes import Content, content_of
from trimon.templates.html.context import IN_TAG, Delimiter, Element, HtmlContext, HtmlState
from trimon.templates.html.json import script_value
from trimon.templates.html.styles import decode_css, is_name_character
from trimon.templates.html.tags import TRANSITIONS, VALUE_ENDS
from trimon.templates.types import HTML

# Stands where a value would be unsafe; authors can search for it.
FAILSAFE: Final = "ZgotmplZ"
# Each piece of text is a copy of the rest.
_BYTES_PER_STEP: Final = 4096
PREFIX: Final = "_html_template_"


def _unpointed(value: Value) -> Value:
    """What a pointer points to, unless the pointer itself can be shown."""
    while isinstance(value, Pointer) and type_of(value).shown is None and value.target is not None:
        value = value.target
    return value


def text_of(values: Sequence[Value]) -> tuple[str, bool]:
    """Values as one text, and whether it is HTML already."""
    if len(values) == 1:
        only = values[0]
        if isinstance(only, str):
            return only, False
        if isinstance(only, GoScalar) and only.type is HTML:
            return only.value, True
    shown = [_unpointed(value) for value in values if value is not None]
    return sprint(shown, limits.TEMPLATE_OUTPUT_BYTES_MAX), False


_QUOTES: Final = {'"': "&#34;", "'": "&#39;", "+": "&#43;", "<": "&lt;", ">": "&gt;"}
_KEPT_ENTITIES: Final = {"\0": "\ufffd", **_QUOTES}
_ESCAPED: Final = {**_KEPT_ENTITIES, "&": "&amp;"}
_UNQUOTED: Final = {
    **_QUOTES,
    **{character: f"&#{ord(character)};" for character in "\t\n\v\f\r =`"},
    "\0": "&#xfffd;",
}


def _table(table: Mapping[str, str]) -> dict[int, str]:
    return {ord(character): replacement for character, replacement in table.items()}


_HTML_TABLE: Final = _table(_ESCAPED)
_HTML_KEPT_TABLE: Final = _table(_KEPT_ENTITIES)
_UNQUOTED_TABLE: Final = _table({**_UNQUOTED, "&": "&amp;"})
_UNQUOTED_KEPT_TABLE: Final = _table(_UNQUOTED)
_NONCHARACTERS: Final = re.compile("[\ufdd0-\ufdef\ufff0-\uffff\udc80-\udcff]")


def _html(values: Sequence[Value]) -> str:
    text, is_html = text_of(values)
    return text if is_html else text.translate(_HTML_TABLE)


def _rcdata(values: Sequence[Value]) -> str:
    text, is_html = text_of(values)
    return text.translate(_HTML_KEPT_TABLE if is_html else _HTML_TABLE)


def _attribute(values: Sequence[Value]) -> str:
    text, is_html = text_of(values)
    return strip_tags(text).translate(_HTML_KEPT_TABLE) if is_html else text.translate(_HTML_TABLE)


def _unquoted(values: Sequence[Value]) -> str:
    text, is_html = text_of(values)
    if not text:
        return FAILSAFE
    if is_html:
        text = strip_tags(text)
    text = text.translate(_UNQUOTED_KEPT_TABLE if is_html else _UNQUOTED_TABLE)

    def entity(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"&#x{0xFFFD if code < 0xE000 else code:x};"

    return _NONCHARACTERS.sub(entity, text)


def strip_tags(text: str) -> str:
    """The text of a piece of HTML without its tags and comments."""
    kept: list[str] = []
    context, at, all_text = HtmlContext(), 0, True
    steps_left = limits.TEMPLATE_STEPS_MAX
    while at < len(text):
        steps_left -= 1 + (len(text) - at) // _BYTES_PER_STEP
        if steps_left < 0:
            raise UserError("HTML has too many tags")
        if context.delimiter is Delimiter.NONE:
            state = context.state
            if context.element is not Element.NONE and state not in IN_TAG:
                state = HtmlState.RCDATA
            after, read = TRANSITIONS[state](context, text[at:])
            end = at + read
            if context.state in (HtmlState.TEXT, HtmlState.RCDATA):
                cut = end
                if after.state is not context.state:
                    found = text.rfind("<", at, end)
                    cut = found if found >= 0 else end
                kept.append(text[at:cut])
            else:
                all_text = False
            if read == 0 and after == context:
                break
            context, at = after, end
            continue
        found_end = VALUE_ENDS[context.delimiter].search(text, at)
        if found_end is None:
            break
        at = found_end.start() + (context.delimiter is not Delimiter.SPACE_OR_TAG_END)
        context = HtmlContext(HtmlState.TAG, element=context.element)
    if all_text:
        return text
    if context.state in (HtmlState.TEXT, HtmlState.RCDATA):
        kept.append(text[at:])
    return "".join(kept)


def _name(values: Sequence[Value]) -> str:
    text, _ = text_of(values)
    text = text.lower()
    plain = text and content_of(text) is Content.PLAIN and text.isascii() and text.isalnum()
    return text if plain else FAILSAFE


def _comment(_values: Sequence[Value]) -> str:
    return ""


_JS_CONTROLS: Final = {
    **{chr(code): f"\\u{code:04x}" for code in range(32)},
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_JS_MARKS: Final = {character: f"\\u{ord(character):04x}" for character in "\"`&'+<>"}
_JS_STRING: Final = _table({**_JS_CONTROLS, **_JS_MARKS, "/": "\\/", "\\": "\\\\"})
_JS_TEMPLATE: Final = _JS_STRING | _table({character: f"\\u{ord(character):04x}" for character in "${}"})
_JS_REGEXP: Final = _table(
    {
        **_JS_CONTROLS,
        **{character: replacement for character, replacement in _JS_MARKS.items() if character != "`"},
        **{character: f"\\{character}" for character in "$()*-./?[\\]^{|}"},
    }
)


def _js_string(values: Sequence[Value]) -> str:
    return text_of(values)[0].translate(_JS_STRING)


def _js_template(values: Sequence[Value]) -> str:
    return text_of(values)[0].translate(_JS_TEMPLATE)


def _js_regexp(values: Sequence[Value]) -> str:
    # An empty expression would be the begin of a comment.
    return text_of(values)[0].translate(_JS_REGEXP) or "(?:)"


def _js_value(values: Sequence[Value]) -> str:
    if len(values) == 1:
        return script_value(values[0])
    return script_value(sprint([_unpointed(value) for value in values], limits.TEMPLATE_OUTPUT_BYTES_MAX))


_CSS: Final = {
    "\0": "\\0",
    "\\": "\\\\",
    **{character: f"\\{ord(character):x}" for character in "\t\n\f\r\"&'()+/:;<>{}"},
}
_CSS_UNSAFE: Final = frozenset("\0\"'()/;@[\\]`{}<>")


def _css_string(values: Sequence[Value]) -> str:
    text, _ = text_of(values)
    out = []
    for at, character in enumerate(text):
        escape = _CSS.get(character)
        if escape is None:
            out.append(character)
            continue
        following = text[at + 1 : at + 2]
        # A blank ends the escape where it could go on.
        ends = escape != "\\\\" and (not following or following in "0123456789abcdefABCDEF\t\n\f\r ")
        out.append(escape + (" " if ends else ""))
    return "".join(out)


def _css_value(values: Sequence[Value]) -> str:
    text = decode_css(text_of(values)[0])
    if "--" in text or _CSS_UNSAFE.intersection(text):
        return FAILSAFE
    word = "".join(
        character for character in text if character.isascii() and is_name_character(character)
    ).lower()
    # Hyphens and all else between letters hide nothing.
    return FAILSAFE if "expression" in word or "mozbinding" in word else text


_URL_KEPT: Final = frozenset(b"-._~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_URL_NORMAL: Final = _URL_KEPT | frozenset(b"!#$&*+,/:;=?@[]")
_HEXADECIMAL: Final = frozenset(b"0123456789abcdefABCDEF")


def _url_escaped(text: str, normal: bool) -> str:
    data, out = text_bytes(text), bytearray()
    kept = _URL_NORMAL if normal else _URL_KEPT
    for at, byte in enumerate(data):
        pair = data[at + 1 : at + 3]
        # An escape that is there already stays.
        is_escape = normal and byte == 0x25 and len(pair) == 2 and _HEXADECIMAL.issuperset(pair)
        out += bytes((byte,)) if byte in kept or is_escape else b"%%%02x" % byte
    return bytes_text(bytes(out))


def _is_safe_url(text: str) -> bool:
    protocol, colon, _ = text.partition(":")
    return not colon or "/" in protocol or protocol.lower() in ("http", "https", "mailto")


def _url(values: Sequence[Value]) -> str:
    return _url_escaped(text_of(values)[0], normal=False)


def _url_normal(values: Sequence[Value]) -> str:
    return _url_escaped(text_of(values)[0], normal=True)


def _url_filter(values: Sequence[Value]) -> str:
    text, _ = text_of(values)
    return text if _is_safe_url(text) else f"#{FAILSAFE}"


_CANDIDATE: Final = re.compile(r"([\t\n\f\r ]*)([^\t\n\f\r ]*)(.*)", re.DOTALL)
_METADATA: Final = re.compile(r"[\t\n\f\r 0-9A-Za-z]*", re.ASCII)


def _srcset(values: Sequence[Value]) -> str:
    return ",".join(_srcset_candidate(part) for part in text_of(values)[0].split(","))


def _srcset_candidate(part: str) -> str:
    found = _CANDIDATE.fullmatch(part)
    assert found is not None
    lead, url, metadata = found.groups()
    if not _is_safe_url(url) or not _METADATA.fullmatch(metadata):
        return f"#{FAILSAFE}"
    return lead + _url_escaped(url, normal=True) + metadata


def _arguments(values: Sequence[Value]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint([_unpointed(value) for value in values], limits.TEMPLATE_OUTPUT_BYTES_MAX)


def _function(name: str, escape: Callable[[Sequence[Value]], str]) -> Function:
    def call(calling: Calling, *values: Value) -> str:
        try:
            text = escape(values)
        except UserError as error:
            raise CallError(error.message) from None
        calling.spend_text(text)
        return text

    return Function(name, call, variadic=ANY)


_ESCAPERS: Final[dict[str, Callable[[Sequence[Value]], str]]] = {
    "attrescaper": _attribute,
    "commentescaper": _comment,
    "cssescaper": _css_string,
    "cssvaluefilter": _css_value,
    "htmlescaper": _html,
    "htmlnamefilter": _name,
    "jsregexpescaper": _js_regexp,
    "jsstrescaper": _js_string,
    "jstmpllitescaper": _js_template,
    "jsvalescaper": _js_value,
    "nospaceescaper": _unquoted,
    "rcdataescaper": _rcdata,
    "srcsetescaper": _srcset,
    "urlescaper": _url,
    "urlfilter": _url_filter,
    "urlnormalizer": _url_normal,
}
EVALUATE: Final = "_eval_args_"
FUNCTIONS: Final[dict[str, Function]] = {
    **{PREFIX + name: _function(PREFIX + name, escape) for name, escape in _ESCAPERS.items()},
    EVALUATE: _function(EVALUATE, _arguments),
}
