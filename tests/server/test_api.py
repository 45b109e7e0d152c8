"""The HTTP API of a real process over samples that were pushed into it: exact answers, errors, admin routes."""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.support import protobuf
from tests.support.process import Server, running

STEPS = 20


@pytest.fixture(scope="module")
def now_s() -> int:
    """The time of the newest sample."""
    return int(time.time()) - 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, now_s: int) -> Iterator[Server]:
    """A server with three series of twenty samples, one every 15 s, and an exemplar."""
    flags = (
        "--web.enable-remote-write-receiver",
        "--web.enable-admin-api",
        "--enable-feature=exemplar-storage",
    )
    with running(tmp_path_factory.mktemp("api") / "data", "scrape_configs: []\n", *flags) as server:
        times = [(now_s - 15 * (STEPS - 1 - step)) * 1000 + 250 for step in range(STEPS)]
        exemplar = protobuf.exemplar({"trace_id": "abc"}, 0.5, times[-1])
        body = b""
        for code in ("200", "404", "500"):
            labels = [("__name__", "hits_total"), ("code", code), ("job", "api")]
            samples = [(at, float(step * int(code))) for step, at in enumerate(times)]
            body += protobuf.series(labels, samples, exemplar if code == "200" else b"")
        status, text = post(server, "/api/v1/write", bytes(cramjam.snappy.compress_raw(body)))
        assert status == 204, text
        yield server


def post(server: Server, path: str, body: bytes = b"") -> tuple[int, str]:
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"} if body else {}
    request = urllib.request.Request(server.url + path, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_instant_query(server: Server, now_s: int) -> None:
    """Values are strings, times have three digits or none, labels are complete."""
    answer = server.get("/api/v1/query", query='hits_total{code="200"}', time=f"{now_s}.5")
    assert answer == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {
                    "metric": {"__name__": "hits_total", "code": "200", "job": "api"},
                    "value": [now_s + 0.5, "3800"],
                }
            ],
        },
    }
    raw = server.text(f"/api/v1/query?query=vector(1e21)&time={now_s}.25")[1]
    assert f'"value":[{now_s}.250,"1e+21"]' in raw
    assert server.get("/api/v1/query", query="0.0000001", time="1")["data"] == {
        "resultType": "scalar",
        "result": [1, "0.0000001"],
    }
    assert server.get("/api/v1/query", query='"a\\nb"', time="1")["data"]["result"] == [1, "a\nb"]


def test_range_query(server: Server, now_s: int) -> None:
    """A matrix has a point at every step that has a value, series in order of their labels."""
    data = server.get(
        "/api/v1/query_range", query="rate(hits_total[1m])", start=str(now_s - 30), end=str(now_s), step="15s"
    )["data"]
    assert data["resultType"] == "matrix"
    assert [entry["metric"]["code"] for entry in data["result"]] == ["200", "404", "500"]
    assert [point[0] for point in data["result"][0]["values"]] == [now_s - 30, now_s - 15, now_s]
    assert float(data["result"][0]["values"][0][1]) == pytest.approx(200 / 15)


# ruff: noqa: E501 # one case a line
@pytest.mark.parametrize(
    ("path", "params", "status", "kind", "words"),
    [
        ("query", {"query": "up{"}, 400, "bad_data", 'invalid parameter "query": 1:4: parse error: unexpected end of input'),
        ("query", {"query": ""}, 400, "bad_data", "no expression found in input"),
        ("query", {"query": "up", "time": "x"}, 400, "bad_data", "invalid time value for 'time': cannot parse \"x\""),
        ("query", {"query": "up", "timeout": "x"}, 400, "bad_data", 'invalid parameter "timeout"'),
        ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", "limit must be non-negative"),
        ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}, 400, "bad_data", "end timestamp must not be before"),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, 400, "bad_data", "zero or negative query resolution"),
        ("query_range", {"query": "up", "start": "0", "end": "12000", "step": "1"}, 400, "bad_data", "exceeded maximum resolution of 11,000"),
        ("query_range", {"query": "up[1m]", "start": "0", "end": "1", "step": "1"}, 400, "bad_data", 'invalid expression type "range vector"'),
        ("query", {"query": "label_replace(up,\"a\",\"b\",\"c\",\"(\")"}, 422, "execution", "invalid regular expression"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match[]": "{a=''}"}, 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        ("status/tsdb", {"limit": "0"}, 400, "bad_data", "limit must be a positive number"),
        ("status/tsdb", {"limit": "10001"}, 400, "bad_data", "limit must not exceed 10000"),
    ],
)  # fmt: skip
def test_errors(
    server: Server, path: str, params: dict[str, str], status: int, kind: str, words: str
) -> None:
    """Bad parameters and queries have Prometheus' status, type and words."""
    answer = server.get(f"/api/v1/{path}", **params)
    assert (answer["status"], answer["errorType"]) == ("error", kind)
    assert words in answer["error"]
    query = urllib.parse.urlencode(params)
    assert server.text(f"/api/v1/{path}?{query}")[0] == status


def test_lookups(server: Server) -> None:
    """Series, label names and values, whole, matched and limited."""
    assert server.get("/api/v1/labels")["data"] == ["__name__", "code", "job"]
    assert server.get("/api/v1/label/code/values")["data"] == ["200", "404", "500"]
    assert server.get("/api/v1/label/U__code/values")["data"] == ["200", "404", "500"]
    assert server.get("/api/v1/label/code/values", **{"match[]": 'hits_total{code!="404"}'})["data"] == [
        "200",
        "500",
    ]
    limited = server.get("/api/v1/series", **{"match[]": "hits_total", "limit": "2"})
    assert len(limited["data"]) == 2
    assert limited["warnings"] == ["results truncated due to limit"]
    assert server.get("/api/v1/series", **{"match[]": "hits_total", "end": "1"})["data"] == []


def test_limit_and_stats_of_a_query(server: Server, now_s: int) -> None:
    """`limit` cuts series with a warning, `stats` adds timings and samples."""
    answer = server.get("/api/v1/query", query="hits_total", time=str(now_s + 1), limit="1", stats="all")
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]
    assert answer["data"]["stats"]["samples"]["totalQueryableSamples"] == 3
    assert answer["data"]["stats"]["timings"]["evalTotalTime"] > 0


def test_costs_of_queries_are_metrics(server: Server, now_s: int) -> None:
    """Every answered query counts in the timings by part and in the samples; a refused one does not."""

    def value(name: str) -> float:
        lines = server.text("/metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    counts = [
        f'prometheus_engine_query_duration_seconds_count{{slice="{part}"}}'
        for part in ("queue_time", "inner_eval")
    ]
    samples = [f"prometheus_engine_query_samples{read}_total" for read in ("", "_read")]
    before = {name: value(name) for name in (*counts, *samples)}
    for query in ("count_over_time(hits_total[1h])", "hits_total"):
        assert len(server.get("/api/v1/query", query=query, time=str(now_s + 1))["data"]["result"]) == 3
    assert server.get("/api/v1/query", query="up{")["status"] == "error"
    assert [value(name) - before[name] for name in counts] == [2, 2]
    assert all(value(name) >= before[name] + 6 for name in samples)


def test_explain_format_parse(server: Server) -> None:
    """The text of a query can be printed, parsed and explained."""
    assert (
        server.get("/api/v1/format_query", query="sum(rate( x[5m] ))by(a)")["data"]
        == "sum by (a) (rate(x[5m]))"
    )
    assert server.get("/api/v1/parse_query", query="-x")["data"]["type"] == "unaryExpr"
    plan = server.get("/api/v1/explain", query="sum(hits_total)", analyze="true")["data"]
    assert "3 series" in plan["text"]


def test_exemplars(server: Server, now_s: int) -> None:
    """Exemplars that came with a push are found by any selector of an expression."""
    answer = server.get(
        "/api/v1/query_exemplars", query="rate(hits_total[5m])", start=str(now_s - 60), end=str(now_s + 60)
    )
    assert answer["data"] == [
        {
            "seriesLabels": {"__name__": "hits_total", "code": "200", "job": "api"},
            "exemplars": [{"labels": {"trace_id": "abc"}, "value": "0.5", "timestamp": now_s + 0.25}],
        }
    ]


def test_status(server: Server) -> None:
    """Cardinality, build, flags and runtime are shown."""
    stats: dict[str, Any] = server.get("/api/v1/status/tsdb")["data"]
    assert stats["headStats"]["numSeries"] == 3
    assert stats["seriesCountByMetricName"] == [{"name": "hits_total", "value": 3}]
    assert {"name": "code", "value": 3} in stats["labelValueCountByLabelName"]
    assert server.get("/api/v1/status/buildinfo")["data"]["version"].startswith("3.")
    assert server.get("/api/v1/status/flags")["data"]["web.enable-admin-api"] == "true"
    assert server.get("/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"] is True
    assert server.get("/api/v1/status/walreplay")["status"] == "success"
    assert "scrape_interval" in server.get("/api/v1/status/config")["data"]["yaml"]


def test_compression_and_cors(server: Server) -> None:
    """Answers are compressed when asked for, and those of the API carry CORS headers for an origin."""
    request = urllib.request.Request(
        server.url + "/metrics", headers={"Accept-Encoding": "gzip", "Origin": "http://elsewhere"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Access-Control-Allow-Origin"] is None
    request = urllib.request.Request(
        server.url + "/api/v1/status/buildinfo", headers={"Origin": "http://elsewhere"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://elsewhere"


def test_admin(server: Server, now_s: int) -> None:
    """Deletion hides samples at once, cleaning and snapshots work, and a snapshot is a directory of blocks."""
    status, text = post(server, "/api/v1/admin/tsdb/snapshot")
    assert status == 200
    name = text.split('"name":"')[1].split('"')[0]
    assert list((server.data / "snapshots" / name).glob("*/meta.json"))
    assert post(server, "/api/v1/admin/tsdb/delete_series?match[]=hits_total{code=%22404%22}")[0] == 204
    codes = {entry["metric"]["code"] for entry in server.query(f"hits_total @ {now_s + 1}")}
    assert codes == {"200", "500"}
    assert post(server, "/api/v1/admin/tsdb/clean_tombstones")[0] == 204
    assert {entry["metric"]["code"] for entry in server.query(f"hits_total @ {now_s + 1}")} == {"200", "500"}
    assert post(server, "/api/v1/admin/tsdb/delete_series")[0] == 400


def test_admin_is_off_by_default(tmp_path: Path) -> None:
    """Without their flags the admin routes and the receiver refuse."""
    with running(tmp_path / "data") as server:
        status, text = post(server, "/api/v1/admin/tsdb/clean_tombstones")
        assert (status, "admin APIs disabled" in text) == (500, True)
        status, text = post(server, "/api/v1/write", b"x")
        assert (status, "remote write receiver needs to be enabled" in text) == (404, True)
