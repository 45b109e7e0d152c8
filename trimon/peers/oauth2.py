"""Tokens of OAuth 2.0: with the secret of a client (RFC 6749, 4.4), or with what it signs (RFC 7523, 3.1).

    request ─ prepare ─┬ a token that counts for ten more seconds ─────────────────────── Authorization: Bearer …
                       └ none ─ one of all requests asks the token's server, the others wait for what it gets
                                     │
                                     ├ client secret: in a header first; refused, in the form; what worked is remembered
                                     └ signed claims: in the form

All requests of one configuration share a source. While a server of tokens does not answer, each of 5,000 targets would ask it
in turn, and the last wait for hours: who waited while another's attempt failed gets that failure and does not try itself.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Final
from urllib.parse import parse_qs, quote_plus, urlencode

import trio

from trimon.clock import Clock, WallClock
from trimon.config.http import JWT_BEARER, OAuth2
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.headers import fault_of_value
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.gotext.strings import go_quote
from trimon.peers.files import read_secret
from trimon.peers.proxy import proxy_options
from trimon.peers.tls import TlsContexts
from trimon.random import SYSTEM_RANDOMNESS
from trimon.records import dataclass
from trimon.redaction import REDACTOR

# A token that ends sooner is not used any more: a request takes time, too.
EARLY_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 2**20
ANSWER_SHOWN_MAX: Final = 1000
SIGNED_FOR_S: Final = 600
FORM: Final = "application/x-www-form-urlencoded"
_TYPES: Final = {"": "Bearer", "bearer": "Bearer", "mac": "MAC", "basic": "Basic"}


@dataclass(frozen=True, slots=True)
class _Token:
    authorization: str
    secret: str
    until_s: float
    """On trio's clock."""


class TokenSource:
    """Tokens for the requests of one configuration. Only on the loop's thread."""

    def __init__(self, config: OAuth2, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or WallClock()
        options = ClientOptions(
            tls=TlsContexts(config.tls_config).context,
            server_name=config.tls_config.server_name,
            proxy=proxy_options(config),
        )
        self._fetch = HttpFetch(options)
        self._lock = trio.Lock()
        self._attempts = 0
        self._failure: FetchError | None = None
        self._token: _Token | None = None
        self._token_of = ""
        self._in_form = False

    @property
    def authorization(self) -> str:
        """The header of a request; after `prepare`."""
        assert self._token is not None
        return self._token.authorization

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown of a request."""
        return () if self._token is None else (self._token.secret,)

    async def prepare(self) -> None:
        """Sees to it that there is a token. Raises FetchError."""
        secret = self._secret()
        if self._holds(secret):
            return
        attempts = self._attempts
        async with self._lock:
            if self._holds(secret):
                return
            if self._attempts != attempts and self._failure is not None:
                raise self._failure
            self._failure = None
            try:
                self._token, self._token_of = await self._fetched(secret), secret
            except FetchError as error:
                self._failure = error
                raise
            finally:
                self._attempts += 1

    def _holds(self, secret: str) -> bool:
        token = self._token
        return token is not None and self._token_of == secret and trio.current_time() < token.until_s

    def _secret(self) -> str:
        config = self._config
        if config.signs:
            file, given = config.client_certificate_key_file, config.client_certificate_key
        else:
            file, given = config.client_secret_file, config.client_secret
        return read_secret(file) if file else given.reveal()

    async def _fetched(self, secret: str) -> _Token:
        if self._config.signs:
            return _token_of(await self._asked(self._signed_form(secret)), as_json=True)
        form = {**self._scopes(), **dict(self._config.endpoint_params)}
        form.setdefault("grant_type", "client_credentials")
        client_id = self._config.client_id
        in_form = {"client_id": client_id, **({"client_secret": secret} if secret else {})}
        if not self._in_form:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            basic = base64.b64encode(pair.encode()).decode()
            REDACTOR.add(basic)
            try:
                return _token_of(await self._asked(form, ("Authorization", f"Basic {basic}")))
            except _RefusedError:
                pass  # Servers differ in where they look; there is no way to ask them.
        token = _token_of(await self._asked({**form, **in_form}))
        self._in_form = True
        return token

    def _scopes(self) -> dict[str, str]:
        return {"scope": " ".join(self._config.scopes)} if self._config.scopes else {}

    def _signed_form(self, key: str) -> dict[str, str]:
        config, scopes = self._config, self._scopes()
        now_s = self._clock.now_ms() // 1000
        claims: dict[str, Any] = {
            "iss": config.iss or config.client_id,
            "sub": config.client_id,
            "jti": SYSTEM_RANDOMNESS.token(16).hex(),
            "aud": config.audience or config.token_url.reveal(),
            "iat": now_s,
            "exp": now_s + SIGNED_FOR_S,
            **scopes,
            **(json.loads(config.claims) if config.claims else {}),
        }
        form = {"grant_type": JWT_BEARER, "assertion": self._signed(claims, key), **scopes}
        for name, value in config.endpoint_params:
            if name in form and name != "grant_type":
                raise FetchError(f"oauth2: cannot overwrite parameter {go_quote(name)}")
            form[name] = value
        return form

    def _signed(self, claims: dict[str, Any], key: str) -> str:
        import jwt  # noqa: PLC0415 # it and its cryptography are large, and few sign

        key_id = self._config.client_certificate_key_id
        try:
            return jwt.encode(
                claims,
                key,
                self._config.signature_algorithm or "RS256",
                headers={"kid": key_id} if key_id else None,
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise FetchError(f"oauth2: cannot sign with the client certificate key: {error}") from None

    async def _asked(self, form: dict[str, str], *headers: tuple[str, str]) -> Response:
        """The answer of the token's server, which is a success. Raises FetchError."""
        response = await self._fetch.send(
            FetchRequest(
                self._config.token_url.reveal(),
                (("Content-Type", FORM), *headers),
                timeout_s=math.inf,  # the request that the token is for has a deadline
                body_bytes_max=ANSWER_BYTES_MAX,
                method="POST",
                body=urlencode(sorted(form.items())).encode(),
                # The body may hold the secret, which is for nobody else.
                follow_redirects=False,
            )
        )
        if not 200 <= response.status < 300:
            raise _refusal(response)
        return response


class _RefusedError(FetchError):
    """The token's server does not give one."""


def _refusal(response: Response) -> _RefusedError:
    fields = _fields(response)
    code = fields.get("error")
    if isinstance(code, str) and code:
        words = [code, *(fields.get(name) for name in ("error_description", "error_uri"))]
        return _RefusedError(
            "oauth2: " + " ".join(go_quote(word) for word in words if isinstance(word, str) and word)
        )
    text = response.body[:ANSWER_SHOWN_MAX].decode(errors="replace")
    return _RefusedError(f"oauth2: cannot fetch token: {response.status_line}\nResponse: {text}")


def _fields(response: Response) -> dict[str, Any]:
    """What an answer says, as JSON or as a form; nothing when it is neither."""
    if response.content_type.partition(";")[0].strip() in (FORM, "text/plain"):
        try:
            return {name: values[0] for name, values in parse_qs(response.body.decode()).items()}
        except ValueError:
            return {}
    try:
        fields = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _token_of(response: Response, *, as_json: bool = False) -> _Token:
    """The token of an answer. Raises FetchError."""
    fields = _fields(response)
    if not fields and (as_json or "json" in response.content_type):
        raise _RefusedError("oauth2: cannot parse json: the answer is no object")
    if isinstance(code := fields.get("error"), str) and code:
        raise _refusal(response)
    secret = fields.get("access_token")
    if not isinstance(secret, str) or not secret:
        raise _RefusedError("oauth2: server response missing access_token")
    if fault := fault_of_value(secret):
        raise FetchError(f"oauth2: the token cannot be sent in a header: it has {fault}")
    REDACTOR.add(secret)
    kind = fields.get("token_type")
    kind = kind if isinstance(kind, str) and not fault_of_value(kind) else ""
    return _Token(f"{_TYPES.get(kind.lower(), kind)} {secret}", secret, _until_s(fields.get("expires_in")))


def _until_s(expires_in: object) -> float:
    """Until when a token is used; one that says nothing of its end is used for ever."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type] # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return trio.current_time() + seconds - EARLY_S if 0 < seconds < math.inf else math.inf
