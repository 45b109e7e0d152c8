"""Redirects to what is meant by a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asgi import Call
from tests.support.web_world import web_world
from trimon.web.context import WebOptions
from trimon.web.http.redirects import cleaned, escaped


async def asked(directory: Path, prefix: str, method: str, path: str) -> tuple[int, str, bytes]:
    """Status, `Location` and body of an answer."""
    options = WebOptions(route_prefix=prefix, user_assets=directory, console_templates=directory)
    async with web_world(directory / "data", options) as here:
        status, headers, body = await Call(method, path).to(here.client.app)
        return status, dict(headers).get(b"location", b"").decode(), body


@pytest.mark.parametrize(
    ("method", "path", "status", "where"),
    [
        ("GET", "/api/v1/QUERY?query=1", 301, "/api/v1/query?query=1"),
        ("POST", "/api/v1/QUERY", 307, "/api/v1/query"),
        ("GET", "/api/v1/Label/Job/VALUES/", 301, "/api/v1/label/Job/values"),
        ("GET", "/Metrics", 301, "/metrics"),
        ("HEAD", "/-/Healthy/", 307, "/-/healthy"),
        ("GET", "/consoles", 301, "/consoles/"),
        ("GET", "/CONSOLES/A.html/", 301, "/consoles/A.html/"),
        ("GET", "/user", 301, "/user/"),
        ("GET", "/USER/%C3%A9+%25", 301, "/user/%C3%A9+%25"),
        ("GET", "/api/v1", 307, "/api/v1/"),
        ("POST", "/api/v1", 307, "/api/v1/"),
        ("GET", "/user/../a", 307, "/a"),
        ("GET", "/user/a//?x=1", 307, "/user/a/?x=1"),
        ("OPTIONS", "//api/v1/query", 307, "/api/v1/query"),
        ("GET", "/user/%2e%2e/a", 404, ""),
        ("GET", "/API/v1/query", 404, ""),
        ("GET", "/api/v1/write/", 404, ""),
        ("OPTIONS", "/Metrics", 404, ""),
        ("DELETE", "/Metrics", 404, ""),
        ("CONNECT", "//metrics", 404, ""),
        ("GET", "/api%2fv1/query?query=1", 404, ""),
        ("GET", "/%61pi/v1/query?query=1", 404, ""),
        ("POST", "/api/%761/write", 404, ""),
        ("GET", "/api/v1/%71uery?query=1", 200, ""),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/p"])
async def test_something_like_a_route(
    prefix: str, method: str, path: str, status: int, where: str, tmp_path: Path
) -> None:
    """Paths are made clean for every method; a slash or the case of letters is mended where the method has a route."""
    found = await asked(tmp_path, prefix, method, prefix + path)
    assert found[:2] == (status, prefix + where if where else "")


async def test_a_redirect_has_a_page_for_people(tmp_path: Path) -> None:
    """A GET has a link as the body, whose query cannot end it, and other methods have none."""
    _, _, body = await asked(tmp_path, "", "GET", '/Metrics?a=1&b="<')
    assert body == b'<a href="/metrics?a=1&amp;b=&quot;&lt;">Moved Permanently</a>.\n\n'
    _, _, body = await asked(tmp_path, "", "GET", "//metrics")
    assert body == b'<a href="/metrics">Temporary Redirect</a>.\n\n'
    assert (await asked(tmp_path, "", "POST", "//metrics"))[2] == b""


@given(st.text("/.a%2e", max_size=12))
def test_a_clean_path_is_clean(path: str) -> None:
    """Cleaning twice is cleaning once, and what is clean names no other server and nothing above the root."""
    clean = cleaned("/" + path)
    assert cleaned(clean) == clean
    assert clean.startswith("/")
    assert "//" not in clean
    assert not {".", ".."} & set(clean.split("/"))
    assert clean == "/" or clean.endswith("/") == path.endswith("/") or path.endswith((".", ".."))


def test_a_path_is_escaped_as_go_does() -> None:
    """Delimiters that a path may have stay, whatever else is not a letter goes."""
    assert escaped("/a b/é$&+,:;=@!'()*?", b"x=1") == "/a%20b/%C3%A9$&+,:;=@%21%27%28%29%2A%3F?x=1"
