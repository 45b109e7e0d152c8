"""Users, passwords, tokens and roles: who gets through the chain, how often a password is compared, and who is slowed down."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon.errors import UserError
from trimon.offload import InlineOffload
from trimon.web.auth import passwords
from trimon.web.auth.authentication import _user_and_password
from trimon.web.auth.security import CurrentSecurity, load_security, read_security
from trimon.web.http import ratelimit

PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
OTHER = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
TOKEN = "0123456789abcdef-token"
READY = "/-/ready"


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def security(directory: Path, more: str = "") -> CurrentSecurity:
    """alice may do everything, bob read, ci (a token) write."""
    (directory / "token").write_text(TOKEN + "\n")
    path = directory / "web.yml"
    path.write_text(
        f"basic_auth_users: {{alice: '{HASH}', bob: '{OTHER}'}}\n{more}"
        "trimon:\n  roles: {bob: [read]}\n  tokens: [{name: ci, file: token, roles: [write]}]\n"
        "  exempt_paths: [/-/healthy, /-/quit]\n"
    )
    return read_security(path)


def world_of(directory: Path, more: str = "") -> Any:
    return web_world(directory / "world", changes={"security": security(directory, more)})


async def status(
    here: WebWorld, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> int:
    return (await Call(method, path, headers or {}).to(here.client.app))[0]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were compared with."""
    seen: list[bytes] = []
    original = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return original(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return seen


@pytest.fixture
def limit_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of all limits, which passes when a test says so."""
    now_s = [100.0]
    monkeypatch.setattr(ratelimit, "trio", SimpleNamespace(current_time=lambda: now_s[0]))
    return now_s


async def test_who_does_not_say_who_he_is_gets_nothing(tmp_path: Path) -> None:
    """Probes, metrics, what does not exist and what browsers ask before they ask: all of it needs credentials."""
    async with world_of(tmp_path) as here:
        for method, path in (
            ("GET", READY),
            ("GET", "/metrics"),
            ("GET", "/nothing"),
            ("OPTIONS", "/api/v1/query"),
            ("POST", "/api/v1/query"),
        ):
            answer = await Call(method, path, {}).to(here.client.app)
            assert (answer[0], answer[2]) == (401, b"Unauthorized\n")
            headers = dict(answer[1])
            assert headers[b"www-authenticate"] == b"Basic"
            assert headers[b"content-type"] == b"text/plain; charset=utf-8"
        assert await status(here, "/nothing", basic("alice", PASSWORD)) == 404


async def test_credentials_are_as_they_must_be(tmp_path: Path) -> None:
    """Right ones pass, in any case of the scheme; wrong, cut, unknown and empty ones do not."""
    async with world_of(tmp_path) as here:
        good = basic("alice", PASSWORD)["authorization"]
        for value in (
            good,
            good.replace("Basic", "bAsIC"),
            f"Bearer {TOKEN}",
            f"bearer  {TOKEN} ",
            f"Token {TOKEN}",
        ):
            assert await status(here, READY, {"authorization": value}) == 200
        for value in (
            "Basic",
            "Basic !!",
            good[:-4],
            good + "=",
            good.replace("Basic ", ""),
            basic("alice", "other")["authorization"],
            "Bearer " + TOKEN[:-1],
            "Digest x",
        ):
            assert await status(here, READY, {"authorization": value}) == 401


async def test_roles_say_what_is_missing(tmp_path: Path) -> None:
    """A reader reads, a writer writes; the refusal names the role. Who has no entry may do everything."""
    async with world_of(tmp_path) as here:
        assert await status(here, "/api/v1/labels", basic("bob", "other")) == 200
        assert await status(here, "/api/v1/labels", bearer(TOKEN)) == 403
        assert await status(here, "/api/v1/labels", basic("alice", PASSWORD)) == 200
        answer = await Call("POST", "/api/v1/write", basic("bob", "other"), b"x").to(here.client.app)
        assert answer[0] == 403
        assert answer[2] == (
            b'{"status":"error","errorType":"forbidden",'
            b'"error":"bob may not ask for /api/v1/write: the role write is missing"}'
        )
        # what needs no role needs a name all the same
        assert await status(here, READY, bearer(TOKEN)) == 200


async def test_exempt_paths_are_read_by_everybody(tmp_path: Path) -> None:
    """An exempt probe is answered without credentials and with wrong ones; what changes something is never exempt."""
    async with world_of(tmp_path) as here:
        assert await status(here, "/-/healthy") == 200
        assert await status(here, "/-/healthy", basic("alice", "wrong")) == 200
        assert await status(here, "/-/quit", method="POST") == 401


async def test_a_right_password_is_compared_once(tmp_path: Path, compared: list[bytes]) -> None:
    """The second request with it is answered without a comparison; a wrong one is compared each time."""
    async with world_of(tmp_path) as here:
        for _ in range(5):
            assert await status(here, READY, basic("alice", PASSWORD)) == 200
        assert compared == [HASH.encode()]
        for _ in range(2):
            assert await status(here, READY, basic("alice", "wrong")) == 401
        assert len(compared) == 3


async def test_a_password_is_not_right_for_another_user(tmp_path: Path, compared: list[bytes]) -> None:
    """What is remembered belongs to the hash of its user; a changed hash is compared anew."""
    current = security(tmp_path)
    async with web_world(tmp_path / "world", changes={"security": current}) as here:
        assert await status(here, READY, basic("alice", PASSWORD)) == 200
        assert await status(here, READY, basic("bob", PASSWORD)) == 401
        path = tmp_path / "web.yml"
        path.write_text(path.read_text().replace(HASH, OTHER))
        current.now = load_security(path)
        assert await status(here, READY, basic("alice", PASSWORD)) == 401
        assert await status(here, READY, basic("alice", "other")) == 200
        assert len(compared) == 4


async def test_an_unknown_user_takes_a_comparison_too(tmp_path: Path, compared: list[bytes]) -> None:
    """The password of who is unknown is compared with a hash of the file, always the same one, and never right."""
    async with world_of(tmp_path) as here:
        for password in (PASSWORD, "other"):
            assert await status(here, READY, basic("mallory", password)) == 401
        assert len(compared) == 2
        assert compared[0] == compared[1]
        assert compared[0] in (HASH.encode(), OTHER.encode())


async def test_wrong_passwords_slow_their_client_down(tmp_path: Path, limit_clock: list[float]) -> None:
    """After ten wrong ones a client has to wait; what was right before passes meanwhile, and others are not concerned."""
    async with world_of(tmp_path) as here:
        assert await status(here, READY, basic("alice", PASSWORD)) == 200
        codes = [await status(here, READY, basic("bob", f"wrong {number}")) for number in range(12)]
        assert codes == [401] * 10 + [429] * 2
        answer = await Call("GET", READY, basic("bob", "wrong")).to(here.client.app)
        assert (answer[0], dict(answer[1])[b"retry-after"]) == (429, b"2")
        assert await status(here, READY, bearer("nonsense")) == 401
        assert await status(here, READY, basic("bob", "other")) == 429
        assert await status(here, READY, basic("alice", PASSWORD)) == 200
        assert await status(here, READY, bearer(TOKEN)) == 200
        elsewhere = Call("GET", READY, basic("bob", "other"))
        scope = {**elsewhere.scope, "client": ("10.9.9.9", 1)}
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            await trio.sleep_forever()
            raise AssertionError

        async def send(message: Any) -> None:
            sent.append(message)

        await here.client.app(scope, receive, send)
        assert sent[0]["status"] == 200
        limit_clock[0] += 5
        assert await status(here, READY, basic("bob", "still wrong")) == 401


async def test_one_user_s_wrong_passwords_keep_no_other_out(tmp_path: Path, limit_clock: list[float]) -> None:
    """Behind a proxy all clients are one: who guesses at one user does not lock out the others, a hundred guesses do."""
    async with world_of(tmp_path) as here:
        for _ in range(50):
            await status(here, READY, basic("bob", "wrong"))
        assert await status(here, READY, basic("alice", PASSWORD)) == 200
        codes = [await status(here, READY, basic(f"nobody {number}", "wrong")) for number in range(100)]
        assert codes == [401] * 90 + [429] * 10
        assert await status(here, READY, basic("bob", "other")) == 429
        limit_clock[0] += 5
        assert await status(here, READY, basic("bob", "other")) == 200


async def test_the_same_password_with_other_ends_is_remembered_once(
    tmp_path: Path, compared: list[bytes]
) -> None:
    """Of a password 72 bytes count, as in Go: what follows pushes out nothing that is remembered."""
    import bcrypt  # this test alone makes a hash

    hashed = bcrypt.hashpw(b"L" * 72, bcrypt.gensalt(4)).decode()
    kept = passwords.Passwords(InlineOffload())
    for tail in ("", "a", "b"):
        assert await kept.is_right(hashed.encode(), b"L" * 72 + tail.encode())
    assert len(kept._right) == 1
    assert kept.remembers(hashed.encode(), b"L" * 80)


async def test_equal_requests_share_one_comparison(tmp_path: Path) -> None:
    """Twenty requests at once with one password cost one comparison; too many different ones are refused with 503."""
    begun = 0
    go = trio.Event()

    class Held:
        async def run(self, work: Any, on_cancel: Any = None) -> Any:
            nonlocal begun
            begun += 1
            await go.wait()
            return work()

    changes = {"security": security(tmp_path), "password_threads": Held()}
    async with web_world(tmp_path / "world", changes=changes) as here:
        codes: list[int] = []

        async def ask(headers: dict[str, str], number: int) -> None:
            call = Call("GET", READY, headers)
            scope = {**call.scope, "client": (f"10.1.1.{number}", 1)}
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            async def receive() -> dict[str, Any]:
                await trio.sleep_forever()
                raise AssertionError

            await here.client.app(scope, receive, send)
            codes.append(sent[0]["status"])

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, basic("alice", PASSWORD), number)
            await wait_all_tasks_blocked()
            assert begun == 1
            for number in range(passwords.WAITING_MAX - 1):
                nursery.start_soon(ask, basic("alice", f"wrong {number}"), 100 + number)
            await wait_all_tasks_blocked()
            await ask(basic("alice", "one more"), 99)
            assert codes == [503]
            go.set()
        assert sorted(codes) == [200] * 20 + [401] * (passwords.WAITING_MAX - 1) + [503]


async def test_all_clients_together_have_a_rate(tmp_path: Path, limit_clock: list[float]) -> None:
    """With rate_limit no more requests than its burst pass at once, and one more an interval."""
    async with world_of(tmp_path, "rate_limit: {interval: 1s, burst: 3}\n") as here:
        codes = [await status(here, READY, basic("alice", PASSWORD)) for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        limit_clock[0] += 1
        assert await status(here, READY, basic("alice", PASSWORD)) == 200


async def test_headers_of_the_file_go_before_our_own(tmp_path: Path) -> None:
    """Every answer, a refusal too, has the configured headers once; without them a page has a policy of ours."""
    more = "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: default-src x}}\n"
    async with world_of(tmp_path, more) as here:
        for headers in ({}, {**basic("alice", PASSWORD), "accept": "text/html"}):
            answer = await Call("GET", "/-/ready", headers).to(here.client.app)
            names = [name for name, _ in answer[1]]
            assert len(names) == len(set(names))
            assert dict(answer[1])[b"x-frame-options"] == b"deny"
            assert dict(answer[1])[b"content-security-policy"] == b"default-src x"
    async with web_world(tmp_path / "second") as here:
        given = dict((await Call("GET", "/-/ready", {}).to(here.client.app))[1])
        assert given[b"x-content-type-options"] == b"nosniff"
        assert b"content-security-policy" not in given


async def test_the_user_is_known_to_handlers(tmp_path: Path) -> None:
    """/api/v1/trimon/security names who asks, on both ways of the router; where nobody is asked it is empty."""
    async with world_of(tmp_path) as here:
        path = "/api/v1/trimon/security"
        for headers, user in ((basic("bob", "other"), "bob"), (basic("alice", PASSWORD), "alice")):
            for more in ({}, {"transfer-encoding": "chunked"}):
                answer = await Call("GET", path, {**headers, **more}, b"" if more else None).to(
                    here.client.app
                )
                assert f'"user":"{user}"'.encode() in answer[2]
    async with web_world(tmp_path / "second") as here:
        answered = await here.client.get(path)
        assert (await answered.get_json())["data"] == {
            "open_without_authentication": False, "addresses": [], "tls": False, "user": "",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        ("short", "has 5 characters; a token has at least 16"),
        ("a b c d e f g h i j k l", "a token has at least 16, and no space"),
        ("ö" * 20, "is not ASCII"),
    ],
)
def test_bad_token_files_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    """The error names the file and the line of the configuration, and not the token."""
    path = tmp_path / "web.yml"
    path.write_text("trimon:\n  tokens:\n    - {name: a, file: token}\n")
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        load_security(path)
    assert refused.value.position.line == 3
    assert content is None or content not in refused.value.message


@given(st.binary(max_size=40))
def test_any_credentials_are_taken_apart_or_refused(credentials: bytes) -> None:
    """Nothing that stands behind `Basic` is a bug, and what is well-formed comes back as it was."""
    found = _user_and_password(credentials)
    if found is not None:
        assert base64.b64encode(found[0] + b":" + found[1]) == credentials
    user, _, password = credentials.partition(b":")
    encoded = base64.b64encode(user + b":" + password)
    assert _user_and_password(encoded) == (user, password)
