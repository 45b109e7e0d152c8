"""What a request to a peer proves itself with."""

from __future__ import annotations

import base64

from trimon.config.http import HttpClient
from trimon.peers.files import read_header, read_secret
from trimon.peers.oauth2 import TokenSource
from trimon.redaction import REDACTOR


class Credentials:
    """What is secret or read from a file at every request."""

    def __init__(self, config: HttpClient) -> None:
        self._config = config
        self._tokens = None if config.oauth2 is None else TokenSource(config.oauth2)
        self.sent: tuple[str, ...] = ()
        """The secrets of the last request, as they were given and as they were sent."""

    async def prepare(self) -> None:
        """Fetches what the next request needs and nobody has yet: a token. Raises FetchError."""
        if self._tokens is not None:
            await self._tokens.prepare()

    def __call__(self) -> tuple[tuple[str, str], ...]:
        """The headers of the next request. Raises FetchError when a file cannot be read."""
        config = self._config
        found: list[tuple[str, str]] = []
        secrets: list[str] = []
        if config.basic_auth is not None:
            basic = config.basic_auth
            user = read_secret(basic.username_file) if basic.username_file else basic.username
            password = read_secret(basic.password_file) if basic.password_file else basic.password.reveal()
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            REDACTOR.add(token)
            secrets += (password, token)
            found.append(("Authorization", f"Basic {token}"))
        if config.authorization is not None:
            bearer = config.authorization
            secret = (
                read_header(bearer.credentials_file)
                if bearer.credentials_file
                else bearer.credentials.reveal()
            )
            secrets.append(secret)
            found.append(("Authorization", f"{bearer.type} {secret}"))
        if self._tokens is not None:
            secrets += self._tokens.secrets
            found.append(("Authorization", self._tokens.authorization))
        for name, header in config.http_headers:
            own = [*(secret.reveal() for secret in header.secrets), *map(read_header, header.files)]
            secrets += own
            found += [(name, secret) for secret in own]
        if (sent := tuple(secrets)) != self.sent:
            self.sent = sent
        return tuple(found)
