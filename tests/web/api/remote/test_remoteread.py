"""Remote read beside recorded answers of a real Prometheus 3.14, and its limits."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import cramjam

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.protobuf import field, varint
from tests.support.web_world import WebWorld, web_world
from tests.web.api.test_oracle import CASES, OPTIONS, message
from trimon.model.labels import labels_of
from trimon.rules.alerting import AlertOrigin
from trimon.storage.prometheus.crc import crc32c
from trimon.wire import FieldCount

READS = [case for case in CASES if case["server"] == "data" and case["path"].startswith("/api/v1/read")]
EXTERNAL = labels_of({"dc": "lon", "replica": "r"})
NOW = 1_700_000_000_000
WRITE = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a message, in order, as numbers and bytes."""
    count = FieldCount(1 << 30)
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        tag, at = count.tag(data, at)
        if tag & 7 == 1:
            found.append((tag >> 3, data[at : at + 8]))
            at += 8
            continue
        number, shift, byte = 0, 0, 0x80
        while byte >= 0x80:
            byte = data[at]
            number |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
        if tag & 7 == 2:
            found.append((tag >> 3, data[at : at + number]))
            at += number
        else:
            found.append((tag >> 3, number))
    return found


async def asked(here: WebWorld, case: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """The answer to a recorded request."""
    headers = {name.lower(): value for name, value in (case.get("request_headers") or {}).items()}
    body = base64.b64decode(case.get("request_body_base64", ""))
    status, raw, got = await Call(case["method"], case["path"], headers, body or None).to(here.client.app)
    return status, {name.decode(): value.decode() for name, value in raw}, got


async def test_answers_are_those_of_prometheus(tmp_path: Path) -> None:
    """Every recorded request has the recorded answer: samples, chunks and histograms bit for bit, headers and errors."""
    assert len(READS) >= 12
    origin = AlertOrigin(lambda: EXTERNAL)
    async with web_world(tmp_path, OPTIONS, {"alert_origin": origin}) as here:
        status, _, text = await Call("POST", "/api/v1/write", WRITE, message()).to(here.client.app)
        assert status == 204, text
        for case in READS:
            status, headers, got = await asked(here, case)
            assert status == case["status"], f"{case['id']}: {got[:200]!r}"
            for name, value in case["headers"].items():
                assert headers.get(name) == value, f"{case['id']}: {name} is {headers.get(name)}"
            if "decoded" in case:
                ours = bytes(cramjam.snappy.decompress_raw(got))
                theirs = bytes(cramjam.snappy.decompress_raw(base64.b64decode(case["body_base64"])))
                assert fields(ours) == fields(theirs), case["id"]
            elif "decoded_frames" in case:
                assert got == base64.b64decode(case["body_base64"]), case["id"]
            else:
                assert got.decode() == case["body"], case["id"]


def request(kind: int, name: str = "m") -> bytes:
    """Everything of a metric, as samples (0) or chunks (1)."""
    condition = field(3, field(2, b"__name__") + field(3, name.encode()))
    query = b"\x10" + varint(1 << 60) + condition
    return bytes(cramjam.snappy.compress_raw(field(1, query) + b"\x10" + varint(kind)))


async def test_any_time_and_series_alone(tmp_path: Path) -> None:
    """The least and the greatest time select everything; who wants series alone gets no samples, but chunks."""
    async with web_world(tmp_path, OPTIONS) as here:
        body = protobuf.series([("__name__", "m")], [(NOW, 1.0)])
        packed = bytes(cramjam.snappy.compress_raw(body))
        assert (await Call("POST", "/api/v1/write", WRITE, packed).to(here.client.app))[0] == 204
        everything = b"\x08" + varint(-(1 << 63)) + b"\x10" + varint((1 << 63) - 1)
        query = everything + field(3, field(2, b"__name__") + field(3, b"m"))
        sizes = []
        for kind, hints in ((0, b""), (0, field(4, field(2, b"series"))), (1, field(4, field(2, b"series")))):
            asked = bytes(cramjam.snappy.compress_raw(field(1, query + hints) + b"\x10" + varint(kind)))
            status, _, got = await Call("POST", "/api/v1/read", {}, asked).to(here.client.app)
            assert status == 200
            message = frames(got)[0] if kind else bytes(cramjam.snappy.decompress_raw(got))
            inner = fields(message)[0][1]
            series = inner if kind else fields(inner)[0][1]
            sizes.append([number for number, _ in fields(series)])
        assert sizes == [[1, 2], [1], [1, 2]]


def frames(body: bytes) -> list[bytes]:
    """The messages of a streamed answer, whose checksums pass."""
    found = []
    at = 0
    while at < len(body):
        size = shift = 0
        byte = 0x80
        while byte >= 0x80:
            byte = body[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
        (checksum,) = struct.unpack_from(">I", body, at)
        data = body[at + 4 : at + 4 + size]
        assert crc32c(data) == checksum
        found.append(data)
        at += 4 + size
    return found


async def test_limits(tmp_path: Path) -> None:
    """More samples than may be are a 400 that says the limit; frames are cut where they are full, and nothing is lost."""
    limited = replace(OPTIONS, remote_read_samples_max=999, remote_read_frame_bytes_max=400)
    async with web_world(tmp_path, limited) as here:
        body = b"".join(
            protobuf.series([("__name__", name)], [(NOW - step, float(step)) for step in range(count, 0, -1)])
            for name, count in (("m", 1000), ("n", 999))
        )
        packed = bytes(cramjam.snappy.compress_raw(body))
        assert (await Call("POST", "/api/v1/write", WRITE, packed).to(here.client.app))[0] == 204
        for name, wanted in (("m", 400), ("n", 200)):
            status, _, got = await Call("POST", "/api/v1/read", {}, request(0, name)).to(here.client.app)
            assert status == wanted
        assert got
        status, _, got = await Call("POST", "/api/v1/read", {}, request(1)).to(here.client.app)
        assert status == 200
        parts = frames(got)
        assert len(parts) > 3
        chunks = [value for part in parts for number, value in fields(fields(part)[0][1]) if number == 2]
        counts = [int.from_bytes(dict(fields(chunk))[4][:2], "big") for chunk in chunks]
        assert sum(counts) == 1000
