"""The files that a configuration points at, for `check config`, which wants some of them to exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trimon.config.configuration import Config
from trimon.config.globs import expand_glob
from trimon.config.http import HttpClient, TlsConfig
from trimon.errors import Position, UserError
from trimon.gotext.strings import go_quote
from trimon.openfiles import os_errors


def rule_files(config: Config) -> tuple[Path, ...]:
    """The rule files that exist. Blocks on the disk.

    Raises UserError for a pattern that is none, and for a file that is named without `*` and not there.
    """
    found: dict[Path, None] = {}
    for pattern in config.main.rule_files:
        matches = expand_glob(pattern)
        if not matches and "*" not in pattern:
            message = f"{go_quote(pattern)} does not point to an existing file"
            raise UserError(message, config.main.place("rule_files"))
        found.update(dict.fromkeys(matches))
    return tuple(found)


def refuse_missing(client: HttpClient) -> None:
    """Raise UserError when the credentials, certificate or key file of a client is not there. Blocks on the disk."""
    _refuse_absent(_of_client(client))


def refuse_missing_certificates(tls: TlsConfig) -> None:
    """The same for the certificate and key files alone."""
    _refuse_absent(_of_tls(tls))


def _refuse_absent(files: Iterator[tuple[str, str, Position]]) -> None:
    for path, what, place in files:
        try:
            with os_errors(path):
                Path(path).stat()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            message = f"error checking {what} {go_quote(path)}: stat {path}: {reason}"
            raise UserError(message, place) from None


def _of_client(client: HttpClient) -> Iterator[tuple[str, str, Position]]:
    authorization = client.authorization
    if authorization is not None and authorization.credentials_file:
        place = authorization.place("credentials_file")
        yield (
            authorization.credentials_file,
            "authorization credentials or bearer token file",
            place if place.line else client.place("bearer_token_file"),
        )
    yield from _of_tls(client.tls_config)


def _of_tls(tls: TlsConfig) -> Iterator[tuple[str, str, Position]]:
    for field, what in (("cert_file", "client cert file"), ("key_file", "client key file")):
        if getattr(tls, field):
            yield getattr(tls, field), what, tls.place(field)
