"""/influx: line protocol over the front end."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.web_world import WebWorld, web_world
from trimon import limits
from trimon.config.load import load_text


@asynccontextmanager
async def receiving(path: Path, section: str = "influx: {}") -> AsyncIterator[WebWorld]:
    receivers = load_text(f"trimon_receivers: {{{section}}}\n", "p.yml").main.trimon_receivers
    async with web_world(path, changes={"receivers": lambda: receivers}) as here:
        yield here


async def post(here: WebWorld, body: bytes, query: str = "", **headers: str) -> Any:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return await here.client.post(f"/influx/write{query}", data=body, headers=told)


async def value_of(here: WebWorld, query: str) -> Any:
    answer = await here.client.get(f"/api/v1/query?query={query}")
    return [each["value"][1] for each in json.loads(answer.body)["data"]["result"]]


async def test_lines_are_stored(tmp_path: Path) -> None:
    """Version 1 and 2 are taken, plain and packed; the database is a label; clients find somebody."""
    async with receiving(tmp_path) as here:
        now_s = here.world.clock.now_ms() // 1000
        assert (
            await post(here, f"cpu,host=a v=1.5 {now_s}".encode(), "?db=x&precision=s")
        ).status_code == 204
        packed = gzip.compress(b"mem used=7i\n" * 10_000)
        assert (await post(here, packed, content_encoding="gzip")).status_code == 204
        answer = await here.client.post("/influx/api/v2/write?bucket=b&org=o", data=b"disk free=3u")
        assert answer.status_code == 204
        assert await value_of(here, "cpu_v%7Bdb=%22x%22%7D") == ["1.5"]
        assert await value_of(here, "mem_used") == ["7"]
        assert await value_of(here, "disk_free%7Bdb=%22b%22%7D") == ["3"]
        ping = await here.client.get("/influx/ping")
        assert (ping.status_code, ping.headers["X-Influxdb-Version"]) == (204, "1.8.10")


async def test_a_bad_request_changes_nothing(tmp_path: Path) -> None:
    """An error names the line and is final; nothing of the request is stored; what is too long is refused before it is read."""
    async with receiving(tmp_path) as here:
        answer = await post(here, b"good v=1\nbad v=x\n")
        assert answer.status_code == 400
        assert json.loads(answer.body)["error"].startswith("line 2: 'x' is no number")
        assert await value_of(here, "good_v") == []
        assert (await post(here, b"now v=1")).status_code == 204
        assert (await post(here, b"late v=1 5\n")).status_code == 400
        assert (await post(here, b"m v=1", "?precision=d")).status_code == 400
        assert (await post(here, b"m v=1", content_encoding="br")).status_code == 400
        assert (await post(here, b"m v=1", content_encoding="gzip")).status_code == 400
        bomb = gzip.compress(b"#" * (limits.INFLUX_BODY_BYTES_MAX + 1))
        assert (await post(here, bomb, content_encoding="gzip")).status_code == 413


async def test_a_sample_that_storage_refuses_is_named(tmp_path: Path) -> None:
    """Who sends, and the log, hear which line and which series it is, though all lines can be read."""
    async with receiving(tmp_path) as here:
        now_s = here.world.clock.now_ms() // 1000
        assert (await post(here, f"m,s=a v=1 {now_s}".encode(), "?precision=s")).status_code == 204
        late = f"# comment\nother v=1,w=2 {now_s}\nm,s=a v=2 {now_s - 60}"
        for _ in range(2):
            answer = await post(here, late.encode(), "?precision=s", User_Agent="telegraf")
            assert answer.status_code == 400
        said = 'line 3: out of order sample: {__name__="m_v", s="a"}'
        assert json.loads(answer.body)["error"] == said
        (told,) = [
            fields for _, what, fields in here.world.log.entries if what.startswith("lines of InfluxDB")
        ]
        assert (told["err"], told["status"], told["user_agent"]) == (said, 400, "telegraf")
        assert await value_of(here, "other_v") == []


async def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    """Without the section writes are 404, and say what is missing."""
    async with receiving(tmp_path, "graphite: {}") as here:
        answer = await post(here, b"m v=1")
        assert answer.status_code == 404
        assert "trimon_receivers.influx" in json.loads(answer.body)["message"]
