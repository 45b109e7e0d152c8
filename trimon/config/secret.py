"""Secrets: a type that cannot be printed, and names that look like one."""

from __future__ import annotations

import hmac
import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

MASK: Final = "<secret>"
# As Prometheus masks the password inside a URL.
URL_MASK: Final = "xxxxx"

_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:pass|passwd|password|passphrase|pwd|secret|token|credentials?|apikey|auth|bearer|cookie)"
    r"(?:$|[_\-.])|(?:api|access|private|secret|account|shared|signing|encryption)[_\-.]?keys?(?:$|[_\-.])"
    r"|password|connection_?string",
    re.IGNORECASE,
)
# What such a name may end with when the value is about the secret and not the secret.
_ABOUT = re.compile(r"[_\-.](?:names?|files?|paths?|types?|urls?)$", re.IGNORECASE)


class Secret:
    """A text that shows itself as `<secret>` in repr, str, format, JSON by str, and pickle.

    Only `reveal()` gives the value. Compared by value; empty is false.
    """

    __slots__ = ("_hidden",)

    def __init__(self, value: str = "") -> None:
        self._hidden = value

    def reveal(self) -> str:
        """The value itself. Call it where it is used, and keep the result nowhere."""
        return self._hidden

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._hidden.encode(), other._hidden.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._hidden))

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (MASK,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self


class SecretUrl(Secret):
    """A URL that may hold a password: it shows itself with `xxxxx` in the password's place."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked_url(self._hidden))

    def __str__(self) -> str:
        return masked_url(self._hidden)

    def __format__(self, spec: str) -> str:
        return format(masked_url(self._hidden), spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return SecretUrl, (masked_url(self._hidden),)


def looks_secret(name: str) -> bool:
    """Whether a value of this name is likely to be a secret (`__meta_docker_container_label_db_password`)."""
    return _SECRET_NAME.search(name) is not None and _ABOUT.search(name) is None


def masked_url(url: str) -> str:
    """The URL with a password in it replaced by `xxxxx`."""
    if "@" not in url:
        return url
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return url
    if password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{URL_MASK}@{host}"))
