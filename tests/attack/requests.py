"""Odd requests as raw bytes over real sockets: every route, every parameter, then bytes changed at random.

    python tests/attack/requests.py [--rounds 100000] [--clients 8]

No request whatever may end as a 500, a crash report or a traceback, or take long. `/-/quit` is left out: it ends the
server, as it should.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import trio

from tests.attack.figures import arguments, figure
from tests.attack.oddrequests import Requests
from tests.support.process import Server

FLAGS = (
    "--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-remote-write-receiver",
    "--enable-feature=exemplar-storage,search-api", "--query.timeout=5s", "--web.allowed-hosts=*",
)  # fmt: skip
ANSWER_S_MAX = 30.0
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass
class Result:
    """What came of the requests."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[bytes] = field(default_factory=list)
    """Requests that got a 500."""
    unanswered: list[bytes] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: bytes = b""
    crashes: list[str] = field(default_factory=list)
    tracebacks: int = 0


async def ask(port: int, request: bytes, result: Result) -> None:
    """Sends a request, then nothing more, and reads until the server ends the connection."""
    began_s, got = time.monotonic(), b""
    try:
        with trio.move_on_after(ANSWER_S_MAX) as late:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(request)
                    await stream.send_eof()
                    async for part in stream:
                        got += part
        if late.cancelled_caught:
            result.unanswered.append(request)
    except OSError:
        result.unanswered.append(request)
    took_s = time.monotonic() - began_s
    if took_s > result.slowest_s:
        result.slowest_s, result.slowest = took_s, request
    result.requests += 1
    for status in (int(found) for found in _STATUS.findall(got)):
        result.statuses[status] += 1
        if status == 500:
            result.failures.append(request)


async def attack(
    port: int, seed: int, rounds: int, clients: int, told: Callable[[int], object] = lambda _: None
) -> Result:
    """So many requests, by some clients at once."""
    result, requests = Result(), Requests(seed)

    async def client() -> None:
        nonlocal rounds
        while rounds > 0:
            rounds -= 1
            if rounds % 5000 == 0:
                told(rounds)
            await ask(port, requests.next(), result)

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(client)
    return result


def run(
    folder: Path, seed: int, rounds: int, clients: int = 8, told: Callable[[int], object] = lambda _: None
) -> Result:
    """The attack against a server of its own, and what that says of itself afterwards."""
    server = Server(folder / "data", None, *FLAGS)
    server.config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"- {{job_name: trimon, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}\n"
    )
    server.command.append(f"--config.file={server.config}")
    server.start()
    try:
        result = trio.run(attack, server.port, seed, rounds, clients, told)
        reports = server.get("/debug/crashes")
        result.crashes = [f"{report['path']}: {report['error']}\n{report['traceback']}" for report in reports]
        result.tracebacks = server.log.read_text(errors="replace").count("Traceback")
        assert server.stop() == 0
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
    return result


def main() -> None:
    """Sends the requests and prints what came of them."""
    parser = arguments(__doc__ or "", 100_000)
    parser.add_argument("--clients", type=int, default=8, help="clients at once")
    options = parser.parse_args()

    def told(left: int) -> None:
        sys.stderr.write(f"{left} left\n")

    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.seed, options.rounds, options.clients, told)
    for request in result.failures[:20]:
        sys.stderr.write(f"500: {request[:600]!r}\n")
    for request in result.unanswered[:5]:
        sys.stderr.write(f"unanswered: {request[:600]!r}\n")
    for crash in result.crashes[:10]:
        sys.stderr.write(f"crash: {crash}\n")
    sys.stderr.write(
        f"slowest: {result.slowest_s:.2f} s {result.slowest[:600]!r}\n{sorted(result.statuses.items())}\n"
    )
    figure(
        f"{result.requests:,} odd requests (seed {options.seed}), {time.monotonic() - began_s:.0f} s",
        f"{len(result.failures)} answers of 500, {len(result.crashes)} crash reports, {result.tracebacks} tracebacks",
        f"{len(result.unanswered)} unanswered, slowest {result.slowest_s:.1f} s",
    )


if __name__ == "__main__":
    main()
