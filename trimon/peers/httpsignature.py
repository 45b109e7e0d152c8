"""Requests signed with an RSA key, as Oracle's cloud wants them (draft-cavage-http-signatures-08).

Source: https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from trimon.fetch.request import FetchError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class RsaSigner:
    """Signs requests by the name of a key."""

    def __init__(self, key_id: str, key: RSAPrivateKey) -> None:
        self._key_id = key_id
        self._key = key

    def authorization(self, method: str, url: SplitResult, date: str) -> str:
        """The header Authorization of a request without a body that has this header Date."""
        return self.signed((("date", date), target(method, url), ("host", url.netloc)))

    def signed(self, fields: Sequence[tuple[str, str]]) -> str:
        """The header Authorization of a request by these of its fields; some milliseconds of work."""
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 # large, and few sign
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

        text = "\n".join(f"{name}: {value}" for name, value in fields)
        signature = base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))
        names = " ".join(name for name, _ in fields)
        return (
            f'Signature version="1",headers="{names}",keyId="{self._key_id}",'
            f'algorithm="rsa-sha256",signature="{signature.decode()}"'
        )


def target(method: str, url: SplitResult) -> tuple[str, str]:
    """What is asked for, as a field to sign."""
    path = url.path or "/"
    return (
        "(request-target)",
        f"{method.lower()} {path}?{url.query}" if url.query else f"{method.lower()} {path}",
    )


def rsa_key(pem: bytes, passphrase: str, path: str) -> RSAPrivateKey:
    """The RSA key of a file. Raises FetchError. Checking a key takes longer than the event loop has time for."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 # large, and few sign
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem, passphrase.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FetchError(f"cannot use the key in {path}: {error}") from None
    if not isinstance(key, RSAPrivateKey):
        raise FetchError(f"the key in {path} is of another kind than RSA")
    return key
