"""Signatures of requests to AWS (Signature Version 4).

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import SplitResult, parse_qsl, quote

from trimon.records import dataclass

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What requests are signed with; `repr` does not show it."""

    access: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return f"AwsKeys({self.access!r})"


def signed(
    keys: AwsKeys,
    region: str,
    service: str,
    method: str,
    url: SplitResult,
    headers: Headers,
    body: bytes,
    at: datetime,
) -> str:
    """The header Authorization of a request with these headers, of which `host` and `x-amz-date` have to be."""
    stamp = stamp_of(at)
    named = sorted((name.lower(), " ".join(value.split())) for name, value in headers)
    names = ";".join(name for name, _ in named)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(url.query, keep_blank_values=True)
    )
    canonical = "\n".join(
        [
            method,
            quote(url.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{value}" for name, value in named),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"


def signed_headers(
    keys: AwsKeys,
    region: str,
    service: str,
    method: str,
    url: SplitResult,
    headers: Headers,
    body: bytes,
    at: datetime,
) -> Headers:
    """The headers of a request, those given and those that prove who sends it."""
    found = (*headers, ("X-Amz-Date", stamp_of(at)))
    if keys.token:
        found = (*found, ("X-Amz-Security-Token", keys.token))
    host = ("Host", url.netloc.rpartition("@")[2])
    return (
        *found,
        ("Authorization", signed(keys, region, service, method, url, (*found, host), body, at)),
    )


def stamp_of(at: datetime) -> str:
    """A time as signatures have it."""
    return at.strftime("%Y%m%dT%H%M%SZ")
