"""Commands that ask a server: where it wants a password, and what its probes say."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import bcrypt
import pytest

from tests.support.commandline import run_trimon
from tests.support.process import Server, running
from trimon.cli.askedserver import load_http_config
from trimon.errors import UserError

PASSWORD = "open sesame%&"  # of a server of this test alone


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("guarded")
    web = directory / "web.yml"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    web.write_text(f"basic_auth_users: {{alice: '{hashed}'}}\n")
    with running(directory / "data", None, f"--web.config.file={web}") as server:
        yield server


def test_without_a_password_the_answer_is_told(guarded: Server) -> None:
    """A refusal names the status and ends with 1."""
    for command in (("query", "instant", guarded.url, "1"), ("query", "labels", guarded.url, "job")):
        ran = run_trimon(*command)
        assert ran.exit_code == 1
        assert "401 Unauthorized" in ran.stderr


@pytest.mark.parametrize("place", ["before the command", "behind the command"])
def test_a_file_has_the_password(place: str, guarded: Server, tmp_path: Path) -> None:
    """The HTTP block of a scrape config, with a file of its own beside it, is taken at either place."""
    (tmp_path / "password").write_text(PASSWORD + "\n")
    file = tmp_path / "http.yml"
    file.write_text("basic_auth: {username: alice, password_file: password}\n")
    option = f"--http.config.file={file}"
    words = ["query", option, "instant"] if place == "before the command" else ["query", "instant", option]
    assert run_trimon(*words, guarded.url, "1 + 1").stdout.startswith("scalar: 2 @[")
    ran = run_trimon("check", "ready", f"--url={guarded.url}/", option)
    assert (ran.exit_code, ran.stderr) == (0, "  SUCCESS:  Prometheus Server is Ready.\n\n")


def test_headers_may_be_given(guarded: Server) -> None:
    """Before the command, and behind that of a range; what is no pair is refused."""
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    header = f"--header=Authorization=Basic {pair}"
    assert run_trimon("query", header, "instant", guarded.url, "1 + 1").stdout.startswith("scalar: 2 @[")
    times = ("--start=0", "--end=0")
    assert run_trimon("query", "range", header, *times, guarded.url, "vector(3)").stdout == "{} =>\n3 @[0]\n"
    ran = run_trimon("query", "--header=nonsense", "instant", guarded.url, "1")
    assert (ran.exit_code, ran.stderr) == (1, 'trimon: error: expected KEY=VALUE got "nonsense"\n')


def test_a_redirect_elsewhere_has_no_credentials() -> None:
    """Neither the password of the URL nor headers that are given go to whom a redirect leads."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200 if self.headers["Host"].startswith("localhost") else 302)
            self.send_header("Location", f"http://localhost:{httpd.server_port}/")
            body = b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}'
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://alice:hunter22@127.0.0.1:{httpd.server_port}"
        ran = run_trimon("query", "--header=X-Key=hunter23", "instant", url, "1")
        httpd.shutdown()
    assert ran.stdout == "scalar: 2 @[1]\n"
    first, second = seen
    assert first["x-key"] == "hunter23"
    assert "authorization" in first
    assert not {"x-key", "authorization"} & second.keys()


def test_a_url_may_have_the_password(guarded: Server) -> None:
    """Name and password in a URL are sent, unescaped, and shown nowhere; beside a file they are refused."""
    url = guarded.url.replace("://", "://alice:open%20sesame%25%26@")
    assert run_trimon("query", "instant", url, "7").stdout.startswith("scalar: 7 @[")
    wrong = run_trimon("check", "healthy", "--url", guarded.url.replace("://", "://alice:wrong-one@"))
    assert wrong.exit_code == 1
    assert "check failed: URL=" in wrong.stderr
    assert "status=401" in wrong.stderr
    assert "wrong-one" not in wrong.stderr
    both = run_trimon("query", "instant", "--http.config.file=/dev/null", url, "7")
    assert "Cannot set base auth in the server URL" in both.stderr


def test_nobody_who_listens_is_an_error() -> None:
    """A port without a server, and a URL that is none, are one line each."""
    for url in ("http://127.0.0.1:1", "http://[::1", "http://a..b"):
        ran = run_trimon("check", "healthy", f"--url={url}")
        assert ran.exit_code == 1
        assert ran.stderr.count("\n") == 1, ran.stderr


def test_a_bad_file_says_where(tmp_path: Path) -> None:
    """An unknown field is told with its line."""
    file = tmp_path / "http.yml"
    file.write_text("basic_auth:\n  username: a\n  passwort: b\n")
    with pytest.raises(UserError, match="passwort") as raised:
        load_http_config(file)
    assert raised.value.position.line == 3
