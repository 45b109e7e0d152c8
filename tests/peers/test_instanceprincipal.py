"""Instance principals of Oracle's cloud, against small servers that play the metadata and the authentication service."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.support.pathserver import Server, serving
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.offload import ThreadOffload
from trimon.peers.instanceprincipal import InstancePrincipal

TENANCY = "ocid1.tenancy.oc1..t"
NOW_S = 1_700_000_000
REGION = {"realmKey": "oc1", "realmDomainComponent": "oraclecloud.com", "regionIdentifier": "eu-test-1"}
LEAF = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = NOW_S

    def now_ms(self) -> int:
        return self.seconds * 1000

    def monotonic_s(self) -> float:
        return float(self.seconds)


def certificate(*units: str) -> str:
    names = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ocid1.instance"), *names])
    begins = datetime(2023, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(LEAF.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=365))
        .sign(LEAF, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


CERTIFICATE = certificate("opc-certtype:instance", f"opc-tenant:{TENANCY}")
KEY = LEAF.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()


@pytest.fixture
async def metadata() -> AsyncIterator[Server]:
    """The metadata service of an instance."""
    async with serving() as made:
        made.answers = {
            "GET /opc/v2/identity/cert.pem": CERTIFICATE,
            "GET /opc/v2/identity/key.pem": KEY,
            "GET /opc/v2/identity/intermediate.pem": CERTIFICATE,
            "GET /opc/v2/instance/regionInfo/": json.dumps(REGION),
        }
        yield made


class Authentication:
    """The service that gives tokens; it remembers what it was asked."""

    def __init__(self, token: object = None, status: int = 200) -> None:
        self.asked: list[FetchRequest] = []
        self._token = token
        self._status = status

    async def send(self, request: FetchRequest) -> Response:
        self.asked.append(request)
        claims = {"exp": NOW_S + 1200 * len(self.asked)}
        token = self._token or jwt.encode(claims, "x" * 32, algorithm="HS256")
        body = json.dumps({"token": token}).encode()
        return Response(self._status, "", "application/json", body, len(body))


def principal(metadata: Server, service: Authentication, clock: SetClock | None = None) -> InstancePrincipal:
    environment = {"OCI_METADATA_BASE_URL": f"{metadata.url}/opc/v2"}
    return InstancePrincipal(clock or SetClock(), ThreadOffload(1), service.send, environment)


async def test_a_certificate_becomes_a_token_and_a_session_key(metadata: Server) -> None:
    """The token is asked for with the certificate, signed by its key; what it is for is the public half of a new key."""
    service = Authentication()
    found = await principal(metadata, service).get()
    assert found.tenancy == TENANCY
    assert {each.headers["authorization"] for each in metadata.asked} == {"Bearer Oracle"}
    (asked,) = service.asked
    assert asked.url == "https://auth.eu-test-1.oraclecloud.com/v1/x509"
    headers = dict(asked.headers)
    signature = re.fullmatch(
        r'Signature version="1",headers="date \(request-target\) content-length content-type x-content-sha256",'
        r'keyId="([^"]+)",algorithm="rsa-sha256",signature="([^"]+)"',
        headers["Authorization"],
    )
    assert signature is not None
    leaf = x509.load_pem_x509_certificate(CERTIFICATE.encode())
    assert signature[1] == f"{TENANCY}/fed-x509-sha256/{leaf.fingerprint(hashes.SHA256()).hex(':')}"
    digest = base64.b64encode(hashlib.sha256(asked.body).digest()).decode()
    text = (
        f"date: {headers['Date']}\n(request-target): post /v1/x509\ncontent-length: {len(asked.body)}\n"
        f"content-type: application/json\nx-content-sha256: {digest}"
    )
    LEAF.public_key().verify(
        base64.b64decode(signature[2]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    body = json.loads(asked.body)
    assert x509.load_der_x509_certificate(base64.b64decode(body["certificate"])) == leaf
    session = serialization.load_der_public_key(base64.b64decode(body["publicKey"]))
    assert isinstance(session, rsa.RSAPublicKey)
    signed = found.signer.signed((("date", "x"),))
    key_id, own = re.findall(r'keyId="ST\$([^"]+)".*signature="([^"]+)"', signed)[0]
    assert jwt.decode(key_id, options={"verify_signature": False})["exp"] == NOW_S + 1200
    session.verify(base64.b64decode(own), b"date: x", padding.PKCS1v15(), hashes.SHA256())


async def test_a_token_is_used_until_it_is_about_to_end(metadata: Server) -> None:
    """For all requests, and five minutes before its end there is a new one."""
    service, clock = Authentication(), SetClock()
    known = principal(metadata, service, clock)
    first = await known.get()
    clock.seconds += 899
    assert await known.get() is first
    clock.seconds += 1
    assert await known.get() is not first
    assert len(service.asked) == 2


@pytest.mark.parametrize("token", [1, "a", "a.b.c", "a.e30.c", 'a"b', "a\nb", "a.eyJleHAiOiJ4In0.c"])
async def test_odd_tokens_are_errors(metadata: Server, token: object) -> None:
    """Whatever the service gives, the error is one of operation."""
    with pytest.raises(FetchError, match=r"answered without a token|does not say when it ends"):
        await principal(metadata, Authentication(token)).get()


async def test_a_refusal_is_an_error(metadata: Server) -> None:
    """Its status is in the message."""
    with pytest.raises(FetchError, match="/v1/x509 answered 401"):
        await principal(metadata, Authentication(status=401)).get()


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("identity/cert.pem", "nonsense", "the certificate of this instance cannot be read"),
        ("identity/cert.pem", certificate("other:x"), "names no tenancy"),
        ("identity/key.pem", "nonsense", "cannot use the key in the instance's metadata"),
        ("instance/regionInfo/", "[]", "no JSON object"),
        ("instance/regionInfo/", "{}", "does not say the region"),
    ],
)
async def test_odd_metadata_are_errors(metadata: Server, path: str, answer: str, message: str) -> None:
    """Each part of what the metadata service says may be anything."""
    metadata.answers[f"GET /opc/v2/{path}"] = answer
    with pytest.raises(FetchError, match=message):
        await principal(metadata, Authentication()).get()


async def test_an_instance_without_metadata_is_an_error(metadata: Server) -> None:
    """As on a machine elsewhere."""
    metadata.answers.clear()
    with pytest.raises(FetchError, match=r"cert\.pem answered 404"):
        await principal(metadata, Authentication()).get()
