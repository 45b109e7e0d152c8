"""Tokens of Google's cloud for requests to its Cloud Monitoring.

    credentials_file, else GOOGLE_APPLICATION_CREDENTIALS, ─┬ service_account: a signed claim (RFC 7523)
    else the file that gcloud writes                        └ authorized_user: a refresh token (RFC 6749, 6)
    none ── the metadata service of the machine

Source: https://cloud.google.com/docs/authentication/application-default-credentials and
https://developers.google.com/identity/protocols/oauth2/service-account.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import trio

from trimon.clock import Clock, WallClock
from trimon.config.cloudauth import GoogleIamConfig
from trimon.fetch.request import Fetch, FetchError
from trimon.peers.files import read_secret
from trimon.peers.tokens.bearer import (
    Token,
    identity_fetch,
    machine_fetch,
    token_for_form,
    token_of_machine,
)

SCOPE: Final = "https://www.googleapis.com/auth/monitoring.write"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 # an address
METADATA_HOST: Final = "169.254.169.254"
SIGNED_FOR_S: Final = 3600
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_WHAT: Final = "google_iam"


class GoogleIamTokens:
    """Asks for tokens. The file with the credentials is read each time, so that it may change."""

    def __init__(
        self,
        config: GoogleIamConfig,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        login: Callable[[], Fetch] = identity_fetch,
        machine: Callable[[], Fetch] = machine_fetch,
    ) -> None:
        self._file = config.credentials_file
        self._environment = os.environ if environment is None else environment
        self._clock = clock or WallClock()
        self._login = login
        self._machine = machine

    async def ask(self) -> Token:
        """A new token. Raises FetchError."""
        asked = await trio.to_thread.run_sync(self._asked)
        if asked is not None:
            return await token_for_form(_WHAT, self._login(), *asked)
        host = self._environment.get("GCE_METADATA_HOST") or METADATA_HOST
        url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={quote(SCOPE, safe='')}"
        return await token_of_machine(_WHAT, self._machine(), url, (("Metadata-Flavor", "Google"),))

    def _asked(self) -> tuple[str, dict[str, str]] | None:
        """Where a token is asked for, and with what; None where there is no file. Blocks. Raises FetchError."""
        path = self._path()
        if not path:
            return None
        said = _fields(path)
        url = said.get("token_uri") or TOKEN_URL
        if said.get("type") == "service_account":
            return url, {"grant_type": _GRANT, "assertion": self._claim(path, said, url)}
        if said.get("type") == "authorized_user":
            names = ("client_id", "client_secret", "refresh_token")
            return url, {"grant_type": "refresh_token", **{name: said.get(name, "") for name in names}}
        raise FetchError(
            f"{_WHAT}: credentials {path}: type {said.get('type', '')[:60]!r} is not supported; it has to be "
            "service_account or authorized_user"
        )

    def _path(self) -> str:
        named = self._file or self._environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
        if named:
            return named
        configured = self._environment.get("CLOUDSDK_CONFIG")
        folder = Path(configured or Path(self._environment.get("HOME", "/"), ".config", "gcloud"))
        well_known = folder / "application_default_credentials.json"
        return str(well_known) if well_known.is_file() else ""

    def _claim(self, path: str, said: Mapping[str, str], url: str) -> str:
        """The claim of a service account to be itself, signed with its key. Raises FetchError."""
        import jwt  # noqa: PLC0415 # it and its cryptography are large, and few sign

        now_s = self._clock.now_ms() // 1000
        claims = {
            "iss": said.get("client_email", ""),
            "scope": SCOPE,
            "aud": url,
            "iat": now_s,
            "exp": now_s + SIGNED_FOR_S,
        }
        try:
            return jwt.encode(
                claims, said.get("private_key", ""), "RS256", headers={"kid": said.get("private_key_id", "")}
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise FetchError(
                f"{_WHAT}: credentials {path}: private_key is no RSA key that can sign"
            ) from None


def _fields(path: str) -> dict[str, str]:
    """The texts of a file of credentials. Raises FetchError."""
    try:
        said: dict[str, Any] = dict(json.loads(read_secret(path)).items())
    except (ValueError, AttributeError, RecursionError):
        raise FetchError(f"{_WHAT}: credentials {path}: no JSON object") from None
    return {name: value for name, value in said.items() if isinstance(value, str)}
