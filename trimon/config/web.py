"""The web config file: TLS and passwords of our own HTTP server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from trimon import limits
from trimon.config.http import NO_SECRET, TLS_VERSIONS
from trimon.config.kinds import Boolean, FilePath, Hidden, Listed, Mapped, Of, Text, one_of
from trimon.config.load import read_text
from trimon.config.model import Model, Shown, Source, setting
from trimon.config.secret import Secret
from trimon.config.yamltree import Document

CLIENT_AUTH: Final = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")
_HEADERS: Final = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
)


@dataclass(frozen=True, kw_only=True)
class WebTlsConfig(Model):
    """TLS of the server."""

    yaml_type: ClassVar[str] = "web.TLSConfig"
    section: ClassVar[str] = "web.tls_server_config"

    cert: str = setting(Text(), "")
    key: Secret = setting(Hidden(), NO_SECRET)
    client_ca: str = setting(Text(), "")
    cert_file: str = setting(FilePath(), "")
    key_file: str = setting(FilePath(), "")
    client_ca_file: str = setting(FilePath(), "")
    client_auth_type: str = setting(
        Text(one_of(("", *CLIENT_AUTH), "Invalid ClientAuth: {}")), "NoClientCert"
    )
    min_version: str = setting(Text(one_of(TLS_VERSIONS, "unknown TLS version: {}")), "TLS12")
    max_version: str = setting(Text(one_of(TLS_VERSIONS, "unknown TLS version: {}")), "TLS13")
    cipher_suites: tuple[str, ...] = setting(Listed(Text()), ())
    prefer_server_cipher_suites: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)

    def check(self) -> None:
        """Certificate and key are both there, and a client CA where clients are verified."""
        if not (self.cert or self.cert_file):
            raise self.refuse("cert_file", "missing one of cert or cert_file")
        if not (self.key or self.key_file):
            raise self.refuse("key_file", "missing one of key or key_file")
        for one in ("cert", "key", "client_ca"):
            if getattr(self, one) and getattr(self, one + "_file"):
                raise self.refuse(one, f"at most one of {one} and {one}_file must be configured")
        has_ca = bool(self.client_ca or self.client_ca_file)
        verifies = self.client_auth_type in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
        if verifies and not has_ca:
            raise self.refuse("client_auth_type", "a client CA is needed to verify client certificates")
        if has_ca and self.client_auth_type in ("", "NoClientCert"):
            raise self.refuse(
                "client_ca_file", "Client CA's have been configured without a Client Auth Policy"
            )


def _header_name(text: str) -> str | None:
    return None if text in _HEADERS else f'HTTP header "{text}" can not be configured'


@dataclass(frozen=True, kw_only=True)
class HttpServerConfig(Model):
    """The server's HTTP."""

    yaml_type: ClassVar[str] = "web.HTTPConfig"

    http2: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    headers: tuple[tuple[str, str], ...] = setting(Mapped(Text(), "map[string]string", _header_name), ())

    def check(self) -> None:
        """Headers have values browsers know."""
        allowed = {"X-Frame-Options": ("deny", "sameorigin"), "X-Content-Type-Options": ("nosniff",)}
        for name, value in self.headers:
            if value and value.lower() not in allowed.get(name, (value.lower(),)):
                raise self.refuse(
                    "headers", f"invalid value for {name}. Expected one of: {list(allowed[name])}"
                )


@dataclass(frozen=True, kw_only=True)
class WebConfig(Model):
    """The whole file. `basic_auth_users` are (user, bcrypt hash)."""

    yaml_type: ClassVar[str] = "web.Config"
    section: ClassVar[str] = "web"

    tls_server_config: WebTlsConfig | None = setting(Of(WebTlsConfig))
    http_server_config: HttpServerConfig = setting(Of(HttpServerConfig), default_factory=HttpServerConfig)
    basic_auth_users: tuple[tuple[str, Secret], ...] = setting(
        Mapped(Hidden(), "map[string]config.Secret"), ()
    )

    def check(self) -> None:
        """Passwords are bcrypt hashes, never passwords."""
        for user, hashed in self.basic_auth_users:
            if not _BCRYPT.fullmatch(hashed.reveal()):
                raise self.refuse("basic_auth_users", f"the password of user {user} is not a bcrypt hash")


def load_web_config(path: Path | str) -> WebConfig:
    """Read a web config file; an empty one asks for nothing. Blocks on the disk. Raises UserError."""
    path = Path(path)
    document = Document(read_text(path, limits.CONFIG_FILE_BYTES_MAX), str(path))
    if document.root is None:
        return WebConfig()
    return WebConfig.read(document.root, Source(document, path.parent))
