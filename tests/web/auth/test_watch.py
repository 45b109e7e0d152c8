"""The web config file while it is written, and what it may not do without a start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.web.auth import watch
from trimon.web.auth.security import CurrentSecurity, read_security
from trimon.web.auth.watch import WebConfigWatch
from trimon.web.http.role import Role

HASH = "$2b$04$abcdefghijklmnopqrstuuSXUDqLgQTnLOPZpDsYMVJJcXJYvrOUi"
USERS = f"basic_auth_users: {{reader: '{HASH}', boss: '{HASH}'}}\n"
ROLES = "trimon: {roles: {reader: [read]}}\n"


@asynccontextmanager
async def watched(path: Path, text: str) -> AsyncIterator[tuple[CurrentSecurity, LogBuffer]]:
    path.write_text(text)  # noqa: ASYNC240 # nothing runs yet
    security, log = read_security(path), LogBuffer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(WebConfigWatch(security, InlineOffload(), log).run)
        yield security, log
        nursery.cancel_scope.cancel()


def roles_of(security: CurrentSecurity, name: bytes) -> frozenset[Role]:
    assert security.now.accounts is not None
    user = security.now.accounts.user(name)
    assert user is not None
    return user.roles


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not holds():  # noqa: ASYNC110 # it looks at files, and tells nobody
            await trio.sleep(0.01)


async def test_a_file_that_is_being_written_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each half of it is valid and says less: only what has come to rest counts, so nobody gains a role meanwhile."""
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.05)
    path = tmp_path / "web.yml"
    whole = "# new\n" + USERS + ROLES
    async with watched(path, USERS + ROLES) as (security, log):
        before = security.now
        for end in [0, *range(len(whole) - len(ROLES), len(whole))]:
            path.write_text(whole[:end])
            await trio.sleep(0.02)
            assert security.now is before
        path.write_text(whole)
        await until(lambda: security.now is not before)
        assert roles_of(security, b"reader") == {Role.READ}
        assert "may do more than before" not in [event for _, event, _ in log.entries]


@pytest.mark.parametrize("text", ["", "trimon: {exempt_paths: [/metrics]}\n", "basic_auth_users: {}\n"])
async def test_users_are_never_switched_off(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without users is a bad change for a server that has some: it is told, and the users stay."""
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)
    path = tmp_path / "web.yml"
    async with watched(path, USERS) as (security, log):
        path.write_text(text)
        await until(lambda: not security.reload_ok)
        assert security.now.accounts is not None
        assert "neither users nor tokens" in str(log.entries[-1][2]["err"])
        path.write_text(USERS + ROLES)
        await until(lambda: security.reload_ok)
        assert roles_of(security, b"reader") == {Role.READ}


async def test_who_may_do_more_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose entry has gone may do everything: the log names him and what he gained."""
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)
    path = tmp_path / "web.yml"
    async with watched(path, USERS + ROLES) as (security, log):
        path.write_text(USERS)
        await until(lambda: Role.ADMIN in roles_of(security, b"reader"))
        told = [fields for _, event, fields in log.entries if event == "may do more than before"]
        assert told == [{"name": "reader", "roles": "admin,debug,write"}]
