"""TLS as a client of a peer."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from trimon.config.http import TlsConfig
from trimon.openfiles import os_errors
from trimon.peers.files import read_certificate, short_lived

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


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
            self._load_certificate(context)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        config = self._config
        certificate = config.cert.encode("ascii") or read_certificate(config.cert_file)
        key = config.key.reveal().encode("ascii") or read_certificate(config.key_file)
        (certificate + key).decode("ascii")
        with short_lived(certificate + b"\n" + key) as name:
            context.load_cert_chain(name)
