"""Agent mode: the real process scrapes, keeps a log and sends it, and answers nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.agent import agent
from tests.support.process import Server, running

CONFIG = """
global: {scrape_interval: 200ms}
remote_write:
  - {url: 'URL/api/v1/write', queue_config: {batch_send_deadline: 300ms, max_backoff: 500ms}}
scrape_configs:
  - job_name: receiver
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
"""


def times(server: Server) -> list[float]:
    """The timestamps of all samples of the scraped `up` of the last five minutes; the receiver may scrape itself, too."""
    (series,) = server.query('up{job="receiver"}[5m]')
    return [time_s for time_s, _ in series["values"]]


def until_times(server: Server, more_than: int) -> list[float]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if server.query('up{job="receiver"}') and len(found := times(server)) > more_than:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no more than {more_than} samples of up arrive")


def test_an_agent_sends_what_it_scrapes_through_kills(tmp_path: Path) -> None:
    """Samples arrive at the receiver, each once, also after the agent was killed and the receiver was away meanwhile."""
    enabled = "--web.enable-remote-write-receiver"
    with running(tmp_path / "receiver", "global: {}\n", enabled) as receiver:
        config = CONFIG.replace("URL", receiver.url).replace("PORT", str(receiver.port))
        with agent(tmp_path / "data", config) as first:
            seen = len(until_times(receiver, 5))
            receiver.stop()
            time.sleep(1)  # it goes on scraping: the target is down, which is a sample
            first.kill()
        again = Server(tmp_path / "receiver", None, enabled, port=receiver.port).start()
        try:
            with agent(tmp_path / "data", config) as second:
                found = until_times(again, seen + 10)
                assert 0.0 in {
                    float(value) for _, value in again.query('up{job="receiver"}[5m]')[0]["values"]
                }
                assert len(found) == len(set(found))
                assert second.get("/api/v1/targets")["data"]["activeTargets"][0]["health"] == "up"
                assert second.stop() == 0
        finally:
            again.stop()


def test_an_agent_lets_go_of_its_windows(tmp_path: Path) -> None:
    """A window that is over leaves memory and log; no block is ever made, and nothing is kept when nobody is sent to."""
    config = (
        "scrape_configs: [{job_name: self, scrape_interval: 200ms, static_configs: [{targets: ['HERE']}]}]"
    )
    data = tmp_path / "data"
    server = Server(data, None, "--agent", "--storage.agent.wal-truncate-frequency=4s")
    server.command[3] = f"--storage.agent.path={data}"
    server.config.write_text(config.replace("HERE", f"127.0.0.1:{server.port}"))
    server.command.append(f"--config.file={server.config}")
    server.start()
    try:
        deadline = time.monotonic() + 90
        while "prometheus_tsdb_head_truncations_total 2" not in server.text("/metrics")[1]:
            assert time.monotonic() < deadline, server.tail()
            time.sleep(0.3)
        assert not list(data.glob("*/meta.json"))
        runs = {path.name.partition("-")[0] for path in (data / "wal").iterdir()}
        assert 1 <= len(runs) <= 3
        assert not list(data.glob("remote-write/log/*"))
        lines = server.text("/metrics")[1].splitlines()
        (held,) = [line for line in lines if line.startswith("prometheus_tsdb_head_min_time_seconds ")]
        assert time.time() - float(held.split()[1]) < 30
    finally:
        server.kill()


@pytest.mark.parametrize(
    "path", ["query?query=up", "labels", "series?match[]=up", "rules", "alerts", "status/tsdb", "query_range"]
)
def test_queries_are_refused(shared_agent: Server, path: str) -> None:
    """What needs queries, rules or blocks is an error of its own, whatever its parameters are."""
    status, text = shared_agent.text(f"/api/v1/{path}")
    assert (status, '"unavailable with Prometheus Agent"' in text) == (422, True)


def test_its_pages_lead_to_the_targets(shared_agent: Server) -> None:
    """The first page leads to /agent and on to the targets; probes name an agent; the tree has no rules."""
    assert shared_agent.text("/-/healthy") == (200, "Prometheus Agent is Healthy.\n")
    assert shared_agent.text("/-/ready") == (200, "Prometheus Agent is Ready.\n")
    assert shared_agent.text("/federate?match[]=up")[0] == 422
    assert shared_agent.get("/api/v1/status/flags")["data"]["agent"] == "true"
    tree = shared_agent.text("/debug/actors")[1]
    assert "trimon/rules" not in tree
    assert "trimon/remote-write" in tree


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with agent(tmp_path_factory.mktemp("agent") / "data", "scrape_configs: []\n") as server:
        yield server


def test_recorded_answers(shared_agent: Server) -> None:
    """Each recorded request to an agent has the status, and where it is refused the body, that 3.14 gave."""
    for case in oracle.recorded("api/cases.jsonl"):
        if case.get("server") != "agent":
            continue
        status, text = shared_agent.text(case["path"], case["method"])
        wanted = 200 if case["status"] == 302 else case["status"]  # redirects are followed here
        assert status == wanted, case["id"]
        if case["status"] == 422:
            assert text.strip() == case["body"].strip(), case["id"]
