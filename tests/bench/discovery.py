"""Discovery at scale: pods in one watch, files that change, and relabeling beside Prometheus.

    python tests/bench/discovery.py pods     [--targets 50000] [--seconds 60]   a watch with 500 events a second
    python tests/bench/discovery.py files    [--targets 5000] [--seconds 300] [--again]  half change every ten seconds
    python tests/bench/discovery.py relabel  [--targets 50000]                  trimon, then Debian's prometheus

`pods` and `files` print the delay of the event loop, the memory before and after, and what was missed; `relabel` the processor
time of a start, of a change of one percent, and of a change of all.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.servers import Server

PAGE = 500
RULES = """
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], target_label: __metrics_path__, regex: "(.+)"}
  - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: "([^:]+)(?::\\\\d+)?;(\\\\d+)"
    replacement: "$1:$2"
    target_label: __address__
  - {action: labelmap, regex: "__meta_kubernetes_pod_label_(.+)"}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: "Pending|Succeeded|Failed|Completed", action: drop}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], action: keep, regex: "metrics|http"}
"""


def pod(number: int, version: int) -> dict[str, Any]:
    """A pod as the API has it."""
    app, address = f"app{number % 500}", f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return {
        "metadata": {
            "name": f"{app}-{number}",
            "namespace": f"ns{number % 100}",
            "uid": f"uid-{number}-{version}",
            "resourceVersion": str(version),
            "labels": {"app": app, "tier": "backend"},
            "annotations": {
                "prometheus.io/scrape": "true" if number % 5 else "false",
                "prometheus.io/path": "/metrics",
                "prometheus.io/port": "9100",
            },
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{app}-rs", "controller": True}],
        },
        "spec": {
            "nodeName": f"node{number % 1000}",
            "containers": [
                {
                    "name": "main",
                    "image": f"{app}:1",
                    "ports": [{"name": "metrics", "containerPort": 9100, "protocol": "TCP"}],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "hostIP": "10.1.1.1",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class Cluster(ThreadingHTTPServer):
    """An API server that has pods, lists them page by page, and says in every watch what changes."""

    daemon_threads = True

    def __init__(self, pods: int) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.pods = [pod(number, 1) for number in range(pods)]
        self.version = 1
        self.events: list[bytes] = []
        self.changed = threading.Condition()

    def change(self, number: int) -> None:
        """A pod has another version."""
        with self.changed:
            self.version += 1
            self.pods[number] = pod(number, self.version)
            self.events.append(json.dumps({"type": "MODIFIED", "object": self.pods[number]}).encode() + b"\n")
            self.changed.notify_all()


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cluster

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path != "/api/v1/pods":
            self._whole(404, {"kind": "Status", "code": 404})
        elif query.get("watch") in ("1", "true"):
            if query.get("sendInitialEvents"):
                self._whole(422, {"kind": "Status", "code": 422, "reason": "Invalid"})
            else:
                self._watch()
        else:
            begin, size = int(query.get("continue") or 0), int(query.get("limit") or PAGE)
            more = begin + size < len(self.server.pods)
            meta = {
                "resourceVersion": str(self.server.version),
                "continue": str(begin + size) if more else "",
            }
            items = self.server.pods[begin : begin + size]
            self._whole(200, {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": items})

    def _whole(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        while True:
            with self.server.changed:
                while len(self.server.events) == sent:
                    self.server.changed.wait()
                data = b"".join(self.server.events[sent:])
                sent = len(self.server.events)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


class _Target(BaseHTTPRequestHandler):
    """One of thousands of targets, each with a path of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\na 1\nb 2\nc 3\n"
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        del format, args


def metrics(server: Server) -> str:
    """What it says of itself."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def figure(server: Server, name: str) -> float:
    """One metric without labels."""
    found = re.search(rf"^{name} (\S+)$", metrics(server), re.MULTILINE)
    return float(found[1]) if found is not None else 0.0


def lag(server: Server) -> dict[float, float]:
    """The histogram of the event loop's delay: bound and how many were within it."""
    text = metrics(server)
    found = re.findall(r'trimon_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
    return {float(bound.replace("+Inf", "inf")): float(count) for bound, count in found}


def told(before: dict[float, float], after: dict[float, float]) -> str:
    """Delays since a time: the bound of 99 of 100, and of all."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    total = counts[float("inf")]
    p99, most = (
        next(bound for bound, count in counts.items() if count >= part * total) for part in (0.99, 1)
    )
    return f"event loop: p99 at most {p99 * 1000:g} ms, longest at most {most * 1000:g} ms of {total:.0f}"


def await_targets(server: Server, count: int, within_s: float = 300.0) -> float:
    """Seconds until so many targets are there."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        found = re.search(r"^prometheus_sd_discovered_targets\{.*\} (\S+)$", metrics(server), re.MULTILINE)
        if found is not None and float(found[1]) == count:
            return time.monotonic() - began
        time.sleep(0.2)
    raise AssertionError(f"there are not {count} targets")


def pods(folder: Path, targets: int, seconds: float) -> None:
    """One watch of many pods, of which 500 change a second."""
    cluster = Cluster(targets)
    threading.Thread(target=cluster.serve_forever, daemon=True).start()
    config = folder / "pods.yml"
    config.write_text(
        "global: {scrape_interval: 6h}\nscrape_configs:\n- job_name: pods\n  proxy_url: http://127.0.0.1:9\n"
        f"  kubernetes_sd_configs: [{{role: pod, api_server: 'http://127.0.0.1:{cluster.server_address[1]}'}}]\n"
        f"  relabel_configs:{RULES}"
    )
    server = Server("trimon", folder / "data", config)
    server.start()
    try:
        found_s = await_targets(server, targets)
        start = server.cost()
        mib = start.anonymous_bytes / 2**20
        print(
            f"{targets} pods listed and taken over in {found_s:.1f} s, {start.cpu_s:.1f} s of CPU, {mib:.0f} MiB"
        )
        # Forty thousand actors have to be started, some at a time.
        time.sleep(60)
        before, start, events = lag(server), server.cost(), 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(50):
                cluster.change(events * 7919 % targets)
                events += 1
            time.sleep(0.1)
        time.sleep(2)
        end = server.cost()
        last = cluster.pods[(events - 1) * 7919 % targets]["metadata"]["uid"]
        wanted = f'{{__meta_kubernetes_pod_uid="{last}"}}'
        arrived = server.get("/api/v1/discovery/changes", {"match[]": wanted})["data"]["changes"]
        assert arrived, "the last event has not arrived"
        print(
            f"{events} events: {(end.cpu_s - start.cpu_s) / events * 1e6:.0f} us of CPU each, relabeling of the job with them"
        )
        print(told(before, lag(server)))
        print(f"memory {start.anonymous_bytes / 2**20:.0f} -> {end.anonymous_bytes / 2**20:.0f} MiB")
    finally:
        server.stop()


def _file_groups(targets: int, step: int, port: int) -> Iterator[dict[str, Any]]:
    for number in range(targets):
        stable = number < targets // 2
        path = f"/t{number}" if stable else f"/t{number}-{step}"
        labels = {
            "__metrics_path__": path,
            "number": str(number),
            "stable": str(stable).lower(),
            "path": path,
        }
        yield {"targets": [f"127.0.0.1:{port}"], "labels": labels}


def _write(path: Path, groups: Iterator[dict[str, Any]]) -> None:
    part = path.with_suffix(".new")
    part.write_text(json.dumps(list(groups)))
    part.replace(path)


def files(folder: Path, targets: int, seconds: float, again: bool) -> None:
    """Targets in ten files, of which half are others every ten seconds; with `again` the same two halves in turn."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    serving.daemon_threads = True
    serving.request_queue_size = 1024
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    port = int(serving.server_address[1])

    def write(step: int) -> None:
        groups = list(_file_groups(targets, step, port))
        for part in range(10):
            _write(folder / f"t{part}.json", iter(groups[part::10]))

    write(0)
    config = folder / "files.yml"
    config.write_text(
        "global: {scrape_interval: 15s}\nscrape_configs:\n- job_name: files\n"
        f"  file_sd_configs: [{{files: ['{folder}/t*.json'], refresh_interval: 5m}}]\n"
    )
    server = Server("trimon", folder / "data", config)
    server.start()
    try:
        await_targets(server, targets)
        time.sleep(40)
        before, start, began, began_series = lag(server), server.cost(), time.time(), 0
        missed = figure(server, "trimon_target_scrapes_missed_total")
        step, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            step += 1
            write(step % 2 if again else step)
            time.sleep(10)
            if step == 2:  # with `again` all targets have been there from now on
                start, began_series = server.cost(), head_series(server)
        end = server.cost()
        counts = server.get(
            "/api/v1/query",
            {
                "query": f'min(count_over_time(up{{stable="true"}}[{int(time.time() - began)}s] @ {time.time()}))'
            },
        )
        least = float(counts["data"]["result"][0]["value"][1])
        print(f"{step} times half of {targets} targets were others")
        print(f"least scrapes of a stable target: {least:.0f} of {(time.time() - began) / 15:.1f}; slots missed: "
              f"{figure(server, 'trimon_target_scrapes_missed_total') - missed:.0f}")  # fmt: skip
        print(told(before, lag(server)))
        print(f"CPU {(end.cpu_s - start.cpu_s) / (time.time() - began):.2f} of a core, memory "
              f"{start.anonymous_bytes / 2**20:.0f} -> {end.anonymous_bytes / 2**20:.0f} MiB, series {began_series} -> "
              f"{head_series(server)}")  # fmt: skip
    finally:
        server.stop()


def head_series(server: Server) -> int:
    """How many series the head has."""
    found = server.get("/api/v1/status/storage", {})
    return int(found["data"]["figures"]["head_series"])


def _pods_in_a_file(targets: int, version: int, share: float) -> Iterator[dict[str, Any]]:
    for number in range(targets):
        at = pod(number, version if number < share * targets else 1)
        meta, status = at["metadata"], at["status"]
        prefix = "__meta_kubernetes_pod_"
        labels = {
            "__meta_kubernetes_namespace": meta["namespace"],
            f"{prefix}name": meta["name"],
            f"{prefix}uid": meta["uid"],
            f"{prefix}ip": status["podIP"],
            f"{prefix}phase": status["phase"],
            f"{prefix}node_name": at["spec"]["nodeName"],
            f"{prefix}container_name": "main",
            f"{prefix}container_port_name": "metrics",
            f"{prefix}container_port_number": "9100",
        }
        for name, value in meta["labels"].items():
            labels |= {f"{prefix}label_{name}": value, f"{prefix}labelpresent_{name}": "true"}
        for name, value in meta["annotations"].items():
            labels[f"{prefix}annotation_{re.sub('[^a-z]', '_', name)}"] = value
        yield {"targets": [f"{status['podIP']}:9100"], "labels": labels}


def relabel(folder: Path, targets: int) -> None:
    """The same file of pods for both servers."""
    path, config = folder / "pods.json", folder / "relabel.yml"
    config.write_text(
        "global: {scrape_interval: 6h}\nscrape_configs:\n- job_name: pods\n  proxy_url: http://127.0.0.1:9\n"
        f"  file_sd_configs: [{{files: ['{path}'], refresh_interval: 1h}}]\n  relabel_configs:{RULES}"
    )
    figures: dict[str, list[float]] = {}
    for kind in ("trimon", "prometheus"):
        _write(path, _pods_in_a_file(targets, 1, 0))
        server = Server(kind, folder / kind, config)
        server.start()
        found = figures.setdefault(kind, [])
        try:
            await_targets(server, targets)
            time.sleep(15)
            found.append(server.cost().cpu_s)
            for version, share in ((2, 0.01), (3, 1.0)):
                before = server.cost().cpu_s
                _write(path, _pods_in_a_file(targets, version, share))
                time.sleep(20)
                found.append(server.cost().cpu_s - before)
        finally:
            server.stop()
    for what, ours, theirs in zip(("start", "1 % changed", "all changed"), *figures.values(), strict=True):
        print(f"{what}: trimon {ours:.2f} s of CPU, Prometheus {theirs:.2f}, ratio {ours / theirs:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("pods", "files", "relabel"))
    parser.add_argument("--targets", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--again", action="store_true", help="files: the same two halves in turn, so that no series is new"
    )
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="trimon-bench-"))
    os.environ.pop("http_proxy", None)
    try:
        if asked.what == "pods":
            pods(folder, asked.targets or 50_000, asked.seconds)
        elif asked.what == "files":
            files(folder, asked.targets or 5_000, asked.seconds, asked.again)
        else:
            relabel(folder, asked.targets or 50_000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
