"""Where in a page a point of a template is."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

from trimon.records import dataclass
from trimon.templates.html.errors import HtmlError


class HtmlState(Enum):
    """What is being written. The values are Go's names, which errors show."""

    TEXT = "stateText"
    TAG = "stateTag"
    ATTRIBUTE_NAME = "stateAttrName"
    AFTER_NAME = "stateAfterName"
    BEFORE_VALUE = "stateBeforeValue"
    HTML_COMMENT = "stateHTMLCmt"
    RCDATA = "stateRCDATA"
    ATTRIBUTE = "stateAttr"
    URL = "stateURL"
    SRCSET = "stateSrcset"
    JS = "stateJS"
    JS_DOUBLE = "stateJSDqStr"
    JS_SINGLE = "stateJSSqStr"
    JS_TEMPLATE = "stateJSTmplLit"
    JS_REGEXP = "stateJSRegexp"
    JS_BLOCK_COMMENT = "stateJSBlockCmt"
    JS_LINE_COMMENT = "stateJSLineCmt"
    JS_HTML_OPEN_COMMENT = "stateJSHTMLOpenCmt"
    JS_HTML_CLOSE_COMMENT = "stateJSHTMLCloseCmt"
    CSS = "stateCSS"
    CSS_DOUBLE = "stateCSSDqStr"
    CSS_SINGLE = "stateCSSSqStr"
    CSS_DOUBLE_URL = "stateCSSDqURL"
    CSS_SINGLE_URL = "stateCSSSqURL"
    CSS_URL = "stateCSSURL"
    CSS_BLOCK_COMMENT = "stateCSSBlockCmt"
    CSS_LINE_COMMENT = "stateCSSLineCmt"
    ERROR = "stateError"
    META_CONTENT = "stateMetaContent"
    META_CONTENT_URL = "stateMetaContentURL"
    DEAD = "stateDead"


class Delimiter(Enum):
    """What ends the value of the attribute."""

    NONE = "delimNone"
    DOUBLE_QUOTE = "delimDoubleQuote"
    SINGLE_QUOTE = "delimSingleQuote"
    SPACE_OR_TAG_END = "delimSpaceOrTagEnd"


class UrlPart(Enum):
    """How far a URL is."""

    NONE = "urlPartNone"
    PRE_QUERY = "urlPartPreQuery"
    QUERY_OR_FRAGMENT = "urlPartQueryOrFrag"
    UNKNOWN = "urlPartUnknown"


class Slash(Enum):
    """What a slash means in a script."""

    REGEXP = "jsCtxRegexp"
    DIVISION = "jsCtxDivOp"
    UNKNOWN = "jsCtxUnknown"


class Element(Enum):
    """Elements whose content or attributes are special."""

    NONE = "elementNone"
    SCRIPT = "elementScript"
    STYLE = "elementStyle"
    TEXTAREA = "elementTextarea"
    TITLE = "elementTitle"
    META = "elementMeta"


class Attribute(Enum):
    """What the value of an attribute is."""

    NONE = "attrNone"
    SCRIPT = "attrScript"
    SCRIPT_TYPE = "attrScriptType"
    STYLE = "attrStyle"
    URL = "attrURL"
    SRCSET = "attrSrcset"
    META_CONTENT = "attrMetaContent"


COMMENTS: Final = frozenset(
    (
        *(
            HtmlState.HTML_COMMENT,
            HtmlState.JS_BLOCK_COMMENT,
            HtmlState.JS_LINE_COMMENT,
            HtmlState.JS_HTML_OPEN_COMMENT,
        ),
        *(HtmlState.JS_HTML_CLOSE_COMMENT, HtmlState.CSS_BLOCK_COMMENT, HtmlState.CSS_LINE_COMMENT),
    )
)
SCRIPT_LITERALS: Final = frozenset(
    (HtmlState.JS_DOUBLE, HtmlState.JS_SINGLE, HtmlState.JS_TEMPLATE, HtmlState.JS_REGEXP)
)
IN_TAG: Final = frozenset(
    (
        HtmlState.TAG,
        HtmlState.ATTRIBUTE_NAME,
        HtmlState.AFTER_NAME,
        HtmlState.BEFORE_VALUE,
        HtmlState.ATTRIBUTE,
    )
)
VALUE_STATES: Final = {
    Attribute.NONE: HtmlState.ATTRIBUTE,
    Attribute.SCRIPT: HtmlState.JS,
    Attribute.SCRIPT_TYPE: HtmlState.ATTRIBUTE,
    Attribute.STYLE: HtmlState.CSS,
    Attribute.URL: HtmlState.URL,
    Attribute.SRCSET: HtmlState.SRCSET,
    Attribute.META_CONTENT: HtmlState.META_CONTENT,
}


@dataclass(frozen=True, slots=True)
class HtmlContext:
    """A place in a page. `braces` counts open braces within each `${` of template literals of scripts."""

    state: HtmlState = HtmlState.TEXT
    delimiter: Delimiter = Delimiter.NONE
    url_part: UrlPart = UrlPart.NONE
    slash: Slash = Slash.REGEXP
    braces: tuple[int, ...] = ()
    attribute: Attribute = Attribute.NONE
    element: Element = Element.NONE
    error: HtmlError | None = None

    def __str__(self) -> str:
        """As errors show it."""
        names = (self.state, self.delimiter, self.url_part, self.slash)
        lead = " ".join(name.value for name in names)
        braces = " ".join(map(str, self.braces))
        error = "<nil>" if self.error is None else str(self.error)
        return f"{{{lead} [{braces}] {self.attribute.value} {self.element.value} {error}}}"

    def nudged(self) -> HtmlContext:
        """The place where an action here writes."""
        if self.state is HtmlState.TAG:
            return replace(self, state=HtmlState.ATTRIBUTE_NAME)
        if self.state is HtmlState.BEFORE_VALUE:
            state = VALUE_STATES[self.attribute]
            return replace(self, state=state, delimiter=Delimiter.SPACE_OR_TAG_END, attribute=Attribute.NONE)
        if self.state is HtmlState.AFTER_NAME:
            return replace(self, state=HtmlState.ATTRIBUTE_NAME, attribute=Attribute.NONE)
        return self

    def mangled(self, name: str) -> str:
        """The name of the variant of a template that begins here."""
        if self.state is HtmlState.TEXT:
            return name
        text = f"{name}$htmltemplate_{self.state.value}"
        plain = (Delimiter.NONE, UrlPart.NONE, Slash.REGEXP)
        for part, usual in zip((self.delimiter, self.url_part, self.slash), plain, strict=True):
            if part is not usual:
                text += f"_{part.value}"
        if self.braces:
            text += f"_jsBraceDepth([{' '.join(map(str, self.braces))}])"
        if self.attribute is not Attribute.NONE:
            text += f"_{self.attribute.value}"
        if self.element is not Element.NONE:
            text += f"_{self.element.value}"
        return text


def failed(description: str) -> HtmlContext:
    """The context of a page that cannot be understood."""
    return HtmlContext(HtmlState.ERROR, error=HtmlError(description))
