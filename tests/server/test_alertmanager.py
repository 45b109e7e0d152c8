"""Alerts of the real server at a real Alertmanager, and through a kill."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import child, free_port, peer, running

pytestmark = pytest.mark.peer

ROUTES = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"
CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{dc: north}}}}
rule_files: ['{rules}']
scrape_configs:
- job_name: own
  static_configs: [{{targets: ['127.0.0.1:{own}']}}]
alerting:
  alertmanagers:
  - static_configs: [{{targets: {managers}}}]
"""


def rules(expr: str, for_: str = "0s") -> str:
    return f"""groups:
- name: g
  rules:
  - alert: Up
    expr: {expr}
    for: {for_}
    labels: {{severity: page, seen: '{{{{ $value }}}}'}}
    annotations: {{summary: '{{{{ $labels.job }}}} is <up>'}}
"""


@contextmanager
def alertmanager(directory: Path) -> Iterator[str]:
    """A real Alertmanager; its address."""
    program = peer("prometheus-alertmanager")
    directory.mkdir()
    (directory / "am.yml").write_text(ROUTES)
    address = f"127.0.0.1:{free_port()}"
    with child(
        program,
        f"--config.file={directory / 'am.yml'}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ):
        yield address


def alerts(address: str) -> list[dict[str, Any]]:
    """What an Alertmanager has now; nothing before it listens."""
    try:
        with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
            return found
    except OSError:
        return []


def until(found: Callable[[], Any], within_s: float = 30.0) -> Any:
    """What a question gives as soon as it is true."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.1)
    pytest.fail(f"nothing within {within_s} s")


def test_a_real_alertmanager_gets_alerts_and_their_end(tmp_path: Path) -> None:
    """Two Alertmanagers hear of an alert and of its end, with all that belongs to it; one that is down harms nobody."""
    with alertmanager(tmp_path / "one") as one, alertmanager(tmp_path / "two") as two:
        own, dead = free_port(), f"127.0.0.1:{free_port()}"
        (tmp_path / "rules.yml").write_text(rules("up == 1"))
        config = CONFIG.format(rules=tmp_path / "rules.yml", own=own, managers=[one, dead, two])
        flags = (f"--web.listen-address=127.0.0.1:{own}", "--web.enable-lifecycle")
        with running(
            tmp_path / "data", config, *flags, "--web.external-url=http://prom.test/x", "--web.route-prefix=/"
        ) as server:
            for address in (one, two):
                (alert,) = until(lambda address=address: alerts(address))
                assert alert["labels"] == {
                    "alertname": "Up", "dc": "north", "instance": f"127.0.0.1:{own}", "job": "own",
                    "seen": "1", "severity": "page",
                }  # fmt: skip
                assert alert["annotations"] == {"summary": "own is <up>"}
                assert alert["generatorURL"] == "http://prom.test/x/graph?g0.expr=up+%3D%3D+1&g0.tab=1"
                assert alert["status"]["state"] == "active"
            found = server.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
            assert [each["url"] for each in found] == [f"http://{a}/api/v2/alerts" for a in (one, dead, two)]
            (tmp_path / "rules.yml").write_text(rules("up == 2"))
            assert server.text("/-/reload", "POST")[0] == 200
            for address in (one, two):
                until(lambda address=address: not alerts(address))
            lines = server.text("/metrics")[1].splitlines()
            name = f'prometheus_notifications_errors_total{{alertmanager="http://{dead}/api/v2/alerts"}} '
            (failed,) = (float(line.removeprefix(name)) for line in lines if line.startswith(name))
            assert failed >= 1


def test_a_pending_alert_survives_a_kill(tmp_path: Path) -> None:
    """What was pending before SIGKILL is active since the same second afterwards, and does not fire early."""
    own = free_port()
    (tmp_path / "rules.yml").write_text(rules("up == 1", "5m"))
    config = CONFIG.format(rules=tmp_path / "rules.yml", own=own, managers=["127.0.0.1:1"])
    flags = (f"--web.listen-address=127.0.0.1:{own}", "--rules.alert.for-grace-period=1m")
    with running(tmp_path / "data", config, *flags) as server:
        server.until("ALERTS_FOR_STATE")
        (before,) = until(lambda: server.get("/api/v1/alerts")["data"]["alerts"])
        time.sleep(3)
        server.kill()
        server.start()
        (after,) = until(
            lambda: [
                alert
                for alert in server.get("/api/v1/alerts")["data"]["alerts"]
                if server.query("ALERTS_FOR_STATE")
            ]
        )
        assert after["state"] == "pending"
        moved = datetime.fromisoformat(after["activeAt"]) - datetime.fromisoformat(before["activeAt"])
        # The time without a server does not count; the second of the stored time may be cut off.
        assert -1.1 <= moved.total_seconds() <= 15
