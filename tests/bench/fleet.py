"""A fleet of simulated targets in a process of its own: many addresses on loopback, bodies made beforehand.

    python tests/bench/fleet.py --targets 1000 --series 1000 --port 9200 --file-sd /path/targets.json

Each target is an address of its own (127.0.0.1, 127.0.0.2, ...). A request costs about 20 µs, so the fleet does not
compete with the server that is measured. The last line printed at the end is how many requests were answered.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import resource
import signal
import socket
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.exposition import bodies


def addresses(targets: int, port: int) -> list[tuple[str, int]]:
    """One loopback address a target."""
    return [(f"127.0.{index // 250}.{index % 250 + 1}", port) for index in range(targets)]


class Target(asyncio.Protocol):
    """Answers every request with the next body of its target."""

    answered = 0

    def __init__(self, answers: list[bytes], state: list[int]) -> None:
        self._answers = answers
        self._state = state
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each complete request head."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            _, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            answer = self._answers[self._state[0] % len(self._answers)]
            self._state[0] += 1
            Target.answered += 1
            self._transport.write(answer)  # type: ignore[attr-defined]  # a stream transport


def answer(body: bytes) -> bytes:
    """A whole gzip HTTP answer."""
    packed = gzip.compress(body, 6)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


async def serve(options: argparse.Namespace) -> None:
    """Listens on all addresses until a signal."""
    kinds = {
        kind: [
            [
                answer(body)
                for body in bodies(kind, options.series, options.steps, seed, renamed=options.renamed)
            ]
            for seed in range(options.variants)
        ]
        for kind in ("node", "service")
    }
    loop = asyncio.get_running_loop()
    targets = addresses(options.targets, options.port)
    for index, (host, port) in enumerate(targets):
        kind = "node" if index % 2 == 0 else "service"
        answers = kinds[kind][(index // 2) % options.variants]
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        state = [0]
        await loop.create_server(partial(Target, answers, state), sock=listener)
    if options.file_sd:
        groups = [{"targets": [f"{host}:{port}" for host, port in targets], "labels": {"fleet": "simulated"}}]
        Path(options.file_sd).write_text(json.dumps(groups))  # noqa: ASYNC240 # before anything is served
    print(f"fleet: {options.targets} targets of {options.series} series", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    print(f"fleet: answered {Target.answered}", flush=True)


def main() -> None:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument("--steps", type=int, default=20, help="bodies before they repeat")
    parser.add_argument("--variants", type=int, default=2, help="different targets of a kind")
    parser.add_argument("--renamed", type=float, default=0.0, help="share of series renamed every 10 scrapes")
    parser.add_argument("--file-sd", default="")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
