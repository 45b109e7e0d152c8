"""The image: what its entry point runs, what its health check says, and that the Dockerfile copies what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "config" / "docker"


def run_entrypoint(tmp_path: Path, *arguments: str) -> list[str]:
    """The arguments that the entry point gives to `trimon`."""
    program = tmp_path / "trimon"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    ran = subprocess.run(  # our own script
        ["/bin/sh", DOCKER / "entrypoint", *arguments],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


def test_without_an_address_it_listens_on_all(tmp_path: Path) -> None:
    """Loopback is the container's own, where nobody asks."""
    given = ["--config.file=/etc/prometheus/prometheus.yml", "--web.external-url=http://a b/"]
    assert run_entrypoint(tmp_path, *given) == ["--web.listen-address=0.0.0.0:9090", *given]


@pytest.mark.parametrize(
    "given", [["--web.listen-address=:9091"], ["--web.listen-address", ":9091"]], ids=len
)
def test_an_address_of_the_user_is_the_only_one(given: list[str], tmp_path: Path) -> None:
    """Whoever names an address gets that one alone."""
    assert run_entrypoint(tmp_path, *given) == given


def test_what_the_dockerfile_copies_is_there() -> None:
    """Each source of a COPY exists, and the ports, paths and user are those of prom/prometheus."""
    text = (DOCKER / "Dockerfile").read_text()
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    assert len(sources) >= 5
    for source in sources:
        assert (ROOT / source).exists(), source
    for line in ("USER 65534", "EXPOSE 9090", 'VOLUME ["/prometheus"]', "WORKDIR /prometheus"):
        assert f"\n{line}\n" in text
    assert '"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"' in text


def health(url: str) -> int:
    ran = subprocess.run(  # our own script
        [sys.executable, DOCKER / "healthcheck"],
        env={**os.environ, "TRIMON_HEALTH_URL": url},
        check=False,
        capture_output=True,
    )
    return ran.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 1), (503, 1)], ids=str)
def test_the_health_check_asks_the_server(status: int, code: int) -> None:
    """It ends with 0 for an answer of 200 alone."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert health(f"http://127.0.0.1:{server.server_port}/-/healthy") == code
        server.shutdown()


def test_the_health_check_fails_where_nobody_listens() -> None:
    """A port without a server is unhealthy, said in a line."""
    port = free_port()
    assert health(f"http://127.0.0.1:{port}/-/healthy") == 1
