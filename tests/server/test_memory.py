"""The budget of memory of a real process."""

from __future__ import annotations

import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.support import protobuf
from tests.support.process import Server, running
from tests.support.pusher import HEADERS

MIB = 2**20


def test_debug_memory_shows_owners_beside_the_kernel(tmp_path: Path) -> None:
    """Limit, shares and owners are there, and the difference to what the kernel counts is what it says."""
    with running(tmp_path / "data", None, "--storage.memory-max=300MB") as server:
        shown: dict[str, Any] = server.get("/debug/memory")
        assert shown["limit"] == {"bytes": 300 * MIB, "source": "--storage.memory-max"}
        assert set(shown["shares"]) < set(shown["owners"])
        base_bytes = shown["owners"]["process"]
        assert sum(shown["shares"].values()) == shown["budget_bytes"] - base_bytes
        counted_bytes = shown["kernel"]["counted_bytes"]
        assert shown["kernel"]["resident_bytes"] > 20 * MIB
        assert shown["difference"]["bytes"] == counted_bytes - sum(shown["owners"].values())
        assert shown["pressure"] == "none"
        status, text = server.text("/metrics")
        assert status == 200
        assert 'trimon_memory_limit_bytes{source="--storage.memory-max"} 3.145728e+08' in text


def test_owners_are_nearly_all_of_what_the_kernel_counts(tmp_path: Path) -> None:
    """With samples stored and asked for, what no owner has is less than a twentieth of the anonymous memory."""
    now_s = int(time.time())
    with running(tmp_path / "data", None, "--web.enable-remote-write-receiver") as server:
        for first in range(0, 20_000, 2_000):
            body = b"".join(
                protobuf.series(
                    [("__name__", "m"), ("id", f"{number:05d}"), ("job", f"j{number % 50}")],
                    [(1000 * (now_s - 600 + 15 * step), float(number * step)) for step in range(40)],
                )
                for number in range(first, first + 2_000)
            )
            packed = bytes(cramjam.snappy.compress_raw(body))
            request = urllib.request.Request(f"{server.url}/api/v1/write", packed, HEADERS, method="POST")
            urllib.request.urlopen(request, timeout=30).read()
        for _ in range(3):
            assert server.query("sum(rate(m[5m]))")
        shown = server.get("/debug/memory")["anonymous"]
        assert shown["owners"]["head_pushed"] + shown["owners"]["head_pages"] > 0
        assert shown["owners"]["frames"] > 8 * 20_000
        assert shown["owners"]["head_index"] > 50 * 20_000
        assert sum(shown["owners"].values()) + shown["rest_bytes"] == shown["bytes"]
        assert abs(shown["rest_bytes"]) < shown["bytes"] / 20


def test_an_address_space_is_a_limit(tmp_path: Path) -> None:
    """With RLIMIT_AS the budget is of the address space, and the server works within it."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("prlimit is not installed")
    server = Server(tmp_path / "data")
    server.command[:0] = [prlimit, f"--as={1500 * MIB}"]
    server.start()
    try:
        shown = server.get("/debug/memory")
        assert shown["limit"] == {"bytes": 1500 * MIB, "source": "RLIMIT_AS"}
        assert shown["owners"]["process"] > shown["kernel"]["resident_bytes"]
        assert server.query("vector(1)")
    finally:
        server.kill()
