"""TLS as a client of a peer."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from trimon.config.http import NO_SECRET, TlsConfig
from trimon.errors import UserError
from trimon.openfiles import os_errors
from trimon.peers.files import read_certificate, short_lived

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def check_certificates(config: TlsConfig) -> None:
    """Raise UserError where certificates or key of a client cannot be read, or cannot be used. Blocks on the disk."""
    for field, what in (
        ("ca_file", "CA cert"),
        ("cert_file", "specified client cert"),
        ("key_file", "specified client key"),
    ):
        path = getattr(config, field)
        try:
            if path:
                with os_errors(path):
                    read_certificate(path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            message = f"unable to read {what}: unable to read file {path}: open {path}: {reason}"
            raise UserError(message, config.place(field)) from None
    try:
        if config.ca or config.ca_file:
            TlsContexts(replace(config, cert="", cert_file="", key=NO_SECRET, key_file="")).context()
    except (OSError, ValueError):
        field = "ca_file" if config.ca_file else "ca"
        raise UserError(
            f"unable to use specified CA cert {_told(config, 'ca')}", config.place(field)
        ) from None
    try:
        if config.cert or config.cert_file:
            with _ascii_only():
                _load_certificate(config, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (OSError, ValueError) as error:
        field = "cert_file" if config.cert_file else "cert"
        pair = f"client cert ({_told(config, 'cert')}) & key ({_told(config, 'key')})"
        raise UserError(f"unable to use specified {pair}: {error}", config.place(field)) from None


@contextmanager
def _ascii_only() -> Iterator[None]:
    try:
        yield
    except UnicodeError:
        raise ssl.SSLError("a certificate or key is not ASCII") from None


def _load_certificate(config: TlsConfig, context: ssl.SSLContext) -> None:
    certificate = config.cert.encode("ascii") or read_certificate(config.cert_file)
    key = config.key.reveal().encode("ascii") or read_certificate(config.key_file)
    (certificate + key).decode("ascii")
    with short_lived(certificate + b"\n" + key) as name:
        context.load_cert_chain(name)


def _told(config: TlsConfig, field: str) -> str:
    path = getattr(config, f"{field}_file")
    return f"file {path}" if path else "inline"


class TlsContexts:
    """One TLS context for a configuration, made anew when one of its files changes."""

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[float, ...] = ()

    def context(self) -> ssl.SSLContext:
        """The context for the next connection. Raises OSError, ssl.SSLError."""
        with _ascii_only():
            stamp = self._read_stamp()
            if self._context is None or stamp != self._stamp:
                self._context, self._stamp = self._make(), stamp
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
            with short_lived(read_certificate(config.ca_file)) as name:
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
            _load_certificate(config, context)
        return context
