"""Crowds of clients that ask nothing: silent ones, heads that drip, bodies that drip. How long a probe waits meanwhile.

    python tests/attack/connections.py [--connections 2000] [--rounds 20] [--peer] [--tls]

A round is a second. Every client that is turned away comes again after a second, as an attacker would. Over TLS there are
clients besides that drip their handshake; those that shake hands do so again whenever they come.
"""

from __future__ import annotations

import json
import random
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import trio

from tests.attack.figures import arguments, figure
from tests.attack.overtls import tls_server, write_authority
from tests.attack.probing import PROBE_S_MAX
from tests.support.peer_prometheus import PROMETHEUS, _await_ready
from tests.support.ports import free_port
from tests.support.process import Server

AUTHORITY = "authority.pem"
HEAD = b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: localhost\r\nX: "
BODY = (
    b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000000\r\n\r\nquery="
)
OPENINGS = {"silent": b"", "dripping heads": HEAD, "dripping bodies": BODY}
# The beginning of a message of the handshake that is never whole.
HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@dataclass
class Crowd:
    """What came of one attack."""

    waits_s: list[float] = field(default_factory=list)
    """Of probes that were answered, each over a connection of its own."""
    failures: int = 0
    kept_failures: int = 0
    """Of requests over a connection that was open before the crowd came."""
    turned_away: int = 0
    open: int = 0
    shaken: int = 0
    """Handshakes of TLS that were done."""

    def text(self) -> str:
        """The figures in words."""
        if not self.waits_s:
            return f"none of {self.failures} probes answered within {PROBE_S_MAX:.0f} s"
        longest, middle = max(self.waits_s), statistics.median(self.waits_s)
        probes = len(self.waits_s) + self.failures
        return f"probe {middle * 1000:.0f} ms, longest {longest * 1000:.0f} ms, {self.failures} of {probes} failed"


async def client(
    port: int, opening: bytes, crowd: Crowd, generator: random.Random, context: ssl.SSLContext | None
) -> None:
    """One client of the crowd: it opens, says what it says, and drips until it is turned away."""
    while True:
        try:
            plain = await trio.open_tcp_stream("127.0.0.1", port)
            try:
                crowd.open += 1
                stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = plain
                if context is not None and opening != HANDSHAKE:
                    stream = trio.SSLStream(
                        plain, context, server_hostname="localhost", https_compatible=True
                    )
                    await stream.do_handshake()
                    crowd.shaken += 1
                await dripping(stream, opening, generator)
            finally:
                crowd.open -= 1
                plain.socket.close()
        except (OSError, trio.BrokenResourceError):
            pass
        crowd.turned_away += 1
        await trio.sleep(1)


async def dripping(
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], opening: bytes, generator: random.Random
) -> None:
    """Sends the opening and then a byte now and then; returns when the server ends."""
    try:
        if opening:
            await stream.send_all(opening)
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                while await stream.receive_some(4096):
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            while opening:
                await trio.sleep(generator.uniform(0.5, 1.5))
                await stream.send_all(b"x")
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def probes(port: int, crowd: Crowd, rounds: int, authority: Path | None) -> None:
    """Asks for health over new connections, five times a second."""
    command = [sys.executable, str(Path(__file__).with_name("probing.py")), str(port), str(rounds)]
    if authority is not None:
        command.append(str(authority))
    done = await trio.run_process(command, capture_stdout=True)
    for wait_s in json.loads(done.stdout):
        if wait_s < 0:
            crowd.failures += 1
        else:
            crowd.waits_s.append(wait_s)


async def attack(
    port: int, opening: bytes, connections: int, rounds: int, seed: int, authority: Path | None = None
) -> Crowd:
    """A crowd of clients that open the same way, and what probes see meanwhile; over TLS where an authority is given."""
    crowd, generator = Crowd(), random.Random(seed)
    context = None if authority is None else ssl.create_default_context(cafile=str(authority))
    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(client, port, opening, crowd, generator, context)
        await trio.sleep(1)
        await probes(port, crowd, rounds, authority)
        nursery.cancel_scope.cancel()
    return crowd


def _limiting(files: int) -> list[str]:
    """The beginning of a command whose process may open so many files, whatever it tries."""
    return ["prlimit", f"--nofile={files}:{files}", "--"] if files else []


@contextmanager
def prometheus(folder: Path, *flags: str, config: str = "global: {}\n", files: int = 0) -> Iterator[int]:
    """A real Prometheus and its port; it may open so many files, where that is given."""
    assert PROMETHEUS is not None, "prometheus is not installed"
    port = free_port()
    (folder / "prometheus.yml").write_text(config)
    command = [
        *_limiting(files),
        PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'peer'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", *flags,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await_ready(f"http://127.0.0.1:{port}")
            yield port
        finally:
            process.kill()


@contextmanager
def ours(folder: Path, *flags: str, config: str = "global: {}\n", files: int = 0) -> Iterator[int]:
    """This server and its port; it may open so many files, where that is given."""
    server = Server(folder / "data", config, *flags)
    server.command[:0] = _limiting(files)
    server.start()
    try:
        yield server.port
    finally:
        server.kill()


@contextmanager
def ours_over_tls(folder: Path) -> Iterator[int]:
    """This server where it speaks TLS alone; the authority that it is to be trusted by is in the folder."""
    server = tls_server(folder)
    write_authority(folder / AUTHORITY)
    try:
        yield server.port
    finally:
        server.kill()


def more_files() -> None:
    """Every client of a crowd needs a descriptor."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(
    start: Callable[[Path], AbstractContextManager[int]],
    connections: int,
    rounds: int,
    seed: int,
    *,
    tls: bool,
) -> dict[str, Crowd]:
    """Every kind of crowd against a server of its own."""
    crowds = {}
    for name, opening in (OPENINGS | ({"dripping handshakes": HANDSHAKE} if tls else {})).items():
        with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as port:
            authority = Path(folder) / AUTHORITY if tls else None
            crowds[name] = trio.run(attack, port, opening, connections, rounds, seed, authority)
    return crowds


def main() -> None:
    """Runs the crowds and prints their figures."""
    parser = arguments(__doc__ or "", 20)
    parser.add_argument("--connections", type=int, default=2000, help="clients at once")
    parser.add_argument("--peer", action="store_true", help="attack Debian's prometheus instead")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    options = parser.parse_args()
    more_files()
    start = ours_over_tls if options.tls else prometheus if options.peer else ours
    for name, crowd in run(start, options.connections, options.rounds, options.seed, tls=options.tls).items():
        done = f", {crowd.shaken:,} handshakes" if options.tls else ""
        tried = f"{options.connections:,} clients{' over TLS' if options.tls else ''}: {name}"
        figure(tried, crowd.text(), f"{crowd.turned_away:,} turned away{done}")


if __name__ == "__main__":
    main()
