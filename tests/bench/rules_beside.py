"""The same targets and rules for ten minutes in trimon and in Prometheus: the same alerts, recorded values and notifications.

    python tests/bench/rules_beside.py [--minutes 10]

Targets are functions of the clock, so both servers see the same whatever moment they look at; one target is down for a
while, a disk fills, a queue jams, errors come and go. What each server says is taken from its own API and from what its
receiver got. The servers have phases of their own within an interval, so times may differ by an interval of scraping and
one of rules.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.servers import Server

INTERVAL_S: Final = 5
TOLERANCE_S: Final = 2 * INTERVAL_S + 2
TARGETS: Final = 4
DOWN: Final = 3
"""The target that is down for a while."""
RULES: Final = """
groups:
- name: hosts
  rules:
  - record: instance:errors:ratio_rate1m
    expr: sum by (instance) (rate(http_requests_total{code=~"5.."}[1m])) / sum by (instance) (rate(http_requests_total[1m]))
  - record: job:latency:p90
    expr: histogram_quantile(0.9, sum by (job, le) (rate(latency_seconds_bucket[1m])))
  - record: instance:disk_free:ratio
    expr: disk_free_bytes / disk_size_bytes
  - alert: TargetDown
    expr: up == 0
    for: 20s
    labels: {severity: page}
    annotations: {summary: '{{ $labels.instance }} of {{ $labels.job }} is down'}
  - alert: TargetOften
    expr: avg_over_time(up[1m]) < 0.9
    keep_firing_for: 30s
  - alert: DiskWillFill
    expr: predict_linear(disk_free_bytes[1m], 3600) < 0 and instance:disk_free:ratio < 0.6
    for: 10s
    labels: {severity: '{{ if eq $labels.disk "/" }}page{{ else }}ticket{{ end }}'}
    annotations: {summary: 'disk {{ $labels.disk }}'}
  - alert: Errors
    expr: instance:errors:ratio_rate1m > 0.2
    for: 30s
    keep_firing_for: 20s
    annotations: {summary: 'errors on {{ $labels.instance }}', value: '{{ $value | humanizePercentage }}'}
- name: joins
  rules:
  - alert: QueueJams
    expr: queue_length > 50 and on (instance) host_info{role="worker"}
  - alert: NoSuchJob
    expr: absent(up{job="nothing"})
    for: 1m
  - alert: QueueOfOwner
    expr: queue_length * on (instance) group_left (owner) host_info > 60
    annotations: {summary: '{{ $labels.owner }} has {{ with query "count(up)" }}{{ . | first | value }}{{ end }} targets'}
  - record: owner:queue:max
    expr: max by (owner) (queue_length * on (instance) group_left (owner) host_info)
"""
CONFIG: Final = """
global: {{scrape_interval: {s}s, scrape_timeout: 2s, evaluation_interval: {s}s, external_labels: {{dc: north}}}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{receiver}']}}]}}]}}
scrape_configs: [{{job_name: hosts, static_configs: [{{targets: [{targets}]}}]}}]
"""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


def exposition(number: int, began_s: float) -> str | None:
    """What a target shows now, a function of time alone; None: it does not answer."""
    passed_s = time.time() - began_s
    minute = passed_s / 60
    if number == DOWN and 2 <= minute % 6 < 3.5:
        return None
    errors = 40 * passed_s if number == 1 and minute % 4 < 1.5 else 10.0 * int(minute // 4)
    free = 1e9 * max(0.0, 0.9 - (minute % 5) / 5) if number == 0 else 9e8
    queue = 100 if 1 <= minute % 3 < 2 else 10 * number
    role = "worker" if number % 2 else "web"
    buckets = [(0.1, 5.0), (0.5, 8.0), (1.0, 9.0), ("+Inf", 10.0)]
    lines = [
        f'http_requests_total{{code="200"}} {100 * passed_s}',
        f'http_requests_total{{code="500"}} {errors}',
        f'disk_free_bytes{{disk="/"}} {free}',
        'disk_size_bytes{disk="/"} 1e9',
        f"queue_length {queue}",
        f'host_info{{role="{role}",owner="team{number % 2}"}} 1',
        *(f'latency_seconds_bucket{{le="{le}"}} {rate * passed_s}' for le, rate in buckets),
    ]
    return "\n".join(lines) + "\n"


def serve(handler: type[BaseHTTPRequestHandler]) -> int:
    """A server in a thread; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def target(number: int, began_s: float) -> int:
    """A target; its port."""

    class Handler(BaseHTTPRequestHandler):
        """Answers with the exposition of now."""

        def do_GET(self) -> None:
            """/metrics."""
            text = exposition(number, began_s)
            self.send_response(200 if text is not None else 503)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return serve(Handler)


@dataclass
class Notified:
    """What a receiver got: of every alert since when it was, by when its start or its end was told, and its texts."""

    port: int = 0
    firing: dict[str, dict[float, float]] = field(default_factory=dict)
    resolved: dict[str, dict[float, float]] = field(default_factory=dict)
    messages: int = 0
    texts: dict[str, set[str]] = field(default_factory=dict)


def receiver() -> Notified:
    """An Alertmanager that takes everything."""
    got = Notified()

    class Handler(BaseHTTPRequestHandler):
        """Takes alerts."""

        def do_POST(self) -> None:
            """/api/v2/alerts."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            now_s = time.time()
            for alert in json.loads(body):
                key = json.dumps(alert["labels"], sort_keys=True)
                ended = alert["endsAt"] and _seconds(alert["endsAt"]) <= now_s
                told = (got.resolved if ended else got.firing).setdefault(key, {})
                told.setdefault(_seconds(alert["startsAt"]), now_s)
                got.messages += 1
                text = _NUMBER.sub("N", json.dumps(alert.get("annotations", {}), sort_keys=True))
                got.texts.setdefault(key, set()).add(text)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    got.port = serve(Handler)
    return got


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def states(server: Server, start_s: float, end_s: float) -> dict[str, list[tuple[float, float]]]:
    """By the labels of ALERTS the times in which each was there."""
    params = {"query": "ALERTS", "start": str(start_s), "end": str(end_s), "step": "1"}
    found: dict[str, list[tuple[float, float]]] = {}
    for series in server.get("/api/v1/query_range", params)["data"]["result"]:
        spans: list[tuple[float, float]] = []
        for at, _ in series["values"]:
            if spans and at - spans[-1][1] <= 1.5:
                spans[-1] = (spans[-1][0], at)
            else:
                spans.append((at, at))
        found[json.dumps(series["metric"], sort_keys=True)] = spans
    return found


def recorded(server: Server, start_s: float, end_s: float) -> dict[str, list[float]]:
    """By the labels of recorded series their values each interval."""
    params = {
        "query": '{__name__=~".+:.+"}',
        "start": str(start_s),
        "end": str(end_s),
        "step": str(INTERVAL_S),
    }
    return {
        json.dumps(series["metric"], sort_keys=True): [float(value) for _, value in series["values"]]
        for series in server.get("/api/v1/query_range", params)["data"]["result"]
    }


def _close(mine: list[float], theirs: list[float]) -> bool:
    """Whether two lists of times are the same but for the phases."""
    return len(mine) == len(theirs) and all(
        abs(one - other) <= TOLERANCE_S for one, other in zip(sorted(mine), sorted(theirs), strict=True)
    )


def compare(kinds: list[Server], got: dict[str, Notified], start_s: float, end_s: float) -> list[str]:
    """What differs."""
    wrong: list[str] = []
    mine, theirs = (states(server, start_s, end_s) for server in kinds)
    wrong += [f"ALERTS of one alone: {labels}" for labels in mine.keys() ^ theirs.keys()]
    for labels in mine.keys() & theirs.keys():
        for place, name in ((0, "begins"), (1, "ends")):
            ours, others = ([span[place] for span in found[labels]] for found in (mine, theirs))
            if not _close(ours, others):
                wrong.append(f"{labels} {name} at {ours} and {others}")
    sums, other_sums = (recorded(server, start_s, end_s) for server in kinds)
    wrong += [f"recorded by one alone: {labels}" for labels in sums.keys() ^ other_sums.keys()]
    for labels in sums.keys() & other_sums.keys():
        one, other = (sum(found[labels]) / len(found[labels]) for found in (sums, other_sums))
        if abs(one - other) > 0.05 * max(abs(one), abs(other), 0.01):
            wrong.append(f"{labels} is {one} and {other} on average")
    here, there = got.values()
    for what, left, right in (
        ("firing", here.firing, there.firing),
        ("resolved", here.resolved, there.resolved),
    ):
        wrong += [
            f"{what} told by one alone: {labels} since {since}"
            for told, beside in ((left, right), (right, left))
            for labels, times in told.items()
            for since, at in times.items()
            if at < end_s - TOLERANCE_S
            and not any(abs(since - each) <= TOLERANCE_S for each in beside.get(labels, {}))
        ]
    wrong += [
        f"texts of {labels}: {here.texts[labels]} and {there.texts[labels]}"
        for labels in here.texts.keys() & there.texts.keys()
        if here.texts[labels] != there.texts[labels]
    ]
    print(
        f"{len(mine)} series of ALERTS, {len(sums)} recorded series, {len(here.firing)} alerts told as firing, "
        f"{len(here.resolved)} as resolved, {here.messages} times in all (by the other {there.messages})"
    )
    return wrong


def main() -> None:
    """Runs both and prints what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    began_s = time.time()
    targets = ",".join(f"'127.0.0.1:{target(number, began_s)}'" for number in range(TARGETS))
    with tempfile.TemporaryDirectory() as folder:
        servers, got = [], {}
        for kind in ("trimon", "prometheus"):
            directory = Path(folder) / kind
            directory.mkdir()
            got[kind] = receiver()
            (directory / "rules.yml").write_text(RULES)
            config = directory / "c.yml"
            config.write_text(CONFIG.format(s=INTERVAL_S, receiver=got[kind].port, targets=targets))
            server = Server(kind, directory / "data", config, ["--rules.alert.resend-delay=1m"])
            servers.append(server)
        try:
            for server in servers:
                server.start()
            start_s = time.time() + 20
            time.sleep(minutes * 60)
            wrong = compare(servers, got, start_s, time.time() - TOLERANCE_S)
        finally:
            for server in servers:
                server.stop()
    print("\n".join(wrong) or "nothing differs")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
