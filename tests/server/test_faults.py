"""A damaged data directory, as its operator sees it: the server is up, and the fault is named everywhere."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.process import Server

CONFIG = """
global: {{scrape_interval: 100ms}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_a_flipped_bit_in_the_log_is_named(tmp_path: Path) -> None:
    """After a bit of the log flipped the server starts, serves the rest, and names the loss in log, metric and status."""
    server = Server(tmp_path / "data")
    server.config.write_text(CONFIG.format(port=server.port))
    server.command.append(f"--config.file={server.config}")
    server.start()
    server.until("count_over_time(up[1m]) > 20")
    server.kill()
    segment = max((tmp_path / "data" / "wal").iterdir(), key=lambda path: path.stat().st_size)
    raw = bytearray(segment.read_bytes())
    raw[len(raw) * 9 // 10] ^= 0x10
    segment.write_bytes(raw)
    server.start()
    try:
        assert int(server.until("count_over_time(up[10m])")[0]["value"][1]) > 10
        time.sleep(2.5)
        problems = server.get("/api/v1/status/storage")["data"]["problems"]
        assert problems
        assert segment.name in " ".join(problems)
        assert "fault in the data directory" in server.log.read_text()
        metrics = server.text("/metrics")[1]
        line = next(line for line in metrics.splitlines() if line.startswith("trimon_tsdb_problems_total"))
        assert float(line.split()[1]) >= 1
        assert server.text("/-/ready")[0] == 200
    finally:
        server.kill()
