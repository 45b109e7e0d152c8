"""When certificates end: read from their own text, since the TLS library tells it of peers' alone."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_SEQUENCE: Final = 0x30
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
# Of a version, which old certificates lack.
_VERSION: Final = 0xA0
# Serial number, algorithm of the signature, issuer.
_BEFORE_VALIDITY: Final = 3
SOON: Final = timedelta(days=30)


def ends_of(content: bytes) -> list[datetime]:
    """When each certificate of a PEM text ends, in their order; one that cannot be read is left out."""
    found = []
    for pem in _CERTIFICATE.findall(content.decode("ascii", "ignore")):
        try:
            found.append(_end(ssl.PEM_cert_to_DER_cert(pem)))
        except (ValueError, IndexError):
            continue
    return found


def _end(der: bytes) -> datetime:
    """When a certificate ends. Raises ValueError or IndexError for what is none."""
    _, start, _ = _element(der, 0)
    _, start, end = _element(der, start)
    parts = list(_elements(der, start, end))
    if parts[0][0] == _VERSION:
        del parts[0]
    tag, start, end = parts[_BEFORE_VALIDITY]
    if tag != _SEQUENCE:
        raise ValueError("no validity")
    _, (tag, start, end) = _elements(der, start, end)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year, from 1950 on
        text = ("19" if text >= "5" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    while at < end:
        tag, start, at = _element(der, at)
        yield tag, start, at


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content of the element at a place."""
    size = der[at + 1]
    start = at + 2
    if size & 0x80:
        more = size & 0x7F
        size = int.from_bytes(der[start : start + more])
        start += more
    if start + size > len(der):
        raise ValueError("cut short")
    return der[at], start, start + size


def warning_of(what: str, ends: Iterable[datetime], now: datetime) -> str:
    """What to say of certificates of which one has ended or ends soon; empty when there is nothing to say."""
    first = min(ends, default=None)
    if first is None or first - now > SOON:
        return ""
    if first <= now:
        return f"{what} expired at {first:%Y-%m-%dT%H:%M:%SZ}"
    days = (first - now) / timedelta(days=1)
    return f"{what} expires at {first:%Y-%m-%dT%H:%M:%SZ}, in {days:.1f} days"
