"""Remote read, asked by a real Prometheus."""

from __future__ import annotations

import json
import math
import time
import urllib.request
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.storage.prometheus.test_histogram_blocks import close
from tests.storage.prometheus.test_peer import ask, prometheus
from tests.support import protobuf
from tests.support.process import Server, peer

pytestmark = pytest.mark.peer


def message(now_ms: int) -> bytes:
    """Some series of floats, of many samples."""
    return b"".join(
        protobuf.series(
            [("__name__", "m"), ("i", str(number))],
            [(now_ms - 1_000 * step, math.sin(step) * number) for step in range(400, 0, -1)],
        )
        for number in range(5)
    )


# 2.42 reads no histograms in this way, and has both ends of a window in it, 3.x the later one alone: no sample is on one.
QUERIES = (
    "m",
    "sum(m)",
    "count_over_time(m[359500ms])",
    'avg_over_time(m{i=~"1|3"}[299500ms])',
    'm{site="here"}',
)


def test_a_real_prometheus_answers_from_our_samples(tmp_path: Path) -> None:
    """A Prometheus that stores nothing and reads from trimon gives the same answers as trimon, external labels added."""
    peer("prometheus")
    now_ms = int(time.time()) * 1000
    config = "global: {external_labels: {site: here}}\n"
    server = Server(tmp_path / "data", config, "--web.enable-remote-write-receiver").start()
    try:
        body = bytes(cramjam.snappy.compress_raw(message(now_ms)))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        request = urllib.request.Request(f"{server.url}/api/v1/write", body, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204
        theirs = tmp_path / "p.yml"
        theirs.write_text(
            json.dumps({"remote_read": [{"url": f"{server.url}/api/v1/read", "read_recent": True}]})
        )
        with prometheus(tmp_path / "theirs", theirs) as url:
            for query in QUERIES:
                found = ask(url, query, now_ms / 1000)
                wanted: list[dict[str, Any]] = server.get(
                    "/api/v1/query", query=query.replace('{site="here"}', ""), time=str(now_ms / 1000)
                )["data"]["result"]
                for item in wanted:
                    if query != "sum(m)":
                        item["metric"]["site"] = "here"
                assert found, query
                order = json.dumps
                assert close(sorted(found, key=order), sorted(wanted, key=order)), (
                    f"{query}\n{found}\n{wanted}"
                )
    finally:
        server.stop()
