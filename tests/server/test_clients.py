"""Requests as clients that people have send them, against the real server: each gets the status and the shape it expects."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.process import Server, child, peer

RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Always
        expr: up == 1
        labels: {severity: info}
        annotations: {summary: "{{ $labels.job }} is up"}
"""
CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 1s, external_labels: {region: eu}}
rule_files: [r.yml]
scrape_configs:
  - job_name: own
    static_configs: [{targets: ["127.0.0.1:%d"], labels: {env: test}}]
"""
FORM = "application/x-www-form-urlencoded"
Fields = list[tuple[str, str]]


@dataclass
class Asked:
    """A client's request, and what it needs of the answer."""

    path: str
    query: Fields = field(default_factory=list)
    form: Fields | None = None
    status: int = 200
    shape: Any = None
    """Types and values that must be there: of lists the first item; None for anything."""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"


def timed(fields: Fields) -> Fields:
    """Fields with the times of now."""
    now_s = int(time.time())
    return [
        (name, _TIMES.sub(lambda found: str(int(found[0]) - NOW + now_s), value)) for name, value in fields
    ]


def sent(server: Server, asked: Asked) -> tuple[int, str, bytes]:
    """Status, type and body of the answer."""
    url = server.url + asked.path + ("?" + urllib.parse.urlencode(timed(asked.query)) if asked.query else "")
    data = urllib.parse.urlencode(timed(asked.form)).encode() if asked.form is not None else None
    headers = {
        "User-Agent": "client",
        **asked.headers,
        **({"Content-Type": FORM} if data is not None else {}),
    }
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def lacks(shape: Any, got: Any, path: str = "") -> Iterator[str]:
    """What of a shape is not there."""
    if shape is None:
        return
    if isinstance(shape, type):
        if not isinstance(got, (int, float) if shape is float else shape):
            yield f"{path}: {got!r} is no {shape.__name__}"
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            if not isinstance(got, dict) or key not in got:
                yield f"{path}/{key} is not there"
            else:
                yield from lacks(inner, got[key], f"{path}/{key}")
    elif isinstance(shape, list):
        if not isinstance(got, list) or (shape and not got):
            yield f"{path}: {got!r} is no list with something in it"
        elif shape:
            yield from lacks(shape[0], got[0], f"{path}/*")
    elif shape != got:
        yield f"{path}: {got!r}, not {shape!r}"


def success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


VECTOR = success({"resultType": "vector", "result": [{"metric": dict, "value": [float]}]})
MATRIX = success({"resultType": "matrix", "result": [{"metric": dict, "values": [[float]]}]})
LABELS = success([str])
# Stands for the time of a request, which is that of the test and not of its collection, minutes before.
NOW = 2_000_000_000
_TIMES = re.compile(r"\b(?:1999999|2000000)\d{3}\b")
RANGE: Fields = [("start", f"{NOW - 300}"), ("end", f"{NOW + 60}")]
QUERY, RANGED = "/api/v1/query", "/api/v1/query_range"

# ruff: noqa: E501 # a request a line
GRAFANA = [
    Asked(QUERY, form=[("query", "1+1"), ("time", f"{NOW}")], shape=success({"resultType": "scalar"})),
    Asked("/api/v1/status/buildinfo", shape=success({"version": str})),
    Asked("/api/v1/labels", form=[*RANGE], shape=LABELS),
    Asked("/api/v1/labels", [*RANGE, ("match[]", '{job="own"}'), ("limit", "40000")], shape=LABELS),
    Asked("/api/v1/label/__name__/values", [*RANGE, ("limit", "40000")], shape=LABELS),
    Asked("/api/v1/label/job/values", [*RANGE, ("match[]", '{__name__="up"}')], shape=LABELS),
    Asked("/api/v1/series", form=[*RANGE, ("match[]", "up"), ("limit", "100")], shape=success([{"job": "own"}])),
    Asked("/api/v1/metadata", [("limit", "5000")], shape=success(dict)),
    Asked("/api/v1/metadata", [("metric", "prometheus_http_requests_total")], shape=success(dict)),
    Asked(QUERY, form=[("query", "up"), ("time", f"{NOW + 30}.500")], shape=VECTOR),
    Asked(RANGED, form=[("query", 'up{job="own"}'), *RANGE, ("step", "1")], shape=MATRIX),
    Asked(RANGED, form=[("query", "rate(prometheus_http_requests_total[1m])"), *RANGE, ("step", "15s")], shape=success(dict)),
    Asked(RANGED, [("query", "ALERTS"), *RANGE, ("step", "60")], shape=MATRIX),
    Asked("/api/v1/query_exemplars", form=[("query", "up"), *RANGE], shape=success([])),
    Asked("/api/v1/rules", shape=success({"groups": [{"name": "g", "file": str, "rules": [{"name": "job:up:sum"}]}]})),
    Asked("/api/v1/rules", [("type", "alert"), ("limit_alerts", "10")], shape=success({"groups": [{"rules": [{"type": "alerting", "state": "firing"}]}]})),
    Asked("/api/v1/alerts", shape=success({"alerts": [{"labels": {"alertname": "Always"}, "state": "firing"}]})),
    Asked(QUERY, form=[("query", "up{"), ("time", f"{NOW}")], status=400, shape={"status": "error", "errorType": "bad_data", "error": str}),
]  # fmt: skip
PROMLENS = [
    Asked("/api/v1/format_query", [("query", "sum(up)by(job)")], shape=success("sum by (job) (up)")),
    Asked("/api/v1/parse_query", [("query", "sum(up)")], shape=success({"type": "aggregation", "expr": {"type": "vectorSelector"}})),
    Asked("/api/v1/metadata", shape=success(dict)),
    Asked("/api/v1/label/__name__/values", shape=LABELS),
    Asked("/api/v1/status/flags", shape=success({"query.lookback-delta": "5m"})),
    Asked(QUERY, [("query", "up"), ("stats", "all")], shape=success({"stats": {"samples": {"totalQueryableSamples": int}}})),
    Asked("/api/v1/notifications", shape=success([])),
    Asked("/api/v1/features", shape=success({"api": {"exclude_alerts": True}, "promql": {"offset": True}})),
]  # fmt: skip
PYTHON = [
    Asked("/api/v1/label/__name__/values", shape=LABELS),
    Asked(QUERY, [("query", 'up{env="test"}')], shape=VECTOR),
    Asked(RANGED, [("query", "up"), *RANGE, ("step", "1s")], shape=MATRIX),
    Asked(QUERY, [("query", "up[60s]"), ("time", f"{NOW + 30}")], shape=success({"resultType": "matrix"})),
    Asked("/api/v1/targets", shape=success({"activeTargets": [{"health": "up"}], "droppedTargets": []})),
]
VMALERT = [
    Asked(
        QUERY, [("query", "up > 0"), ("time", f"{NOW + 30}"), ("step", "5s"), ("nocache", "1")], shape=VECTOR
    ),
    Asked(
        QUERY,
        [("query", "up"), ("time", "2030-01-01T00:00:00Z"), ("step", "1m0s")],
        shape=success({"result": []}),
    ),
    Asked(RANGED, [("query", "up"), *RANGE, ("step", "5s")], shape=MATRIX),
]
THANOS = [
    Asked("/api/v1/status/config", shape=success({"yaml": str})),
    Asked(
        "/api/v1/status/flags",
        shape=success({"storage.tsdb.min-block-duration": "2h", "storage.tsdb.path": str}),
    ),
    Asked("/api/v1/status/buildinfo", shape=success({"version": str})),
    Asked("/-/ready", kind="text/plain; charset=utf-8"),
    Asked("/api/v1/rules", [("type", "alert")], shape=success({"groups": [dict]})),
    Asked("/api/v1/targets", [("state", "any")], shape=success({"activeTargets": [dict]})),
    Asked("/api/v1/metadata", [("limit", "-1")], shape=success(dict)),
    Asked("/api/v1/query_exemplars", [("query", "up"), *RANGE], shape=success([])),
]
CLIENTS = {"grafana": GRAFANA, "promlens": PROMLENS, "python": PYTHON, "vmalert": VMALERT, "thanos": THANOS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has scraped itself a few times and whose alert fires."""
    folder: Path = tmp_path_factory.mktemp("clients")
    port = free_port()
    (folder / "r.yml").write_text(RULES)
    made = Server(folder / "data", CONFIG % port, "--enable-feature=exemplar-storage", port=port).start()
    try:
        made.until('ALERTS{alertstate="firing"} and on () count_over_time(up[30s]) > 2')
        yield made
        assert made.stop() == 0
    finally:
        if made.process is not None and made.process.poll() is None:
            made.kill()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_what_it_expects(client: str, server: Server) -> None:
    """Each of its requests has the status, the type and the shape that it reads."""
    wrong = []
    for asked in CLIENTS[client]:
        status, kind, body = sent(server, asked)
        told = f"{asked.path} {asked.query or asked.form or ''}"
        if (status, kind) != (asked.status, asked.kind):
            wrong.append(f"{told}: {status} {kind} {body[:200]!r}")
        elif asked.shape is not None:
            wrong += [f"{told}: {problem}" for problem in lacks(asked.shape, json.loads(body))]
    assert wrong == []


@pytest.mark.peer
@pytest.mark.parametrize("flags", [(), ("--enable-feature=native-histograms",)], ids=["text", "protobuf"])
def test_a_real_prometheus_federates_from_us(flags: tuple[str, ...], server: Server, tmp_path: Path) -> None:
    """It takes our series with our labels, our external ones added, and its own nowhere but where ours say nothing; our own metrics, too.

    With native histograms it asks for protobuf.
    """
    prometheus = peer("prometheus")
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: federate\n    honor_labels: true\n"
        "    metrics_path: /federate\n    params: {'match[]': ['{job=\"own\"}', 'job:up:sum']}\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]\n"
        f"  - {{job_name: direct, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}\n"
    )
    with child(
        prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'peer'}",
        f"--web.listen-address=127.0.0.1:{port}", *flags,
    ):  # fmt: skip
        other = Server(tmp_path / "other", port=port)
        found: list[Any] = []
        deadline = time.monotonic() + 30
        while not found and time.monotonic() < deadline:
            try:
                found = other.query('job:up:sum and on () up{job="direct"} == 1')
            except (OSError, json.JSONDecodeError, AssertionError):
                time.sleep(0.3)
        (summed,) = found
        (up,) = other.query('up{env="test"}')
        (own,) = other.query('up{job="federate"}')
        (metric,) = other.query('prometheus_build_info{job="direct"}')
        counted = other.query('prometheus_http_request_duration_seconds_bucket{job="direct", le="+Inf"}')
    own_labels = {"env": "test", "instance": f"127.0.0.1:{server.port}", "job": "own", "region": "eu"}
    assert summed["metric"] == {"__name__": "job:up:sum", "job": "own", "region": "eu"}
    assert up["metric"] == {"__name__": "up", **own_labels}
    assert own["value"][1] == metric["value"][1] == "1"
    assert counted
