"""What an instance of Oracle's cloud proves itself with: a certificate that it is given, and a token got with it.

    metadata service ─ certificate, key, intermediate certificate, region
         └─ a session key made here ─ signed by the certificate's key ─ auth.<region>/v1/x509 ─ token for some minutes
                  └─ requests are signed by the session key, under the token's name

Source: https://docs.oracle.com/en-us/iaas/Content/Identity/Tasks/callingservicesfrominstances.htm.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from trimon.clock import Clock
from trimon.fetch.headers import fault_of_value
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.offload import Offload
from trimon.peers.direct import DirectClient
from trimon.peers.httpsignature import RsaSigner, rsa_key, target
from trimon.records import dataclass
from trimon.redaction import REDACTOR

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

METADATA: Final = "http://169.254.169.254/opc/v2"
_HEADERS: Final = (("Authorization", "Bearer Oracle"),)
_JSON: Final = "application/json"
# A token that ends sooner is not used any more.
EARLY_S: Final = 300
TOKEN_TIMEOUT_S: Final = 30.0
TOKEN_BYTES_MAX: Final = 2**18
_KEY_BITS: Final = 2048
_TENANT: Final = ("opc-tenant:", "opc-identity:")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who the instance is, and the signer of its requests."""

    tenancy: str
    signer: RsaSigner
    until_s: int


@dataclass(frozen=True, slots=True)
class _Identity:
    """What the metadata service says."""

    certificate: str
    key: str
    intermediate: str
    region: str
    domain: str


class InstancePrincipal:
    """The principal of this instance, anew before its token ends. Only on the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        offload: Offload,
        send: Callable[[FetchRequest], Awaitable[Response]],
        environment: Mapping[str, str],
    ) -> None:
        self._clock = clock
        self._offload = offload
        self._send = send
        self._metadata = (environment.get("OCI_METADATA_BASE_URL") or METADATA).rstrip("/")
        self._known: Principal | None = None

    async def get(self) -> Principal:
        """The principal, whose token is good for some minutes. Raises FetchError."""
        known = self._known
        if known is None or self._clock.now_ms() // 1000 >= known.until_s - EARLY_S:
            self._known = known = await self._new()
        return known

    async def _new(self) -> Principal:
        identity = await self._identity()
        leaf, tenancy, fingerprint, session, public = await self._offload.run(lambda: _prepared(identity))
        body = json.dumps(
            {
                "certificate": _bare(identity.certificate),
                "publicKey": public,
                "intermediateCertificates": [_bare(identity.intermediate)],
                "fingerprintAlgorithm": "SHA256",
            }
        ).encode()
        signer = RsaSigner(f"{tenancy}/fed-x509-sha256/{fingerprint}", leaf)
        token = await self._token(f"https://auth.{identity.region}.{identity.domain}/v1/x509", signer, body)
        return Principal(tenancy, RsaSigner(f"ST${token}", session), _end_of(token))

    async def _identity(self) -> _Identity:
        async with DirectClient() as direct:

            async def text(path: str) -> str:
                return await direct.text("GET", f"{self._metadata}/{path}", _HEADERS)

            names = ("cert", "key", "intermediate")
            certificate, key, intermediate = [await text(f"identity/{name}.pem") for name in names]
            fields = _object(await text("instance/regionInfo/"), "the metadata service")
        region, domain = (fields.get(name) for name in ("regionIdentifier", "realmDomainComponent"))
        if not (isinstance(region, str) and isinstance(domain, str) and region and domain):
            raise FetchError("the metadata service does not say the region")
        return _Identity(certificate, key, intermediate, region, domain)

    async def _token(self, url: str, signer: RsaSigner, body: bytes) -> str:
        date = formatdate(self._clock.now_ms() / 1000, usegmt=True)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        fields = (
            ("date", date),
            target("POST", urlsplit(url)),
            ("content-length", str(len(body))),
            ("content-type", _JSON),
            ("x-content-sha256", digest),
        )
        headers = (
            ("Date", date),
            ("Content-Type", _JSON),
            ("X-Content-Sha256", digest),
            ("Authorization", signer.signed(fields)),
        )
        request = FetchRequest(url, headers, TOKEN_TIMEOUT_S, TOKEN_BYTES_MAX, method="POST", body=body)
        answer = await self._send(request)
        if answer.status != 200:
            raise FetchError(f"{url} answered {answer.status_line}")
        token = _object(answer.body, url).get("token")
        if not isinstance(token, str) or not token or fault_of_value(token) or '"' in token:
            raise FetchError(f"{url} answered without a token")
        REDACTOR.add(token)
        return token


def _prepared(identity: _Identity) -> tuple[RSAPrivateKey, str, str, RSAPrivateKey, str]:
    """The certificate's key, tenancy and fingerprint; a new session key and its public half. Raises FetchError."""
    from cryptography import x509  # noqa: PLC0415 # large, and few need it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(identity.certificate.encode())
    except ValueError as error:
        raise FetchError(f"the certificate of this instance cannot be read: {error}") from None
    tenancy = _tenancy([str(each.value) for each in certificate.subject])
    leaf = rsa_key(identity.key.encode(), "", "the instance's metadata")
    session = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    public = session.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":")
    return leaf, tenancy, fingerprint, session, base64.b64encode(public).decode()


def _tenancy(values: list[str]) -> str:
    for begin in _TENANT:
        for value in values:
            if value.startswith(begin) and '"' not in value and not fault_of_value(value):
                return value.removeprefix(begin)
    raise FetchError("the certificate of this instance names no tenancy")


def _bare(pem: str) -> str:
    """What stands between the lines that say where a certificate begins and ends."""
    return "".join(
        line for line in pem.split() if not line.startswith("-----") and not line.endswith("-----")
    )


def _end_of(token: str) -> int:
    """When a token ends, in seconds. Raises FetchError."""
    try:
        payload = token.split(".")[1]
        fields = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return int(fields["exp"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, OverflowError):
        raise FetchError("the token of this instance does not say when it ends") from None


def _object(text: str | bytes, where: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise FetchError(f"{where} answered what is no JSON object")
    return fields
