"""Tokens of OAuth 2.0: what the token's server is asked, when, and what becomes of its answers."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from trimon.config import load_text
from trimon.config.http import JWT_BEARER
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import FetchError, FetchRequest
from trimon.peers.options import client_options


@dataclass
class Asked:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Server:
    """Gives tokens at /token by `answer`, and pages elsewhere."""

    port: int
    answer: Callable[[Asked], tuple[int, str, str]] = lambda _: (
        200,
        "application/json",
        '{"access_token":"t1"}',
    )
    delay_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def tokens_asked(self) -> list[Asked]:
        return [one for one in self.asked if one.path == "/token"]

    @property
    def pages_asked(self) -> list[str]:
        return [one.headers.get("authorization", "") for one in self.asked if one.path != "/token"]

    async def serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                piece = await stream.receive_some(65536)
                if not piece:
                    return
                data += piece
            head, _, data = data.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", "0"))
            while len(data) < length:
                data += await stream.receive_some(65536)
            body, data = data[:length], data[length:]
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            asked = Asked(first.split(" ")[1], headers, form)
            self.asked.append(asked)
            status, kind, text = (200, "text/plain", "page") if asked.path != "/token" else self.answer(asked)
            if asked.path == "/token" and self.delay_s:
                await trio.sleep(self.delay_s)
            await stream.send_all(
                f"HTTP/1.1 {status} Some Thing\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
            )


@pytest.fixture
async def server(nursery: trio.Nursery) -> AsyncIterator[Server]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(listeners[0].socket.getsockname()[1])
    nursery.start_soon(partial(trio.serve_listeners, server.serve, listeners))
    yield server
    nursery.cancel_scope.cancel()


def clients(server: Server, count: int = 1, **fields: Any) -> list[HttpFetch]:
    """Clients of one job with `oauth2`, as its targets have them."""
    oauth2 = {"client_id": "id", "client_secret": "s&c", "token_url": server.url("/token"), **fields}
    job = {"job_name": "j", "oauth2": {name: value for name, value in oauth2.items() if value is not None}}
    options = client_options(load_text(json.dumps({"scrape_configs": [job]}), "/p.yml").scrape_configs[0])
    return [HttpFetch(options) for _ in range(count)]


async def fetched(client: HttpFetch, server: Server, path: str = "/metrics") -> None:
    await client.send(FetchRequest(server.url(path), timeout_s=5))
    await client.aclose()


async def test_a_token_is_got_once_and_sent_with_every_request(server: Server) -> None:
    """The client's name and secret go in a header, escaped; scopes and parameters in the form; the token serves all."""
    for client in clients(server, 2, scopes=["a", "b"], endpoint_params={"k": "v w"}):
        await fetched(client, server)
        await fetched(client, server)
    (asked,) = server.tokens_asked
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"id:s%26c").decode()
    assert asked.form == {"grant_type": "client_credentials", "scope": "a b", "k": "v w"}
    assert server.pages_asked == ["Bearer t1"] * 4


async def test_a_server_that_looks_into_the_form_is_remembered(server: Server) -> None:
    """Where the header is refused, name and secret go in the form, from then on at once."""

    def answer(asked: Asked) -> tuple[int, str, str]:
        if asked.form.get("client_secret") != "s&c":
            return 401, "application/json", '{"error":"invalid_client"}'
        return 200, "application/json", '{"access_token":"t","token_type":"bearer","expires_in":10}'

    server.answer = answer
    (client,) = clients(server)
    await fetched(client, server)
    await fetched(client, server)  # ten seconds are too few to use a token again
    assert ["client_id" in asked.form for asked in server.tokens_asked] == [False, True, True]
    assert server.pages_asked == ["Bearer t", "Bearer t"]


async def test_a_token_is_used_until_ten_seconds_before_its_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends in a minute serves 49 seconds, and not 51."""
    server.answer = lambda _: (200, "application/json", '{"access_token":"t","expires_in":"60"}')
    (client,) = clients(server)
    await fetched(client, server)
    began_s = trio.current_time()
    for later_s, count in ((49, 1), (51, 2)):
        monkeypatch.setattr(
            "trimon.peers.oauth2.trio.current_time", lambda later_s=later_s: began_s + later_s
        )
        await fetched(client, server)
        assert len(server.tokens_asked) == count


async def test_a_secret_in_a_file_may_change(server: Server, tmp_path: Path) -> None:
    """A new secret gets a new token at the next request."""
    file = tmp_path / "secret"
    file.write_text("one\n")
    (client,) = clients(server, client_secret=None, client_secret_file=str(file))
    await fetched(client, server)
    file.write_text("two\n")
    await fetched(client, server)
    sent = [base64.b64decode(asked.headers["authorization"][6:]).decode() for asked in server.tokens_asked]
    assert sent == ["id:one", "id:two"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, "text/html", "<b>no"), r"oauth2: cannot fetch token: 401 Some Thing\nResponse: <b>no"),
        (
            (400, "application/json", '{"error":"invalid_scope","error_description":"so \\"not\\""}'),
            r'oauth2: "invalid_scope" "so \\"not\\""',
        ),
        ((200, "application/json", "{}"), "oauth2: cannot parse json: the answer is no object"),
        ((200, "application/json", "[" * 100_000), "oauth2: cannot parse json: the answer is no object"),
        ((200, "application/json", '{"access_token":""}'), "oauth2: server response missing access_token"),
        ((200, "application/json", '{"access_token":["x"]}'), "oauth2: server response missing access_token"),
        (
            (200, "application/json", '{"access_token":"a\\nb"}'),
            "oauth2: the token cannot be sent in a header",
        ),
        ((200, "application/json", '{"error":"x","access_token":"t"}'), 'oauth2: "x"'),
    ],
    ids=lambda value: value[2][:20] if isinstance(value, tuple) else "",
)
async def test_what_is_no_token_is_an_error_of_the_request(
    server: Server, answer: tuple[int, str, str], message: str
) -> None:
    """Whatever the token's server says, the scrape fails with its words, and the target is not asked."""
    server.answer = lambda _: answer
    (client,) = clients(server)
    with pytest.raises(FetchError, match=f'^Get "{server.url("/metrics")}": {message}'):
        await fetched(client, server)
    assert server.pages_asked == []


async def test_an_answer_may_be_a_form(server: Server) -> None:
    """Some servers answer with a form, and a type of their own."""
    server.answer = lambda _: (
        200,
        "application/x-www-form-urlencoded",
        "access_token=t%20x&token_type=MaC&expires_in=x",
    )
    (client,) = clients(server)
    await fetched(client, server)
    assert server.pages_asked == ["MAC t x"]


async def test_a_failure_is_shared_by_all_who_waited(server: Server) -> None:
    """While a slow server of tokens fails, 200 targets ask it once, not one after the other."""
    server.answer = lambda _: (500, "text/plain", "down")
    server.delay_s = 0.2
    failed = 0

    async def one(client: HttpFetch) -> None:
        nonlocal failed
        with pytest.raises(FetchError):
            await fetched(client, server)
        failed += 1

    async with trio.open_nursery() as together:
        for client in clients(server, 200):
            together.start_soon(one, client)
    assert failed == 200
    assert len(server.tokens_asked) == 2  # in the header, then in the form


async def test_the_time_of_a_request_counts_for_its_token(server: Server) -> None:
    """A token's server that says nothing ends the scrape at its deadline."""
    server.delay_s = 10
    (client,) = clients(server)
    with pytest.raises(FetchError, match="context deadline exceeded"):
        await client.send(FetchRequest(server.url("/metrics"), timeout_s=0.2))


@pytest.mark.parametrize("algorithm", ["", "RS384", "RS512"])
async def test_a_client_signs_what_it_claims(server: Server, algorithm: str, tmp_path: Path) -> None:
    """The assertion passes its check with the public key and says who, for whom, until when, and what else is claimed."""
    key = rsa.generate_private_key(65537, 2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    (client,) = clients(
        server,
        client_secret=None,
        client_certificate_key_file=str(file),
        client_certificate_key_id="k1",
        grant_type=JWT_BEARER,
        signature_algorithm=algorithm,
        scopes=["a"],
        claims={"more": {"x": [1]}},
        endpoint_params={"p": "q"},
    )
    await fetched(client, server)
    (asked,) = server.tokens_asked
    assertion = asked.form.pop("assertion")
    assert asked.form == {"grant_type": JWT_BEARER, "scope": "a", "p": "q"}
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm or "RS256", "typ": "JWT", "kid": "k1"}
    claims = jwt.decode(
        assertion, key.public_key(), [algorithm or "RS256"], audience=server.url("/token"), leeway=60
    )
    assert claims["exp"] - claims["iat"] == 600
    assert math.isclose(claims["iat"], time.time(), abs_tol=60)
    assert (claims["iss"], claims["sub"], claims["scope"], claims["more"]) == ("id", "id", "a", {"x": [1]})
    assert server.pages_asked == ["Bearer t1"]


async def test_a_key_that_is_none_is_an_error_of_the_request(server: Server) -> None:
    """So is a parameter that would stand in the place of what was signed."""
    (client,) = clients(server, client_secret=None, client_certificate_key="no key", grant_type=JWT_BEARER)
    with pytest.raises(FetchError, match="oauth2: cannot sign with the client certificate key"):
        await fetched(client, server)


async def test_a_token_goes_to_no_other_host(server: Server) -> None:
    """A redirect elsewhere is followed without the token."""
    (client,) = clients(server)
    other = f"http://localhost:{server.port}/elsewhere"
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]

    async def redirect(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(
            f"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, redirect, listeners))
        await client.send(FetchRequest(f"http://127.0.0.1:{port}/", timeout_s=5))
        await client.aclose()
        nursery.cancel_scope.cancel()
    assert server.pages_asked == [""]
