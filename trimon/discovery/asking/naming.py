"""How what a source says becomes label names, addresses and lists in one label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")


def sanitized(name: str) -> str:
    """A key as the part of a label name: whatever no label name may have is an underscore; case is kept."""
    return _NOT_IN_NAMES.sub("_", name)


def keyed_labels(prefix: str, pairs: Mapping[str, str]) -> dict[str, str]:
    """A label for each key, its name the prefix and the sanitized key."""
    return {prefix + sanitized(key): value for key, value in pairs.items()}


def surrounded(items: Iterable[str], separator: str = ",") -> str:
    """Items in one label, the separator also at both ends, so that one pattern matches each: `,a,b,`."""
    return f"{separator}{separator.join(items)}{separator}"


def host_port(host: str, port: int | str) -> str:
    """`host:port`; brackets around an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host or "%" in host else f"{host}:{port}"
