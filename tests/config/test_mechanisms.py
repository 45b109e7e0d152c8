"""The models of discovery mechanisms, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.config import effective_yaml, load_text
from trimon.config.discovery.table import MECHANISMS
from trimon.config.kinds import Hidden, Listed
from trimon.config.model import Kind, Source, settings_of
from trimon.config.secret import Secret
from trimon.config.yaml.tree import Document
from trimon.errors import UserError

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
def test_a_password_in_an_address_is_never_printed(mechanism: str, name: str, kind: Kind) -> None:
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


SCALARS = st.sampled_from(
    [
        "",
        "x",
        "http://[x]/",
        "http://u:p@h:1/",
        "://",
        "%zz",
        "-1",
        "1e9",
        "5m",
        "true",
        "~",
        "!!binary aGk=",
        "\ud7ff",
        "a in (",
    ]
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2).map(lambda items: f"[{', '.join(json.dumps(item) for item in items)}]"),
    st.dictionaries(
        st.sampled_from(["names", "role", "label", "name", "values", "x"]), SCALARS, max_size=2
    ).map(json.dumps),
    st.just("[{}]"),
)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_section_is_a_bug(data: st.DataObject) -> None:
    """Whatever stands in the fields of a mechanism is taken or refused with its place, and what is taken can be shown."""
    row = data.draw(st.sampled_from(MECHANISMS))
    fields = data.draw(
        st.dictionaries(st.sampled_from(sorted(settings_of(row.model))), VALUES, min_size=1, max_size=6)
    )
    inner = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    text = f"scrape_configs:\n- job_name: j\n  {row.field}:\n  -\n{inner}"
    try:
        config = load_text(text, "/p.yml")
    except UserError:
        return
    assert load_text(effective_yaml(config).replace("<secret>", "s"), "/p.yml").scrape_configs
