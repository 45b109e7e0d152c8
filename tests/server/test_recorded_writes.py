"""Remote write requests of both versions, as a real 3.14 answered them and stored what was in them."""

from __future__ import annotations

import base64
import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import recorded
from tests.support.process import Server, running

LINES = recorded("remote/receiver.jsonl")
SETUP, CASES = LINES[0], sorted(LINES[1:], key=lambda case: case["t0"])
# Bytes that are no UTF-8 are shown as U+FFFD, by Prometheus as \xff (docs/http-api.md).
OTHER_WORDS = {"v2_bad_utf8"}


def post(server: Server, case: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(case["method"], "/api/v1/write", body, case["headers"])
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "backslashreplace")
    connection.close()
    written = {name: value for name, value in answer.getheaders() if name.startswith("X-Prometheus-Remote")}
    return answer.status, written, text


def stored(server: Server, case: dict[str, Any]) -> dict[str, list[tuple[float, str]]]:
    """Float samples by their series, and how many histograms each has."""
    data = server.get("/api/v1/query", query='{__name__=~".+"}[801s]', time=str(case["t0"] + 700))["data"]
    found: dict[str, list[tuple[float, str]]] = {}
    for series in data["result"]:
        values = [
            (round((time - case["t0"]) * 1000), str(float(value))) for time, value in series.get("values", ())
        ]
        values += [
            (round((time - case["t0"]) * 1000), "histogram") for time, _ in series.get("histograms", ())
        ]
        found[json.dumps(series["metric"], sort_keys=True)] = sorted(values)
    return found


def wanted(series: list[dict[str, Any]]) -> dict[str, list[tuple[float, str]]]:
    found = {}
    for each in series:
        values = [(time, str(float(value))) for time, value in each.get("samples", ()) if value != "stale"]
        values += [(histogram.get("timestamp", 0), "histogram") for histogram in each.get("histograms", ())]
        if values:
            found[json.dumps(each["labels"], sort_keys=True)] = sorted(values)
    return found


@pytest.mark.parametrize("variant", sorted(SETUP["servers"]))
def test_requests_are_answered_and_stored_as_recorded(variant: str, tmp_path: Path) -> None:
    """Status, counts of what was written, text, and what is stored: all as 3.14's, case after case on one server."""
    setup = SETUP["servers"][variant]
    compared = 0
    flags = (*setup["flags"], "--storage.tsdb.retention.time=100y")
    with running(tmp_path / "data", json.dumps(setup["config"]), *flags) as server:
        for case in CASES:
            result = case["results"].get(variant)
            if result is None or any(request.get("base64") is None for request in case["requests"]):
                continue
            result = case["results"]["default"] if isinstance(result, str) else result
            for request, reply in zip(case["requests"], result["replies"], strict=True):
                status, written, text = post(server, case, base64.b64decode(request["base64"]))
                expected = {
                    name: value
                    for name, value in reply["headers"].items()
                    if name.startswith("X-Prometheus-Remote")
                }
                assert (status, written) == (reply["status"], expected), (case["id"], text)
                if case["id"] not in OTHER_WORDS:
                    assert text == reply["body"], case["id"]
            assert stored(server, case) == wanted(result["stored"]), case["id"]
            compared += 1
    assert compared
