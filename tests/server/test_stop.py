"""The end of the real server, also when a plug-in does not let itself be stopped."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.process import Server, running
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.spec import ChildSpec
from trimon.clock import StoppedClock
from trimon.log import LogBuffer
from trimon.server.forcedstop import EXIT_FORCED, HURRIED_S, ForcedStop

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
    for calls, passed_s, forced in ((1, 34.0, False), (1, 36.0, True), (2, 2.0, False), (2, 4.0, True)):
        clock, log, ended = StoppedClock(), LogBuffer(), threading.Event()
        last = ForcedStop(Group("trimon", [ChildSpec("a", object)]), 30.0, clock, log, ended.set)
        for _ in range(calls):
            last.arm()
        clock.value_ms += int(passed_s * 1000)
        assert ended.wait(2.0 if forced else 0.5) == forced
        last.disarm()
