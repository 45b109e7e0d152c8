"""The files that a configuration points at: for `check config`, which wants them to exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trimon.config.http import HttpClient
from trimon.config.load import Config
from trimon.errors import Position, UserError


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that something in the configuration will read."""

    path: Path
    what: str
    place: Position


def _of_client(client: HttpClient) -> Iterator[Reference]:
    tls = client.tls_config
    for what in ("ca_file", "cert_file", "key_file"):
        if getattr(tls, what):
            yield Reference(Path(getattr(tls, what)), f"tls_config {what}", tls.place(what))
    basic = client.basic_auth
    if basic is not None:
        for what in ("username_file", "password_file"):
            if getattr(basic, what):
                yield Reference(Path(getattr(basic, what)), f"basic_auth {what}", basic.place(what))
    authorization = client.authorization
    if authorization is not None and authorization.credentials_file:
        place = authorization.place("credentials_file")
        if not place.line:
            place = client.place("bearer_token_file")
        yield Reference(Path(authorization.credentials_file), "authorization credentials_file", place)
    for _, header in client.http_headers:
        for path in header.files:
            yield Reference(Path(path), "http_headers file", header.place("files"))


def references(config: Config) -> Iterator[Reference]:
    """Every file the jobs read besides discovery files, and rule files named without a wildcard."""
    for path in config.rule_paths:
        yield Reference(path, "rule file", config.main.place("rule_files"))
    for job in config.scrape_configs:
        yield from _of_client(job)


def missing_files(config: Config) -> list[UserError]:
    """An error for each file that is not there. Blocks on the disk."""
    return [
        UserError(f"error checking {reference.what} {str(reference.path)!r}: no such file", reference.place)
        for reference in references(config)
        if not reference.path.is_file()
    ]
