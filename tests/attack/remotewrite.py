"""Mutated remote-write bodies over real HTTP, beside a sender that is in order: what becomes of both.

    python tests/attack/remotewrite.py [--rounds 5000]

A round is one body. Four attackers send at once; the good sender's requests are timed meanwhile.
"""

from __future__ import annotations

import http.client
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cramjam

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support import protobuf
from tests.support.process import Server
from tests.support.pusher import HEADERS

ATTACKERS = 4
BOUND_S = 10.0
BIG = 16_000_000


@dataclass
class Outcome:
    """What came of an attack."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    good_s: list[float] = field(default_factory=list)
    good_failures: int = 0


def request(generator: random.Random, base: str) -> bytes:
    """A request in order."""
    now_ms = int(time.time() * 1000)
    return b"".join(
        protobuf.series([("__name__", f"{base}_{number}"), ("a", "b")], [(now_ms, generator.random())])
        for number in range(generator.choice((1, 20, 200)))
    )


def bombs() -> tuple[bytes, ...]:
    """Bodies that are small as snappy and cost much to read."""
    name = protobuf.labels([("__name__", "m")])
    return (
        bytes(BIG),
        b"\x78\x00" * (BIG // 2),
        b"\x0a\x00" * (BIG // 2),
        b"\x1a\x00" * (BIG // 2),
        protobuf.field(1, name + b"\x12\x00" * (BIG // 2)),
        protobuf.field(1, b"\x0a\x00" * (BIG // 2)),
        protobuf.field(1, name + protobuf.field(2, b"\x78\x00" * (BIG // 2))),
        protobuf.field(1, protobuf.field(1, b"\x78\x00" * (BIG // 2))),
    )


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Some bytes changed, doubled, left out."""
    body = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 5))):
        place = generator.randrange(len(body) + 1)
        match generator.randrange(6):
            case 0 if body:
                body[place % len(body)] = generator.randrange(256)
            case 1:
                body[place:place] = generator.randbytes(generator.randrange(1, 12))
            case 2:
                del body[place : place + generator.randrange(30)]
            case 3:
                body[place:place] = bytes((generator.choice((0, 3, 4, 6, 7, 0x0A, 0x12, 0x78, 0xFF)),)) * 5000
            case 4:
                body = body[:place]
            case _:
                body += body[:place]
    return bytes(body)


def post(port: int, body: bytes, timeout_s: float = 60) -> tuple[int, float]:
    """Status and time of a request; 0 where there was no answer."""
    began_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", "/api/v1/write", body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - began_s
    except OSError:
        return 0, time.monotonic() - began_s
    finally:
        connection.close()


def attack(folder: Path, rounds: int, seed: int, bomb_share: float = 0.01) -> tuple[Outcome, str]:
    """The outcome, and the server's log."""
    server = Server(folder / "data", "global: {}\n", "--web.enable-remote-write-receiver")
    server.start()
    outcome = Outcome()
    lock, over = threading.Lock(), threading.Event()
    packed_bombs = [bytes(cramjam.snappy.compress_raw(body)) for body in bombs()]

    def attacker(number: int) -> None:
        generator = random.Random(seed * ATTACKERS + number)
        for _ in range(rounds // ATTACKERS):
            if generator.random() < bomb_share:
                body = generator.choice(packed_bombs)
            else:
                body = request(generator, f"m{number}")
                if generator.random() < 0.9:
                    body = mutated(body, generator)
                body = bytes(cramjam.snappy.compress_raw(body))
                if generator.random() < 0.2:
                    body = mutated(body, generator)
            status, took_s = post(server.port, body)
            with lock:
                outcome.statuses[status] += 1
                outcome.slowest_s = max(outcome.slowest_s, took_s)

    def good() -> None:
        generator = random.Random(seed)
        while not over.wait(0.1):
            status, took_s = post(server.port, bytes(cramjam.snappy.compress_raw(request(generator, "good"))))
            outcome.good_s.append(took_s)
            outcome.good_failures += status != 204

    threads = [threading.Thread(target=attacker, args=(number,)) for number in range(ATTACKERS)]
    sender = threading.Thread(target=good)
    try:
        for thread in (*threads, sender):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        sender.join()
    finally:
        over.set()
        server.kill()
    return outcome, server.log.read_text()


def main() -> None:
    """Runs the attack and prints its figures."""
    options = arguments(__doc__ or "", 5000).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome, log = attack(Path(folder), options.rounds, options.seed)
    good = sorted(outcome.good_s)
    statuses = ", ".join(
        f"{count:,} of {status or 'no answer'}" for status, count in outcome.statuses.most_common()
    )
    figure(
        f"{options.rounds:,} mutated remote-write bodies, one in a hundred a bomb of {BIG // 10**6} MB",
        f"{statuses}; {log.count('actor crashed') + log.count('Traceback')} crashes",
        f"slowest {outcome.slowest_s:.1f} s; a good sender {good[len(good) // 2] * 1000:.0f} ms, "
        f"longest {good[-1] * 1000:.0f} ms, {outcome.good_failures} failed; seed {options.seed}",
    )


if __name__ == "__main__":
    main()
