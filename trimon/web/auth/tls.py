"""TLS of the listener: from the section of the web config file to what connections are wrapped with."""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from trimon.config.web.file import CIPHER_SUITES, CURVES, NO_CERTIFICATE, UNVERIFIED, WebTlsConfig
from trimon.errors import Position
from trimon.records import dataclass
from trimon.web.auth.certificates import load_authorities, load_key_pair, read_authorities
from trimon.web.auth.expiry import ends_of, warning_of

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_OLD: Final = ("TLS10", "TLS11")
# Their signatures are weaker than what the library takes by itself.
_FOR_OLD_VERSIONS: Final = ":@SECLEVEL=0"
_VERIFY: Final = {
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Caution:
    """Something in the file that holds otherwise than its reader may think."""

    message: str
    place: Position


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What connections are wrapped with, and which client certificates are welcome."""

    context: ssl.SSLContext
    """For HTTP/1.1."""
    http2_context: ssl.SSLContext
    """The same for HTTP/2, as gRPC has it."""
    allowed_names: frozenset[str]
    """Of these subject alternative names a client certificate must have one; empty: any certificate will do."""
    requires_certificate: bool
    """Whether whoever has no certificate that can be verified is turned away."""
    ends: datetime | None = None
    """When the first certificate of the server's chain ends."""
    authorities_end: datetime | None = None
    """When the first of the authorities of clients ends."""

    def allows(self, tls: ssl.SSLObject) -> bool:
        """Whether the client of a connection whose handshake is done is welcome."""
        if not self.allowed_names:
            return True
        certificate = tls.getpeercert() or {}
        names = certificate.get("subjectAltName", ())
        assert isinstance(names, tuple)
        return any(_plain_name(str(value)) in self.allowed_names for _, value in names)


def _plain_name(text: str) -> str:
    """A name of a certificate as it is compared: addresses in their shortest form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def server_tls(
    config: WebTlsConfig, http2_place: Position | None, now: datetime
) -> tuple[ServerTls | None, list[Caution]]:
    """TLS as a section says, None when it asks for none. Blocks on the disk. Raises UserError.

    `http2_place`: where HTTP/2 is asked for, if it is.
    """
    if config.asks_for_nothing:
        given = [
            name
            for name in ("cipher_suites", "curve_preferences", "client_allowed_sans")
            if getattr(config, name)
        ]
        return None, [
            Caution(f"{name} has no effect without a certificate", config.place(name)) for name in given
        ]
    context, http2_context = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    own_ends = ends_of(load_key_pair(context, config))
    # A file that is not there is told first, whatever it would be for.
    authorities = read_authorities(config)
    config.require_client_policy()
    cautions = _set_up(context, config, authorities, "http/1.1")
    load_key_pair(http2_context, config)
    _set_up(http2_context, config, authorities, "h2")
    allowed = _allowed_names(config)
    cautions += _client_cautions(config)
    if http2_place is not None:
        message = "HTTP/2 is not offered by this version of trimon: clients are answered in HTTP/1.1"
        cautions.append(Caution(message, http2_place))
    verifies = context.verify_mode is not ssl.CERT_NONE
    authority_ends = ends_of(authorities) if verifies else []
    for what, ends, field in (
        ("the server's certificate", own_ends, "cert"),
        ("an authority of clients' certificates", authority_ends, "client_ca"),
    ):
        if message := warning_of(what, ends, now):
            cautions.append(
                Caution(message, config.place(f"{field}_file" if config.given(f"{field}_file") else field))
            )
    required = context.verify_mode is ssl.CERT_REQUIRED
    own_end, authorities_end = min(own_ends, default=None), min(authority_ends, default=None)
    return ServerTls(context, http2_context, allowed, required, own_end, authorities_end), cautions


def _set_up(
    context: ssl.SSLContext, config: WebTlsConfig, authorities: bytes, protocol: str
) -> list[Caution]:
    """All but the certificate."""
    context.set_alpn_protocols([protocol])
    # Whoever renegotiates makes the server work, and gets nothing that a new connection does not give.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if config.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    cautions = [*_set_versions(context, config), *_set_suites(context, config), *_set_curves(context, config)]
    mode = _VERIFY.get(config.client_auth_type)
    if mode is not None:
        load_authorities(context, config, authorities)
        context.verify_mode = mode
    return cautions


def _set_versions(context: ssl.SSLContext, config: WebTlsConfig) -> Iterable[Caution]:
    least, most = config.min_version or "TLS12", config.max_version or "TLS13"
    with warnings.catch_warnings():
        # Old versions are deprecated, as whoever asks for them knows.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = _VERSIONS[most]
        context.minimum_version = _VERSIONS[least]
    if least in _OLD:
        context.set_ciphers("DEFAULT" + _FOR_OLD_VERSIONS)
        yield Caution(f"{least} is known to be weak", config.place("min_version"))
    if most < least:
        place = config.place("max_version" if config.given("max_version") else "min_version")
        yield Caution(f"no client can connect: max_version {most} is below min_version {least}", place)


def _set_suites(context: ssl.SSLContext, config: WebTlsConfig) -> Iterable[Caution]:
    if not config.cipher_suites:
        return
    names = [name for suite in config.cipher_suites if (name := CIPHER_SUITES[suite])]
    place = config.place("cipher_suites")
    if len(names) < len(config.cipher_suites):
        yield Caution(
            "cipher suites of TLS 1.3 are not chosen by cipher_suites: all of them are offered", place
        )
    if names:
        context.set_ciphers(":".join(names) + (_FOR_OLD_VERSIONS if config.min_version in _OLD else ""))
    elif context.minimum_version < ssl.TLSVersion.TLSv1_3:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        yield Caution("cipher_suites has none of TLS 1.2: clients need TLS 1.3", place)


def _set_curves(context: ssl.SSLContext, config: WebTlsConfig) -> Iterable[Caution]:
    curves = [CURVES[name] for name in config.curve_preferences]
    if not curves:
        return
    if len(curves) == 1:
        context.set_ecdh_curve(curves[0])
    elif hasattr(context, "set_groups"):  # since Python 3.15
        context.set_groups(":".join(curves))
    else:
        message = (
            "of curve_preferences this version of Python can set one alone: with several, the library's own choice "
            "of curves holds"
        )
        yield Caution(message, config.place("curve_preferences"))


def _allowed_names(config: WebTlsConfig) -> frozenset[str]:
    """The names of which a client's certificate must have one."""
    if config.client_auth_type not in _VERIFY:
        return frozenset()
    return frozenset(_plain_name(name) for name in config.client_allowed_sans)


def _fault_of_client_policy(config: WebTlsConfig) -> str:
    """Why a server cannot hold a policy about client certificates; empty when it can.

    The library verifies every certificate that it asks for. One that nobody verifies proves nothing, unless its owner must
    have one at all, or a name in it counts.
    """
    kind = config.client_auth_type
    if kind not in UNVERIFIED or (kind == "RequestClientCert" and not config.client_allowed_sans):
        return ""
    return (
        f"client_auth_type {kind} takes certificates that nobody has verified, which is not supported by this "
        "version of trimon; use RequireAndVerifyClientCert"
    )


def require_possible(config: WebTlsConfig) -> None:
    """Raise UserError for what is valid, and no server of this version can do."""
    if not config.asks_for_nothing and (fault := _fault_of_client_policy(config)):
        raise config.refuse("client_auth_type", fault)


def _client_cautions(config: WebTlsConfig) -> Iterable[Caution]:
    kind, place = config.client_auth_type, config.place("client_auth_type")
    if kind in UNVERIFIED:
        yield Caution(f"client_auth_type {kind} lets everybody in, so no certificate is asked for", place)
    elif kind in NO_CERTIFICATE and config.client_allowed_sans:
        message = "client_allowed_sans has no effect: client_auth_type asks for no certificate"
        yield Caution(message, config.place("client_allowed_sans"))
    if config.client_ca and config.client_ca_file:
        yield Caution("client_ca has no effect beside client_ca_file", config.place("client_ca"))
