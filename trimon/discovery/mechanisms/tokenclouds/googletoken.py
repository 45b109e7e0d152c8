"""Tokens of Google's cloud, with what a client finds without being told ("application default credentials").

    GOOGLE_APPLICATION_CREDENTIALS, else the file that gcloud writes ─┬ service_account: a signed claim (RFC 7523)
                                                                      └ authorized_user: a refresh token (RFC 6749, 6)
    neither ── the metadata service of the machine

Source: https://cloud.google.com/docs/authentication/application-default-credentials and
https://developers.google.com/identity/protocols/oauth2/service-account.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import jwt

from trimon.clock import Clock
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.tokenclouds.metadata import MetadataApi
from trimon.discovery.mechanisms.tokenclouds.tokens import Token
from trimon.discovery.plugin import Context
from trimon.fetch.request import FetchError
from trimon.peers.files import read_secret

TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 # an address
METADATA_HOST: Final = "169.254.169.254"
SIGNED_FOR_S: Final = 3600
TIMEOUT_S: Final = 30.0
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded"),)


class GoogleTokens:
    """Gets tokens of a scope. The file with the credentials is read each time, so that it may change."""

    def __init__(self, scope: str, context: Context, environment: Mapping[str, str] | None = None) -> None:
        self._scope = scope
        self._context = context
        self._environment = os.environ if environment is None else environment
        # The body has a refresh token or a signed claim.
        self._api = Api(context, TIMEOUT_S, follow_redirects=False)

    async def ask(self) -> Token:
        """A new token. Raises SourceError, FetchError."""
        path = await self._context.offload.run(self._path)
        if not path:
            return await self._of_metadata()
        form, url = await self._context.offload.run(lambda: self._form(path))
        body = urlencode(sorted(form.items())).encode()
        return Token.of(await self._api.record(url, _FORM, method="POST", body=body))

    def _path(self) -> str:
        """The file with the credentials; empty where there is none. Blocks."""
        named = self._environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
        if named:
            return named
        configured = self._environment.get("CLOUDSDK_CONFIG")
        folder = Path(configured or Path(self._environment.get("HOME", "/"), ".config", "gcloud"))
        well_known = folder / "application_default_credentials.json"
        return str(well_known) if well_known.is_file() else ""

    def _form(self, path: str) -> tuple[dict[str, str], str]:
        """What is sent to get a token, and where to. Blocks. Raises SourceError."""
        try:
            credentials = Record.of_json(read_secret(path))
            kind = credentials.text("type")
            url = credentials.text("token_uri") or TOKEN_URL
            if kind == "service_account":
                return {"grant_type": _GRANT, "assertion": self._claim(credentials, url)}, url
            if kind == "authorized_user":
                names = ("client_id", "client_secret", "refresh_token")
                return {
                    "grant_type": "refresh_token",
                    **{name: credentials.text(name) for name in names},
                }, url
        except (SourceError, FetchError) as error:
            raise SourceError(f"credentials {path}: {error}") from None
        raise SourceError(
            f"credentials {path}: type {kind[:60]!r} is not supported; it has to be service_account or authorized_user"
        )

    def _claim(self, credentials: Record, url: str) -> str:
        return signed_claim(credentials, url, self._scope, self._context.clock)

    async def _of_metadata(self) -> Token:
        host = self._environment.get("GCE_METADATA_HOST") or METADATA_HOST
        scopes = quote(self._scope, safe="")
        url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scopes}"
        body = await MetadataApi(self._context).ok(url, (("Metadata-Flavor", "Google"),))
        return Token.of(Record.of_json(body))


def signed_claim(credentials: Record, audience: str, scope: str, clock: Clock) -> str:
    """The claim of a service account to be itself, signed with its key. Raises SourceError."""
    now_s = clock.now_ms() // 1000
    claims = {
        "iss": credentials.text("client_email"),
        "scope": scope,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + SIGNED_FOR_S,
    }
    key = credentials.text("private_key")
    headers = {"kid": credentials.text("private_key_id")}
    try:
        return jwt.encode(claims, key, algorithm="RS256", headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise SourceError("private_key is no RSA key that can sign") from None
