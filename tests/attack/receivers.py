"""Remote write to real receivers that are killed, slow and failing in turns, from a sender that is killed twice.

    python tests/attack/receivers.py [--seconds 600] [--receivers prometheus,victoria-metrics,trimon]

Between the sender and each receiver stands a gate that answers 500, holds requests back, or takes them and forgets to answer.
At the end each receiver has what the sender stored, sample by sample.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.support.ports import free_port
from tests.support.process import Server

SERIES = 20
TURN_S = 4.0
WRITE = "/api/v1/write"
TEXT = {"Content-Type": "text/plain; version=0.0.4"}
Samples = dict[str, dict[int, str]]


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked was killed
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in the standard library
        del format, args


def serving(handler: type[_Quiet]) -> ThreadingHTTPServer:
    """A server in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def target() -> ThreadingHTTPServer:
    """A target whose samples are another number at each scrape."""
    numbers = iter(range(1, 1 << 40))

    class Target(_Quiet):
        def do_GET(self) -> None:
            number = next(numbers)
            self.answer(200, b"".join(b'x{i="%d"} %d\n' % (i, number + i) for i in range(SERIES)), TEXT)

    return serving(Target)


class Gate:
    """Passes requests on to a receiver, or does to them what its turn says."""

    TURNS = ("passes", "fails", "is slow", "passes", "forgets")

    def __init__(self, port: int) -> None:
        self.turn = "passes"
        self.seen: Counter[str] = Counter()
        gate = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                turn = gate.turn
                if turn == "fails":
                    gate.seen["500 of the gate"] += 1
                    self.answer(500, b"the gate fails")
                    return
                if turn == "is slow":
                    time.sleep(0.7)
                try:
                    status, text, told = gate._passed(port, dict(self.headers), body)
                except OSError:
                    gate.seen["no receiver"] += 1
                    self.close_connection = True
                    return
                gate.seen[str(status)] += 1
                if turn == "forgets":
                    gate.seen["answers forgotten"] += 1
                    self.close_connection = True
                    return
                self.answer(status, text, told)

        self.server = serving(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}{WRITE}"

    def _passed(self, port: int, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", WRITE, body, headers)
            answer = connection.getresponse()
            told = {name: value for name, value in answer.getheaders() if name.startswith("X-Prometheus")}
            return answer.status, answer.read(), told
        except http.client.HTTPException as error:
            raise OSError(str(error)) from None
        finally:
            connection.close()


@dataclass
class Receiver:
    """A real receiver as a process that can be killed."""

    name: str
    directory: Path
    command: Callable[[Path, int], list[str]]
    ending: signal.Signals = signal.SIGKILL
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while it starts or ends."""
    is_over: bool = False

    def start(self) -> None:
        """Starts it and waits until it answers; not when the trial is over."""
        with self.lock:
            if not self.is_over:
                self._start()

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(self.directory, self.port), stdout=log, stderr=log)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                path = "health" if self.name == "victoria-metrics" else "-/ready"
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self.name} does not start")

    def end(self) -> None:
        """Ends it, with SIGKILL where what it has answered for is on its disk."""
        with self.lock:
            assert self.process is not None
            self.process.send_signal(self.ending)
            self.process.wait(30)

    def close(self) -> None:
        """Ends it for good."""
        with self.lock:
            self.is_over = True
            if self.process is not None:
                self.process.kill()
                self.process.wait()


def _prometheus(directory: Path, port: int) -> list[str]:
    (directory / "p.yml").write_text("global: {}\n")
    return [
        "prometheus", f"--config.file={directory / 'p.yml'}", f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
    ]  # fmt: skip


def _trimon(directory: Path, port: int) -> list[str]:
    (directory / "p.yml").write_text("global: {}\n")
    return [
        sys.executable, "-m", "trimon", f"--config.file={directory / 'p.yml'}",
        f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]  # fmt: skip


def _victoria(directory: Path, port: int) -> list[str]:
    return [
        "victoria-metrics", f"-storageDataPath={directory / 'data'}", f"-httpListenAddr=127.0.0.1:{port}",
        "-search.latencyOffset=0s",
    ]  # fmt: skip


COMMANDS: dict[str, tuple[Callable[[Path, int], list[str]], signal.Signals]] = {
    "prometheus": (_prometheus, signal.SIGKILL),
    "trimon": (_trimon, signal.SIGKILL),
    # It answers for samples that it has in memory alone: what a SIGKILL loses there is not the sender's loss.
    "victoria-metrics": (_victoria, signal.SIGTERM),
}


def stored(url: str, at_s: float, seconds: float) -> Samples:
    """What a server with Prometheus' API has of the series: value by time."""
    asked = urllib.parse.urlencode({"query": f"x[{int(seconds)}s]", "time": f"{at_s:.3f}"})
    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=60) as answer:
        result = json.load(answer)["data"]["result"]
    return {
        one["metric"]["i"]: {round(float(time) * 1000): str(float(value)) for time, value in one["values"]}
        for one in result
    }


def exported(url: str, at_s: float) -> tuple[Samples, int]:
    """What a VictoriaMetrics has, with how many samples at one time have several values."""
    asked = urllib.parse.urlencode({"match[]": "x", "end": f"{at_s:.3f}"})
    found: Samples = {}
    contradictions = 0
    with urllib.request.urlopen(f"{url}/api/v1/export?{asked}", timeout=60) as answer:
        for line in answer:
            one = json.loads(line)
            mine = found.setdefault(one["metric"]["i"], {})
            for time_ms, value in zip(one["timestamps"], one["values"], strict=True):
                if value is None:  # a staleness marker, which queries do not show
                    continue
                contradictions += mine.setdefault(time_ms, str(float(value))) != str(float(value))
    return found, contradictions


@dataclass
class Outcome:
    """What a receiver has in the end, beside what the sender stored."""

    samples: int
    lost: int
    doubled: int
    """Samples that the sender does not have, or that have two values at one time."""
    seen: Counter[str]


class Trial:
    """One run."""

    def __init__(self, directory: Path, names: list[str], seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._directory = directory
        self.receivers = [Receiver(name, directory / name, *COMMANDS[name]) for name in names]
        self.gates = [Gate(receiver.port) for receiver in self.receivers]
        self._target = target()
        self._sender: Server | None = None

    def _config(self) -> str:
        sections = [
            {
                "url": gate.url,
                "name": receiver.name,
                "remote_timeout": "2s",
                "queue_config": {
                    "batch_send_deadline": "300ms",
                    "max_samples_per_send": 500,
                    "max_backoff": "500ms",
                },
                **(
                    {"protobuf_message": "io.prometheus.write.v2.Request"}
                    if receiver.name == "trimon"
                    else {}
                ),
            }
            for gate, receiver in zip(self.gates, self.receivers, strict=True)
        ]
        place = f"127.0.0.1:{self._target.server_port}"
        return json.dumps(
            {
                "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                "remote_write": sections,
                "scrape_configs": [{"job_name": "t", "static_configs": [{"targets": [place]}]}],
            }
        )

    def _start_sender(self) -> Server:
        self._sender = Server(self._directory / "sender", self._config()).start()
        return self._sender

    def run(self, seconds: float, turn_s: float = TURN_S) -> dict[str, Outcome]:
        """Receivers come and go for so long, the sender is killed at a third and at two thirds; what came of it."""
        try:
            for receiver in self.receivers:
                receiver.start()
            sender = self._start_sender()
            sender.until("x")
            began_s = time.time()
            kills = [began_s + seconds / 3, began_s + 2 * seconds / 3]
            turn = 0
            while time.time() < began_s + seconds:
                self._begin_turn(turn, turn_s)
                turn += 1
                until_s = time.time() + turn_s
                while time.time() < until_s:
                    if kills and time.time() >= kills[0]:
                        kills.pop(0)
                        sender.kill()
                        sender = self._start_sender()
                    time.sleep(0.05)
            for gate in self.gates:
                gate.turn = "passes"
            return self._judged(sender, began_s)
        finally:
            self.close()

    def _begin_turn(self, turn: int, turn_s: float) -> None:
        for place, gate in enumerate(self.gates):
            gate.turn = Gate.TURNS[(turn + place) % len(Gate.TURNS)]
        if turn % 3 == 1:
            receiver = self.receivers[self._random.randrange(len(self.receivers))]
            receiver.end()
            threading.Timer(turn_s / 3, receiver.start).start()

    def _judged(self, sender: Server, began_s: float) -> dict[str, Outcome]:
        time.sleep(2)
        at_s = time.time() - 1
        seconds = at_s - began_s + 30
        wanted = stored(sender.url, at_s, seconds)
        count = sum(map(len, wanted.values()))
        assert count > SERIES * 10
        outcomes: dict[str, Outcome] = {}
        deadline = time.monotonic() + 60
        for receiver, gate in zip(self.receivers, self.gates, strict=True):
            while True:
                contradictions = 0
                url = f"http://127.0.0.1:{receiver.port}"
                try:
                    if receiver.name == "victoria-metrics":
                        found, contradictions = exported(url, at_s)
                    else:
                        found = stored(url, at_s, seconds)
                except OSError:
                    found = {}
                lost = sum(
                    found.get(series, {}).get(time_ms) != value
                    for series, samples in wanted.items()
                    for time_ms, value in samples.items()
                )
                if not lost or time.monotonic() > deadline:
                    break
                time.sleep(0.5)
            strange = sum(
                time_ms not in wanted.get(series, {})
                for series, samples in found.items()
                for time_ms in samples
            )
            outcomes[receiver.name] = Outcome(count, lost, strange + contradictions, gate.seen)
        return outcomes

    def close(self) -> None:
        """Ends all processes."""
        if self._sender is not None and self._sender.process is not None:
            self._sender.kill()
        for receiver in self.receivers:
            receiver.close()
        for gate in self.gates:
            gate.server.shutdown()
            gate.server.server_close()
        self._target.shutdown()
        self._target.server_close()


def main() -> None:
    """All receivers, for as long as is asked for."""
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--receivers", default="prometheus,victoria-metrics,trimon")
    found = parser.parse_args()
    for _ in range(found.rounds):
        with tempfile.TemporaryDirectory() as directory:
            trial = Trial(Path(directory), found.receivers.split(","), found.seed)
            outcomes = trial.run(found.seconds)
        for name, outcome in outcomes.items():
            figure(
                f"remote write to {name} for {found.seconds:g} s, receivers killed, slow, failing, sender killed twice",
                f"{outcome.lost} lost, {outcome.doubled} doubled of {outcome.samples} samples",
                str(dict(outcome.seen)),
            )


if __name__ == "__main__":
    main()
