"""Odd requests as raw bytes over real sockets: every route, every parameter, then bytes changed at random.

    python tests/attack/requests.py [--rounds 100000] [--clients 8] [--tls]

No request whatever may end as a 500, a crash report or a traceback, or take long. `/-/quit` is left out: it ends the
server, as it should.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import trio

from tests.attack.figures import arguments, figure
from tests.attack.oddrequests import Requests
from tests.attack.overtls import context_of, web_config
from tests.support.process import Server

FLAGS = (
    "--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-remote-write-receiver",
    "--enable-feature=exemplar-storage,search-api", "--query.timeout=5s", "--web.allowed-hosts=*",
)  # fmt: skip
ANSWER_S_MAX = 30.0
# Over TLS: a request that is not whole has no answer, and the server waits for the rest.
SILENCE_S = 1.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


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


async def dial(
    port: int, context: ssl.SSLContext | None
) -> trio.abc.HalfCloseableStream | trio.SSLStream[trio.SocketStream]:
    """A connection, over TLS with a context."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    if context is None:
        return stream
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


async def ask(port: int, request: bytes, result: Result, context: ssl.SSLContext | None = None) -> None:
    """Sends a request, then nothing more, and reads until the server ends the connection.

    TLS has no end of one side alone: there it reads until nothing comes for a while.
    """
    began_s, got = time.monotonic(), b""
    try:
        with trio.move_on_after(ANSWER_S_MAX) as late:
            async with await dial(port, context) as stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(request)
                    if not isinstance(stream, trio.SSLStream):
                        await stream.send_eof()
                        async for part in stream:
                            got += part
                    with trio.move_on_after(SILENCE_S) as silence:
                        while isinstance(stream, trio.SSLStream) and (part := await stream.receive_some()):
                            got += part
                            silence.deadline = trio.current_time() + SILENCE_S
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
    port: int,
    seed: int,
    rounds: int,
    clients: int,
    told: Callable[[int], object] = lambda _: None,
    context: ssl.SSLContext | None = None,
) -> Result:
    """So many requests, by some clients at once."""
    result, requests = Result(), Requests(seed)

    async def client() -> None:
        nonlocal rounds
        while rounds > 0:
            rounds -= 1
            if rounds % 5000 == 0:
                told(rounds)
            await ask(port, requests.next(), result, context)

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(client)
    return result


def run(
    folder: Path,
    seed: int,
    rounds: int,
    clients: int = 8,
    told: Callable[[int], object] = lambda _: None,
    *,
    tls: bool = False,
) -> Result:
    """The attack against a server of its own, and what that says of itself afterwards."""
    server = Server(folder / "data", None, *FLAGS)
    server.config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"- {{job_name: trimon, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}\n"
    )
    server.command.append(f"--config.file={server.config}")
    context = context_of() if tls else None
    if tls:
        server.command.append(f"--web.config.file={web_config(folder)}")
    server.start(wait=False)
    server.wait_ready(context)
    try:
        result = trio.run(attack, server.port, seed, rounds, clients, told, context)
        scheme = "https" if tls else "http"
        url = f"{scheme}://localhost:{server.port}/debug/crashes"
        with urllib.request.urlopen(url, timeout=30, context=context) as answer:
            reports = json.loads(answer.read())
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
    parser.add_argument("--tls", action="store_true", help="over TLS")
    options = parser.parse_args()

    def told(left: int) -> None:
        sys.stderr.write(f"{left} left\n")

    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.seed, options.rounds, options.clients, told, tls=options.tls)
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
