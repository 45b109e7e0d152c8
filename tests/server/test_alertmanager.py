"""Alerts of the real server at a real Alertmanager, and through a kill."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.ports import free_port
from tests.support.process import child, peer, running

pytestmark = pytest.mark.peer

ROUTES = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"
# Groups by severity, and a page silences what is only worth a ticket.
CLUSTER_ROUTES = """\
route: {{receiver: hook, group_wait: 1s, group_interval: 1s, group_by: [severity]}}
receivers: [{{name: hook, webhook_configs: [{{url: '{hook}'}}]}}]
inhibit_rules:
- source_matchers: [severity=page]
  target_matchers: [severity=ticket]
  equal: [instance]
"""
CLUSTER_RULES = """\
groups:
- name: g
  rules:
  - {alert: Page, expr: up == 1, labels: {severity: page}}
  - {alert: Ticket, expr: up == 1, labels: {severity: ticket}}
  - {alert: Info, expr: up == 1, labels: {severity: info}}
"""
SLOW_S = 9.0
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
def alertmanager(directory: Path, routes: str = ROUTES, *cluster: str) -> Iterator[str]:
    """A real Alertmanager, alone or with the flags of a cluster; its address."""
    program = peer("prometheus-alertmanager")
    directory.mkdir()
    (directory / "am.yml").write_text(routes)
    address = f"127.0.0.1:{free_port()}"
    with child(
        program,
        f"--config.file={directory / 'am.yml'}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address={address}",
        *(cluster or ("--cluster.listen-address=",)),
    ):
        yield address


class Hook(ThreadingHTTPServer):
    """A receiver of posts, which answers with a status after some seconds; `bodies` are what it got."""

    def __init__(self, status: int = 200, after_s: float = 0.0) -> None:
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(after_s)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                with suppress(BrokenPipeError):
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies = bodies
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def counted(text: str, name: str) -> float:
    """The sum of a metric's samples on a page of metrics."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    )


def page(address: str) -> str:
    """The metrics of an Alertmanager; empty before it listens."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def alerts(address: str) -> list[dict[str, Any]]:
    """What an Alertmanager has now; nothing before it listens."""
    try:
        with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
            return found
    except OSError:
        return []


def until(found: Callable[..., Any], *of: Any, within_s: float = 30.0) -> Any:
    """What a question gives as soon as it is true."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := found(*of):
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
                (alert,) = until(alerts, address)
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
                until(lambda at: not alerts(at), address)
            lines = server.text("/metrics")[1].splitlines()
            name = f'prometheus_notifications_errors_total{{alertmanager="http://{dead}/api/v2/alerts"}} '
            (failed,) = (float(line.removeprefix(name)) for line in lines if line.startswith(name))
            assert failed >= 1


@pytest.mark.slow
def test_a_cluster_groups_silences_and_inhibits_beside_a_slow_one_and_one_that_fails(tmp_path: Path) -> None:
    """Both of a cluster get every alert at once, though another one is slow and one answers 500; it notifies once."""
    gossip = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    flags = [
        (f"--cluster.listen-address={mine}", f"--cluster.peer={other}", "--cluster.settle-timeout=1s")
        for mine, other in (gossip, gossip[::-1])
    ]
    with Hook() as hook, Hook(after_s=SLOW_S) as slow, Hook(500) as failing:
        routes = CLUSTER_ROUTES.format(hook=f"http://{hook.address}/")
        with (
            alertmanager(tmp_path / "one", routes, *flags[0]) as one,
            alertmanager(tmp_path / "two", routes, *flags[1]) as two,
        ):
            for address in (one, two):
                until(lambda at: counted(page(at), "alertmanager_cluster_members") == 2, address)
            _cluster_hears(tmp_path, (one, two), slow, failing, hook)


def _cluster_hears(directory: Path, cluster: tuple[str, str], slow: Hook, failing: Hook, hook: Hook) -> None:
    own = free_port()
    (directory / "rules.yml").write_text(CLUSTER_RULES)
    managers = [slow.address, cluster[0], failing.address, cluster[1]]
    config = CONFIG.format(rules=directory / "rules.yml", own=own, managers=managers)
    with running(directory / "data", config, f"--web.listen-address=127.0.0.1:{own}") as server:
        for address in cluster:
            found = until(lambda at: len(alerts(at)) == 3 and alerts(at), address)
            began = min(datetime.fromisoformat(alert["startsAt"]) for alert in found)
            # The slow one has not answered its first post yet.
            assert (datetime.now(tz=UTC) - began).total_seconds() < SLOW_S
        assert until(lambda: slow.bodies and failing.bodies)
        for address in cluster:
            states = until(
                lambda at: (
                    {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts(at)}
                    == {"Page": "active", "Info": "active", "Ticket": "suppressed"}
                ),
                address,
            )
            assert states
        # What the cluster tells it tells once: a group of each severity that is not inhibited.
        told = until(lambda: len(hook.bodies) >= 2 and list(hook.bodies))
        groups = [json.loads(body)["groupLabels"]["severity"] for body in told]
        assert sorted(groups) == ["info", "page"]
        _silence(cluster[0], "Info")
        for address in cluster:
            until(
                lambda at: any(
                    alert["labels"]["alertname"] == "Info" and alert["status"]["state"] == "suppressed"
                    for alert in alerts(at)
                ),
                address,
            )
        ours = server.text("/metrics")[1]
        for address in cluster:
            name = f'prometheus_notifications_sent_total{{alertmanager="http://{address}/api/v2/alerts"}}'
            sent = float(next(line for line in ours.splitlines() if line.startswith(name)).rpartition(" ")[2])
            received = counted(page(address), "alertmanager_alerts_received_total")
            assert sent >= 3
            assert received >= sent
        failed = (
            f'prometheus_notifications_errors_total{{alertmanager="http://{failing.address}/api/v2/alerts"}}'
        )
        line = next(line for line in ours.splitlines() if line.startswith(failed))
        assert float(line.rpartition(" ")[2]) >= 3


def _silence(address: str, name: str) -> None:
    now = datetime.now(tz=UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    request = urllib.request.Request(
        f"http://{address}/api/v2/silences",
        json.dumps(silence).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


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
