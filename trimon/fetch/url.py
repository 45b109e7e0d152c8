"""URLs of peers, taken apart: whatever a configuration, a discovery or a redirect says, it is an address or a FetchError."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import idna

from trimon.fetch.request import FetchError
from trimon.gotext.strings import go_quote
from trimon.redaction import shown_url

# The longest URL that is asked for; a head of an answer may hold more.
URL_CHARACTERS_MAX: Final = 2**20
# What cannot stand in the line of a request; servers write it into locations all the same.
_UNSENT = re.compile(r"[^\x21-\x7e]+")
_PERCENT = re.compile(r"%(?:([0-9a-fA-F])[0-9a-fA-F]|.{0,2})")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def split_url(text: str) -> SplitResult:
    """The parts of an absolute http or https URL with a host and, if there is one, a good port. Raises FetchError."""
    if len(text) > URL_CHARACTERS_MAX:
        raise FetchError(f"URL has {len(text)} characters, at most {URL_CHARACTERS_MAX} are taken")
    if _CONTROL.search(text):
        raise FetchError(f"parse {go_quote(shown_url(text))}: net/url: invalid control character in URL")
    try:
        url = urlsplit(text)
        host = url.hostname
    except ValueError as error:
        raise FetchError(f"parse {go_quote(shown_url(text))}: {error}") from None
    if "%" in url.netloc and (bad := _bad_escape(url.netloc.rpartition("@")[2])):
        raise FetchError(f"parse {go_quote(shown_url(text))}: invalid URL escape {go_quote(bad)}")
    try:
        _ = url.port
    except ValueError:
        raise FetchError(f"parse {go_quote(shown_url(text))}: invalid port") from None
    if url.scheme not in ("http", "https"):
        raise FetchError(f"unsupported protocol scheme {go_quote(url.scheme)}")
    if not host:
        raise FetchError(f"parse {go_quote(shown_url(text))}: no host in request URL")
    return url


def _bad_escape(host: str) -> str:
    """The first escape that a host may not have: those of ASCII, but for percent signs, and what is none."""
    for found in _PERCENT.finditer(host):
        if not found[1] or (found[0] != "%25" and found[1] < "8"):
            return found[0]
    return ""


def dialled_host(url: SplitResult) -> str:
    """The host of a URL as it is looked up: unescaped, with its zone, in ASCII. Raises FetchError."""
    return _in_ascii(unquote(url.hostname or ""))


def host_header(url: SplitResult) -> str:
    """What a request to a URL says in `Host`: no user, no zone, in ASCII. Raises FetchError."""
    host = url.netloc.rpartition("@")[2]
    if "%" not in host and host.isascii():
        return host
    if host.startswith("["):
        address, _, port = host.partition("]")
        return f"{address.partition('%')[0]}]{port}"
    name, colon, port = host.partition(":")
    return _in_ascii(unquote(name)) + colon + port


def _in_ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode()
    except UnicodeError as error:
        raise FetchError(f"lookup {host}: {error}") from None


def joined_url(base: SplitResult, location: str) -> SplitResult:
    """Where a redirect leads; `location` as it came, in latin-1. Raises FetchError."""
    if _CONTROL.search(location.replace(" ", "")):
        raise FetchError(
            f"failed to parse Location header {go_quote(shown_url(location))}: "
            "net/url: invalid control character in URL"
        )
    try:
        joined = urlsplit(urljoin(base.geturl(), location))
        path, query = (_UNSENT.sub(_escaped, part) for part in (joined.path, joined.query))
        return split_url(joined._replace(path=path, query=query, fragment="").geturl())
    except ValueError as error:
        raise FetchError(
            f"failed to parse Location header {go_quote(shown_url(location))}: {error}"
        ) from None


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("latin-1", "replace"))


def same_place(one: SplitResult, other: SplitResult) -> bool:
    """Whether secrets meant for `one` may go to `other`: the same host and port, and no less protected."""
    if (one.hostname, one.port) != (other.hostname, other.port):
        # the port that a scheme implies is the same as that port said
        return (one.scheme, one.hostname, port_of(one)) == (other.scheme, other.hostname, port_of(other))
    return other.scheme in (one.scheme, "https")


def port_of(url: SplitResult) -> int:
    """The port of a URL that `split_url` gave."""
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80
