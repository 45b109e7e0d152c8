"""OTLP requests, as a real 3.14 answered them and stored what was in them."""

from __future__ import annotations

import base64
import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import recorded
from tests.support.process import Server, running

LINES = recorded("otlp/cases.jsonl")
SETUP, CASES = LINES[0], sorted(LINES[1:], key=lambda case: case["t0"])
# Of samples of a request that contradict others the sender is told (docs/remote.md), by Prometheus it is not; nor of points
# without a name, which Prometheus stores under none.
PARTIAL = {"points_out_of_order", "name_collision", "sum_cumulative", "name_empty"}
# An error is told once, by Prometheus for each metric; and JSON is read by another reader, with other words.
OTHER_WORDS = {"old_after_new", "far_future", "bad_json"}


def post(server: Server, case: dict[str, Any]) -> tuple[int, str | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body = base64.b64decode(case["body_base64"])
    connection.request(case["method"], "/api/v1/otlp/v1/metrics", body, case["headers"])
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "backslashreplace")
    connection.close()
    return answer.status, answer.getheader("Content-Type"), text


def stored(server: Server, case: dict[str, Any]) -> dict[str, list[tuple[float, str]]]:
    """Float samples by their series, and of histograms count, sum and buckets."""
    data = server.get("/api/v1/query", query='{__name__=~".+"}[801s]', time=str(case["t0"] + 700))["data"]
    found: dict[str, list[tuple[float, str]]] = {}
    for series in data["result"]:
        values = [
            (round((time - case["t0"]) * 1000), str(float(value))) for time, value in series.get("values", ())
        ]
        values += [
            (
                round((time - case["t0"]) * 1000),
                f"{float(value['count'])} {float(value['sum'])} {len(value.get('buckets', ()))}",
            )
            for time, value in series.get("histograms", ())
        ]
        found[json.dumps(series["metric"], sort_keys=True)] = sorted(values)
    return found


def shown(histogram: dict[str, Any]) -> str:
    filled = int(histogram.get("zero_count_int", 0) > 0)
    for side in ("positive_deltas", "negative_deltas"):
        count = 0
        for delta in histogram.get(side, ()):
            count += delta
            filled += count > 0
    return f"{float(histogram['count_int'])} {float(histogram.get('sum', 0.0))} {filled}"


def wanted(series: list[dict[str, Any]]) -> dict[str, list[tuple[float, str]]]:
    found = {}
    for each in series:
        values = [(time, str(float(value))) for time, value in each.get("samples", ()) if value != "stale"]
        values += [
            (histogram.get("timestamp", 0), shown(histogram))
            for histogram in each.get("histograms", ())
            if histogram.get("sum") != "stale"
        ]
        if values:
            found[json.dumps(each["labels"], sort_keys=True)] = sorted(values)
    return found


def exemplars(server: Server, case: dict[str, Any]) -> list[str]:
    data = server.get(
        "/api/v1/query_exemplars",
        query='{__name__=~".+"}',
        start=str(case["t0"] - 100),
        end=str(case["t0"] + 700),
    )["data"]
    for series in data:
        for exemplar in series["exemplars"]:
            exemplar["timestamp"] = round(exemplar["timestamp"] - case["t0"], 3)
    return sorted(json.dumps(series, sort_keys=True) for series in data)


@pytest.mark.parametrize("variant", sorted(SETUP["variants"]))
def test_requests_are_answered_and_stored_as_recorded(variant: str, tmp_path: Path) -> None:
    """Status, text, samples and exemplars: all as 3.14's, case after case on one server."""
    setup = SETUP["variants"][variant]
    compared = 0
    names = ",".join(
        flag.partition("=")[2] for flag in setup["flags"] if flag.startswith("--enable-feature=")
    )
    flags = [flag for flag in setup["flags"] if not flag.startswith("--enable-feature=")]
    flags += [f"--enable-feature={names}", "--storage.tsdb.retention.time=100y"]
    config = json.dumps({"otlp": setup["otlp"]} if setup["otlp"] else {})
    with running(tmp_path / "data", config, *flags) as server:
        for case in CASES:
            result = case["results"].get(variant)
            if result is None:
                continue
            result = case["results"]["default"] if isinstance(result, str) else result
            status, content_type, text = post(server, case)
            assert status == result["status"], (case["id"], text)
            if case["id"] not in OTHER_WORDS and (status != 200 or case["id"] not in PARTIAL):
                assert (content_type, text) == (result["content_type"], result["body"]), case["id"]
            assert stored(server, case) == wanted(result["series"]), case["id"]
            expected = sorted(json.dumps(each, sort_keys=True) for each in result.get("exemplars", ()))
            assert exemplars(server, case) == expected, case["id"]
            compared += 1
    assert compared
