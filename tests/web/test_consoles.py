"""/consoles beside recorded answers of a real Prometheus 3.14, and /user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi import Call
from tests.support.oracle import recordings
from tests.support.web_world import WebWorld, web_world
from trimon.rules.alerting import AlertOrigin
from trimon.web.context import WebOptions

SETUP, *CASES = recordings("templates/consoles.jsonl") or [{}]


async def asked(here: WebWorld, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    status, headers, body = await Call("GET", path).to(here.client.app)
    return status, {name.decode(): value.decode() for name, value in headers}, body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_a_console_is_that_of_prometheus(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, type and text of each recorded page."""
    monkeypatch.chdir(tmp_path)
    pages, libraries = tmp_path / "consoles", tmp_path / "libs"
    libraries.mkdir()
    pages.mkdir()
    for name, text in SETUP["libs"].items():
        (libraries / name).write_text(text)
    if case["template"] is not None:
        (pages / case["file"]).parent.mkdir(parents=True, exist_ok=True)
        (pages / case["file"]).write_text(case["template"])
    labels = tuple(sorted(SETUP["config"]["external_labels"].items()))
    origin = AlertOrigin(lambda: labels, SETUP["config"]["external_url"])
    options = WebOptions(console_templates=Path("consoles"), console_libraries=Path("libs"))
    async with web_world(tmp_path / "data", options, {"alert_origin": origin}) as here:
        query = f"?{case['query']}" if case["query"] else ""
        status, headers, body = await asked(here, f"/consoles/{case['file']}{query}")
        assert (status, body.decode()) == (case["status"], case["body"])
        assert headers["content-type"] == case["content_type"]
        if status == 200:
            policy = headers["content-security-policy"]
            assert policy == "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"


async def test_a_server_without_consoles_has_none(tmp_path: Path) -> None:
    """Without directories there are no such routes; without libraries a page is rendered all the same."""
    (tmp_path / "x.html").write_text("{{ 1 }}")
    async with web_world(tmp_path / "a") as here:
        for path in ("/consoles/x.html", "/user/x.html"):
            assert (await asked(here, path))[::2] == (404, b"404 page not found\n")
    options = WebOptions(console_templates=tmp_path, console_libraries=tmp_path / "none")
    async with web_world(tmp_path / "b", options) as here:
        assert (await asked(here, "/consoles/x.html"))[::2] == (200, b"1")


async def test_user_files(tmp_path: Path) -> None:
    """A file comes with the type of its name, and nothing from outside of the directory, whatever a path says."""
    served = tmp_path / "served"
    (served / "sub").mkdir(parents=True)
    (served / "sub" / "a b.js").write_text("x")
    (served / "plain").write_bytes(b"\xff")
    (served / "page.html").write_text("<p>")
    (tmp_path / "secret").write_text("hidden")
    (served / "link").symlink_to(tmp_path / "secret")
    (served / "up").symlink_to(tmp_path)
    (served / "inside").symlink_to(served / "plain")
    (served / "circle").symlink_to(served / "circle")
    async with web_world(tmp_path / "data", WebOptions(user_assets=served)) as here:
        for name, kind in (
            ("sub/a%20b.js", "text/javascript; charset=utf-8"),
            ("plain", "application/octet-stream"),
            ("inside", "application/octet-stream"),
            ("page.html", "text/html; charset=utf-8"),
        ):
            status, headers, _ = await asked(here, f"/user/{name}")
            assert (status, headers["content-type"]) == (200, kind), name
            assert headers["x-content-type-options"] == "nosniff"
            assert "script-src" not in headers["content-security-policy"]
            assert "frame-ancestors 'self'" in headers["content-security-policy"]
        bad = (
            "../secret",
            "%2e%2e/secret",
            "..%2fsecret",
            "sub/..%2f..%2fsecret",
            "link",
            "up/secret",
            "circle",
        )
        for name in (*bad, "sub", "none", "a%00b", "%ff", "/etc/passwd", "plain/x", "x" * 300):
            status, _, body = await asked(here, f"/user/{name}")
            assert status in (301, 307, 404), name
            assert b"hidden" not in body


async def test_parts_and_conditions_of_user_files(tmp_path: Path) -> None:
    """A file is sent in part, or not at all, as a request's headers say; folders lead to their index."""
    served = tmp_path / "served"
    (served / "sub").mkdir(parents=True)
    (served / "empty").mkdir()
    (served / "sub" / "index.html").write_text("<p>")
    data = bytes(range(256)) * 4000
    (served / "long").write_bytes(data)
    for path in served.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    at, before = "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:19 GMT"
    size = len(data)
    async with web_world(tmp_path / "data", WebOptions(user_assets=served)) as here:

        async def sent(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            status, found, body = await Call(method, path, given).to(here.client.app)
            return status, {name.decode(): value.decode() for name, value in found}, body

        status, headers, body = await sent("/user/long", accept_encoding="gzip")
        assert (status, body, headers["last-modified"], headers["accept-ranges"]) == (200, data, at, "bytes")
        assert headers["content-length"] == str(size)
        assert "content-encoding" not in headers
        status, headers, body = await sent("/user/long", "HEAD")
        assert (status, headers["content-length"], body) == (200, str(size), b"")
        for asked, start, stop in (
            ("0-0", 0, 1),
            ("5-", 5, size),
            ("-7", size - 7, size),
            ("9-9999999", 9, size),
        ):
            status, headers, body = await sent("/user/long", range=f"bytes={asked}")
            assert (status, body) == (206, data[start:stop]), asked
            assert headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        for asked in (f"bytes={size}-", "bytes=5-4", "bytes=-", "lines=1-2", "bytes=-0"):
            status, headers, _ = await sent("/user/long", range=asked)
            assert (status, headers["content-range"]) == (416, f"bytes */{size}"), asked
        assert (await sent("/user/long", range="bytes=0-0,2-3"))[0] == 200
        assert (await sent("/user/long", range="bytes=0-0", if_range=before))[0] == 200
        assert (await sent("/user/long", range="bytes=0-0", if_range=at))[0] == 206
        conditions = (
            (304, "if_modified_since", at),
            (200, "if_modified_since", before),
            (304, "if_none_match", "*"),
            (200, "if_modified_since", "x"),
            (412, "if_unmodified_since", before),
            (412, "if_match", "x"),
        )
        for wanted, name, value in conditions:
            status, headers, body = await sent("/user/long", **{name: value})
            assert status == wanted, name
            assert body == (data if wanted == 200 else b"")
        assert (await sent("/user/sub/"))[::2] == (200, b"<p>")
        for asked, target in (("sub", "sub/"), ("sub/index.html", "./"), ("long/", "../long")):
            status, headers, _ = await sent(f"/user/{asked}?a=b")
            assert (status, headers["location"]) == (301, f"{target}?a=b")
        for asked in ("empty/", ""):
            assert (await sent(f"/user/{asked}"))[0] == 404
