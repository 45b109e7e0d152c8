"""Where a text is in a page: the walk from state to state, and through tags and their attributes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trimon.gotext.strings import go_quote
from trimon.templates.html.attributes import Content, content_of
from trimon.templates.html.context import (
    COMMENTS,
    SCRIPT_LITERALS,
    VALUE_STATES,
    Attribute,
    Delimiter,
    Element,
    HtmlContext,
    HtmlState,
    failed,
)
from trimon.templates.html.scripts import in_js, in_js_literal, in_js_template, is_script_type
from trimon.templates.html.styles import (
    in_block_comment,
    in_css,
    in_css_string,
    in_line_comment,
    url_part_after,
)

_SPACE: Final = " \t\n\f\r"
_TAG_NAME: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9]|[:-][A-Za-z0-9])*", re.ASCII)
_ELEMENTS: Final = {
    "script": Element.SCRIPT,
    "style": Element.STYLE,
    "textarea": Element.TEXTAREA,
    "title": Element.TITLE,
    "meta": Element.META,
}
_CONTENT: Final = {
    Element.SCRIPT: HtmlState.JS,
    Element.STYLE: HtmlState.CSS,
    Element.TEXTAREA: HtmlState.RCDATA,
    Element.TITLE: HtmlState.RCDATA,
}
_TAG_END: Final = {
    element: re.compile(rf"</{name if name != 'meta' else ''}[> \t\n\f/]", re.IGNORECASE | re.ASCII)
    for name, element in _ELEMENTS.items()
}
_ATTRIBUTES: Final = {
    Content.URL: Attribute.URL,
    Content.CSS: Attribute.STYLE,
    Content.JS: Attribute.SCRIPT,
    Content.SRCSET: Attribute.SRCSET,
}
VALUE_ENDS: Final = {
    Delimiter.DOUBLE_QUOTE: re.compile('"'),
    Delimiter.SINGLE_QUOTE: re.compile("'"),
    Delimiter.SPACE_OR_TAG_END: re.compile(r"[ \t\n\f\r>]"),
}
_BAD_UNQUOTED: Final = re.compile("[\"'<=`]")
_META_URL: Final = re.compile(r"url[ \t\n\f\r]*=", re.IGNORECASE | re.ASCII)
_Step = tuple[HtmlContext, int]


def advance(context: HtmlContext, text: str) -> _Step:
    """The place after some of the text, and how much of it that is; a change of state ends it."""
    if context.delimiter is Delimiter.NONE:
        after, end = special_end(context, text)
        if end == 0 and text:
            return after, 0
        return TRANSITIONS[context.state](context, text[:end])
    return _in_value(context, text)


def _in_value(context: HtmlContext, text: str) -> _Step:
    """Within the value of an attribute, whose entities are decoded for what the value is."""
    found = VALUE_ENDS[context.delimiter].search(text)
    end = found.start() if found else len(text)
    if context.delimiter is Delimiter.SPACE_OR_TAG_END:
        bad = _BAD_UNQUOTED.search(text, 0, end)
        if bad:
            return failed(f"{go_quote(bad[0])} in unquoted attr: {go_quote(text[:end])}"), len(text)
    if found is None:
        decoded = html.unescape(text)
        while decoded:
            context, read = TRANSITIONS[context.state](context, decoded)
            decoded = decoded[read:]
        return context, len(text)
    element = context.element
    of_script = context.state is HtmlState.ATTRIBUTE and element is Element.SCRIPT
    if of_script and context.attribute is Attribute.SCRIPT_TYPE and not is_script_type(text[:end]):
        element = Element.NONE
    if context.delimiter is not Delimiter.SPACE_OR_TAG_END:
        end += 1
    return HtmlContext(HtmlState.TAG, element=element), end


def special_end(context: HtmlContext, text: str) -> _Step:
    """Up to the tag that ends an element whose content is no HTML."""
    element = context.element
    if element is Element.NONE:
        return context, len(text)
    if element is Element.SCRIPT and context.state in SCRIPT_LITERALS | COMMENTS:
        # An end tag within a literal is escaped instead.
        return context, len(text)
    found = _TAG_END[element].search(text)
    return (HtmlContext(), found.start()) if found else (context, len(text))


def _in_text(context: HtmlContext, text: str) -> _Step:
    at = 0
    while True:
        at = text.find("<", at)
        if at < 0 or at + 1 == len(text):
            return context, len(text)
        if text.startswith("<!--", at):
            return HtmlContext(HtmlState.HTML_COMMENT), at + 4
        at += 1
        end = text[at] == "/"
        if end:
            at += 1
            if at == len(text):
                return context, len(text)
        name = _TAG_NAME.match(text, at)
        if name:
            element = Element.NONE if end else _ELEMENTS.get(name[0].lower(), Element.NONE)
            return HtmlContext(HtmlState.TAG, element=element), name.end()


def _spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _in_tag(context: HtmlContext, text: str) -> _Step:
    begin = _spaces(text, 0)
    if begin == len(text):
        return context, begin
    if text[begin] == ">":
        if context.element is Element.META:
            return HtmlContext(), begin + 1
        return HtmlContext(_CONTENT.get(context.element, HtmlState.TEXT), element=context.element), begin + 1
    end = _name_end(text, begin)
    if isinstance(end, HtmlContext):
        return end, len(text)
    if end == begin:
        shown = go_quote(text[begin:])
        return failed(f"expected space, attr name, or end of tag, but got {shown}"), len(text)
    attribute = _attribute(context.element, text[begin:end].lower())
    state = HtmlState.ATTRIBUTE_NAME if end == len(text) else HtmlState.AFTER_NAME
    return HtmlContext(state, attribute=attribute, element=context.element), end


def _attribute(element: Element, name: str) -> Attribute:
    if element is Element.SCRIPT and name == "type":
        return Attribute.SCRIPT_TYPE
    if element is Element.META and name == "content":
        return Attribute.META_CONTENT
    return _ATTRIBUTES.get(content_of(name), Attribute.NONE)


def _name_end(text: str, begin: int) -> int | HtmlContext:
    """The end of an attribute's name; quotes within are an error."""
    for at in range(begin, len(text)):
        if text[at] in " \t\n\f\r=>":
            return at
        if text[at] in "'\"<":
            return failed(f"{go_quote(text[at])} in attribute name: {go_quote(text[:32])}")
    return len(text)


def _in_name(context: HtmlContext, text: str) -> _Step:
    end = _name_end(text, 0)
    if isinstance(end, HtmlContext):
        return end, len(text)
    return (context if end == len(text) else replace(context, state=HtmlState.AFTER_NAME)), end


def _after_name(context: HtmlContext, text: str) -> _Step:
    at = _spaces(text, 0)
    if at == len(text):
        return context, at
    if text[at] != "=":
        return replace(context, state=HtmlState.TAG), at
    return replace(context, state=HtmlState.BEFORE_VALUE), at + 1


def _before_value(context: HtmlContext, text: str) -> _Step:
    at = _spaces(text, 0)
    if at == len(text):
        return context, at
    delimiter = Delimiter.SPACE_OR_TAG_END
    if text[at] in "'\"":
        delimiter = Delimiter.SINGLE_QUOTE if text[at] == "'" else Delimiter.DOUBLE_QUOTE
        at += 1
    return replace(context, state=VALUE_STATES[context.attribute], delimiter=delimiter), at


def _in_comment(context: HtmlContext, text: str) -> _Step:
    close = text.find("-->")
    return (HtmlContext(), close + 3) if close >= 0 else (context, len(text))


def _unchanged(context: HtmlContext, text: str) -> _Step:
    return context, len(text)


def _in_url(context: HtmlContext, text: str) -> _Step:
    return url_part_after(context, text), len(text)


def _in_meta_content(context: HtmlContext, text: str) -> _Step:
    found = _META_URL.search(text)
    if found is None:
        return context, len(text)
    return replace(context, state=HtmlState.META_CONTENT_URL), found.end()


def _in_meta_url(context: HtmlContext, text: str) -> _Step:
    end = text.find(";")
    return (replace(context, state=HtmlState.META_CONTENT), end + 1) if end >= 0 else (context, len(text))


TRANSITIONS: Final[dict[HtmlState, Callable[[HtmlContext, str], _Step]]] = {
    HtmlState.TEXT: _in_text,
    HtmlState.TAG: _in_tag,
    HtmlState.ATTRIBUTE_NAME: _in_name,
    HtmlState.AFTER_NAME: _after_name,
    HtmlState.BEFORE_VALUE: _before_value,
    HtmlState.HTML_COMMENT: _in_comment,
    HtmlState.RCDATA: special_end,
    HtmlState.ATTRIBUTE: _unchanged,
    HtmlState.URL: _in_url,
    HtmlState.META_CONTENT: _in_meta_content,
    HtmlState.META_CONTENT_URL: _in_meta_url,
    HtmlState.SRCSET: _in_url,
    HtmlState.JS: in_js,
    HtmlState.JS_DOUBLE: in_js_literal,
    HtmlState.JS_SINGLE: in_js_literal,
    HtmlState.JS_REGEXP: in_js_literal,
    HtmlState.JS_TEMPLATE: in_js_template,
    HtmlState.JS_BLOCK_COMMENT: in_block_comment,
    HtmlState.JS_LINE_COMMENT: in_line_comment,
    HtmlState.JS_HTML_OPEN_COMMENT: in_line_comment,
    HtmlState.JS_HTML_CLOSE_COMMENT: in_line_comment,
    HtmlState.CSS: in_css,
    HtmlState.CSS_DOUBLE: in_css_string,
    HtmlState.CSS_SINGLE: in_css_string,
    HtmlState.CSS_DOUBLE_URL: in_css_string,
    HtmlState.CSS_SINGLE_URL: in_css_string,
    HtmlState.CSS_URL: in_css_string,
    HtmlState.CSS_BLOCK_COMMENT: in_block_comment,
    HtmlState.CSS_LINE_COMMENT: in_line_comment,
    HtmlState.ERROR: _unchanged,
}
