"""`trimon demo` as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commandline import run_trimon
from tests.support.demo import demo
from tests.support.process import ROOT

CONTINUED = 'count({job=~"api|worker|database"})'
EVER = 'count(last_over_time({job=~"api|worker|database"}[6h]))'


def test_every_page_has_something(tmp_path: Path) -> None:
    """Targets that do well and that fail, a past that goes on in the same series, an alert of each state, and none left."""
    with demo(tmp_path) as server:
        server.until('ALERTS{alertstate="firing",alertname="TargetDown",instance="payments-2"}')
        server.until('ALERTS{alertstate="pending",alertname="QueueGrows"}')
        targets = server.get("/api/v1/targets")["data"]
        health = {each["labels"]["instance"]: each["health"] for each in targets["activeTargets"]}
        assert {name for name, state in health.items() if state == "down"} == {"payments-2", "search-1"}
        assert len(health) == 13
        assert len(targets["droppedTargets"]) == 2
        assert server.query(CONTINUED)[0]["value"][1] == server.query(EVER)[0]["value"][1]
        slow = "histogram_quantile(0.9, sum(rate(shop_request_duration_seconds[5m] offset {offset})))"
        for offset in ("0s", "1h", "5h"):
            (found,) = server.query(slow.format(offset=offset))
            assert 0.02 < float(found["value"][1]) < 1
        server.until("min(prometheus_rule_group_iterations_total) > 0")
        rules = {
            rule["name"]: rule
            for group in server.get("/api/v1/rules")["data"]["groups"]
            for rule in group["rules"]
        }
        assert rules["CheckoutDown"]["state"] == "inactive"
        server.until('prometheus_rule_evaluation_failures_total{rule_group=~".*mistakes"} > 0')
        exemplars = server.get(
            "/api/v1/query_exemplars",
            query="shop_request_duration_seconds_bucket",
            start=str(time.time() - 600),
            end=str(time.time()),
        )
        assert exemplars["data"]
        directory = server.data.parent
        assert directory.name.startswith("trimon-demo-")
    assert not directory.exists()


def test_a_place_for_data_is_kept(tmp_path: Path) -> None:
    """With --storage.tsdb.path data stays, and the next demo goes on with it."""
    data = tmp_path / "kept"
    first, second = tmp_path / "first", tmp_path / "second"
    with demo(first, f"--storage.tsdb.path={data}") as server:
        server.until("up")
    assert any(data.iterdir())
    with demo(second, "--storage.tsdb.path", str(data)) as server:
        assert "samples of" not in server.tail()
        assert server.query("count_over_time(process_cpu_seconds_total[6h])")


def test_flags_that_cannot_be(tmp_path: Path) -> None:
    """A configuration of one's own, and flags that there are not, are errors before anything starts."""
    for flags, message in (
        (["--config.file=x.yml"], "--config.file cannot be given"),
        (["--no.such.flag"], "unknown long flag '--no.such.flag'"),
    ):
        done = run_trimon("demo", *flags)
        assert done.exit_code == 1
        assert message in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_as_the_server_does(number: signal.Signals, tmp_path: Path) -> None:
    """A signal goes on to the server, and its exit code is the command's; what was made is removed."""
    with demo(tmp_path) as server:
        server.signal(number)
        assert server.process is not None
        assert server.process.wait(30) == 0
    assert not server.data.parent.exists()


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """A server that cannot start ends the demo with its exit code."""
    with demo(tmp_path) as server:
        again = subprocess.run(
            [sys.executable, "-m", "trimon", "demo", f"--web.listen-address=127.0.0.1:{server.port}"],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            check=False,
            timeout=60,
        )
    assert again.returncode == 1
    assert "address already in use" in again.stderr
