"""Signatures of Oracle's cloud: the published example, and keys that cannot be used."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from trimon.fetch.request import FetchError
from trimon.peers.httpsignature import RsaSigner, rsa_key

PRIVATE = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PATH = "/keys/oci.pem"


def test_what_is_signed_is_date_target_and_host() -> None:
    """The signature is that of the three lines, under the key's name, as the documentation writes them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    date = "Thu, 05 Jan 2014 21:31:40 GMT"
    url = urlsplit(
        "https://iaas.us-phoenix-1.oraclecloud.com/20160918/instances?availabilityDomain=Pjwf%3A&limit=50"
    )
    header = RsaSigner("ocid1.tenancy/ocid1.user/aa:bb", key).authorization("GET", url, date)
    before, _, rest = header.partition(',signature="')
    assert before == (
        'Signature version="1",headers="date (request-target) host",keyId="ocid1.tenancy/ocid1.user/aa:bb",'
        'algorithm="rsa-sha256"'
    )
    text = (
        "date: Thu, 05 Jan 2014 21:31:40 GMT\n"
        "(request-target): get /20160918/instances?availabilityDomain=Pjwf%3A&limit=50\n"
        "host: iaas.us-phoenix-1.oraclecloud.com"
    )
    import base64

    key.public_key().verify(
        base64.b64decode(rest.rstrip('"')), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def test_a_key_is_read_with_its_passphrase() -> None:
    """An encrypted key with its passphrase is the key; with another one, or without, it is an error that names the file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = key.private_bytes(*PRIVATE, serialization.BestAvailableEncryption(b"sesame"))
    assert rsa_key(pem, "sesame", PATH).private_numbers() == key.private_numbers()
    for wrong in ("", "other"):
        with pytest.raises(FetchError, match=f"cannot use the key in {PATH}"):
            rsa_key(pem, wrong, PATH)


@pytest.mark.parametrize(
    "pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_an_error(pem: bytes) -> None:
    """Whatever the file has, the error is one of operation and names it."""
    with pytest.raises(FetchError, match=f"cannot use the key in {PATH}"):
        rsa_key(pem, "", PATH)


def test_a_key_of_another_kind_is_an_error() -> None:
    """Elliptic curves are not what the cloud takes."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(*PRIVATE, serialization.NoEncryption())
    with pytest.raises(FetchError, match="of another kind than RSA"):
        rsa_key(pem, "", PATH)
