"""Users, tokens, and what each may do: made from the web config file, never changed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trimon import limits
from trimon.config.web.access import TokenConfig
from trimon.config.web.file import WebConfig
from trimon.openfiles import os_errors, read_regular
from trimon.redaction import REDACTOR
from trimon.web.http.role import Role

ALL_ROLES: Final = frozenset({Role.READ, Role.WRITE, Role.ADMIN, Role.DEBUG})
TOKEN_CHARACTERS_MIN: Final = 16


class Identity(NamedTuple):
    """Somebody who has said who he is."""

    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Whether he may ask for what needs a role."""
        return role is Role.NONE or role in self.roles


class Accounts:
    """All users and tokens of one web config file."""

    def __init__(self, users: Mapping[Identity, str], tokens: Mapping[str, Identity]) -> None:
        """`users` have their bcrypt hash; `tokens` are by their text."""
        self._key = secrets.token_bytes(32)
        self._users = {user.name.encode(): (user, hashed.encode()) for user, hashed in users.items()}
        self._decoys = [hashed for _, hashed in self._users.values()]
        # Found by a keyed digest: how long it takes says nothing about a token.
        self._tokens = {self._digest(token.encode()): owner for token, owner in tokens.items()}

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, hashlib.sha256)

    def user(self, name: bytes) -> Identity | None:
        """The user of a name."""
        found = self._users.get(name)
        return found[0] if found is not None else None

    def hash_for(self, name: bytes) -> bytes | None:
        """What a password is compared with: the user's hash, or, for who is unknown, always the same one of another.

        So an unknown user takes as long as a known one. None when there is no user at all.
        """
        found = self._users.get(name)
        if found is not None:
            return found[1]
        if not self._decoys:
            return None
        return self._decoys[int.from_bytes(self._digest(name)[:8]) % len(self._decoys)]

    def gained(self, before: Accounts) -> dict[str, list[str]]:
        """The roles that users and owners of tokens have now and had not before, by name; new ones are left out."""
        then = before._roles_by_name()
        return {
            name: [role.value for role in more]
            for name, roles in self._roles_by_name().items()
            if (more := roles - then.get(name, roles))
        }

    def roles(self, name: str) -> frozenset[Role]:
        """What a user or the owner of a token may; nothing for who is unknown."""
        return self._roles_by_name().get(name, frozenset())

    def _roles_by_name(self) -> dict[str, frozenset[Role]]:
        """Of users and owners of tokens together: the file gives no token the name of a user."""
        users = (user for user, _ in self._users.values())
        return {identity.name: identity.roles for identity in (*users, *self._tokens.values())}

    def owner(self, token: bytes) -> Identity | None:
        """Whose token this is."""
        return self._tokens.get(self._digest(token))


def _roles(names: tuple[str, ...] | None) -> frozenset[Role]:
    return ALL_ROLES if names is None else frozenset(Role(name) for name in names)


def load_accounts(config: WebConfig) -> Accounts | None:
    """The accounts of a file; None when it has none, so that nobody is asked. Blocks on the disk. Raises UserError."""
    access = config.trimon
    if not config.basic_auth_users and not access.tokens:
        return None
    roles = dict(access.roles)
    users = {
        Identity(name, _roles(roles.get(name))): hashed.reveal() for name, hashed in config.basic_auth_users
    }
    tokens: dict[str, Identity] = {}
    for token in access.tokens:
        text = _read_token(token)
        if text in tokens:
            raise token.refuse("file", f"token {token.name} is the same as that of {tokens[text].name}")
        tokens[text] = Identity(token.name, _roles(token.roles))
    return Accounts(users, tokens)


def _read_token(token: TokenConfig) -> str:
    try:
        with os_errors(token.file):
            text = read_regular(Path(token.file), limits.SECRET_FILE_BYTES_MAX).decode("ascii").strip()
    except OSError as error:
        message = f"open {token.file}: {(error.strerror or str(error)).lower()}"
        raise token.refuse("file", message) from None
    except UnicodeDecodeError:
        raise token.refuse("file", f"{token.file} is not ASCII") from None
    REDACTOR.add(text)
    REDACTOR.add_name(token.name)
    if len(text) < TOKEN_CHARACTERS_MIN or not text.isprintable() or " " in text:
        message = f"{token.file} has {len(text)} characters; a token has at least {TOKEN_CHARACTERS_MIN}, and no space"
        raise token.refuse("file", message)
    return text
