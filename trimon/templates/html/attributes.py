"""The attributes of HTML, by name: the kind of content that their values are."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Content(Enum):
    """A kind of content."""

    PLAIN = "plain"
    CSS = "css"
    HTML = "html"
    JS = "js"
    URL = "url"
    SRCSET = "srcset"
    UNSAFE = "unsafe"
    """Values that decide how other content is read."""


_URLS: Final = (
    *("action", "archive", "background", "cite", "classid", "codebase", "data", "formaction", "href", "icon"),
    *("longdesc", "manifest", "poster", "profile", "src", "usemap", "xmlns"),
)
_UNSAFE: Final = (
    *(
        "accept-charset",
        "async",
        "challenge",
        "charset",
        "content",
        "crossorigin",
        "defer",
        "enctype",
        "form",
    ),
    *(
        "formenctype",
        "formmethod",
        "formnovalidate",
        "http-equiv",
        "language",
        "method",
        "novalidate",
        "pattern",
    ),
    *("rel", "sandbox", "type", "value"),
)
# What is not here is decided by the words in the name; `srclang` would be taken for a URL.
_KNOWN: Final[dict[str, Content]] = {
    **dict.fromkeys(_URLS, Content.URL),
    **dict.fromkeys(_UNSAFE, Content.UNSAFE),
    "srcdoc": Content.HTML,
    "srclang": Content.PLAIN,
    "srcset": Content.SRCSET,
    "style": Content.CSS,
}


def content_of(name: str) -> Content:
    """What the value of an attribute is; the name in lower case."""
    if name.startswith("data-"):
        name = name[5:]
    elif ":" in name:
        prefix, name = name.split(":", 1)
        if prefix == "xmlns":
            return Content.URL
    known = _KNOWN.get(name)
    if known is not None:
        return known
    if name.startswith("on"):
        return Content.JS
    return Content.URL if any(word in name for word in ("src", "uri", "url")) else Content.PLAIN
