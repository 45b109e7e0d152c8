"""Headers of requests: what a value may hold, and how it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trimon.fetch.request import FetchError

# As Go's client has it: a tab may stand in a value, no other control character, and whatever is not ASCII.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def fault_of_value(value: str) -> str:
    """Why a text cannot be the value of a header, without the text itself; empty when it can."""
    found = _FORBIDDEN.search(value)
    if found is None:
        return ""
    what = "line break" if found[0] in "\r\n" else "control character"
    return f"a {what} (U+{ord(found[0]):04X}) at character {found.start() + 1} of {len(value)}"


def encoded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as they are sent, in UTF-8. Raises FetchError for one that would break out of its line."""
    out = []
    for name, value in headers:
        if _NAME.fullmatch(name) is None:
            raise FetchError(f"bad request: {name!r} is no name of a header")
        if fault := fault_of_value(value):
            raise FetchError(f"bad request: the value of the header {name} has {fault}")
        try:
            out.append((name.encode(), value.encode()))
        except UnicodeEncodeError:
            raise FetchError(f"bad request: the value of the header {name} is not UTF-8") from None
    return out
