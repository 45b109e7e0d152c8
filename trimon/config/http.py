"""The HTTP client block: credentials, TLS, proxy, headers of whoever is asked over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from trimon.config.kinds import Boolean, FilePath, Hidden, Listed, Mapped, Of, Text, Url, one_of
from trimon.config.model import Model, Shown, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.fetch.headers import fault_of_value
from trimon.gotext.strings import go_quote

TLS_VERSIONS: Final = ("", "TLS10", "TLS11", "TLS12", "TLS13")
_RESERVED_HEADERS: Final = frozenset(
    [
        "authorization",
        "host",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "www-authenticate",
        "accept-encoding",
        "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version",
        "x-prometheus-scrape-timeout-seconds",
        "accept",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ]
)
NO_SECRET: Final = Secret()
NO_URL: Final = SecretUrl()


def _tls_version(text: str) -> str | None:
    return None if text in TLS_VERSIONS else f"unknown TLS version: {text}"


def _header_name(text: str) -> str | None:
    if text.lower() in _RESERVED_HEADERS:
        return f"setting header {go_quote(text)} is not allowed"
    if not text or any(char in '()<>@,;:\\"/[]?={} \t\r\n' or not " " < char < "\x7f" for char in text):
        return f"{go_quote(text)} is not a valid header name"
    return None


def _header_value(text: str) -> str | None:
    fault = fault_of_value(text)
    return f"value cannot be sent in a header: it has {fault}" if fault else None


@dataclass(frozen=True, kw_only=True)
class BasicAuth(Model):
    """User and password, each from the configuration or from a file that is read at every request."""

    yaml_type: ClassVar[str] = "config.plain"

    username: str = setting(Text(), "")
    username_file: str = setting(FilePath(), "")
    username_ref: str = setting(Text(), "", only_default=True)
    password: Secret = setting(Hidden(), NO_SECRET)
    password_file: str = setting(FilePath(), "")
    password_ref: str = setting(Text(), "", only_default=True)

    def check(self) -> None:
        """Each of the two comes from one place."""
        if self.username and self.username_file:
            raise self.refuse(
                "username_file",
                "at most one of basic_auth username, username_file & username_ref must be configured",
            )
        if self.password and self.password_file:
            raise self.refuse(
                "password_file",
                "at most one of basic_auth password, password_file & password_ref must be configured",
            )


@dataclass(frozen=True, kw_only=True)
class Authorization(Model):
    """The Authorization header of any other type."""

    yaml_type: ClassVar[str] = "config.plain"

    type: str = setting(Text(_header_value), "Bearer")
    credentials: Secret = setting(Hidden(_header_value), NO_SECRET)
    credentials_file: str = setting(FilePath(), "")
    credentials_ref: str = setting(Text(), "", only_default=True)

    def check(self) -> None:
        """Credentials come from one place; basic authentication has a block of its own."""
        if self.credentials and self.credentials_file:
            raise self.refuse(
                "credentials_file",
                "at most one of authorization credentials & credentials_file must be configured",
            )
        if self.type.strip().lower() == "basic":
            raise self.refuse("type", 'authorization type cannot be set to "basic", use "basic_auth" instead')
        if not self.type.strip():
            object.__setattr__(self, "type", "Bearer")


@dataclass(frozen=True, kw_only=True)
class TlsConfig(Model):
    """TLS as a client. Files are read again when they change."""

    yaml_type: ClassVar[str] = "config.plain"

    ca: str = setting(Text(), "")
    cert: str = setting(Text(), "")
    key: Secret = setting(Hidden(), NO_SECRET)
    ca_file: str = setting(FilePath(), "")
    cert_file: str = setting(FilePath(), "")
    key_file: str = setting(FilePath(), "")
    ca_ref: str = setting(Text(), "", only_default=True)
    cert_ref: str = setting(Text(), "", only_default=True)
    key_ref: str = setting(Text(), "", only_default=True)
    server_name: str = setting(Text(), "")
    insecure_skip_verify: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    min_version: str = setting(Text(_tls_version), "")
    max_version: str = setting(Text(_tls_version), "")

    def check(self) -> None:
        """A certificate needs its key and the other way round, each from one place."""
        for one, other in (("ca", "ca_file"), ("cert", "cert_file"), ("key", "key_file")):
            if getattr(self, one) and getattr(self, other):
                raise self.refuse(other, f"at most one of {one}, {other} & {one}_ref must be configured")
        has_cert = bool(self.cert or self.cert_file)
        has_key = bool(self.key or self.key_file)
        if has_cert and not has_key:
            raise self.refuse(
                "cert_file",
                "exactly one of key or key_file must be configured when a client certificate is configured",
            )
        if has_key and not has_cert:
            raise self.refuse(
                "key_file",
                "exactly one of cert or cert_file must be configured when a client key is configured",
            )


@dataclass(frozen=True, kw_only=True)
class HttpHeader(Model):
    """The values of one header, in this order: values, secrets, the contents of files."""

    yaml_type: ClassVar[str] = "config.Header"

    values: tuple[str, ...] = setting(Listed(Text(_header_value)), ())
    secrets: tuple[Secret, ...] = setting(Listed(Hidden(_header_value)), ())
    files: tuple[str, ...] = setting(Listed(FilePath()), ())


@dataclass(frozen=True, kw_only=True)
class HttpClient(Model):
    """What every section that asks over HTTP has inline.

    After reading, `bearer_token` and `bearer_token_file` have become `authorization`.
    """

    basic_auth: BasicAuth | None = setting(Of(BasicAuth))
    authorization: Authorization | None = setting(Of(Authorization))
    bearer_token: Secret = setting(Hidden(_header_value), NO_SECRET)
    bearer_token_file: str = setting(FilePath(), "")
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    follow_redirects: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    enable_http2: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    proxy_url: SecretUrl = setting(Url(("http", "https", "socks5")), NO_URL, shown=Shown.GIVEN)
    no_proxy: str = setting(Text(), "")
    http_headers: tuple[tuple[str, HttpHeader], ...] = setting(
        Mapped(Of(HttpHeader, reads_null=True), "map[string]config.Header", _header_name), ()
    )

    def check(self) -> None:
        """Only one way of authorization at a time."""
        if self.bearer_token and self.bearer_token_file:
            raise self.refuse(
                "bearer_token_file", "at most one of bearer_token & bearer_token_file must be configured"
            )
        bearer = bool(self.bearer_token or self.bearer_token_file)
        bearer_field = "bearer_token" if self.bearer_token else "bearer_token_file"
        if bearer and self.authorization is not None:
            raise self.refuse(
                bearer_field, "authorization is not compatible with bearer_token & bearer_token_file"
            )
        if bearer and self.basic_auth is not None:
            raise self.refuse(
                bearer_field,
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            )
        if self.basic_auth is not None and self.authorization is not None:
            raise self.refuse(
                "authorization", "at most one of basic_auth, oauth2 & authorization must be configured"
            )
        if self.no_proxy and not self.proxy_url:
            raise self.refuse("no_proxy", "if no_proxy is configured, proxy_url must also be configured")
        if bearer:
            authorization = Authorization(
                credentials=self.bearer_token, credentials_file=self.bearer_token_file
            )
            object.__setattr__(self, "authorization", authorization)
            object.__setattr__(self, "bearer_token", NO_SECRET)
            object.__setattr__(self, "bearer_token_file", "")


def scheme_check(text: str) -> str | None:
    """Whether a text is `http` or `https`."""
    return one_of(("", "http", "https"), "unknown scheme {}, must be http or https")(text)
