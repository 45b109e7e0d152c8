"""The HTTP client block: credentials, TLS, proxy, headers of whoever is asked over HTTP."""

from __future__ import annotations

import json
import re
from typing import ClassVar, Final

from trimon.config.kinds import ADDRESS, AnyUrl, Boolean, FilePath, Hidden, Listed, Mapped, Of, Text
from trimon.config.model import Model, Shown, Source, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.config.yaml.tree import Node, Shape
from trimon.errors import UserError
from trimon.fetch.headers import fault_of_value
from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.redaction import REDACTOR, looks_secret

TLS_VERSIONS: Final = ("", "TLS10", "TLS11", "TLS12", "TLS13")
RESERVED_HEADERS: Final = frozenset(
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
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ]
)
"""Headers that no section may set."""
_RESERVED_SCRAPE_HEADERS: Final = frozenset(["x-prometheus-scrape-timeout-seconds", "accept"])
NO_SECRET: Final = Secret()
NO_URL: Final = SecretUrl()
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SIGNATURE_ALGORITHMS: Final = ("RS256", "RS384", "RS512")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _tls_version(text: str) -> str | None:
    return None if text in TLS_VERSIONS else f"unknown TLS version: {text}"


def _header_fault(text: str) -> str | None:
    if text.lower() in RESERVED_HEADERS | _RESERVED_SCRAPE_HEADERS:
        return f"setting header {go_quote(_canonical(text))} is not allowed"
    if not text or any(char in '()<>@,;:\\"/[]?={} \t\r\n' or not " " < char < "\x7f" for char in text):
        return f"{go_quote(text)} is not a valid header name"
    return None


def _canonical(header: str) -> str:
    """A name of a header as Go writes it."""
    if _TOKEN.fullmatch(header) is None:
        return header
    return "-".join(part.capitalize() for part in header.split("-"))


def _header_value(text: str) -> str | None:
    fault = fault_of_value(text)
    return f"value cannot be sent in a header: it has {fault}" if fault else None


def _connect_header() -> Mapped:
    """Headers that a proxy is sent when it is asked for a tunnel."""
    return Mapped(Listed(Hidden(_header_value)), "map[string][]config.Secret", _connect_header_name)


def _connect_header_name(text: str) -> str | None:
    return None if _TOKEN.fullmatch(text) else f"{go_quote(text)} is not a valid header name"


def _refuse_several(model: Model, name: str, message: str) -> None:
    """Raise UserError for a value given in more than one way: in the file, by a file of its own, by a reference."""
    given = [each for each in (name, f"{name}_file", f"{name}_ref") if getattr(model, each)]
    if len(given) > 1:
        raise model.refuse(given[1], f"at most one of {message}")


@dataclass(frozen=True, kw_only=True)
class BasicAuth(Model):
    """User and password, each from the configuration or from a file that is read at every request."""

    yaml_type: ClassVar[str] = "config.plain"
    section: ClassVar[str] = "basic_auth"

    username: str = setting(Text(), "")
    username_file: str = setting(FilePath(), "")
    username_ref: str = setting(Text(), "")
    password: Secret = setting(Hidden(), NO_SECRET)
    password_file: str = setting(FilePath(), "")
    password_ref: str = setting(Text(), "")

    def check_meaning(self) -> None:
        """Each of the two comes from one place; whoever has the block inline says when that is looked at."""
        for name in ("username", "password"):
            _refuse_several(self, name, f"basic_auth {name}, {name}_file & {name}_ref must be configured")


@dataclass(frozen=True, kw_only=True)
class Authorization(Model):
    """The Authorization header of any other type."""

    yaml_type: ClassVar[str] = "config.plain"
    section: ClassVar[str] = "authorization"

    type: str = setting(Text(_header_value), "Bearer")
    credentials: Secret = setting(Hidden(_header_value), NO_SECRET)
    credentials_file: str = setting(FilePath(), "")
    credentials_ref: str = setting(Text(), "")

    def check_meaning(self) -> None:
        """Credentials come from one place; basic authentication has a block of its own."""
        _refuse_several(
            self, "credentials", "authorization credentials & credentials_file must be configured"
        )
        if self.type.strip().lower() == "basic":
            raise self.refuse("type", 'authorization type cannot be set to "basic", use "basic_auth" instead')
        if not self.type.strip():
            object.__setattr__(self, "type", "Bearer")


@dataclass(frozen=True, kw_only=True)
class TlsConfig(Model):
    """TLS as a client. Files are read again when they change."""

    yaml_type: ClassVar[str] = "config.plain"
    section: ClassVar[str] = "tls_config"

    ca: str = setting(Text(), "")
    cert: str = setting(Text(), "")
    key: Secret = setting(Hidden(), NO_SECRET)
    ca_file: str = setting(FilePath(), "")
    cert_file: str = setting(FilePath(), "")
    key_file: str = setting(FilePath(), "")
    ca_ref: str = setting(Text(), "")
    cert_ref: str = setting(Text(), "")
    key_ref: str = setting(Text(), "")
    server_name: str = setting(Text(), "")
    insecure_skip_verify: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    min_version: str = setting(Text(_tls_version), "")
    max_version: str = setting(Text(_tls_version), "")

    def check(self) -> None:
        """A certificate needs its key and the other way round, each from one place."""
        for name in ("ca", "cert", "key"):
            _refuse_several(self, name, f"{name}, {name}_file & {name}_ref must be configured")
        has_cert = bool(self.cert or self.cert_file or self.cert_ref)
        has_key = bool(self.key or self.key_file or self.key_ref)
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


@dataclass(frozen=True, slots=True)
class _Claims:
    """A mapping of any shape, kept as JSON."""

    def read(self, node: Node, source: Source) -> str:
        """The claims."""
        if node.shape is not Shape.MAP:
            source.document.mismatch(node, "map[string]any")
        try:
            return json.dumps(source.document.plain(node), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):
            source.document.refuse(node, "claims have a value that JSON cannot hold")

    def zero(self) -> str:
        """No claims."""
        return ""

    def show(self, value: str) -> object:
        """The mapping."""
        return json.loads(value)


def _check_proxy(config: OAuth2 | HttpClient) -> None:
    """A proxy comes from one place, and what is said of it is said of one."""
    if config.proxy_from_environment and config.proxy_url:
        raise config.refuse(
            "proxy_url", "if proxy_from_environment is configured, proxy_url must not be configured"
        )
    if config.proxy_from_environment and config.no_proxy:
        raise config.refuse(
            "no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured"
        )
    if config.no_proxy and not config.proxy_url:
        raise config.refuse("no_proxy", "if no_proxy is configured, proxy_url must also be configured")
    if config.proxy_connect_header and not (config.proxy_url or config.proxy_from_environment):
        raise config.refuse(
            "proxy_connect_header",
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
        )


@dataclass(frozen=True, kw_only=True)
class OAuth2(Model):
    """Where tokens for requests are got, with a secret of the client or a key that it signs with. `claims` is JSON."""

    yaml_type: ClassVar[str] = "config.plain"
    section: ClassVar[str] = "oauth2"

    client_id: str = setting(Text(), "")
    client_secret: Secret = setting(Hidden(), NO_SECRET)
    client_secret_file: str = setting(FilePath(), "")
    client_secret_ref: str = setting(Text(), "")
    client_certificate_key_id: str = setting(Text(), "")
    client_certificate_key: Secret = setting(Hidden(), NO_SECRET)
    client_certificate_key_file: str = setting(FilePath(), "")
    client_certificate_key_ref: str = setting(Text(), "")
    grant_type: str = setting(Text(), "")
    signature_algorithm: str = setting(Text(), "")
    iss: str = setting(Text(), "")
    audience: str = setting(Text(), "")
    claims: str = setting(_Claims(), "")
    scopes: tuple[str, ...] = setting(Listed(Text()), ())
    token_url: SecretUrl = setting(ADDRESS, NO_URL)
    endpoint_params: tuple[tuple[str, str], ...] = setting(Mapped(Text()), ())
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    proxy_url: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.GIVEN)
    no_proxy: str = setting(Text(), "")
    proxy_from_environment: bool = setting(Boolean(), default=False)
    proxy_connect_header: tuple[tuple[str, tuple[Secret, ...]], ...] = setting(_connect_header(), ())

    def check(self) -> None:
        """What is said of a proxy goes together; parameters with names of secrets are told to the redactor."""
        _check_proxy(self)
        for name, value in self.endpoint_params:
            # It is shown with the configuration, as in Prometheus, and in no error of a peer.
            if looks_secret(name):
                REDACTOR.add(value)

    def check_meaning(self) -> None:
        """The client and the place of tokens are named, and what it proves itself with comes from one place."""
        if not self.client_id:
            raise self.refuse("client_id", "oauth2 client_id must be configured")
        if not self.token_url:
            raise self.refuse("token_url", "oauth2 token_url must be configured")
        if self.signs:
            _refuse_several(
                self, "client_certificate_key", _one_of_keys("client_certificate_key", JWT_BEARER)
            )
            if self.signature_algorithm not in ("", *SIGNATURE_ALGORITHMS):
                raise self.refuse(
                    "signature_algorithm", "valid signature algorithms are RS256, RS384 and RS512"
                )
        else:
            _refuse_several(self, "client_secret", _one_of_keys("client_secret", "client_credentials"))

    @property
    def signs(self) -> bool:
        """Whether the client signs what it claims; else it sends its secret."""
        return self.grant_type == JWT_BEARER


def _one_of_keys(name: str, grant: str) -> str:
    return f"oauth2 {name}, {name}_file & {name}_ref must be configured using grant-type={grant}"


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
    oauth2: OAuth2 | None = setting(Of(OAuth2))
    bearer_token: Secret = setting(Hidden(_header_value), NO_SECRET)
    bearer_token_file: str = setting(FilePath(), "")
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    follow_redirects: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    enable_http2: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    proxy_url: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.GIVEN)
    no_proxy: str = setting(Text(), "")
    proxy_from_environment: bool = setting(Boolean(), default=False)
    proxy_connect_header: tuple[tuple[str, tuple[Secret, ...]], ...] = setting(_connect_header(), ())
    http_headers: tuple[tuple[str, HttpHeader], ...] = setting(
        Mapped(Of(HttpHeader, reads_null=True), "map[string]config.Header"), ()
    )

    def check(self) -> None:
        """Only one way of authorization at a time, and each of them whole.

        That is looked at here and not where the blocks are read, so that what has the wrong shape anywhere in the section is
        told before; in Prometheus' order.
        """
        self._check_bearer()
        if self.basic_auth is not None:
            self.basic_auth.check_meaning()
        if self.authorization is not None:
            self._refuse_bearer("authorization is not compatible with bearer_token & bearer_token_file")
            self.authorization.check_meaning()
        ways = [name for name in ("basic_auth", "authorization", "oauth2") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise self.refuse(ways[1], "at most one of basic_auth, oauth2 & authorization must be configured")
        if self.oauth2 is not None:
            self.oauth2.check_meaning()
        _check_proxy(self)
        for name, header in self.http_headers:
            if fault := _header_fault(name):
                place = header.place()
                raise UserError(fault, place if place.line else self.place("http_headers"))
        self._take_bearer()

    def _check_bearer(self) -> None:
        if self.bearer_token and self.bearer_token_file:
            raise self.refuse(
                "bearer_token_file", "at most one of bearer_token & bearer_token_file must be configured"
            )
        if self.basic_auth is not None or self.oauth2 is not None:
            self._refuse_bearer(
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"
            )

    def _refuse_bearer(self, message: str) -> None:
        """Raise UserError if there is a bearer token."""
        for name in ("bearer_token", "bearer_token_file"):
            if getattr(self, name):
                raise self.refuse(name, message)

    def _take_bearer(self) -> None:
        """What the two old fields say becomes `authorization`."""
        if self.bearer_token or self.bearer_token_file:
            authorization = Authorization(
                credentials=self.bearer_token, credentials_file=self.bearer_token_file
            )
            object.__setattr__(self, "authorization", authorization)
            object.__setattr__(self, "bearer_token", NO_SECRET)
            object.__setattr__(self, "bearer_token_file", "")
