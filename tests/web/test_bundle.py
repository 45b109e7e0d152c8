"""/debug/bundle: one archive of everything, without secrets, and whole also where a part fails."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi import Call
from tests.support.web_world import web_world
from trimon.redaction import REDACTOR
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import create_app
from trimon.web.context import WebContext

NAMES = {
    "README.txt", "config.yml", "flags.json", "metrics.txt", "actors.json", "problems.json", "crashes.json", "queries.json",
    "memory.json", "plugins.json", "status.json",
}  # fmt: skip


async def ask(context: WebContext, client: str = "127.0.0.1") -> tuple[int, dict[bytes, bytes], bytes]:
    app: Any = create_app(replace(context, metrics=SelfMetrics()))
    status, headers, body = await Call("GET", "/debug/bundle").to(
        lambda scope, *rest: app({**scope, "client": (client, 1)}, *rest)
    )
    return status, dict(headers), body


@pytest.fixture
def secret() -> Any:
    """A secret that the process knows."""
    REDACTOR.add("hunter2-hunter2")
    yield "hunter2-hunter2"
    REDACTOR.forget()


async def test_the_bundle_has_everything_and_no_secret(tmp_path: Path, secret: str) -> None:
    """Each part is there and can be read; what is known to be secret is masked wherever it stands, as are passwords in URLs."""
    async with web_world(tmp_path) as here:
        flags = {"web.external-url": "http://u:open-sesame@h/", "x": f"a {secret}"}
        context = replace(here.context, flags=flags, config_yaml=lambda: f"a: {secret}\n")
        status, headers, body = await ask(context)
        assert status == 200
        assert headers[b"content-type"] == b"application/zip"
        assert b"attachment" in headers[b"content-disposition"]
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
        assert texts.keys() == NAMES
        for name, text in texts.items():
            assert secret not in text
            if name.endswith(".json"):
                json.loads(text)
        assert json.loads(texts["flags.json"]) == {"web.external-url": "http://u:xxxxx@h/", "x": "a <secret>"}
        assert texts["config.yml"] == "a: <secret>\n"
        assert json.loads(texts["actors.json"])["path"] == "world"


async def test_a_part_that_fails_is_named(tmp_path: Path) -> None:
    """The bundle is for when something is wrong: a part that cannot be told does not take the others along."""

    def fails() -> Any:
        raise RuntimeError("broken")

    async with web_world(tmp_path) as here:
        status, _, body = await ask(replace(here.context, memory=fails))
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert set(archive.namelist()) == NAMES - {"memory.json"} | {"failed.json"}
            assert json.loads(archive.read("failed.json")) == {"memory.json": "RuntimeError: broken"}


async def test_the_bundle_is_for_this_machine(tmp_path: Path) -> None:
    """From elsewhere it is refused, as all of /debug is."""
    async with web_world(tmp_path) as here:
        status, _, _ = await ask(here.context, "10.0.0.9")
        assert status == 403
