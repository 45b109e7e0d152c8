"""Serverset and Nerve: the contract, sessions and connections that end, a server that says odd things, a real ZooKeeper."""

from __future__ import annotations

import json
import random
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trio

from tests.support.fake_zookeeper import FakeZooKeeper
from tests.support.ports import free_port
from trimon.config import load_text
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.registries.zookeeper import (
    NerveDiscovery,
    ServersetDiscovery,
    serverset_labels,
)
from trimon.discovery.plugin import Context, Discovery
from trimon.offload import ThreadOffload

PATIENCE_S = 20.0


def member(host: str, port: int = 80) -> bytes:
    return json.dumps({"host": host, "port": port, "name": host}).encode()


def nerve(*servers: str, paths: tuple[str, ...] = ("/s",), context: Context | None = None) -> NerveDiscovery:
    section = {"servers": list(servers), "paths": list(paths), "timeout": "4s"}
    text = json.dumps({"scrape_configs": [{"job_name": "z", "nerve_sd_configs": [section]}]})
    (config,) = load_text(text, "p.yml").scrape_configs[0].discovery()
    return NerveDiscovery({"config": config}, context or context_of_doubles(offload=ThreadOffload(2)))


@pytest.fixture
def server() -> Iterator[FakeZooKeeper]:
    made = FakeZooKeeper()
    made.put("/s/a", member("a"))
    made.put("/s/b", member("b"))
    yield made
    made.close()


class TestNerve(DiscoveryContract):
    """The built-in `nerve` keeps the contract, with real sockets."""

    real_time = True
    patience_s = 3.0
    server: ClassVar[FakeZooKeeper]

    @pytest.fixture(autouse=True)
    def _server(self, server: FakeZooKeeper) -> None:
        type(self).server = server

    def make(self, context: Context) -> Discovery:
        return nerve(self.server.address, context=context)

    def change(self, fetch: PreparedFetch) -> None:
        self.server.delete("/s/b")

    def break_source(self, fetch: PreparedFetch) -> None:
        self.server.deaf = True
        self.server.cut()


async def observe(
    discovery: NerveDiscovery | ServersetDiscovery, look: Callable[[Found], Awaitable[None]]
) -> None:
    """Run a discovery, look after its first publish, and end it."""
    found = Found()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, found.sink)
        with trio.fail_after(PATIENCE_S):
            await found.wait_published()
        await look(found)
        nursery.cancel_scope.cancel()


async def becomes(found: Found, *hosts: str) -> None:
    """Wait until the targets are these."""
    with trio.move_on_after(PATIENCE_S):
        while names(found) != sorted(hosts):  # noqa: ASYNC110 # a thread changes the source
            await trio.sleep(0.02)
    assert names(found) == sorted(hosts)


def names(found: Found) -> list[str]:
    return sorted(labels["__address__"].removesuffix(":80") for labels in found.targets)


async def test_changes_are_told_by_watches(server: FakeZooKeeper) -> None:
    """Data, children and deeper levels; what did not change is read once."""

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")
        server.put("/s/c/d", member("d"))
        await becomes(found, "a", "b", "d")
        server.put("/s/a", member("a2"))
        await becomes(found, "a2", "b", "d")
        server.put("/s/a", b"no member")
        await becomes(found, "b", "d")
        server.delete("/s/c")
        await becomes(found, "b")

    await observe(nerve(server.address), look)
    assert server.requests.count(("get", "/s/b")) == 1


async def test_a_connection_that_is_lost_costs_nothing_but_what_changed(server: FakeZooKeeper) -> None:
    """Watches go to the next connection with the session; only what changed meanwhile is read again."""

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")
        with server._lock:
            server.cut()
            server.put("/s/a", member("a2"))
            server.put("/s/c", member("c"))
        await becomes(found, "a2", "b", "c")
        server.put("/s/b", member("b2"))
        await becomes(found, "a2", "b2", "c")

    made = nerve(server.address)
    await observe(made, look)
    assert ("resume", "/s /s/a /s/b") in server.requests
    assert server.requests.count(("get", "/s/b")) == 2
    assert made.inspect()["sessions"] == 1


async def test_a_session_that_has_expired_reads_all_again(server: FakeZooKeeper) -> None:
    """Its watches are gone with it; targets stay until all was read."""

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")
        with server._lock:
            server.expire()
            server.delete("/s/b")
            server.put("/s/c", member("c"))
        await becomes(found, "a", "c")
        server.put("/s/d", member("d"))
        await becomes(found, "a", "c", "d")

    made = nerve(server.address)
    await observe(made, look)
    assert made.inspect()["sessions"] == 2


async def test_a_path_that_does_not_exist_is_told_of_and_waited_for(
    server: FakeZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others work; when it appears its members are found."""
    monkeypatch.setattr("trimon.discovery.mechanisms.registries.zookeeper.AGAIN_S", 0.3)

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")
        assert made.stats.last_error == "path /absent does not exist"
        server.put("/absent/x", member("x"))
        await becomes(found, "a", "b", "x")
        server.delete("/s")
        await becomes(found, "x")

    made = nerve(server.address, paths=("/s/", "/absent"))
    await observe(made, look)


async def test_another_server_is_asked_when_one_is_down(server: FakeZooKeeper) -> None:
    """Of several servers those that cannot be reached do not matter."""
    down = f"127.0.0.1:{free_port()}"

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")

    await observe(nerve(down, server.address, down), look)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        struct.pack(">iqi", 999, 1, 0),
        struct.pack(">iqi", -8, 1, -4),
        struct.pack(">iqi", -1, 1, 0),
        struct.pack(">iqiii", -1, 1, 0, 3, 3) + struct.pack(">i", 2**30),
        struct.pack(">iqiii", -1, 1, 0, 3, 3) + struct.pack(">i", 2) + b"\xff\xfe",
        struct.pack(">iqiii", -1, 1, 0, 77, 3) + struct.pack(">i", 3) + b"/x/",
        struct.pack(">iqi", 1, 1, 0) + struct.pack(">i", 5) + b"x",
    ],
)
async def test_odd_messages_are_an_error_of_the_connection(server: FakeZooKeeper, message: bytes) -> None:
    """Whatever a server says, it is asked again, and the targets come."""
    server.odd = [message]

    async def look(found: Found) -> None:
        await becomes(found, "a", "b")

    await observe(nerve(server.address), look)


async def test_a_member_that_no_target_can_have_holds_no_other_up(server: FakeZooKeeper) -> None:
    """Labels that are too long, children that are told twice, data that is no JSON object: the others are targets."""
    server.put("/s/big", json.dumps({"host": "x" * 60_000, "port": 1, "name": "y"}).encode())
    server.put("/s/list", b"[]")
    server.put("/s/deep", b"[" * 60_000)
    server.put("/s/huge", b'{"host": "' + b"z" * 100_000 + b'"}')
    server.put("/s/type", b'{"host": 3}')
    children = server.children
    server.children = lambda path: children(path) * 2  # type: ignore[method-assign]  # the server tells each child twice

    async def look(found: Found) -> None:
        await becomes(found, "a", "b", "x" * 60_000 + ":1")

    await observe(nerve(server.address), look)


def test_members_of_serversets() -> None:
    """The service's own endpoint is the address; further ones, shard and status are labels."""
    member = {
        "serviceEndpoint": {"host": "fd00::1", "port": 31000},
        "additionalEndpoints": {"http-admin": {"host": "h", "port": 1}},
        "status": "ALIVE",
        "shard": 3,
    }
    labels = serverset_labels("/s/m", Record(member))
    assert labels == {
        "__address__": "[fd00::1]:31000",
        "__meta_serverset_path": "/s/m",
        "__meta_serverset_endpoint_host": "fd00::1",
        "__meta_serverset_endpoint_port": "31000",
        "__meta_serverset_endpoint_host_http_admin": "h",
        "__meta_serverset_endpoint_port_http_admin": "1",
        "__meta_serverset_status": "ALIVE",
        "__meta_serverset_shard": "3",
    }


@pytest.mark.parametrize(
    "data",
    [
        "",
        "x",
        "[]",
        "3",
        '{"serviceEndpoint": 3}',
        '{"additionalEndpoints": {"a": 3}}',
        '{"shard": "1"}',
        "[" * 50_000,
    ],
)
def test_data_that_is_no_member(data: str) -> None:
    """Anything else is the source's trouble."""
    with pytest.raises(SourceError):
        serverset_labels("/s", Record.of_json(data))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_targets_become_those_of_the_server(
    server: FakeZooKeeper, seed: int
) -> None:
    """Through changes, cut connections and expired sessions, in any order."""
    chance = random.Random(seed)

    def change() -> None:
        path = "/s/" + "/".join(chance.choices("abcd", k=chance.randint(1, 3)))
        if path in server.nodes and chance.random() < 0.4:
            server.delete(path)
        else:
            server.put(path, chance.choice((member(f"h{chance.randrange(50)}"), b"", b"nonsense")))

    async def look(found: Found) -> None:
        for _ in range(60):
            await trio.sleep(chance.choice((0, 0, 0.02)))
            what = chance.random()
            with server._lock:
                for _ in range(chance.randint(1, 4)):
                    change()
                if what < 0.15:
                    server.cut()
                elif what < 0.2:
                    server.expire()
                if what < 0.2:
                    change()
        hosts = [json.loads(data)["host"] for path, data in server.nodes.items() if data.startswith(b"{")]
        await becomes(found, *hosts)

    await observe(nerve(server.address), look)


def _installed() -> Path | None:
    found = Path("/usr/share/java/zookeeper.jar")
    return found if found.exists() and shutil.which("java") else None


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A real ZooKeeper, and what starts it again."""
    if _installed() is None:
        pytest.skip("no zookeeper on this machine")
    port = free_port()
    config = tmp_path / "zoo.cfg"
    config.write_text(
        f"tickTime=500\ndataDir={tmp_path / 'data'}\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
        "admin.enableServer=false\nminSessionTimeout=1000\n4lw.commands.whitelist=ruok\n"
    )
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for each in running:
            each.kill()
            each.wait()
        jars = ":".join(str(jar) for jar in Path("/usr/share/java").glob("*.jar"))
        with (tmp_path / "log").open("ab") as log:
            running[:] = [
                subprocess.Popen(
                    [
                        "java",
                        "-Xmx128m",
                        "-cp",
                        jars,
                        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                        str(config),
                    ],
                    stdout=log,
                    stderr=log,
                )
            ]
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as probe:
                    probe.sendall(b"ruok")
                    if probe.recv(4) == b"imok":
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError((tmp_path / "log").read_text()[-2000:])

    start()
    yield f"127.0.0.1:{port}", start
    for each in running:
        each.kill()
        each.wait()


class Writer:
    """Writes to a real server: a client of its own, as ours only reads."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self._send(struct.pack(">iqiq", 0, 0, 30000, 0) + _buffer(bytes(16)))
        self.xid = 0
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, address: str) -> Writer:
        """One that is connected; a server that just began takes no sessions for a moment."""
        for _ in range(100):
            try:
                return cls(address)
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server takes no sessions")

    def _send(self, message: bytes) -> None:
        self.socket.sendall(struct.pack(">i", len(message)) + message)

    def _receive(self) -> bytes:
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data[4:]

    def _ask(self, op: int, body: bytes) -> None:
        self.xid += 1
        self._send(struct.pack(">ii", self.xid, op) + body)
        _, _, error = struct.unpack_from(">iqi", self._receive())
        assert error == 0, error

    def create(self, path: str, data: bytes = b"") -> None:
        anyone = struct.pack(">ii", 1, 31) + _buffer(b"world") + _buffer(b"anyone")
        self._ask(1, _buffer(path.encode()) + _buffer(data) + anyone + struct.pack(">i", 0))

    def set(self, path: str, data: bytes) -> None:
        self._ask(5, _buffer(path.encode()) + _buffer(data) + struct.pack(">i", -1))

    def delete(self, path: str) -> None:
        self._ask(2, _buffer(path.encode()) + struct.pack(">i", -1))

    def close(self) -> None:
        self.socket.close()


def _buffer(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


@pytest.mark.peer
@pytest.mark.slow
async def test_a_real_zookeeper(real_server: tuple[str, Callable[[], None]]) -> None:
    """Reads, watches, a restart of the server, watches that go on after it, and changes while nobody was connected."""
    address, restart = real_server
    writer = Writer.open(address)
    writer.create("/s")
    for index in range(50):
        writer.create(f"/s/m{index}", member(f"m{index}"))
    many = [f"m{index}" for index in range(50)]

    async def look(found: Found) -> None:
        await becomes(found, *many)
        writer.set("/s/m0", member("other"))
        writer.delete("/s/m1")
        await becomes(found, "other", *many[2:])
        await trio.to_thread.run_sync(restart)
        again = await trio.to_thread.run_sync(Writer.open, address)
        again.create("/s/new", member("new"))
        again.delete("/s/m2")
        await becomes(found, "other", "new", *many[3:])
        again.set("/s/m3", member("m3b"))
        await becomes(found, "other", "new", "m3b", *many[4:])
        again.close()
        writer.close()

    made: Any = nerve(address)
    await observe(made, look)
    assert made.inspect()["sessions"] == 1
    assert made.stats.counts["zookeeper_failures"] >= 1
