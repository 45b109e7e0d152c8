"""The web config file: TLS, headers, users and limits of our own HTTP server.

What its text says wrong is told here, in the words of Prometheus' tools. What the files that it names say wrong is told by
`web/auth`, which reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from trimon import limits
from trimon.config.filetext import read_text
from trimon.config.http import NO_SECRET, TLS_VERSIONS
from trimon.config.kinds import Boolean, FilePath, Hidden, Listed, Mapped, Of, Text, Whole
from trimon.config.model import Model, Shown, Source, setting
from trimon.config.secret import Secret
from trimon.config.web.access import AccessConfig
from trimon.config.yaml.tree import Document, Node
from trimon.errors import UserError
from trimon.fetch.headers import fault_of_value
from trimon.gotext.numbers import parse_integer
from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.units import parse_go_duration_ns

NO_CERTIFICATE: Final = ("", "NoClientCert")
UNVERIFIED: Final = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
"""The last is an old name of the second."""
VERIFIED: Final = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
CIPHER_SUITES: Final = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""The standard's names, and OpenSSL's; empty for those of TLS 1.3, which cannot be chosen among."""
CURVES: Final = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
_HEADERS: Final = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
"""Those that may be configured, and the values of those that have few."""


def _tls_version(text: str) -> str | None:
    return None if text in TLS_VERSIONS[1:] else f"unknown TLS version: {text}"


def _cipher_suite(text: str) -> str | None:
    return None if text in CIPHER_SUITES else f"unknown cipher: {text}"


def _curve(text: str) -> str | None:
    return None if text in CURVES else f"unknown curve: {text}"


@dataclass(frozen=True, kw_only=True)
class WebTlsConfig(Model):
    """TLS of the server."""

    yaml_type: ClassVar[str] = "web.TLSConfig"

    cert: str = setting(Text(), "")
    key: Secret = setting(Hidden(), NO_SECRET)
    client_ca: str = setting(Text(), "")
    cert_file: str = setting(FilePath(), "")
    key_file: str = setting(FilePath(), "")
    client_auth_type: str = setting(Text(), "")
    client_ca_file: str = setting(FilePath(), "")
    client_allowed_sans: tuple[str, ...] = setting(Listed(Text()), ())
    min_version: str = setting(Text(_tls_version), "TLS12")
    max_version: str = setting(Text(_tls_version), "TLS13")
    cipher_suites: tuple[str, ...] = setting(Listed(Text(_cipher_suite), "[]web.Cipher"), ())
    curve_preferences: tuple[str, ...] = setting(Listed(Text(_curve), "[]web.Curve"), ())
    prefer_server_cipher_suites: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)

    @property
    def asks_for_nothing(self) -> bool:
        """Whether the section is there and there is no TLS for all that, as in Prometheus."""
        names = ("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type")
        return not any(getattr(self, name) for name in names)

    def require_complete(self) -> None:
        """Raise UserError when certificate or key is missing, or when client certificates make no sense."""
        if self.asks_for_nothing:
            return
        for name in ("cert", "key"):
            if not getattr(self, name) and not getattr(self, name + "_file"):
                raise self.refuse(name, f"missing one of {name} or {name}_file")

    def require_client_policy(self) -> None:
        """Raise UserError when it is not said what client certificates are for."""
        if self.client_auth_type not in (*NO_CERTIFICATE, *UNVERIFIED, *VERIFIED):
            raise self.refuse("client_auth_type", f"invalid ClientAuth: {self.client_auth_type}")
        if (self.client_ca or self.client_ca_file) and self.client_auth_type in NO_CERTIFICATE:
            place = "client_ca_file" if self.client_ca_file else "client_ca"
            raise self.refuse(place, "Client CA's have been configured without a Client Auth Policy")


def _header_name(text: str) -> str | None:
    return None if text in _HEADERS else f"HTTP header {go_quote(text)} can not be configured"


@dataclass(frozen=True, kw_only=True)
class HttpServerConfig(Model):
    """The server's HTTP."""

    yaml_type: ClassVar[str] = "web.HTTPConfig"

    http2: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    headers: tuple[tuple[str, str], ...] = setting(Mapped(Text(), "map[string]string", _header_name), ())

    def check(self) -> None:
        """Headers have values that browsers know and that fit into a line."""
        for name, value in self.headers:
            if (known := _HEADERS[name]) and value not in known:
                wanted = " ".join(map(go_quote, known))
                raise self.refuse(
                    "headers",
                    f"invalid value for {name}. Expected one of: [{wanted}], but got: {go_quote(value)}",
                )
            if fault := fault_of_value(value):
                raise self.refuse("headers", f"the value of the header {name} has {fault}")


class _GoDuration:
    """A duration as Go writes it, or a number of nanoseconds."""

    def read(self, node: Node, source: Source) -> int:
        text = source.document.text(node, "time.Duration")
        number = parse_integer(text)
        if number is not None:
            return number
        try:
            return parse_go_duration_ns(text)
        except UserError:
            source.document.mismatch(node, "time.Duration")

    def zero(self) -> int:
        return 0

    def show(self, value: int) -> object:
        return value


@dataclass(frozen=True, kw_only=True)
class RateLimitConfig(Model):
    """How often all clients together may ask: a request an interval, and `burst` at once."""

    yaml_type: ClassVar[str] = "web.RateLimiterConfig"

    interval: int = setting(_GoDuration(), 0)
    """In nanoseconds; 0: no limit."""
    burst: int = setting(Whole(), 0)


@dataclass(frozen=True, kw_only=True)
class WebConfig(Model):
    """The whole file. `basic_auth_users` are (user, bcrypt hash)."""

    yaml_type: ClassVar[str] = "web.Config"

    tls_server_config: WebTlsConfig = setting(Of(WebTlsConfig), default_factory=WebTlsConfig)
    http_server_config: HttpServerConfig = setting(Of(HttpServerConfig), default_factory=HttpServerConfig)
    rate_limit: RateLimitConfig = setting(Of(RateLimitConfig), default_factory=RateLimitConfig)
    basic_auth_users: tuple[tuple[str, Secret], ...] = setting(
        Mapped(Hidden(), "map[string]config.Secret"), ()
    )
    trimon: AccessConfig = setting(Of(AccessConfig), default_factory=AccessConfig, own=True)

    def check(self) -> None:
        """Passwords are bcrypt hashes, roles are of users that there are, and TLS has all it needs."""
        for user, hashed in self.basic_auth_users:
            if fault := _fault_of_hash(hashed.reveal()):
                raise self.refuse("basic_auth_users", fault)
            if user in self.trimon.names_of_tokens:
                raise self.trimon.refuse("tokens", f"token {go_quote(user)} has the name of a user")
        self.trimon.require_users({user for user, _ in self.basic_auth_users})
        self.tls_server_config.require_complete()


def _fault_of_hash(hashed: str) -> str:
    """Why a text is no bcrypt hash, without the text; empty when it is one."""
    if len(hashed) < 60:
        return "crypto/bcrypt: hashedSecret too short to be a bcrypted password"
    if hashed[0] != "$":
        return "crypto/bcrypt: bcrypt hashes must start with '$', but hashed secret is something else"
    if hashed[1] > "2":
        return f"crypto/bcrypt: bcrypt algorithm version '{hashed[1]}' requested is newer than current version '2'"
    at = 3 if hashed[2] == "$" else 4
    digits = hashed[at : at + 2]
    if not digits.isascii() or not digits.isdigit():
        return "crypto/bcrypt: the cost of a hash is no number"
    if not 4 <= int(digits) <= 31:
        return f"crypto/bcrypt: cost {int(digits)} is outside allowed inclusive range 4..31"
    return ""


def load_web_config(path: Path | str, *, strict: bool = False) -> WebConfig:
    """Read a web config file; an empty one asks for nothing. Blocks on the disk. Raises UserError.

    `strict`: nothing that Prometheus does not have.
    """
    path = Path(path)
    document = Document(read_text(path, limits.CONFIG_FILE_BYTES_MAX), str(path))
    if document.root is None or document.root.is_null:
        return WebConfig()
    return WebConfig.read(document.root, Source(document, path.parent, strict=strict))
