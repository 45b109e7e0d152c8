"""The real process, as its user meets it: start, signals, reload, stop, and everything that can be wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT, Server, running

FAST = """
global:
  scrape_interval: 200ms
scrape_configs:
  - job_name: self
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


def test_embedded_default_scrapes_itself(tmp_path: Path) -> None:
    """Without a configuration the server scrapes itself, says where to look, and answers queries."""
    with running(tmp_path / "data") as server:
        (entry,) = server.until('up{job="trimon"}')
        assert entry["value"][1] == "1"
        assert f"trimon listens on {server.url}" in server.log.read_text()
        names = server.get("/api/v1/label/__name__/values")["data"]
        assert {"up", "scrape_duration_seconds", "process_cpu_seconds_total"} <= set(names)
        assert server.get("/api/v1/labels")["data"][0] == "__name__"
        (series,) = server.get("/api/v1/series", **{"match[]": "up"})["data"]
        assert series == {"__name__": "up", "instance": f"127.0.0.1:{server.port}", "job": "trimon"}


def test_sigterm_stops_in_order_and_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM ends with code 0 within seconds; what was scraped is there after the next start."""
    port = free_port()
    server = Server(tmp_path / "data", FAST.format(port=port), port=port).start()
    server.until("count_over_time(up[1m]) > 5")
    count = int(server.query("count_over_time(up[10m])")[0]["value"][1])
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15
    assert "actor crashed" not in server.log.read_text()
    again = Server(tmp_path / "data", FAST.format(port=port), port=port).start()
    try:
        assert int(again.query("count_over_time(up[10m])")[0]["value"][1]) >= count
    finally:
        assert again.stop() == 0


def test_reload_takes_over_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """SIGHUP and /-/reload take over a good file; a bad one is named with line and reason, and nothing changes."""
    port = free_port()
    with running(tmp_path / "data", FAST.format(port=port), "--web.enable-lifecycle") as server:
        server.until("up")
        server.config.write_text(FAST.format(port=port).replace("job_name: self", "job_name: renamed"))
        assert server.text("/-/reload", "POST") == (200, "")
        server.until('up{job="renamed"}')
        server.config.write_text("global:\n  scrape_intervall: 1s\n")
        status, text = server.text("/-/reload", "POST")
        assert status == 500
        assert str(server.config) in text
        assert "line 2: " in text
        assert "field scrape_intervall not found" in text
        assert "prometheus_config_last_reload_successful 0.0" in server.text("/metrics")[1]
        assert server.get("/api/v1/targets")["data"]["activeTargets"][0]["scrapePool"] == "renamed"
        server.config.write_text(FAST.format(port=port))
        server.signal(signal.SIGHUP)
        server.until('up{job="self"}')
        assert "prometheus_config_last_reload_successful 1.0" in server.text("/metrics")[1]


def test_the_configuration_is_shown_whole(tmp_path: Path) -> None:
    """A password that is an everyday word is masked where it stands, and blanks that word nowhere else."""
    config = """\
scrape_configs:
- job_name: monitoring
  basic_auth: {username: monitoring, password: monitoring}
  static_configs: [{targets: ['127.0.0.1:1'], labels: {team: monitoring}}]
"""
    with running(tmp_path / "data", config) as server:
        shown = server.get("/api/v1/status/config")["data"]["yaml"]
    assert "job_name: monitoring\n" in shown
    assert "username: monitoring\n    password: <secret>\n" in shown
    assert "team: monitoring\n" in shown


def test_a_reload_takes_over_every_part_that_is_good(tmp_path: Path) -> None:
    """Retention follows the file; a bad scrape config file leaves the jobs as they were, and the reload has failed."""
    port = free_port()
    jobs = tmp_path / "jobs.yml"
    with running(tmp_path / "data", FAST.format(port=port), "--web.enable-lifecycle") as server:
        server.until("up")
        assert server.get("/api/v1/status/runtimeinfo")["data"]["storageRetention"] == "15d"
        storage = "storage: {tsdb: {retention: {time: 3d, size: 1GB}}}\nscrape_config_files: [jobs.yml]\n"
        jobs.write_text("scrape_configs: [{job_name: self}]")
        server.config.write_text(FAST.format(port=port) + storage)
        status, text = server.text("/-/reload", "POST")
        assert status == 500
        assert "one or more errors occurred while applying the new configuration" in text
        assert "first found in main config file" in server.log.read_text()
        assert server.get("/api/v1/status/runtimeinfo")["data"]["storageRetention"] == "3d or 1GiB"
        assert "time: 3d" in server.get("/api/v1/status/config")["data"]["yaml"]
        assert server.get("/api/v1/targets")["data"]["activeTargets"][0]["scrapePool"] == "self"
        jobs.write_text(
            f"scrape_configs: [{{job_name: more, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
        )
        assert server.text("/-/reload", "POST") == (200, "")
        server.until('up{job="more"}')


@pytest.mark.parametrize("bad", ["/proc/no/where.log", '"/no\\0where"', "/dev"])
def test_a_log_file_that_cannot_be_opened_fails_the_reload(bad: str, tmp_path: Path) -> None:
    """The logs stay as they were, the rest is taken over, and the reload has failed; a start is refused."""
    with running(tmp_path / "data", "global: {query_log_file: q.log}\n", "--web.enable-lifecycle") as server:
        for field, what in (
            ("query_log_file", "query log"),
            ("scrape_failure_log_file", "scrape failure log"),
        ):
            server.config.write_text(f"global:\n  {field}: {bad}\nscrape_configs: [{{job_name: a}}]\n")
            assert server.text("/-/reload", "POST")[0] == 500
            assert f"could not open {what} file" in server.log.read_text()
            assert "prometheus_config_last_reload_successful 0.0" in server.text("/metrics")[1]
            assert "prometheus_engine_query_log_enabled 1.0" in server.text("/metrics")[1]
        server.config.write_text("global: {query_log_file: q.log}\n")
        assert server.text("/-/reload", "POST") == (200, "")
        assert server.stop() == 0
    config = tmp_path / "bad.yml"
    config.write_text(f"global:\n  query_log_file: {bad}\n")
    code, text = fails(f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'x'}", cwd=tmp_path)
    assert code == 2
    assert "could not open query log file" in text
    assert f"{config}:2" in text


def test_a_plug_in_that_cannot_be_loaded_fails_the_reload(tmp_path: Path) -> None:
    """A reload that names a plug-in which is not there is refused at its place; a start is refused too."""
    port = free_port()
    good = FAST.format(port=port)
    with running(tmp_path / "data", good, "--web.enable-lifecycle") as server:
        server.until("up")
        server.config.write_text(
            good + "  - job_name: p\n    trimon_sd_configs: [{plugin: 'no.such:Thing'}]\n"
        )
        status, text = server.text("/-/reload", "POST")
        assert status == 500
        assert f"{server.config}:" in text
        assert 'discovery plug-in "no.such:Thing": ModuleNotFoundError' in text
        assert server.stop() == 0
        code, text = fails(
            f"--config.file={server.config}", f"--storage.tsdb.path={tmp_path / 'x'}", cwd=tmp_path
        )
        assert code == 2
        assert "no.such:Thing" in text


def test_lifecycle_is_off_by_default(tmp_path: Path) -> None:
    """Reload and quit over HTTP are refused unless the flag allows them; GET never works."""
    with running(tmp_path / "data") as server:
        assert server.text("/-/reload", "POST") == (403, "Lifecycle API is not enabled.")
        assert server.text("/-/quit", "PUT")[0] == 403
        assert server.text("/-/reload")[0] == 405
        assert server.text("/-/healthy") == (200, "Prometheus Server is Healthy.\n")


def test_quit_over_http(tmp_path: Path) -> None:
    """POST /-/quit ends the process with code 0."""
    with running(tmp_path / "data", None, "--web.enable-lifecycle") as server:
        assert server.text("/-/quit", "POST") == (200, "Requesting termination... Goodbye!")
        assert server.process is not None
        assert server.process.wait(20) == 0


def fails(*flags: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [*Server(cwd / "unused").command[:3], *flags],
        capture_output=True, text=True, timeout=30, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is one clear line and exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = fails(f"--web.listen-address=127.0.0.1:{port}", cwd=tmp_path)
    assert code == 1
    assert text.strip() == f"trimon: error: listen tcp 127.0.0.1:{port}: bind: address already in use"


def test_locked_data_directory(tmp_path: Path) -> None:
    """A second server on the same directory is refused with one clear line, and the first goes on."""
    with running(tmp_path / "data") as server:
        code, text = fails(
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{free_port()}",
            cwd=tmp_path,
        )
        assert code == 1
        assert len(text.strip().splitlines()) == 1
        assert "lock" in text
        assert server.text("/-/ready")[0] == 200


def test_unwritable_data_directory(tmp_path: Path) -> None:
    """A directory that cannot be made is one clear line that names it, and exit code 1."""
    (tmp_path / "file").write_text("")
    code, text = fails(
        f"--storage.tsdb.path={tmp_path / 'file' / 'data'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
        cwd=tmp_path,
    )
    assert code == 1
    assert len(text.strip().splitlines()) == 1
    assert str(tmp_path / "file" / "data") in text


@pytest.mark.parametrize(
    ("flags", "words", "exit_code"),
    [
        (["--no.such.flag"], "unknown long flag '--no.such.flag'", 1),
        (["--query.timeout=soon"], 'not a valid duration string: "soon"', 2),
        (["--agent", "--query.timeout=1m"], 'can not be used in agent mode: ["--query.timeout"]', 3),
        (["--storage.agent.path=x"], "can only be used in agent mode", 3),
        (["--web.listen-address=nowhere"], "address nowhere: missing port in address", 2),
        (["--otlp.grpc-listen-address=4317"], "--otlp.grpc-listen-address: '4317' is no address", 2),
        (["--config.file=absent.yml"], "absent.yml", 2),
        (["--log.level=loud"], "unrecognized log level loud", 2),
        (["--storage.tsdb.wal-segment-size=1MB"], "must be set between 10MB and 256MB", 1),
    ],
)
def test_bad_flags(flags: list[str], words: str, exit_code: int, tmp_path: Path) -> None:
    """An unknown, malformed or unsupported flag is named with its reason, with Prometheus' exit code."""
    code, text = fails(*flags, cwd=tmp_path)
    assert code == exit_code
    assert words in text
    assert "Traceback" not in text


def test_flags_of_stock_units_do_not_stop_a_start(tmp_path: Path) -> None:
    """Flags that nothing acts on are warned of by name; the URL that is printed has the route prefix."""
    flags = (
        "--web.console.templates=/etc/prometheus/consoles",
        "--web.console.libraries=/etc/prometheus/console_libraries",
        "--storage.tsdb.wal-compression",
        "--storage.tsdb.wal-compression-type=zstd",
        "--storage.tsdb.retention.time=30d",
        "--storage.tsdb.retention.size=1GB",
        "--web.external-url=http://example.org/prom/",
        "--web.page-title=x",
    )
    server = Server(tmp_path / "data", None, *flags)
    server.url += "/prom"
    try:
        server.start()
        shown = server.get("/api/v1/status/flags")["data"]
        log = server.log.read_text()
    finally:
        assert server.stop() == 0
    assert shown["storage.tsdb.retention.time"] == "30d"
    assert shown["storage.tsdb.retention.size"] == "1GiB"
    assert shown["web.route-prefix"] == "/prom"
    assert "flag=--storage.tsdb.wal-compression " in log
    assert "flag=--web." not in log
    assert "retention" not in log
    assert f"trimon listens on http://127.0.0.1:{server.port}/prom/ " in log
    assert "listening on more than loopback" not in log


def test_localhost_is_no_open_port(tmp_path: Path) -> None:
    """A name of loopback is loopback: nothing is warned of."""
    server = Server(tmp_path / "data")
    server.command = [part.replace("=127.0.0.1:", "=localhost:") for part in server.command]
    try:
        server.start()
    finally:
        assert server.stop() == 0
    assert "listening on more than loopback" not in server.log.read_text()


def test_changed_files_are_taken_over_by_themselves(tmp_path: Path) -> None:
    """With --config.auto-reload a changed configuration is taken over without a signal."""
    port = free_port()
    flags = ("--config.auto-reload", "--config.auto-reload-interval=1s")
    with running(tmp_path / "data", FAST.format(port=port), *flags) as server:
        server.until("up")
        server.config.write_text(FAST.format(port=port).replace("job_name: self", "job_name: renamed"))
        server.until('up{job="renamed"}')


def test_debug_actors_shows_the_tree(tmp_path: Path) -> None:
    """The live tree has every actor with state, mailbox and fields, as JSON and as a page."""
    with running(tmp_path / "data") as server:
        server.until("up")
        tree = server.get("/debug/actors")
        names = [child["path"] for child in tree["children"]]
        assert names[0] == "trimon/storage"
        assert names[-1] == "trimon/web"
        storage = tree["children"][0]
        assert storage["state"] == "running"
        assert storage["mailbox"]["policy"] == "wait"
        assert storage["handled"] > 0
        (pool,) = next(child for child in tree["children"] if child["path"] == "trimon/scrape")["children"]
        (target,) = pool["children"]
        assert target["fields"]["health"] == "up"
        one = server.get("/debug/actors/" + target["path"].replace("#", "%23"))
        assert one["path"] == target["path"]
        plugins = {entry["name"]: entry for entry in server.get("/debug/plugins")}
        assert plugins["static"]["running"]
        assert server.get("/debug/actors/nobody")["errorType"] == "not_found"
