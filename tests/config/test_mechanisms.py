"""The models of discovery mechanisms, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimon.config.discovery.table import MECHANISMS
from trimon.config.kinds import AnyUrl, Hidden, Listed
from trimon.config.model import Source, settings_of
from trimon.config.secret import Secret
from trimon.config.yamltree import Document

ADDRESSES = {
    "server",
    "servers",
    "endpoint",
    "url",
    "host",
    "api_url",
    "api_server",
    "identity_endpoint",
    "proxy_url",
}
# Of ZooKeeper, which are asked by name and port alone.
NO_URLS = {("serverset", "servers"), ("nerve", "servers")}
ROWS = [
    (row.name, name, each.metadata["kind"])
    for row in MECHANISMS
    for name, each in settings_of(row.model).items()
]


@pytest.mark.parametrize(
    ("mechanism", "name", "kind"),
    [row for row in ROWS if row[1] in ADDRESSES and row[:2] not in NO_URLS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_password_in_an_address_is_never_printed(mechanism: str, name: str, kind: AnyUrl | Listed) -> None:
    """Every address of every mechanism may be a URL with a password: neither the value nor what is shown has it."""
    text = "http://user:hunter2@h/"
    document = Document(f"[{text}]" if isinstance(kind, Listed) else text, "p.yml")
    assert document.root is not None
    value = kind.read(document.root, Source(document, Path("/")))
    assert "hunter2" not in repr(value)
    assert "hunter2" not in str(kind.show(value))
    assert "user" in str(kind.show(value))


@pytest.mark.parametrize(
    ("mechanism", "name", "kind"),
    [
        row
        for row in ROWS
        if any(word in row[1] for word in ("secret", "password", "token", "passphrase", "private_key"))
        and not row[1].endswith(("_file", "_path", "_ref", "_id"))
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_named_like_a_secret_is_one(mechanism: str, name: str, kind: Hidden) -> None:
    """It cannot be printed, and is shown as a mask."""
    document = Document("hunter2", "p.yml")
    assert document.root is not None
    value = kind.read(document.root, Source(document, Path("/")))
    assert isinstance(value, Secret)
    assert "hunter2" not in f"{value!r} {value} {kind.show(value)}"
