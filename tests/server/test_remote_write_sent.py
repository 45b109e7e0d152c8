"""Remote write from one server to another, with the sender killed in between."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.process import Server, running

CONFIG = """
global: {scrape_interval: 200ms}
remote_write:
  - {url: 'URL/api/v1/write', queue_config: {batch_send_deadline: 300ms}}
scrape_configs:
  - job_name: self
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
"""


def count(server: Server, at_s: float) -> float:
    """How many samples of `up` there are until a time."""
    found = server.get("/api/v1/query", query="count_over_time(up[5m])", time=f"{at_s:.3f}")
    return float(found["data"]["result"][0]["value"][1])


def test_a_killed_sender_loses_nothing(tmp_path: Path) -> None:
    """The sender is killed twice; the receiver ends up with what the sender has, sample for sample."""
    with running(tmp_path / "receiver", "global: {}\n", "--web.enable-remote-write-receiver") as receiver:
        for _ in range(2):
            sender = Server(
                tmp_path / "data",
                CONFIG.replace("URL", receiver.url).replace("PORT", str(receiver.port)),
            ).start()
            sender.until("up")
            time.sleep(2)
            sender.kill()
        sender = Server(
            tmp_path / "data", CONFIG.replace("URL", receiver.url).replace("PORT", str(receiver.port))
        ).start()
        try:
            sender.until("up")
            at_s = time.time()
            deadline = time.monotonic() + 20
            while count(sender, at_s) != count(receiver, at_s) and time.monotonic() < deadline:
                time.sleep(0.3)
            assert count(receiver, at_s) == count(sender, at_s) > 10
        finally:
            sender.stop()
