"""When certificates end, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from trimon.clock import StoppedClock
from trimon.web.auth.expiry import ends_of, warning_of
from trimon.web.auth.security import CurrentSecurity, load_security

CA = trustme.CA()
NOW = datetime(2030, 6, 1, tzinfo=UTC)
CLOCK = StoppedClock(int(NOW.timestamp() * 1000))


def config_in(folder: Path, end: datetime, client_ca: bytes = b"") -> Path:
    """A web config file with a certificate that ends at a time."""
    issued = CA.issue_cert("localhost", not_after=end)
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.pem\n"
    if client_ca:
        (folder / "ca.pem").write_bytes(client_ca)
        text += "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
    path = folder / "web.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=-1), "the server's certificate expired at 2030-05-31T00:00:00Z"),
        (timedelta(0), "the server's certificate expired at 2030-06-01T00:00:00Z"),
        (timedelta(days=30), "the server's certificate expires at 2030-07-01T00:00:00Z, in 30.0 days"),
        (timedelta(days=31), ""),
    ],
)
def test_a_certificate_that_ends_soon_is_named(left: timedelta, said: str, tmp_path: Path) -> None:
    """The caution stands at the field of the certificate, and a metric has the time."""
    security = load_security(config_in(tmp_path, NOW + left), clock=CLOCK)
    shown = [(caution.message, caution.place.line) for caution in security.cautions]
    assert shown == ([(said, 2)] if said else [])
    families = {family.name: family for family in CurrentSecurity(security).metrics()}
    samples = families["trimon_web_certificate_expiry_timestamp_seconds"].samples
    assert samples == [(("server",), (NOW + left).timestamp())]


def test_an_authority_of_clients_that_has_ended_is_named(tmp_path: Path) -> None:
    """The first one to end counts; one that nobody is asked for does not."""
    old = CA.issue_cert("old", not_after=NOW - timedelta(days=400)).cert_chain_pems[0].bytes()
    path = config_in(tmp_path, NOW + timedelta(days=90), CA.cert_pem.bytes() + old)
    security = load_security(path, clock=CLOCK)
    (caution,) = security.cautions
    assert caution.message == "an authority of clients' certificates expired at 2029-04-27T00:00:00Z"
    assert caution.place.line == 4
    samples = list(CurrentSecurity(security).metrics())[-1].samples
    assert [labels for labels, _ in samples] == [("server",), ("client_ca",)]
    path.write_text(path.read_text().partition("  client_ca_file")[0])
    assert load_security(path, clock=CLOCK).cautions == ()


def test_years_before_and_after_2050_are_read() -> None:
    """A certificate has two digits of the year before 2050, and four from then on."""
    for year in (2049, 2050, 2120):
        end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
        issued = CA.issue_cert("localhost", not_after=end)
        assert ends_of(issued.cert_chain_pems[0].bytes()) == [end]


@given(st.binary(max_size=80))
def test_what_is_no_certificate_has_no_end(data: bytes) -> None:
    """Nothing is raised for it, and nothing is said."""
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"
    assert ends_of(begin + data + end) == []
    assert warning_of("it", [], NOW) == ""
