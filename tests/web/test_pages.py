"""The pages' document and files: what each request gets, with a build and without."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.asgi import Call, Client
from tests.support.web_world import web_world
from trimon.selfmetrics import SelfMetrics
from trimon.web.auth.headers import AnswerHeaders
from trimon.web.context import WebContext, WebOptions
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.pipeline import pipeline
from trimon.web.pages import PAGES, PROMETHEUS_TITLE, missing_page, page_endpoints

ROOT = Path(__file__).parents[2]
DOCUMENT = (
    '<!doctype html><html><head><title>trimon</title><script src="./theme.js"></script>'
    '<script type="module" src="./assets/index-1.js"></script></head></html>'
)
SCRIPT = "let answer = 42;\n" * 200


def static(folder: Path) -> Path:
    """A build as small as can be."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(DOCUMENT)
    (folder / "theme.js").write_text("0;")
    (folder / "assets" / "index-1.js").write_text(SCRIPT)
    (folder / "assets" / "index-1.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder.parent / "secret").write_text("no page")
    return folder


@asynccontextmanager
async def pages(tmp_path: Path, options: WebOptions, build: Path) -> AsyncIterator[tuple[Client, WebContext]]:
    async with web_world(tmp_path / "data", options) as here:
        context = replace(here.context, metrics=SelfMetrics())
        yield Client(pipeline(context, page_endpoints(context, build))), context


async def get(client: Client, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    status, got, body = await Call("GET", path, sent).to(client.app)
    return status, {name.decode(): value.decode() for name, value in got}, body


async def test_every_page_is_the_document_with_what_scripts_cannot_ask(tmp_path: Path) -> None:
    """Paths begin with the prefix that people use, titles are escaped, and the policy names the document's own nonce."""
    title = '<b>"x"</b>'
    options = WebOptions(external=ExternalUrl("http://x.test/prom/"), page_title=title)
    async with pages(tmp_path, options, static(tmp_path / "static")) as (client, _):
        for path in PAGES:
            status, headers, body = await get(client, path)
            text = body.decode()
            assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert 'src="/prom/assets/index-1.js"' in text
            assert "<title>&lt;b&gt;&quot;x&quot;&lt;/b&gt;</title>" in text
            assert "<b>" not in text
            nonce = re.search(r'name="trimon-nonce" content="([\w-]{20,})"', text)
            assert nonce
            assert f"style-src 'self' 'nonce-{nonce[1]}'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "sameorigin"


async def test_the_title_that_nobody_chose_is_ours(tmp_path: Path) -> None:
    """--web.page-title has Prometheus' default for scripts that read flags; pages show it only when it was given."""
    async with pages(tmp_path, WebOptions(page_title=PROMETHEUS_TITLE), static(tmp_path / "s")) as (
        client,
        _,
    ):
        _, _, body = await get(client, "/query")
        assert b"<title>trimon</title>" in body


async def test_assets_are_kept_for_ever_and_packed_beforehand(tmp_path: Path) -> None:
    """A name has its content's hash, so a browser never asks again; gzip is taken from the disk, and nothing packs twice."""
    async with pages(tmp_path, WebOptions(), static(tmp_path / "static")) as (client, _):
        status, headers, body = await get(client, "/assets/index-1.js")
        assert (status, body.decode()) == (200, SCRIPT)
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["content-type"].startswith("text/javascript")
        _, headers, body = await get(client, "/assets/index-1.js", accept_encoding="gzip, br")
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(body).decode() == SCRIPT
        _, headers, body = await get(client, "/theme.js", accept_encoding="gzip")
        assert (body, headers["cache-control"]) == (b"0;", "no-cache")
        assert "content-encoding" not in headers


@pytest.mark.parametrize(
    "path", ["/assets/../../secret", "/assets/..%2f..%2fsecret", "/assets/no.js", "/assets/index-1.js.gz"]
)
async def test_nothing_else_is_served(path: str, tmp_path: Path) -> None:
    """What is not in the build is 404, however its name is written."""
    async with pages(tmp_path, WebOptions(), static(tmp_path / "static")) as (client, _):
        status, _, body = await get(client, path)
        assert status in (404, 307)
        assert b"no page" not in body


async def test_without_a_build_the_pages_say_how_to_get_one(tmp_path: Path) -> None:
    """The server works without; its pages say what is missing, and lead to the API."""
    async with pages(tmp_path, WebOptions(route_prefix="/p"), tmp_path / "none") as (client, _):
        status, headers, body = await get(client, "/p/query")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"TRIMON_UI=required" in body
        assert b'href="/p/api/v1/targets"' in body


async def test_a_page_that_has_a_policy_still_gets_the_other_headers(tmp_path: Path) -> None:
    """An answer that says its own policy is a page all the same."""
    async with web_world(tmp_path) as here:
        own = [(b"content-type", b"text/html"), (b"content-security-policy", b"x")]
        names = [name for name, _ in AnswerHeaders(here.context.security).complete(own)]
        assert names.count(b"content-security-policy") == 1
        assert b"x-frame-options" in names


def test_the_server_knows_the_paths_of_all_pages() -> None:
    """The table of the scripts and that of the server have the same paths: a link to any page can be opened by itself."""
    table = (ROOT / "trimon/web/ui/src/app/routes.ts").read_text()
    assert set(re.findall(r'path: "(/[\w-]+)"', table)) == set(PAGES)


def test_the_lock_file_names_no_addresses() -> None:
    """Packages come from whatever registry npm is told of; their hashes are in the file."""
    lock = (ROOT / "trimon/web/ui/package-lock.json").read_text()
    assert "://" not in lock
    assert lock.count('"integrity"') > 20


async def test_an_unknown_address_has_a_page(tmp_path: Path) -> None:
    """A browser gets the document with 404; files, the API, and who asks for no page get a plain text."""
    options = WebOptions(external=ExternalUrl("http://x.test/prom/"), route_prefix="/prom")
    async with web_world(tmp_path / "data", options) as here:
        context = replace(here.context, metrics=SelfMetrics())
        build = static(tmp_path / "static")
        missing = missing_page(context, build)
        client = Client(pipeline(context, page_endpoints(context, build), missing))
        for path in ("/prom/tagrets", "/prom/targets/down", "/elsewhere"):
            status, headers, body = await get(client, path, accept="text/html,*/*;q=0.8")
            assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8"), path
            assert b"/prom/assets/index-1.js" in body
            assert "nonce-" in headers["content-security-policy"]
        for path, accept in (
            ("/prom/tagrets", "*/*"),
            ("/prom/api/v1/nothing", "text/html"),
            ("/prom/assets/nothing", "text/html"),
            ("/prom/logo.png", "text/html"),
            ("/prom/-/nothing", "text/html"),
        ):
            status, _, body = await get(client, path, accept=accept)
            assert (status, body) == (404, b"404 page not found\n"), path
