"""Targets that count their scrapes, and know which of them a server must have stored."""

from __future__ import annotations

import http.server
import threading
import time


class CountingTargets(http.server.ThreadingHTTPServer):
    """Targets that expose the number of the scrape. The next request on the same connection acknowledges it.

    A target has one connection of its own and is asked again only after storage has answered for its last scrape.
    A scrape that timed out, or that ended with the process, takes its connection with it: neither is acknowledged.
    """

    daemon_threads = True

    def __init__(self, targets: int, series: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.targets = targets
        self.series = series
        self._lock = threading.Lock()
        self._served_s: list[dict[int, float]] = [{} for _ in range(targets)]
        self._acknowledged: list[set[int]] = [set() for _ in range(targets)]

    def scrape(self, target: int, before: int | None) -> int:
        """The number of a scrape; `before` is the one that was served last on this connection."""
        with self._lock:
            if before is not None:
                self._acknowledged[target].add(before)
            number = len(self._served_s[target]) + 1
            self._served_s[target][number] = time.time()
            return number

    def acknowledged(self, target: int) -> set[int]:
        """The scrapes of a target that are acknowledged by now."""
        with self._lock:
            return set(self._acknowledged[target])

    def served_s(self, target: int) -> dict[int, float]:
        """When each scrape of a target was answered."""
        with self._lock:
            return dict(self._served_s[target])

    def jobs(self) -> str:
        """The scrape configurations, a job `t<number>` for each target."""
        return "".join(
            f"  - job_name: t{target}\n    metrics_path: /{target}\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{self.server_address[1]}']}}]\n"
            for target in range(self.targets)
        )

    def handle_error(self, *_: object) -> None:
        """Quiet: killed processes reset their connections."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection of one target."""

    protocol_version = "HTTP/1.1"
    server: CountingTargets
    served: int | None = None

    def do_GET(self) -> None:
        target = int(self.path.rpartition("/")[2])
        self.served = number = self.server.scrape(target, self.served)
        body = "".join(f'm{{series="{index}"}} {number}\n' for index in range(self.server.series)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""
