"""A server over TLS for attacks: a certificate of an authority of its own, and the context of clients that trust it."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme

from tests.support.process import Server


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def context_of() -> ssl.SSLContext:
    """What a client dials with."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


def write_authority(path: Path) -> None:
    """Write the authority for clients that are processes of their own."""
    _authority().cert_pem.write_to_path(str(path))


def web_config(folder: Path) -> Path:
    """A web config file with a certificate for localhost."""
    issued = _authority().issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    path = folder / "web.yml"
    path.write_text(f"tls_server_config: {{cert_file: {folder}/server.pem, key_file: {folder}/server.pem}}\n")
    return path


def tls_server(folder: Path, *flags: str, config: str = "global: {}\n") -> Server:
    """A server that speaks TLS alone, ready."""
    server = Server(folder / "data", config, f"--web.config.file={web_config(folder)}", *flags)
    server.start(wait=False)
    server.wait_ready(context_of())
    return server
