"""The files that a configuration points at, for `check config`, which wants some of them to exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trimon.config.globs import expand_glob
from trimon.config.http import HttpClient
from trimon.config.load import Config
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
    for path, what, place in _of_client(client):
        try:
            with os_errors(path):
                Path(path).stat()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            message = f"error checking {what} {go_quote(path)}: stat {path}: {reason}"
            raise UserError(message, place) from None


def _of_client(client: HttpClient) -> Iterator[tuple[str, str, Position]]:
    authorization, tls = client.authorization, client.tls_config
    if authorization is not None and authorization.credentials_file:
        place = authorization.place("credentials_file")
        yield (
            authorization.credentials_file,
            "authorization credentials or bearer token file",
            place if place.line else client.place("bearer_token_file"),
        )
    for field, what in (("cert_file", "client cert file"), ("key_file", "client key file")):
        if getattr(tls, field):
            yield getattr(tls, field), what, tls.place(field)
