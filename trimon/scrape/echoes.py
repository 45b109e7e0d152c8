"""What a target says back of our request: its answer may hold the credentials that it was asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from trimon.redaction import SECRET_CHARACTERS_MIN, redacted, secrets_in_url, spellings
from trimon.scrape.exposition.families import BodyFamily

# A shorter one may be a word that is part of a metric's name.
LOOKED_FOR_CHARACTERS_MIN: Final = 8
ECHOED: Final = (
    "the target's answer holds a credential of this job in names or label values: whoever may query reads it; "
    "its samples are stored all the same"
)


class Echoes:
    """Looks for the secrets of our requests in a target's answers. Costs nothing where requests have none."""

    __slots__ = ("_looked_for", "_of_url", "_remark", "_sent")

    def __init__(self, sent: Callable[[], tuple[str, ...]], url: str) -> None:
        self._sent = sent
        self._remark = ""
        self._looked_for: tuple[str, ...] = ()
        self._of_url = tuple(secrets_in_url(url)) if "@" in url or "=" in url else ()

    def _secrets(self) -> tuple[str, ...]:
        """What the last request carried."""
        return (*self._sent(), *self._of_url) if self._of_url else self._sent()

    def shown(self, families: Mapping[str, BodyFamily]) -> Mapping[str, BodyFamily]:
        """Metadata for people: with secrets masked; the same object when there are none."""
        secrets = self._secrets()
        if not secrets:
            return families
        blob = "\n".join(
            [text for family in families.values() for text in (family.help, family.unit, family.type)]
        )
        if not any(form in blob for form in _spelled(secrets)):
            return families
        return {
            name: BodyFamily(redacted(family.type), redacted(family.help), redacted(family.unit))
            for name, family in families.items()
        }

    def remark(self, body: bytes, *, changed: bool) -> str:
        """What is to be said of a body that holds a secret in a line of a series; empty for most.

        What it says is stored as it is: a name with a piece of it replaced would be another series, and the next scrape of
        a target that is asked otherwise yet another. Comments are no concern: see `shown`. Where neither the series nor
        our secrets have changed nothing is looked at.
        """
        secrets = self._secrets()
        if secrets and (changed or secrets != self._looked_for):
            self._looked_for, self._remark = secrets, _remark_of(body, _plain(secrets))
        return self._remark


def _remark_of(body: bytes, secrets: frozenset[bytes]) -> str:
    for secret in secrets:
        at = body.find(secret)
        while at >= 0:
            begin = body.rfind(b"\n", 0, at) + 1
            if body[begin : begin + 1] != b"#":
                return ECHOED
            end = body.find(b"\n", at)
            at = body.find(secret, end) if end >= 0 else -1
    return ""


# Targets of a job have the same secrets, mostly.
@lru_cache(maxsize=1024)
def _spelled(secrets: tuple[str, ...]) -> frozenset[str]:
    """How texts may have them."""
    return frozenset(spellings(secret for secret in secrets if len(secret) >= SECRET_CHARACTERS_MIN))


@lru_cache(maxsize=1024)
def _plain(secrets: tuple[str, ...]) -> frozenset[bytes]:
    """How bodies may have them."""
    return frozenset(secret.encode() for secret in secrets if len(secret) >= LOOKED_FOR_CHARACTERS_MIN)
