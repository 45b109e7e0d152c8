"""Secrets: types that cannot be printed."""

from __future__ import annotations

import hmac

from trimon.redaction import MASK, looks_secret, masked_url, shown_url

__all__ = ["MASK", "Secret", "SecretUrl", "looks_secret", "masked_url"]


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
    """A URL that may hold a password: it shows itself with `xxxxx` in its place, and with parameters such as `token` masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self._hidden))

    def __str__(self) -> str:
        return shown_url(self._hidden)

    def __format__(self, spec: str) -> str:
        return format(shown_url(self._hidden), spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return SecretUrl, (shown_url(self._hidden),)
