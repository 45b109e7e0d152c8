"""The configuration shown: as YAML with secrets masked, and as digests that notice a changed secret."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final

from trimon.config.configuration import Config
from trimon.config.discovery import PluginOptions
from trimon.config.model import Model, show_model
from trimon.config.secret import Secret
from trimon.config.yaml.text import to_yaml
from trimon.random import SYSTEM_RANDOMNESS

# Digests go to pages and logs; with a key of this process nobody can try passwords against them.
_KEY: Final = SYSTEM_RANDOMNESS.token(32)


def effective_yaml(config: Config) -> str:
    """The main file with its defaults made explicit and its secrets masked, for /api/v1/status/config."""
    return to_yaml(show_model(config.main))


def section_yaml(section: Model) -> str:
    """A section on its own, in the same way."""
    return to_yaml(show_model(section))


def fingerprint(*values: object) -> str:
    """A digest of models and plain values, secrets included: equal values give equal digests in one process.

    It says nothing about the secrets to whoever reads it.
    """
    digest = hashlib.blake2b(key=_KEY, digest_size=12)
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: hashlib.blake2b, value: object) -> None:
    if isinstance(value, Model):
        digest.update(f"<{type(value).__name__}".encode())
        for each in dataclasses.fields(value):
            if each.compare:
                digest.update(f";{each.name}=".encode())
                _feed(digest, getattr(value, each.name))
        digest.update(b">")
    elif isinstance(value, Secret):
        _feed(digest, ("secret", value.reveal()))
    elif isinstance(value, PluginOptions):
        _feed(digest, ("options", value.canonical()))
    elif isinstance(value, (tuple, list)):
        digest.update(f"[{len(value)}:".encode())
        for inner in value:
            _feed(digest, inner)
    else:
        text = repr(value).encode()
        digest.update(f"{len(text)}:".encode() + text)
