"""URLs as Go's library sees them: taken apart without refusing any, and what it says against one."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from trimon.gotext.strings import go_quote

_PARTS: Final = re.compile(r"((?:[^:/?#]+:)?(?://[^/?#]*)?)([^?#]*)(.*)", re.DOTALL)

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)
_BAD_IN_USER: Final = re.compile(r"[^a-zA-Z0-9\-._:~!$&'()*+,;=%@]")
_BAD_IN_HOST: Final = re.compile(r"[ \\^`{|}]")
_WHOLE: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):(?://([^/?#]*))?")
_PORT: Final = re.compile(r":[0-9]*")


def url_fault(text: str) -> str:
    """Why a text is no URL; empty when it is one. A relative one, and nothing at all, are URLs too."""
    if _CONTROL.search(text):
        return "net/url: invalid control character in URL"
    rest = text.partition("#")[0]
    if rest.startswith(":"):
        return "missing protocol scheme"
    scheme = _SCHEME.match(rest)
    rest = (rest[scheme.end() :] if scheme else rest).partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return ""  # opaque
        if ":" in rest.partition("/")[0]:
            return "first path segment in URL cannot contain colon"
    authority = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
    return _authority_fault(authority) or _escape_fault(rest)


def _authority_fault(authority: str) -> str:
    user, at, host = authority.rpartition("@")
    if at and _BAD_IN_USER.search(user):
        return "net/url: invalid userinfo"
    if host.startswith("["):
        address, end, port = host.rpartition("]")
        if not end:
            return "missing ']' in host"
        host = address
    else:
        colon = host.rfind(":")
        host, port = (host, "") if colon < 0 else (host[:colon], host[colon:])
    if port and not _PORT.fullmatch(port):
        return f"invalid port {go_quote(port)} after host"
    if bad := _BAD_IN_HOST.search(host):
        return f"invalid character {go_quote(bad[0])} in host name"
    return _escape_fault(host)


def _escape_fault(text: str) -> str:
    bad = _BAD_ESCAPE.search(text)
    return f"invalid URL escape {go_quote(bad[0])}" if bad else ""


def scheme_and_host(url: str) -> tuple[str, str]:
    """The scheme of a URL in lower case and its host with the port; both empty where it has none."""
    match = _WHOLE.match(url)
    return (match[1].lower(), (match[2] or "").rpartition("@")[2]) if match is not None else ("", "")


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
