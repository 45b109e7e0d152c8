"""How to reach a peer, from its HTTP block in the configuration: credentials, TLS, headers, proxy."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trimon import limits
from trimon.config.http import HttpClient, TlsConfig
from trimon.fetch.client import ClientOptions
from trimon.fetch.headers import fault_of_value
from trimon.fetch.request import FetchError
from trimon.openfiles import os_errors, read_regular
from trimon.redaction import REDACTOR

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def client_options(config: HttpClient, credentials: Credentials | None = None) -> ClientOptions:
    """The options of a client for one peer, with credentials of its own unless they are given.

    Its TLS context is shared by all that come from one config.
    """
    return ClientOptions(
        headers=_headers(config),
        credentials=credentials or Credentials(config),
        tls=TlsContexts(config.tls_config).context,
        server_name=config.tls_config.server_name,
        follow_redirects=config.follow_redirects,
        proxy_url=config.proxy_url.reveal(),
        no_proxy=config.no_proxy,
    )


def _read(path: str) -> str:
    try:
        with os_errors(path):
            data = read_regular(Path(path), limits.SECRET_FILE_BYTES_MAX).replace(b"\r\n", b"\n")
            text = data.decode("utf-8").strip()
    except (OSError, ValueError) as error:  # the latter: a path with a null byte, a text that is not UTF-8
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise FetchError(f"unable to read file {path}: {reason}") from None
    REDACTOR.add(text)
    return text


def _read_header(path: str) -> str:
    """A file whose contents become the value of a header."""
    text = _read(path)
    if fault := fault_of_value(text):
        raise FetchError(f"file {path} cannot be sent in a header: it has {fault}")
    return text


def _headers(config: HttpClient) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, header in config.http_headers for value in header.values)


class Credentials:
    """What is secret or read from a file at every request."""

    def __init__(self, config: HttpClient) -> None:
        self._config = config
        self.sent: tuple[str, ...] = ()
        """The secrets of the last request, as they were given and as they were sent."""

    def __call__(self) -> tuple[tuple[str, str], ...]:
        """The headers of the next request. Raises FetchError when a file cannot be read."""
        config = self._config
        found: list[tuple[str, str]] = []
        secrets: list[str] = []
        if config.basic_auth is not None:
            basic = config.basic_auth
            user = _read(basic.username_file) if basic.username_file else basic.username
            password = _read(basic.password_file) if basic.password_file else basic.password.reveal()
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            REDACTOR.add(token)
            secrets += (password, token)
            found.append(("Authorization", f"Basic {token}"))
        if config.authorization is not None:
            bearer = config.authorization
            secret = (
                _read_header(bearer.credentials_file)
                if bearer.credentials_file
                else bearer.credentials.reveal()
            )
            secrets.append(secret)
            found.append(("Authorization", f"{bearer.type} {secret}"))
        for name, header in config.http_headers:
            own = [*(secret.reveal() for secret in header.secrets), *map(_read_header, header.files)]
            secrets += own
            found += [(name, secret) for secret in own]
        if (sent := tuple(secrets)) != self.sent:
            self.sent = sent
        return tuple(found)


class TlsContexts:
    """One TLS context for a configuration, made anew when one of its files changes."""

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[float, ...] = ()

    def context(self) -> ssl.SSLContext:
        """The context for the next connection. Raises OSError, ssl.SSLError."""
        try:
            stamp = self._read_stamp()
            if self._context is None or stamp != self._stamp:
                self._context, self._stamp = self._make(), stamp
        except UnicodeError:
            raise ssl.SSLError("a certificate or key is not ASCII") from None
        return self._context

    def _read_stamp(self) -> tuple[float, ...]:
        config = self._config
        paths = [path for path in (config.ca_file, config.cert_file, config.key_file) if path]
        stamps = []
        for path in paths:
            with os_errors(path):
                stamps.append(Path(path).stat().st_mtime)
        return tuple(stamps)

    def _make(self) -> ssl.SSLContext:
        config = self._config
        if config.ca_file:
            with _short_lived(_read_certificate(config.ca_file)) as name:
                context = ssl.create_default_context(cafile=name)
        else:
            context = ssl.create_default_context(cadata=config.ca.encode("ascii").decode() or None)
        if config.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if config.min_version:
            context.minimum_version = _VERSIONS[config.min_version]
        if config.max_version:
            context.maximum_version = _VERSIONS[config.max_version]
        if config.cert or config.cert_file:
            self._load_certificate(context)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        config = self._config
        certificate = config.cert.encode("ascii") or _read_certificate(config.cert_file)
        key = config.key.reveal().encode("ascii") or _read_certificate(config.key_file)
        (certificate + key).decode("ascii")
        with _short_lived(certificate + b"\n" + key) as name:
            context.load_cert_chain(name)


def _read_certificate(path: str) -> bytes:
    return read_regular(Path(path), limits.CERTIFICATE_FILE_BYTES_MAX)


@contextmanager
def _short_lived(content: bytes) -> Iterator[str]:
    """The name of a file with the content: ssl reads from files only, and would wait for ever for one that is none."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(content)
        file.flush()
        yield file.name
