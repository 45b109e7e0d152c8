"""The server's address as people elsewhere see it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import unquote, urlsplit

from trimon.errors import UserError
from trimon.gotext.urls import without_end_slash
from trimon.records import dataclass
from trimon.redaction import REDACTOR, masked_url

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_URL = re.compile(r"([^:/?#]+)://([^/?#]*)(.*)", re.DOTALL)
_USERINFO = re.compile(r"([^/?#]*//)[^/?#]*@")
_BAD_IN_HOST: Final = re.compile(r"[\x00-\x20^`{|}\\\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def host_and_port(authority: str) -> tuple[str, str] | None:
    """The parts of `host:port`, the host without its brackets; None when there is no port, or no telling."""
    if authority.startswith("["):
        host, end, rest = authority[1:].partition("]")
        return (host, rest[1:]) if end and rest[:1] == ":" and ":" not in rest[1:] else None
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and ":" not in host else None


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class ExternalUrl:
    """The URL under which the server is reachable from elsewhere, and its own port."""

    url: str = "http://127.0.0.1:9090/"
    own_port: str = "9090"

    def check(self) -> None:
        """Raises UserError for what is no URL. From now on a password in it is masked in every text."""
        # Alertmanagers get this URL with every alert, and may send it back.
        REDACTOR.add_url(self.url)
        reason = "invalid URL escape" if _BAD_ESCAPE.search(self.url) else ""
        if self.url.startswith(":"):
            reason = f'parse "{masked_url(self.url)}": missing protocol scheme'
        if self.url[0] in "\"'" or self.url[-1] in "\"'":
            reason = "URL must not begin or end with quotes"
        try:
            parts = urlsplit(self.url)
            _ = parts.port
            if bad := _BAD_IN_HOST.search(parts.netloc.rpartition("@")[2]):
                reason = f'invalid character "{bad[0]}" in host name'
        except ValueError as error:
            reason = str(error)
        if reason:
            raise UserError(f'parse external URL "{masked_url(self.url)}": {reason}')

    @property
    def has_userinfo(self) -> bool:
        """Whether there is a user, or a user and password, in it."""
        return _USERINFO.match(self.url) is not None

    def without_userinfo(self) -> ExternalUrl:
        """The same for links: alerts go to other servers with them, templates and pages show them."""
        return replace(self, url=_USERINFO.sub(r"\1", self.url, count=1))

    def for_links(self) -> ExternalUrl:
        """The same for what is put before a path, which begins with a slash."""
        external = self.without_userinfo()
        return replace(external, url=without_end_slash(external.url))

    @property
    def path(self) -> str:
        """The path of this URL without a slash at its end; empty for none."""
        path = unquote(urlsplit(self.url).path).strip("/")
        return "/" + path if path else ""

    def prefix(self, route_prefix: str) -> str:
        """What stands before every route: the prefix that was asked for, else this URL's path; empty for none."""
        prefix = route_prefix.strip("/")
        return "/" + prefix if prefix else "" if route_prefix else self.path

    def of_target(self, url: str) -> str:
        """A target's URL for people elsewhere: a loopback host becomes this URL's.

        The server itself is found where this URL says. Without a port a target's URL is left as it is.
        """
        match, own = _URL.fullmatch(url), urlsplit(self.url)
        found = host_and_port(match[2]) if match is not None else None
        if match is None or found is None or found[0] not in _LOOPBACK or not own.netloc:
            return url
        authority = own.netloc.rpartition("@")[2]
        if found[1] == self.own_port:
            return f"{own.scheme}://{authority}{match[3]}"
        with_port = host_and_port(authority)
        host = bracketed(with_port[0]) if with_port is not None else authority
        return f"{match[1]}://{host}:{found[1]}{match[3]}"
