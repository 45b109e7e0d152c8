"""Recording rules in the real server."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT, Server, child, peer, running

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
RULES = """
groups:
  - name: g
    rules:
      - {record: "job:up:sum", expr: sum by (job) (up)}
      - {record: "job:up:double", expr: "job:up:sum * 2", labels: {kind: x}}
"""


def test_rules_are_evaluated_reloaded_and_shown(tmp_path: Path) -> None:
    """Recorded series can be queried; a bad rule file fails the reload and nothing changes; metrics count."""
    (tmp_path / "rules.yml").write_text(RULES)
    with running(tmp_path / "data", CONFIG.format(port=9), "--web.enable-lifecycle") as server:
        (double,) = server.until('{__name__="job:up:double"}')
        assert double["metric"] == {"__name__": "job:up:double", "job": "self", "kind": "x"}
        (group,) = server.get("/api/v1/rules")["data"]["groups"]
        assert (group["file"], group["name"]) == (str(tmp_path / "rules.yml"), "g")
        assert [rule["health"] for rule in group["rules"]] == ["ok", "ok"]
        (tmp_path / "rules.yml").write_text(RULES.replace("sum by", "summ by"))
        status, text = server.text("/-/reload", "POST")
        assert status == 500
        assert "one or more errors occurred while applying" in text
        log = server.log.read_text()
        assert f"{tmp_path / 'rules.yml'}: 5:" in log
        assert "could not parse expression" in log
        assert len(server.get("/api/v1/rules")["data"]["groups"][0]["rules"]) == 2
        (tmp_path / "rules.yml").write_text(RULES.replace("job:up:double", "job:up:twice"))
        assert server.text("/-/reload", "POST") == (200, "")
        server.until('{__name__="job:up:twice"}')
        metrics = server.text("/metrics")[1]
        assert f'prometheus_rule_group_rules{{rule_group="{tmp_path / "rules.yml"};g"}} 2.0' in metrics
        assert (
            f'prometheus_rule_evaluation_failures_total{{rule_group="{tmp_path / "rules.yml"};g"}} 0.0'
            in metrics
        )
        (line,) = [
            x
            for x in metrics.splitlines()
            if x.startswith("prometheus_rule_evaluation_duration_seconds_count")
        ]
        assert float(line.split()[1]) >= 4
        tree = server.get("/debug/actors")
        (rules,) = (node for node in tree["children"] if node["path"] == "trimon/rules")
        assert [node["path"] for node in rules["children"]] == ["trimon/rules/rules.yml/g"]
        assert server.stop() == 0
        assert "actor crashed" not in server.log.read_text()


def test_rules_go_on_after_a_kill(tmp_path: Path) -> None:
    """After kill -9 recorded series go on in the same series: nothing is lost, nothing is there twice."""
    (tmp_path / "rules.yml").write_text(RULES)
    config, expr = CONFIG.format(port=9), '{__name__="job:up:double"}[10m]'
    with running(tmp_path / "data", config) as server:
        server.until('count_over_time({__name__="job:up:double"}[10m]) >= 3')
        ((series,), port) = server.query(expr), server.port
        server.kill()
    again = Server(tmp_path / "data", config, port=port).start()
    try:
        more = len(series["values"]) + 2
        again.until(f'count_over_time({{__name__="job:up:double"}}[10m]) >= {more}')
        (after,) = again.query(expr)
        assert after["values"][: len(series["values"])] == series["values"]
        times = [time for time, _ in after["values"]]
        assert times == sorted(set(times))
        assert "actor crashed" not in again.log.read_text()
    finally:
        assert again.stop() == 0


ALWAYS = """
groups:
  - name: g
    interval: 2s
    rules:
      - {record: "always", expr: vector(1)}
      - {record: "always:sum", expr: "sum_over_time(always[10m])"}
      - {alert: Always, expr: vector(2), annotations: {is: "{{ $value }}"}}
"""


def test_a_kill_leaves_no_hole_and_changes_no_alert(tmp_path: Path) -> None:
    """After kill -9 and a while the missed iterations are there, and the alert that fired before is told once."""
    (tmp_path / "rules.yml").write_text(ALWAYS)
    config = CONFIG.format(port=9)
    with running(tmp_path / "data", config) as server:
        server.until("count_over_time(always[10m]) >= 3")
        port = server.port
        server.kill()
    time.sleep(7)
    again = Server(tmp_path / "data", config, port=port).start()
    try:
        again.until("count_over_time(always[10m]) >= 9")
        (once,) = again.query("always[10m]")
        times = [at for at, _ in once["values"]]
        assert {round(later - earlier, 3) for earlier, later in itertools.pairwise(times)} == {2.0}
        (sums,) = again.query("always:sum[10m]")
        assert [value for _, value in sums["values"]] == [str(n) for n in range(1, len(sums["values"]) + 1)]
        (change,) = again.get("/api/v1/alerts/history")["data"]["changes"]
        assert (change["state"], change["alert"], change["annotations"]) == ("firing", "Always", {"is": "2"})
        assert 'caught_up_iterations_total{rule_group="' in again.text("/metrics")[1]
        assert "missed iterations of rules were caught up with" in again.log.read_text()
    finally:
        assert again.stop() == 0


@pytest.mark.peer
def test_the_sample_configuration_records(tmp_path: Path) -> None:
    """The sample with rules, on a real node exporter, records what its rules say."""
    exporter = peer("prometheus-node-exporter")
    port = free_port()
    sample = (ROOT / "config" / "rules.yml").read_text()
    (tmp_path / "rules").mkdir()
    rules = (ROOT / "config" / "rules" / "node.yml").read_text().replace("15s", "1s")
    (tmp_path / "rules" / "node.yml").write_text(rules)
    config = sample.replace("127.0.0.1:9100", f"127.0.0.1:{port}").replace("15s", "1s")
    with (
        child(exporter, f"--web.listen-address=127.0.0.1:{port}"),
        running(tmp_path / "data", config) as server,
    ):
        (ratio,) = server.until('{__name__="instance:node_memory_available:ratio"}')
        assert ratio["metric"]["source"] == "node-exporter"
        assert 0 < float(ratio["value"][1]) < 1
        (busy,) = server.until('{__name__="instance:node_cpu_busy:rate5m"}')
        assert set(busy["metric"]) == {"__name__", "instance"}


def check(*arguments: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "trimon", "check", *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_check(tmp_path: Path) -> None:
    """`check rules` and `check config` look into rule files; a mistake is named with its place, and the code is 1."""
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=9))
    assert check("rules", "rules.yml", cwd=tmp_path) == (
        0,
        "Checking rules.yml\n  SUCCESS: 2 rules found\n\n",
    )
    code, text = check("config", "prometheus.yml", cwd=tmp_path)
    assert code == 0
    assert "SUCCESS: 2 rules found" in text
    (tmp_path / "rules.yml").write_text(RULES.replace('record: "job:up:sum"', "for: 5m"))
    for arguments in (("rules", "rules.yml"), ("config", "prometheus.yml")):
        code, text = check(*arguments, cwd=tmp_path)
        assert code == 1
        assert (
            """rules.yml: 0:0: 0:0: group "g", rule 1, "": one of 'record' or 'alert' must be set""" in text
        )
