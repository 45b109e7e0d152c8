"""The end of the real server, also when a plug-in does not let itself be stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.process import Server, running
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.spec import ChildSpec
from trimon.clock import StoppedClock
from trimon.log import LogBuffer
from trimon.server.forcedstop import BACKSTOP_AFTER_S, EXIT_FORCED, FORCED_AFTER_S, HURRIED_S, ForcedStop
from trimon.server.tree import STOP_S

PLUGIN = """\
import time
import trio

class Obstinate:
    def __init__(self, options, context):
        self.context = context

    async def run(self, sink):
        sink.publish([])
{body}
"""
BODIES = {
    "it catches everything": """\
        while True:
            try:
                await trio.sleep(1)
            except BaseException:
                pass
""",
    "it waits in a shield": """\
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()
""",
    "it holds the loop": """\
        await trio.sleep(1)
        time.sleep(120)
""",
}
CONFIG = "scrape_configs: [{job_name: j, trimon_sd_configs: [{plugin: 'obstinate:Obstinate'}]}]\n"


def start(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> Server:
    (tmp_path / "obstinate.py").write_text(PLUGIN.format(body=body))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = Server(tmp_path / "data", CONFIG)
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    with server.log.open("ab") as log:
        server.process = subprocess.Popen(
            server.command, stdout=log, stderr=log, cwd=tmp_path, env={**environment, "PATH": "/usr/bin:/bin"}
        )
    server.wait_ready()
    return server


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_second_signal_ends_a_server_whose_plugin_does_not_stop(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seconds after a second signal the process is gone, and the log says who was in the way."""
    server = start(tmp_path, body, monkeypatch)
    assert server.process is not None
    try:
        time.sleep(1.5)
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        began_s = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.process.wait(20) == EXIT_FORCED
        assert time.monotonic() - began_s < HURRIED_S + 5
    finally:
        if server.process.poll() is None:
            server.kill()
    (line,) = (line for line in server.tail().splitlines() if "the process is ended without them" in line)
    assert "obstinate:Obstinate" in line or "whoever holds the event loop" in line


def test_a_hanging_call_of_a_plugin_keeps_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plug-in has in a thread is left behind: the stop is an orderly one."""
    body = "        await self.context.offload.run(lambda: time.sleep(120))\n"
    server = start(tmp_path, body, monkeypatch)
    try:
        time.sleep(0.5)
        assert server.stop(15) == 0
    finally:
        assert server.process is not None
        if server.process.poll() is None:
            server.kill()


def test_an_orderly_stop_forces_nothing(tmp_path: Path) -> None:
    """A server that ends by itself says nothing of the last resort."""
    with running(tmp_path / "data", "global: {}\n") as server:
        assert server.stop() == 0
        assert "without them" not in server.tail()


def test_the_time_of_a_stop_is_bounded() -> None:
    """When the time is over, or a moment after a second call, the process is ended; not when the server ended before."""
    assert STOP_S + FORCED_AFTER_S + BACKSTOP_AFTER_S <= 30
    for calls, passed_s, forced in ((1, 28.0, False), (1, 29.5, True), (2, 2.0, False), (2, 4.0, True)):
        clock, log, ended, backstops_s = StoppedClock(), LogBuffer(), threading.Event(), list[float]()
        root = Group("trimon", [ChildSpec("a", lambda: Group("a", []))])
        last = ForcedStop(root, STOP_S, clock, log, ended.set, backstops_s.append)
        for _ in range(calls):
            last.arm()
        clock.value_ms += int(passed_s * 1000)
        assert ended.wait(2.0 if forced else 0.5) == forced
        assert backstops_s == [30.0, HURRIED_S + BACKSTOP_AFTER_S][:calls]
        last.disarm()


def test_a_process_that_holds_the_interpreter_is_ended() -> None:
    """The watchdog ends a process in which no thread gets its turn, and writes where it was."""
    held = (
        "import re, sys; from trimon.server.forcedstop import end_process_after; end_process_after(1.0)\n"
        "re.match('(a*)*b', 'a' * 60)  # holds the interpreter for ages\n"
    )
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", held], capture_output=True, timeout=30, check=False, text=True
    )
    assert done.returncode == EXIT_FORCED
    assert time.monotonic() - began_s < 10
    assert "line 2" in done.stderr


def exposition(lines: int) -> bytes:
    """A body that takes seconds to read: every series is new."""
    return b"".join(b'm{a="%d"} 1\n' % number for number in range(lines))


def test_big_bodies_that_are_read_keep_nobody(tmp_path: Path) -> None:
    """A stop while targets' bodies are read for seconds is an orderly one, and takes a moment."""
    body = exposition(1_000_000)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)
            asked.set()

        def log_message(self, *_: object) -> None:
            pass

    asked = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as targets:
        threading.Thread(target=targets.serve_forever, daemon=True).start()
        jobs = [
            f"{{job_name: j{number}, scrape_interval: 5s, scrape_timeout: 5s, "
            f"static_configs: [{{targets: ['127.0.0.1:{targets.server_port}']}}]}}"
            for number in range(3)
        ]
        with running(tmp_path / "data", f"scrape_configs: [{', '.join(jobs)}]\n") as server:
            assert asked.wait(20)
            time.sleep(0.5)
            began_s = time.monotonic()
            assert server.stop(30) == 0
            assert time.monotonic() - began_s < 8  # a second or two, on a machine that does nothing else
            assert "stopped" in server.tail()
        targets.shutdown()
