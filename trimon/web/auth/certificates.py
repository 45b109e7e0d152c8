"""Certificates, keys and authorities as the web config file gives them, and what is wrong with them in Go's words."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Final

from trimon import limits
from trimon.config.web.file import WebTlsConfig
from trimon.errors import UserError
from trimon.openfiles import os_errors, read_regular
from trimon.peers.files import short_lived

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


def read_named(path: str) -> bytes:
    """The content of a file. Raises UserError in the words of Go."""
    try:
        with os_errors(path):
            return read_regular(Path(path), limits.CERTIFICATE_FILE_BYTES_MAX)
    except OSError as error:
        raise UserError(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def _content(config: WebTlsConfig, name: str, inline: str) -> bytes:
    path: str = getattr(config, name + "_file")
    if not path:
        return inline.encode()
    try:
        return read_named(path)
    except UserError as error:
        message = f"failed to read {name}_file ({path}): {error.message}"
        raise config.refuse(name + "_file", message) from None


def load_key_pair(context: ssl.SSLContext, config: WebTlsConfig) -> bytes:
    """Give a context the certificate and its key; gives the certificate as it is written.

    Raises UserError at the field that is wrong.
    """
    certificate = _content(config, "cert", config.cert)
    key = _content(config, "key", config.key.reveal())
    fault = _fault_of_certificate(certificate)
    place = "cert"
    if not fault:
        fault, place = _fault_of_key(key), "key"
    if not fault:
        fault = _load(context, certificate + b"\n" + key)
    if fault:
        field = place + "_file" if getattr(config, place + "_file") else place
        raise config.refuse(field, f"failed to load X509KeyPair: {fault}")
    return certificate


def _load(context: ssl.SSLContext, content: bytes) -> str:
    """What is wrong with a certificate and key; empty when the context has taken them."""
    try:
        with short_lived(content) as name:
            # Without a password a key that needs one would be asked for on the terminal.
            context.load_cert_chain(name, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "tls: private key does not match public key"
        if error.reason in ("BAD_DECRYPT", "BAD_PASSWORD_READ", "INTERRUPTED_OR_CANCELLED"):
            return "tls: failed to parse private key: it is encrypted"
        return (
            f"tls: certificate or key is damaged: {(error.reason or 'no reason').lower().replace('_', ' ')}"
        )
    return ""


def _types(content: bytes) -> list[str]:
    return [found[1].decode("ascii") for found in _BLOCK.finditer(content)]


def _fault_of_certificate(content: bytes) -> str:
    types = _types(content)
    if "CERTIFICATE" in types:
        return ""
    if not types:
        return "tls: failed to find any PEM data in certificate input"
    if len(types) == 1 and types[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, "
            "but did find a private key; PEM inputs may have been switched"
        )
    skipped = " ".join(types)
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input '
        f"after skipping PEM blocks of the following types: [{skipped}]"
    )


def _fault_of_key(content: bytes) -> str:
    types = _types(content)
    if any(each.endswith("PRIVATE KEY") for each in types):
        return ""
    if not types:
        return "tls: failed to find any PEM data in key input"
    if types == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    skipped = " ".join(types)
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input '
        f"after skipping PEM blocks of the following types: [{skipped}]"
    )


def read_authorities(config: WebTlsConfig) -> bytes:
    """The authorities of client certificates as they are written; empty when none are named. Raises UserError."""
    if not config.client_ca_file:
        return config.client_ca.encode()
    try:
        return read_named(config.client_ca_file)
    except UserError as error:
        raise config.refuse("client_ca_file", error.message) from None


def load_authorities(context: ssl.SSLContext, config: WebTlsConfig, content: bytes) -> None:
    """Give a context the authorities that were read; the system's when none are named. Raises UserError."""
    if not config.client_ca and not config.client_ca_file:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    field = "client_ca_file" if config.client_ca_file else "client_ca"
    if "CERTIFICATE" not in _types(content):
        raise config.refuse(field, f"{field} has no certificate of an authority")
    try:
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        reason = (error.reason or "no reason").lower().replace("_", " ")
        raise config.refuse(field, f"{field} has a certificate that is damaged: {reason}") from None
