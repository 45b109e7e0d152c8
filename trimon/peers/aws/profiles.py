"""Profiles of the two files that AWS' own tools have: keys in `credentials`, regions and roles in `config`."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trimon.fetch.request import FetchError
from trimon.peers.aws.signature import AwsKeys
from trimon.redaction import REDACTOR

_KEYS: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


class Profiles:
    """The files, read at each use: they are small and may change. Blocks on the disk."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def settings(self, name: str) -> dict[str, str]:
        """All settings of a profile; what `credentials` says wins. Raises FetchError."""
        named = name or self._environment.get("AWS_PROFILE") or "default"
        found = dict(self._section("config", "AWS_CONFIG_FILE", named, "profile "))
        return found | dict(self._section("credentials", "AWS_SHARED_CREDENTIALS_FILE", named))

    def _section(self, file: str, variable: str, name: str, prefix: str = "") -> Mapping[str, str]:
        home = Path(self._environment.get("HOME", "/"))
        path = Path(self._environment.get(variable) or home / ".aws" / file)
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, ValueError) as error:
            raise FetchError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
        section = name if name == "default" else prefix + name
        return parser[section] if parser.has_section(section) else {}


def keys_of(settings: Mapping[str, str]) -> AwsKeys | None:
    """The keys of a profile, if it has some."""
    access, secret, token = (settings.get(name, "") for name in _KEYS)
    return known(AwsKeys(access, secret, token)) if access and secret else None


def known(keys: AwsKeys) -> AwsKeys:
    """The same; no text shows what is secret of it from now on."""
    REDACTOR.add(keys.secret)
    REDACTOR.add(keys.token)
    return keys
