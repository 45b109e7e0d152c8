"""What the web config file may say beyond Prometheus: roles of users, bearer tokens, paths for everybody."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

from trimon.config.kinds import FilePath, Listed, Mapped, Of, Text
from trimon.config.model import Model, setting
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

ROLES: Final = ("read", "write", "admin", "debug")


def _role(text: str) -> str | None:
    return None if text in ROLES else f"unknown role {go_quote(text)}, known are {', '.join(ROLES)}"


def _path(text: str) -> str | None:
    return None if text.startswith("/") else f"path {go_quote(text)} does not begin with a slash"


@dataclass(frozen=True, kw_only=True)
class TokenConfig(Model):
    """A bearer token, which stands in a file, and what its owner may do."""

    yaml_type: ClassVar[str] = "trimon.Token"

    name: str = setting(Text(), "")
    file: str = setting(FilePath(), "")
    roles: tuple[str, ...] | None = setting(Listed(Text(_role)))
    """None: all."""

    def check(self) -> None:
        """A token has a name and a file."""
        for name in ("name", "file"):
            if not getattr(self, name):
                raise self.refuse(name, f"a token has no {name}")


@dataclass(frozen=True, kw_only=True)
class AccessConfig(Model):
    """Who may do what. A user without an entry in `roles` may do everything, as in Prometheus."""

    yaml_type: ClassVar[str] = "trimon.Access"

    roles: tuple[tuple[str, tuple[str, ...]], ...] = setting(
        Mapped(Listed(Text(_role)), "map[string][]string"), ()
    )
    tokens: tuple[TokenConfig, ...] = setting(
        Listed(Of(TokenConfig), "[]trimon.Token", "empty or null token"), ()
    )
    exempt_paths: tuple[str, ...] = setting(Listed(Text(_path)), ())

    @property
    def names_of_tokens(self) -> frozenset[str]:
        """The names under which owners of tokens are known."""
        return frozenset(token.name for token in self.tokens)

    def check(self) -> None:
        """Each token has a name of its own."""
        seen: set[str] = set()
        for token in self.tokens:
            if token.name in seen:
                raise token.refuse("name", f"token {go_quote(token.name)} is there twice")
            seen.add(token.name)

    def require_users(self, users: AbstractSet[str]) -> None:
        """Raise UserError when a role is given to nobody: who was meant would have all of them."""
        for user, _ in self.roles:
            if user not in users:
                raise self.refuse("roles", f"user {go_quote(user)} has roles, but is not in basic_auth_users")
