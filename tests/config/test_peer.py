"""The configuration beside a real Prometheus: what both read, show and refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.support.ports import free_port
from trimon.config import effective_yaml, load
from trimon.errors import UserError

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on this machine"),
]

BOTH = """
global:
  scrape_interval: 15s
  external_labels: {b: x, a: y}
rule_files:
  - rules/*.yml
scrape_configs:
  - job_name: a
    scrape_interval: 5s
    honor_labels: true
    params: {x: [b, a]}
    basic_auth: {username: u, password: secret}
    tls_config: {server_name: x}
    proxy_url: http://user:pass@proxy:3128
    static_configs:
      - targets: ["h:1", "h:2"]
        labels: {z: "1", y: "2"}
    relabel_configs:
      - source_labels: [a, b]
        regex: x|y
        action: Keep
      - {action: hashmod, modulus: 8, source_labels: [__address__], target_label: m}
    metric_relabel_configs:
      - {action: labeldrop, regex: foo}
  - job_name: b
    bearer_token: abc
    scrape_timeout: 3s
    sample_limit: 5
    file_sd_configs:
      - files: [x.json]
  - job_name: c
    static_configs: [{targets: []}]
"""


def holds(ours: object, theirs: object, path: str = "") -> list[str]:
    """Where a value of theirs is not in ours."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            line for name, value in theirs.items() for line in holds(ours.get(name), value, f"{path}.{name}")
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for index, (one, other) in pairs for line in holds(one, other, f"{path}[{index}]")]
    return [] if ours == theirs else [f"{path}: {ours!r} instead of {theirs!r}"]


def test_the_effective_configuration_says_what_prometheus_says(tmp_path: Path) -> None:
    """Everything in the effective configuration of a real Prometheus is in ours, with the same value."""
    path = tmp_path / "prometheus.yml"
    path.write_text(BOTH)
    port = free_port()
    with subprocess.Popen(
        [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            theirs = yaml.safe_load(_config_of(f"http://127.0.0.1:{port}/api/v1/status/config"))
        finally:
            server.terminate()
    ours = yaml.safe_load(effective_yaml(load(path)))
    # Prometheus 3.14 leaves a regex out that is not given, the peer may be older and shows its default.
    assert [line for line in holds(ours, theirs) if not line.endswith("regex: None instead of '(.*)'")] == []


def _config_of(url: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = json.load(answer)["data"]["yaml"]
                return text
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def job(line: str) -> str:
    return f"scrape_configs: [{{job_name: a, {line}}}]"


@pytest.mark.parametrize(
    "text",
    [
        "foo: 1",
        "global: {}\nglobal: {}",
        "global: 3",
        "global: {scrape_interval: 1}",
        "global: {scrape_interval: 5s, scrape_timeout: 6s}",
        "scrape_configs:\n  -",
        "scrape_configs:\n  - job_name: ''",
        "scrape_configs: [{job_name: a}, {job_name: a}]",
        job("scrape_interval: 1s, scrape_timeout: 2s"),
        job("static_configs: [{targets: [http://x]}]"),
        job("relabel_configs: [null]"),
        job("metric_relabel_configs: [null]"),
        job("file_sd_configs: [{files: [x.txt]}]"),
        job("file_sd_configs: [{files: []}]"),
        job("relabel_configs: [{action: x}]"),
        job("relabel_configs: [{action: hashmod, target_label: a}]"),
        job("relabel_configs: [{action: replace}]"),
        job("relabel_configs: [{action: lowercase, target_label: a, replacement: x}]"),
        job("relabel_configs: [{action: labeldrop, source_labels: [a]}]"),
        job("relabel_configs: [{regex: '(', target_label: a}]"),
        job("authorization: {type: Basic}"),
        job("authorization: {credentials: a, credentials_file: b}"),
        job("basic_auth: {username: a}, authorization: {credentials: b}"),
        "rule_files: ['*/x.yml']",
        "a: [",
    ],
)
def test_what_prometheus_refuses_is_refused_in_its_words(tmp_path: Path, text: str) -> None:
    """promtool refuses the file too, and our message is in what it says."""
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    theirs = subprocess.run(
        ["promtool", "check", "config", str(path)], capture_output=True, text=True, check=False
    )
    assert theirs.returncode == 1
    with pytest.raises(UserError) as ours:
        load(path)
    # what is wrong inside of a regular expression is said by another library
    message = ours.value.message.removeprefix("yaml: ").partition("regexp: ")[0]
    assert message in theirs.stderr + theirs.stdout
