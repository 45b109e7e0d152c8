"""kill -9 at random moments: what was acknowledged is there, once."""

from __future__ import annotations

import http.server
import random
import threading
import time
from pathlib import Path

import pytest

from tests.support.process import Server

KILLS = 50
TARGETS = 10
SERIES = 40
INTERVAL = "100ms"


class Counting(http.server.ThreadingHTTPServer):
    """Targets that expose the number of the scrape. The next request on the same connection acknowledges it.

    A target has one connection of its own and is asked again only after storage has answered for its last scrape.
    A scrape that timed out, or that ended with the process, takes its connection with it: neither is acknowledged.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.next = dict.fromkeys(range(TARGETS), 0)
        self.acknowledged: dict[int, set[int]] = {target: set() for target in range(TARGETS)}

    def scrape(self, target: int, before: int | None) -> int:
        """The number of a scrape; `before` is the one that was served last on this connection."""
        with self.lock:
            if before is not None:
                self.acknowledged[target].add(before)
            self.next[target] += 1
            return self.next[target]

    def acknowledged_by(self, target: int) -> set[int]:
        """The scrapes of a target that are acknowledged by now."""
        with self.lock:
            return set(self.acknowledged[target])

    def handle_error(self, *_: object) -> None:
        """Quiet: killed processes reset their connections."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of one target."""

    protocol_version = "HTTP/1.1"
    server: Counting
    served: int | None = None

    def do_GET(self) -> None:
        target = int(self.path.rpartition("/")[2])
        self.served = number = self.server.scrape(target, self.served)
        body = "".join(f'm{{series="{index}"}} {number}\n' for index in range(SERIES)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def config(port: int) -> str:
    jobs = "".join(
        f"  - job_name: t{target}\n    metrics_path: /{target}\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        for target in range(TARGETS)
    )
    return f"global: {{scrape_interval: {INTERVAL}}}\nscrape_configs:\n{jobs}"


@pytest.mark.slow
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """After fifty SIGKILLs under load every acknowledged scrape is stored exactly once, in all its series."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    targets = Counting()
    threading.Thread(target=targets.serve_forever, daemon=True).start()
    server = Server(tmp_path / "data", config(targets.server_address[1]))
    for _ in range(KILLS):
        server.start(wait=moments.random() < 0.9)
        time.sleep(moments.uniform(0.0, 0.7))
        server.kill()
    server.start()
    try:
        assert "damaged" not in server.log.read_text() or "torn" in server.log.read_text()
        for target in range(TARGETS):
            # what is acknowledged while the query runs need not be in its answer
            acknowledged = targets.acknowledged_by(target)
            result = server.query(f'm{{job="t{target}"}}[1h]')
            by_series = {
                entry["metric"]["series"]: [int(value) for _, value in entry["values"]] for entry in result
            }
            assert len(by_series) == SERIES
            for numbers in by_series.values():
                assert len(numbers) == len(set(numbers)), f"doubled, seed {seed}"
                lost = acknowledged - set(numbers)
                assert not lost, f"lost {sorted(lost)[:5]}, seed {seed}"
                assert set(numbers) <= set(range(1, targets.next[target] + 1)), f"phantom, seed {seed}"
        assert sum(map(len, targets.acknowledged.values())) > KILLS
        assert server.stop() == 0
    finally:
        targets.shutdown()
        targets.server_close()
        if server.process is not None and server.process.poll() is None:
            server.kill()
