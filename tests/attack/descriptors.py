"""Too few file descriptors: more targets than the process may open files. Who is scraped, and whether the web answers.

    python tests/attack/descriptors.py [--limit 128] [--targets 300] [--rounds 15] [--peer]

A round is a second. Soft and hard limit are the same, so nothing can be raised. Targets answer at once, then after three
seconds, so that many more connections are wanted at the same time than there are files. Some silent clients come, too.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import trio

from tests.attack.connections import Crowd, client, more_files, ours, probes, prometheus
from tests.attack.figures import arguments, figure
from tests.support.ports import free_port

BODY = b"m 1\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
INTERVAL_S = 4
CLIENTS = 50


@dataclass
class Scarcity:
    """What came of it."""

    crowd: Crowd = field(default_factory=Crowd)
    up: int = 0
    down: int = 0
    errors: set[str] = field(default_factory=set)
    """Of targets that are down, without their addresses."""
    debug_s: float = -1.0
    """How long the page of actors took; -1 where there is none."""
    crashes: int = 0
    """Crash reports."""


def config(port: int, targets: int) -> str:
    """So many targets on one port, each with an address of this machine of its own."""
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(targets)]
    job = {"job_name": "many", "static_configs": [{"targets": addresses}]}
    return json.dumps(
        {
            "global": {"scrape_interval": f"{INTERVAL_S}s", "scrape_timeout": f"{INTERVAL_S}s"},
            "scrape_configs": [job],
        }
    )


async def target(stream: trio.SocketStream, delay_s: float) -> None:
    """Answers every request after its time, and keeps the connection."""
    async with stream:
        try:
            got = b""
            while part := await stream.receive_some(65536):
                got += part
                while b"\r\n\r\n" in got:
                    got = got.partition(b"\r\n\r\n")[2]
                    await trio.sleep(delay_s)
                    await stream.send_all(ANSWER)
        except trio.BrokenResourceError:
            pass


def ask(port: int, path: str, **params: str) -> object:
    """The JSON of an answer, over a connection of its own."""
    url = f"http://127.0.0.1:{port}{path}" + (f"?{urllib.parse.urlencode(params)}" if params else "")
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _look(port: int, result: Scarcity, *, peer: bool) -> None:
    found = ask(port, "/api/v1/targets", state="active")
    assert isinstance(found, dict)
    for one in found["data"]["activeTargets"]:
        if one["health"] == "up":
            result.up += 1
        elif one["health"] == "down":
            result.down += 1
            result.errors.add(one["lastError"].rpartition(": ")[2])
    if not peer:
        began_s = time.monotonic()
        ask(port, "/debug/actors")
        result.debug_s = time.monotonic() - began_s
        crashes = ask(port, "/debug/crashes")
        assert isinstance(crashes, list)
        result.crashes = len(crashes)


async def attack(port: int, target_port: int, delay_s: float, rounds: int, *, peer: bool = False) -> Scarcity:
    """Targets for a server that runs, and what is seen of it meanwhile."""
    result, generator = Scarcity(), random.Random(1)
    async with trio.open_nursery() as nursery:

        async def handle(stream: trio.SocketStream) -> None:
            await target(stream, delay_s)

        listeners = await trio.open_tcp_listeners(target_port, host="0.0.0.0", backlog=1000)
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        for _ in range(CLIENTS):
            nursery.start_soon(client, port, b"", result.crowd, generator, None)
        await trio.sleep(INTERVAL_S)
        await probes(port, result.crowd, rounds, None)
        try:
            await trio.to_thread.run_sync(lambda: _look(port, result, peer=peer))
        except OSError:
            result.errors.add("no page of targets within 10 s")
        nursery.cancel_scope.cancel()
    return result


Start = Callable[..., AbstractContextManager[int]]


def run(
    start: Start, files: int, targets: int, delay_s: float, rounds: int, *, peer: bool = False
) -> Scarcity:
    """A server that may open so many files, with so many targets."""
    more_files()
    target_port = free_port()
    text = config(target_port, targets)
    with tempfile.TemporaryDirectory() as folder, start(Path(folder), config=text, files=files) as port:
        return trio.run(lambda: attack(port, target_port, delay_s, rounds, peer=peer))


def main() -> None:
    """Tries quick and slow targets, and prints figures."""
    parser = arguments(__doc__ or "", 15)
    parser.add_argument("--limit", type=int, default=128, help="files the server may open")
    parser.add_argument("--targets", type=int, default=300)
    parser.add_argument("--peer", action="store_true", help="attack Debian's prometheus instead")
    options = parser.parse_args()
    for delay_s in (0.0, 3.0):
        result = run(
            prometheus if options.peer else ours,
            options.limit,
            options.targets,
            delay_s,
            options.rounds,
            peer=options.peer,
        )
        figure(
            f"{options.limit} files, {options.targets} targets that answer in {delay_s:.0f} s, {CLIENTS} silent clients",
            f"{result.up} up, {result.down} down {sorted(result.errors)[:3]}",
            f"{result.crowd.text()}; actors in {result.debug_s:.2f} s, {result.crashes} crashes",
        )


if __name__ == "__main__":
    main()
