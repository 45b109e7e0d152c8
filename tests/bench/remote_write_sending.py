"""What sending a sample costs: trimon beside Prometheus, each scraping the same targets, with and without a receiver.

    python tests/bench/remote_write_sending.py [--targets 20] [--series 1000] [--seconds 40] [--times 1] [--absent]

The receiver only counts bytes and answers 204. Prints CPU seconds a million samples: of all, and of sending alone, which is the
difference to the same time without a receiver; and the memory of the process at the end, beside one whose receiver is absent.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.servers import Server, installed, table

TEXT = {"Content-Type": "text/plain; version=0.0.4"}


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", TEXT["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in the standard library
        del format, args


class Targets(_Quiet):
    """Exposes series of which two thirds change every second."""

    bodies: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        self.answer(200, self.bodies[int(time.time()) % len(self.bodies)])


class Receiver(_Quiet):
    """Takes everything."""

    requests = 0
    body_bytes = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.requests += 1
        Receiver.body_bytes += len(body)
        self.answer(204)


def bodies(series: int) -> list[bytes]:
    """Sixty expositions that follow one another."""
    out = []
    for step in range(60):
        lines = [
            f'http_requests_total_{number % 40}{{code="200",handler="/api/v{number % 7}/x",pod="pod-{number}",'
            f'zone="eu-west-1"}} {number * 1000 + (step if number % 3 else 0) * 17}'
            for number in range(series)
        ]
        out.append(("\n".join(lines) + "\n").encode())
    return out


def serving(handler: type[_Quiet]) -> ThreadingHTTPServer:
    """A server in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def cost(kind: str, targets: int, place: str, receiver: str, seconds: float) -> tuple[float, int, float]:
    """CPU seconds of so long a time after a warm-up, bytes of memory at its end, and samples that were stored in it."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "p.yml"
        jobs = [
            {"job_name": "t", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [
                {"targets": [place], "labels": {"target": str(number)}} for number in range(targets)
            ]}
        ]  # fmt: skip
        remote = [{"url": receiver}] if receiver else []
        config.write_text(json.dumps({"scrape_configs": jobs, "remote_write": remote}))
        server = Server(kind, Path(directory) / "data", config)
        server.start()
        try:
            time.sleep(8)
            before, begun_s = server.cost(), time.time()
            time.sleep(seconds)
            after, took_s = server.cost(), time.time() - begun_s
            return after.cpu_s - before.cpu_s, after.anonymous_bytes, took_s
        finally:
            server.stop()


def main() -> None:
    """Both servers, with and without a receiver."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--absent", action="store_true", help="also with a receiver that is not there")
    wanted = parser.parse_args()
    Targets.bodies = bodies(wanted.series)
    targets, receiver = serving(Targets), serving(Receiver)
    place = f"127.0.0.1:{targets.server_port}"
    urls = {
        "no receiver": "",
        "a receiver": f"http://127.0.0.1:{receiver.server_port}/w",
    }
    if wanted.absent:
        urls["an absent receiver"] = "http://127.0.0.1:9/w"
    kinds = [kind for kind in installed() if kind != "victoria"]
    samples = wanted.targets * wanted.series / 1e6
    cpu: dict[tuple[str, str], list[float]] = {}
    memory: dict[str, dict[str, float]] = {}
    # Both servers and both cases take turns: what the machine does meanwhile falls on all.
    for _ in range(wanted.times):
        for kind in kinds:
            for name, url in urls.items():
                cpu_s, size, took_s = cost(kind, wanted.targets, place, url, wanted.seconds)
                cpu.setdefault((kind, name), []).append(cpu_s / (samples * took_s))
                memory.setdefault(name, {})[kind] = size / 2**20
    a_million = {name: {kind: statistics.median(cpu[kind, name]) for kind in kinds} for name in urls}
    alone = {
        kind: statistics.median(
            with_one - without
            for with_one, without in zip(cpu[kind, "a receiver"], cpu[kind, "no receiver"], strict=True)
        )
        for kind in kinds
    }
    rows = [(f"all, with {name}", found) for name, found in a_million.items()]
    print(table("CPU s a million samples", [*rows, ("sending alone", alone)], {"sending alone": "0.7"}))
    print(table("memory, MiB", [(f"with {name}", found) for name, found in memory.items()]))
    print(f"received: {Receiver.requests} requests, {Receiver.body_bytes / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
