"""What a real Prometheus 3.14 did, recorded beside the repository: where it lies, and how answers are compared with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ORACLE = Path(__file__).resolve().parents[2] / ".." / "shared" / "oracle"


def recordings(name: str) -> list[dict[str, Any]]:
    """The lines of a recording; nothing where there are no recordings."""
    path = ORACLE / name
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def recorded(name: str) -> list[dict[str, Any]]:
    """The lines of a recording. Skips the test, and says so, where there are no recordings."""
    if not (ORACLE / name).exists():
        pytest.skip(
            f"no recordings of Prometheus 3.14 beside the repository ({name})", allow_module_level=True
        )
    return recordings(name)


def differences(
    want: Any, got: Any, volatile: set[str], unordered: set[str], path: str = ""
) -> Iterator[str]:
    """Where two JSON values differ: volatile paths are not looked at, unordered lists are sorted; `*` is any list index."""
    if path in volatile:
        return
    if isinstance(want, dict) and isinstance(got, dict):
        if f"{path}/(keys)" not in volatile and want.keys() != got.keys():
            yield f"{path}: keys -{sorted(want.keys() - got.keys())} +{sorted(got.keys() - want.keys())}"
        for key in want.keys() & got.keys():
            yield from differences(
                want[key], got[key], volatile, unordered, f"{path}/{key.replace('/', '~1')}"
            )
    elif isinstance(want, list) and isinstance(got, list):
        if f"{path}/(length)" not in volatile and len(want) != len(got):
            yield f"{path}: {len(want)} items, not {len(got)}"
        if path in unordered:
            want, got = (sorted(items, key=json.dumps) for items in (want, got))
        for one, other in zip(want, got, strict=False):
            yield from differences(one, other, volatile, unordered, f"{path}/*")
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        yield f"{path}: {want!r}, not {got!r}"
