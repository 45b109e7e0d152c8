"""Mutated expositions over real connections, read and stored as scrapes are: nothing crashes, and nothing takes long.

    python tests/attack/expositions.py [--rounds 100000]

A round is one scrape. Bodies are mutated in bytes, lines and lengths, and so are the heads of answers: lies about coding,
length and chunks, odd redirects, too many announcements. One target in ten is a new one.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import trio

from tests.attack.figures import arguments, figure
from trimon.clock import StoppedClock
from trimon.errors import OperatingError
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import FetchError
from trimon.files import DiskFiles
from trimon.scrape.options import PoolOptions
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

TEXT = b"""# HELP http_requests_total Requests \\\\ of all \\n kinds.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf 3982045
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds_sum 1.7560473e+07
{"utf8.name","label.name"="\xc3\xa4"} NaN
"""
OPENMETRICS = b"""# TYPE foo counter
# UNIT foo_seconds seconds
# HELP foo A counter.
foo_total{a="b"} 17.0 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67
foo_created{a="b"} 1520872607.123
# TYPE bar histogram
bar_bucket{le="0.01"} 0 # {} 0.01
bar_bucket{le="+Inf"} 17
bar_count 17
bar_sum 324789.3
# EOF
"""
TYPES = (
    b"text/plain; version=0.0.4",
    b"application/openmetrics-text; version=1.0.0",
    b"",
    b"text/plain;;",
    b"\xff/;a=b;a=b",
)
TOKENS = (
    b'"', b"\\", b"\n", b"\0", b"{", b"}", b",", b"=", b"#", b" ", b"\t", b"\r", b"# EOF\n", b"# TYPE ", b"# HELP ", b"NaN",
    b"-",     b"\xff", b"\xc3", b"\xf0\x9f\x98\x80", b"1e999", b"0x1p-3", b"_", b"e", b"# {", b"le=", b'""',
    b"9" * 25,
)  # fmt: skip
# By format: OpenMetrics has no free remarks.
REMARKS = ((b"", b"# a remark", b"# HELP new_1 text", b"#"), (b"# HELP new_1 text", b"# TYPE new_1 gauge"))
BOUND_S = 1.0
TARGETS = 10


@dataclass
class Outcome:
    """What came of an attack."""

    health: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slow: int = 0


def gently_mutated(body: bytes, generator: random.Random) -> bytes:
    """A body with other values, labels and lines, and most often a good one: not errors are tried, but what changes."""
    lines = body.split(b"\n")
    end = [b"# EOF", b""] if body.endswith(b"# EOF\n") else [b""]
    lines = lines[: -len(end)]
    for _ in range(generator.choice((1, 2, 5))):
        place = generator.randrange(len(lines))
        line = lines[place]
        match generator.randrange(8):
            case 0:
                lines.insert(place, lines.pop(generator.randrange(len(lines))))
            case 1 if len(lines) > 1:
                del lines[place]
            case 2:
                lines.insert(place, line)
            case 3:
                lines.insert(
                    place, b'new_%d{a="%d"} %d' % (generator.randrange(50), place, generator.randrange(9))
                )
            case 4:
                put = generator.choice((b"x", b"\\n", b"\xc3\xa4", b"\\\\", b" ", b"}", b"\0"))
                lines[place] = line.replace(b'"', b'"' + put, 1)
            case 5:
                head, blank, _ = line.rpartition(b" ")
                if blank and not line.startswith(b"#"):
                    lines[place] = (
                        head
                        + b" "
                        + generator.choice((b"1", b"-0", b"1e99", b"+Inf", b"NaN", b"0.1", b"9" * 25))
                    )
            case 6:
                lines[place] = line + generator.choice((b"", b"", b" ", b"\t", b"\r"))
            case _:
                lines.insert(place, generator.choice(REMARKS[len(end) - 1]))
    return b"\n".join(lines + end)


def mutated(body: bytes, generator: random.Random) -> bytes:
    """A body with some bytes, lines or lengths changed: hardly ever a good one."""
    data = bytearray(body)
    for _ in range(generator.choice((0, 1, 1, 2, 3, 8))):
        place = generator.randrange(len(data) + 1)
        match generator.randrange(9):
            case 0 if data:
                data[place % len(data)] = generator.randrange(256)
            case 1:
                data[place:place] = generator.choice(TOKENS)
            case 2:
                del data[place : place + generator.randrange(20)]
            case 3:
                data[place:place] = data[: generator.randrange(200)]
            case 4 if data:
                # a stretch: what is quadratic in the length of anything shows
                data[place:place] = bytes(data[place % len(data) :][:1]) * generator.choice((100, 30_000))
            case 5:
                data[place:place] = generator.choice(TOKENS) * generator.choice((10, 10_000))
            case 6:
                lines = bytes(data).split(b"\n")
                generator.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 7:
                data = data[:place]
            case _:
                data += b"".join(
                    b'new_%d{a="%d"} %d\n' % (n, place, n) for n in range(generator.choice((1, 300)))
                )
    return bytes(data[:300_000])


def answer(generator: random.Random) -> bytes:
    """A whole answer, as its bytes go over the connection."""
    kind = generator.randrange(2)
    body = (TEXT, OPENMETRICS)[kind]
    kind_of_change = generator.random()
    if kind_of_change < 0.6:
        body = gently_mutated(body, generator)
    elif kind_of_change < 0.85:
        body = mutated(body, generator)
    head = [
        b"HTTP/1.1 200 OK",
        b"Content-Type: " + (TYPES[kind] if generator.random() < 0.9 else generator.choice(TYPES)),
    ]
    if generator.random() < 0.1:
        body = gzip.compress(body)
        head.append(b"Content-Encoding: gzip")
        if generator.random() < 0.3:
            body = mutated(body, generator)
    framing = generator.randrange(4)
    if framing == 0:
        size = generator.randrange(1, 4000)
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        head.append(b"Transfer-Encoding: chunked")
    elif framing == 1:
        head.append(b"Content-Length: %d" % len(body))
    if generator.random() < 0.07:
        lies = (
            b"Content-Encoding: gzip", b"Content-Encoding: br", b"Content-Length: 5", b"Content-Length: -1",
            b"Transfer-Encoding: gzip", b"Location: http://[::1", b"X: " + b" " * 60_000 + b"\0", b"X" * 60_000, b"\0: \0",
        )  # fmt: skip
        head.append(generator.choice(lies))
    if generator.random() < 0.05:
        head[0] = generator.choice(
            (b"HTTP/1.1 302 Found", b"HTTP/1.1 204 x", b"HTTP/1.1 500 " + b"x" * 9000, b"HTTP/9 1")
        )
    early = b"HTTP/1.1 100 Continue\r\n\r\n" * generator.choice((0,) * 12 + (1, 5, 6, 500))
    whole = early + b"\r\n".join(head) + b"\r\n\r\n" + body
    return mutated(whole, generator) if generator.random() < 0.05 else whole


async def serve(generator: random.Random, stream: trio.SocketStream) -> None:
    """One answer a connection."""
    try:
        await stream.receive_some(65536)
        await stream.send_all(answer(generator))
    except trio.BrokenResourceError:
        return


class Scrapes:
    """Targets that are scraped as their actors do it, one after the other."""

    def __init__(self, folder: Path, port: int, generator: random.Random) -> None:
        self._clock = StoppedClock()
        self._store = Store.open(StoreOptions(folder), DiskFiles(), self._clock)
        self._store.replay()
        self._generator = generator
        self._port = port
        self._numbers = list(range(TARGETS))
        self._sessions = [self._session(number) for number in self._numbers]

    def _session(self, number: int) -> ScrapeSession:
        options = PoolOptions("j", timeout_ms=2000, sample_limit=0, label_limit=30 if number % 2 else 0)
        target = build_target({"__address__": f"127.0.0.1:{self._port}", "number": f"{number % 50}"}, options)
        assert isinstance(target, Target)
        return ScrapeSession(target, options)

    async def scrape(self, outcome: Outcome) -> None:
        """One scrape; what no part of it may raise is a crash."""
        place = self._generator.randrange(len(self._sessions))
        if self._generator.random() < 0.1:
            # Each place has five targets of its own that come back: no target is there twice.
            self._numbers[place] += TARGETS
            self._sessions[place] = self._session(self._numbers[place])
        session = self._sessions[place]
        self._clock.value_ms += 1000
        now_ms = self._clock.value_ms
        fetch = HttpFetch()
        try:
            got = await fetch.send(session.request())
        except FetchError as error:
            left = session.fail(error, now_ms, 0.1)
        else:
            began_s = time.perf_counter()
            left = session.succeed(got, now_ms, 0.1)
            took_s = time.perf_counter() - began_s
            outcome.slowest_s = max(outcome.slowest_s, took_s)
            outcome.slow += took_s > BOUND_S
        finally:
            await fetch.aclose()
        try:
            session.settle(left, self._store.append(left.messages()), now_ms)
        except OperatingError as error:
            session.lost(str(error))
        outcome.health[session.state.health] += 1
        outcome.errors[session.state.last_error.partition(":")[0][:40]] += 1


async def attack(folder: Path, rounds: int, seed: int, progress: int = 0) -> Outcome:
    """So many scrapes; every so many, if that is not 0, the figures so far are printed."""
    generator = random.Random(seed)
    outcome = Outcome()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, partial(serve, generator), listeners))
        scrapes = Scrapes(folder, listeners[0].socket.getsockname()[1], generator)
        for number in range(rounds):
            try:
                await scrapes.scrape(outcome)
            except Exception:  # noqa: BLE001 # whatever it is, it is a crash and the next one is tried
                outcome.crashes.append(f"round {number}\n{traceback.format_exc()}")
            if progress and not (number + 1) % progress:
                print(f"{number + 1:,}: {dict(outcome.health)}, {len(outcome.crashes)} crashes", flush=True)
        nursery.cancel_scope.cancel()
    return outcome


def main() -> None:
    """Runs the attack and prints its figures."""
    options = arguments(__doc__ or "", 100_000).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = trio.run(attack, Path(folder), options.rounds, options.seed, 5000)
    health = ", ".join(f"{count:,} {state}" for state, count in outcome.health.most_common())
    figure(
        f"{options.rounds:,} mutated expositions over real connections",
        f"{len(outcome.crashes)} crashes, {outcome.slow} slower than {BOUND_S:.0f} s",
        f"slowest {outcome.slowest_s * 1000:.0f} ms; {health}; {len(outcome.errors)} kinds of errors; seed {options.seed}",
    )
    for crash in outcome.crashes[:5]:
        print(crash, file=sys.stderr)


if __name__ == "__main__":
    main()
