"""URLs taken apart without refusing any: what is no URL has a path all the same."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_PARTS: Final = re.compile(r"((?:[^:/?#]+:)?(?://[^/?#]*)?)([^?#]*)(.*)", re.DOTALL)


def without_end_slash(url: str) -> str:
    """The URL with no slash at the end of its path; one that is only a path begins with a slash."""
    before, path, after = _parts(url)
    path = path.rstrip("/")
    if path and path[0] != "/" and not before.endswith(":"):
        path = "/" + path
    return before + path + after


def path_of(url: str) -> str:
    """The path of a URL, its escapes resolved."""
    return unquote(_parts(url)[1])


def _parts(url: str) -> tuple[str, str, str]:
    """What is before the path, the path, and what is after it."""
    match = _PARTS.fullmatch(url)
    assert match is not None  # every part may be empty
    return match[1], match[2], match[3]
