"""The real server as a child process, and real peers where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent
START_S = 30.0


def absent(what: str) -> NoReturn:
    """Ends a test that cannot be without what is not there: it is skipped, and in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and CI must run this test")
    pytest.skip(f"{what} is not installed")


def peer(program: str) -> str:
    """The path of a real peer; see `absent` where there is none."""
    return shutil.which(program) or absent(program)


class Server:
    """One trimon process on a data directory."""

    def __init__(self, data: Path, config: str | None = None, *flags: str, port: int = 0) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = data.parent / f"{data.name}.yml"
        if config is not None:
            self.config.write_text(config)
        self.log = data.parent / f"{data.name}.log"
        self.command = [
            sys.executable, "-m", "trimon", f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{self.port}", *flags,
        ]  # fmt: skip
        if config is not None:
            self.command.append(f"--config.file={self.config}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Server:
        """Starts it and waits until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                cwd=self.data.parent,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, context: ssl.SSLContext | None = None) -> None:
        """Returns when /-/ready says so, over TLS with a `context`; fails when the process ended or START_S are over."""
        url = f"https://localhost:{self.port}" if context is not None else self.url
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=1, context=context):
                    return
            except (urllib.error.URLError, OSError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == 401:
                    return  # whether it is ready, one with a password says to users alone
                time.sleep(0.02)
        pytest.fail(f"not ready after {START_S} s:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:]

    def get(self, path: str, **params: str) -> Any:
        """The parsed JSON of an answer, also of an error."""
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        try:
            with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def text(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and text of an answer."""
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def query(self, expr: str) -> list[Any]:
        """The result of an instant query."""
        answer = self.get("/api/v1/query", query=expr)
        assert answer["status"] == "success", answer
        result: list[Any] = answer["data"]["result"]
        return result

    def until(self, expr: str, within_s: float = 30.0) -> list[Any]:
        """The result of a query as soon as there is one."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if result := self.query(expr):
                return result
            time.sleep(0.1)
        pytest.fail(f"no result of {expr} within {within_s} s:\n{self.tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, within_s: float = 30.0) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def running(data: Path, config: str | None = None, *flags: str) -> Iterator[Server]:
    """A server that is gone afterwards, whatever happens."""
    server = Server(data, config, *flags).start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Any other process, ended afterwards."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
