"""The exporters that people run, from Debian's packages, scraped with the patterns that their manuals have."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import child, peer, running

pytestmark = pytest.mark.peer

WAIT_S = 60.0


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path that is short enough for a socket, which servers of other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="peer", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def exporter(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """An exporter that gets where its server is from the environment."""
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def job(name: str, port: int, *lines: str) -> str:
    """A configuration with one job."""
    own = (f"job_name: {name}", *lines, f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]")
    return "global: {scrape_interval: 1s}\nscrape_configs:\n- " + "\n  ".join(own) + "\n"


def test_node_exporter_in_every_format(tmp_path: Path) -> None:
    """A real node exporter gives the same series in protobuf, OpenMetrics and text, with types as it declares them."""
    program, port = peer("prometheus-node-exporter"), free_port()
    config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
        f"- job_name: {protocol}\n  scrape_protocols: [{protocol}]\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: node}}}}]\n"
        for protocol in ("PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4")
    )
    with (
        child(
            program,
            f"--web.listen-address=127.0.0.1:{port}",
            "--collector.disable-defaults",
            "--collector.loadavg",
            "--collector.meminfo",
            "--collector.uname",
        ),
        running(tmp_path / "data", config) as server,
    ):
        server.until("count(up == 1) == 3", WAIT_S)
        server.until("count(go_goroutines) == 3", WAIT_S)
        for ours in ("PrometheusProto", "OpenMetricsText1.0.0"):
            lacking = server.query(
                f'{{__name__=~"node_.*|go_.*", job="PrometheusText0.0.4"}} unless ignoring (job) '
                f'{{__name__=~"node_.*|go_.*", job="{ours}"}}'
            )
            assert lacking == []
        (total,) = server.query('node_memory_MemTotal_bytes{job="PrometheusProto"}')
        assert float(total["value"][1]) > 2**20
        kinds = server.get("/api/v1/metadata")["data"]
        assert kinds["node_memory_MemTotal_bytes"][0]["type"] == "gauge"
        assert kinds["go_gc_duration_seconds"][0]["type"] == "summary"


def test_blackbox_exporter_with_its_pattern(tmp_path: Path) -> None:
    """What is probed is the target, the exporter is the address: the relabelling of the exporter's manual."""
    program, port = peer("prometheus-blackbox-exporter"), free_port()
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
    pages = free_port()
    site = tmp_path / "site"
    site.mkdir()
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: blackbox
  metrics_path: /probe
  params: {{module: [http_2xx]}}
  static_configs: [{{targets: ['http://127.0.0.1:{pages}/', 'http://127.0.0.1:{pages}/none']}}]
  relabel_configs:
  - {{source_labels: [__address__], target_label: __param_target}}
  - {{source_labels: [__param_target], target_label: instance}}
  - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}
"""
    with (
        child("python3", "-m", "http.server", str(pages), "--bind", "127.0.0.1", "--directory", str(site)),
        child(program, f"--config.file={modules}", f"--web.listen-address=127.0.0.1:{port}"),
        running(tmp_path / "data", config) as server,
    ):
        server.until(f'probe_success{{instance="http://127.0.0.1:{pages}/"}} == 1', WAIT_S)
        (status,) = server.until(
            f'probe_http_status_code{{instance="http://127.0.0.1:{pages}/none"}}', WAIT_S
        )
        assert status["value"][1] == "404"
        assert server.query(f'probe_success{{instance="http://127.0.0.1:{pages}/none"}} == 0')
        assert len(server.query("up == 1")) == 2


def test_mysqld_exporter_with_a_real_mariadb(tmp_path: Path) -> None:
    """A MariaDB that was made in an empty folder is up, and its counters grow."""
    program, install = peer("prometheus-mysqld-exporter"), peer("mariadb-install-db")
    mariadbd = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin") or peer("mariadbd")
    port, user = free_port(), pwd.getpwuid(os.getuid()).pw_name
    with short_folder() as folder:
        data, socket = folder / "data", folder / "s"
        subprocess.run(
            [
                install, "--no-defaults", f"--datadir={data}", f"--user={user}",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with (
            child(
                mariadbd, "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--user={user}",
                "--skip-networking", f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=8M",
            ),
            exporter(
                [program, f"--web.listen-address=127.0.0.1:{port}"],
                {"DATA_SOURCE_NAME": f"root@unix({socket})/"},
            ),
            running(tmp_path / "data", job("mysql", port)) as server,
        ):  # fmt: skip
            server.until("mysql_up == 1", WAIT_S)
            server.until("mysql_global_status_queries > 0", WAIT_S)
            server.until("increase(mysql_global_status_queries[20s]) > 0", WAIT_S)
            (version,) = server.query("mysql_version_info")
            assert "MariaDB" in version["metric"]["version"]


def test_postgres_exporter_with_a_real_postgresql(tmp_path: Path) -> None:
    """A PostgreSQL in a folder of its own is up, and its databases are listed."""
    program, port, database_port = peer("prometheus-postgres-exporter"), free_port(), free_port()
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if shutil.which("psql") else []
    programs = found[-1].parent if found else Path(peer("initdb")).parent
    # The server does not run as root.
    user = "postgres" if os.getuid() == 0 else None
    with short_folder() as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", str(data), "-U", "postgres", "-A", "trust"],
            check=True, capture_output=True, timeout=120, user=user, cwd=folder,
        )  # fmt: skip
        with subprocess.Popen(
            [
                programs / "postgres", "-D", str(data), "-k", str(folder), "-p", str(database_port),
                "-c", "listen_addresses=127.0.0.1",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, cwd=folder,
        ) as database:  # fmt: skip
            try:
                dsn = f"postgresql://postgres@127.0.0.1:{database_port}/postgres?sslmode=disable"
                with (
                    exporter([program, f"--web.listen-address=127.0.0.1:{port}"], {"DATA_SOURCE_NAME": dsn}),
                    running(tmp_path / "data", job("postgres", port)) as server,
                ):
                    server.until("pg_up == 1", WAIT_S)
                    names = server.until("pg_stat_database_numbackends", WAIT_S)
                    assert {"postgres", "template1"} <= {one["metric"].get("datname") for one in names}
            finally:
                database.terminate()


def test_pushgateway_keeps_the_labels_of_what_was_pushed(tmp_path: Path) -> None:
    """With honor_labels the pushed job and instance stand, and a series that is deleted there ends here."""
    program, port = peer("prometheus-pushgateway"), free_port()
    url = f"http://127.0.0.1:{port}/metrics/job/backup/instance/db1"
    with (
        child(program, f"--web.listen-address=127.0.0.1:{port}"),
        running(tmp_path / "data", job("pushgateway", port, "honor_labels: true")) as server,
    ):
        server.until('up{job="pushgateway"} == 1', WAIT_S)
        _ask(url, "PUT", b"# TYPE backup_seconds gauge\nbackup_seconds 12.5\n")
        (pushed,) = server.until("backup_seconds", WAIT_S)
        assert pushed["metric"] == {"__name__": "backup_seconds", "job": "backup", "instance": "db1"}
        assert pushed["value"][1] == "12.5"
        _ask(url, "DELETE")
        until = time.monotonic() + WAIT_S
        while server.query("backup_seconds"):
            assert time.monotonic() < until, "the series did not end"
            time.sleep(0.2)


def _ask(url: str, method: str, body: bytes | None = None) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=10) as answer:
        assert answer.status in (200, 202)
