"""What prometheus.yml may ask for and this version of trimon does not do yet. Doing it is deleting its row here.

Everything listed has a model: it is read, checked and shown like the rest. It is warned of at every start, reload and
check, with its place, because nothing acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.errors import Position
from trimon.records import dataclass

_REFERENCE: Final = "references to secrets are not resolved, nothing is sent for it"
_NO_TLS_REFERENCE: Final = "references to secrets are not resolved, connections go without it"

INERT: Final[Mapping[str, Mapping[str, str]]] = {
    "tsdb": {"stale_series_compaction_threshold": "stale series are compacted with all others"},
    "basic_auth": {"username_ref": _REFERENCE, "password_ref": _REFERENCE},
    "authorization": {"credentials_ref": _REFERENCE},
    "oauth2": {"client_secret_ref": _REFERENCE, "client_certificate_key_ref": _REFERENCE},
    "tls_config": {
        "ca_ref": _NO_TLS_REFERENCE,
        "cert_ref": _NO_TLS_REFERENCE,
        "key_ref": _NO_TLS_REFERENCE,
    },
}
"""By the name of a model and the field: what follows from nothing acting on it."""

NO_EFFECT: Final[Mapping[str, str]] = {"runtime": "it tunes the Go runtime, and this is Python"}
"""Sections of the main file that mean nothing here, and why; whatever they say, they are warned of where they are given."""
NO_EFFECT_IN_JOBS: Final[Mapping[str, str]] = {"enable_http2": "targets are asked by HTTP/1.1"}
"""The same of fields of jobs, where they are switched on by name."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A field of a file that asks for what this version does not do."""

    name: str
    consequence: str
    place: Position

    def __str__(self) -> str:
        return f"nothing acts on {self.name} in this version of trimon: {self.consequence}"
