"""The API beside recorded answers of a real Prometheus 3.14 over the same samples: status, headers, body."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import cramjam

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.oracle import differences, recorded
from tests.support.web_world import WebWorld, web_world
from trimon.model.sample import STALE_NAN
from trimon.query.language.options import QueryOptions
from trimon.web.context import WebOptions

SETUP, *CASES = recorded("api/cases.jsonl")
OPTIONS = WebOptions(enable_remote_write=True, enable_admin_api=True)
HEADERS_OF_BOTH = ("content-type", "vary", "allow", "content-encoding")
# Every answer of ours has the last one, few of Prometheus' do.
HEADERS = (*HEADERS_OF_BOTH, "x-content-type-options")

# What trimon does not have yet, by what the request asks for.
MISSING = {
    r"^/api/v1/read": "compared in a test of its own: it has external labels",
    r"^/api/v1/features|^/api/v1/openapi": "compared in tests of their own",
    r"^/api/v1/alerts|^/api/v1/alertmanagers": "alerts are not evaluated",
    r"status/(flags|config|runtimeinfo|buildinfo|tsdb|walreplay)": "about a process: compared where one runs",
    r"self_metrics\?.*(build|ready)": "the texts are our own",
    r"^/(api/v1/)?write": "compared in its own test",
}
# What differs by design, or by chance in Prometheus itself.
DIFFERENT = {
    "a378": "which results a limit leaves is by chance of Prometheus' index; here the first in order",
    "a380": "which results a limit leaves is by chance of Prometheus' index; here the first in order",
    "a414": "tells trimon's own revision, and the version of Prometheus that clients look at",
    "a432": "Vary names Accept-Encoding too: a cache would give packed answers to those who cannot read them",
    "a232": "which values a limit leaves is by chance of Prometheus' index; here the first in order",
}


def missing(case: dict[str, Any]) -> str:
    """Why a case cannot be answered yet; empty when it can."""
    return next((why for pattern, why in MISSING.items() if re.search(pattern, case["path"])), "")


WANTED = [case for case in CASES if case["server"] == "data" and not missing(case)]


def message() -> bytes:
    """The samples of the recording as a remote write request."""
    parts = []
    for series in SETUP["data_series"]:
        samples = [
            (int(time_ms), STALE_NAN if value == "stale" else float(value))
            for time_ms, value in series.get("samples", ())
        ]
        exemplars = b"".join(
            protobuf.exemplar(item["labels"], float(item["value"]), item["timestamp"])
            for item in series.get("exemplars", [])
        )
        exemplars += b"".join(map(protobuf.histogram, series.get("histograms", ())))
        parts.append(protobuf.series(sorted(series["labels"].items()), samples, exemplars))
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


async def differing(here: WebWorld, case: dict[str, Any]) -> list[str]:
    """What is not as recorded."""
    body = case.get("request_body")
    sent = (
        base64.b64decode(case["request_body_base64"])
        if "request_body_base64" in case
        else body and body.encode()
    )
    headers = {name.lower(): value for name, value in (case.get("request_headers") or {}).items()}
    path = case["path"].replace(" ", "%20")
    status, raw, got = await Call(case["method"], path, headers, sent or None).to(here.client.app)
    if case["method"] == "HEAD":
        got = b""  # The HTTP server sends none.
    if status not in (case["status"], case.get("status_other_run")):
        return [f"status {case['status']}, not {status}: {got[:200]!r}"]
    shown = {name.decode(): value.decode() for name, value in raw}
    wanted_headers = case["headers"]
    found = [
        f"{name}: {wanted_headers.get(name)!r}, not {shown.get(name)!r}"
        for name in HEADERS
        if wanted_headers.get(name) != shown.get(name) and name in {*wanted_headers, *HEADERS_OF_BOTH}
    ]
    want, volatile = case.get("body"), set(case.get("volatile", []))
    if want is None or "(body text)" in volatile:
        return found
    if want[:1] in ("{", "[") and "ndjson" not in wanted_headers.get("content-type", ""):
        found += differences(json.loads(want), json.loads(got), volatile, set(case.get("unordered", [])))
        if not volatile and not case.get("unordered") and not found and want.encode() != got:
            found.append(f"the same data in other bytes: {want[:300]}, not {got[:300].decode()}")
    elif want.encode() != got:
        found.append(f"{want[:300]!r}, not {got[:300]!r}")
    return found


async def test_answers_are_those_of_prometheus(tmp_path: Path) -> None:
    """Every recorded request over the same samples has the recorded answer, but for those that are listed with a reason."""
    options = QueryOptions(features=frozenset({"search-api"}))
    async with web_world(tmp_path, OPTIONS, {"query_options": lambda: options}) as here:
        here.context.store.exemplars.configure(100_000, 0)
        headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
        status, _, text = await Call("POST", "/api/v1/write", headers, message()).to(here.client.app)
        assert status == 204, text
        wrong = {}
        for case in WANTED:
            found = await differing(here, case)
            if found:
                wrong[f"{case['id']} {case['method']} {case['path']}"] = found
    unexpected = {name: found for name, found in wrong.items() if name.split()[0] not in DIFFERENT}
    report = "\n".join(f"{name}\n    " + "\n    ".join(found) for name, found in unexpected.items())
    assert not unexpected, f"{len(unexpected)} of {len(WANTED)} differ\n{report}"
    still = {name.split()[0] for name in wrong}
    assert still == DIFFERENT.keys(), f"no longer different: {DIFFERENT.keys() - still}"


def test_most_of_the_recording_is_compared() -> None:
    """The lists of what is missing leave most of the recorded requests."""
    assert len(WANTED) >= 150
