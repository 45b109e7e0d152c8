"""The web config file, Unix sockets and systemd with the real server as a process."""

from __future__ import annotations

import http.client
import signal
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from pathlib import Path

import bcrypt
import pytest
import trustme

from tests.support.process import START_S, Server


def wait_for_line(listener: socket.socket) -> str:
    listener.settimeout(START_S)
    return listener.recv(1000).decode()


def test_a_server_with_tls_users_and_a_unix_socket(tmp_path: Path) -> None:
    """It says when it is ready, answers over TLS whom it knows, takes a changed password, and leaves no socket behind."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def write(password: bytes) -> None:
        hashed = bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()
        (tmp_path / "web.yml").write_text(
            "tls_server_config: {cert_file: server.pem, key_file: server.pem}\n"
            f"basic_auth_users: {{alice: '{hashed}'}}\n"
        )

    write(b"first")
    path = tmp_path / "s"
    flags = (f"--web.listen-address=unix:{path}", f"--web.config.file={tmp_path / 'web.yml'}")
    server = Server(tmp_path / "data", "global: {}\n", *flags)

    def status(password: str) -> int:
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=5, context=context)
        credentials = b64encode(f"alice:{password}".encode()).decode()
        connection.request("GET", "/-/ready", headers={"Authorization": f"Basic {credentials}"})
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            server.start(wait=False)
        process = server.process
        assert process is not None
        try:
            assert wait_for_line(manager) == "READY=1"
            assert (status("first"), status("second")) == (200, 401)
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(str(path))
                with context.wrap_socket(local, server_hostname="localhost") as secured:
                    secured.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                    assert secured.recv(1000).startswith(b"HTTP/1.0 401 Unauthorized\r\n")
            write(b"second")
            deadline = time.monotonic() + START_S
            while status("second") != 200:
                assert time.monotonic() < deadline, server.tail()
                time.sleep(0.5)
            assert status("first") == 401
            process.send_signal(signal.SIGTERM)
            assert wait_for_line(manager) == "STOPPING=1"
            assert process.wait(START_S) == 0
        finally:
            process.kill()
            process.wait()
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo: bar\n", r'err="yaml: unmarshal errors:\n  line 1: field foo not found in type web.Config"'),
        (None, 'err="open {file}: no such file or directory"'),
        (
            "tls_server_config: {cert_file: gone, key_file: gone}\n",
            'err="failed to read cert_file ({dir}/gone): open {dir}/gone: no such file or directory" at={file}:1:21',
        ),
    ],
)
def test_a_bad_web_config_file_ends_a_start(tmp_path: Path, text: str | None, message: str) -> None:
    """The exit code is 1, and the log says what is wrong in Prometheus' words, with its place where they have none."""
    file = tmp_path / "web.yml"
    if text is not None:
        file.write_text(text)
    server = Server(tmp_path / "data", "global: {}\n", f"--web.config.file={file}")
    done = subprocess.run(
        server.command, cwd=tmp_path, capture_output=True, text=True, timeout=START_S, check=False
    )
    assert done.returncode == 1
    wanted = message.replace("{file}", str(file)).replace("{dir}", str(tmp_path))
    assert f'level=ERROR msg="Unable to validate web configuration file" {wanted}' in done.stderr
