"""DNS: the recorded scenarios, the contract, a real server where there is one, and answers that make no sense."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
import trio

from tests.support import standins
from tests.support.ports import free_port
from trimon.config import load_text
from trimon.config.discovery.dns import DnsSdConfig
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.dns import DnsDiscovery
from trimon.discovery.plugin import Context, Discovery
from trimon.offload import ThreadOffload
from trimon.peers import resolver


def config(**fields: Any) -> DnsSdConfig:
    section = {"names": ["hosts.example"], "type": "A", "port": 80, "refresh_interval": "300ms", **fields}
    text = json.dumps({"scrape_configs": [{"job_name": "d", "dns_sd_configs": [section]}]})
    (found,) = load_text(text, "p.yml").scrape_configs[0].discovery()
    assert isinstance(found, DnsSdConfig)
    return found


class FakeDns:
    """A server over UDP, whose answers to a question a function makes."""

    def __init__(self) -> None:
        self.answer: Callable[[dns.message.Message], list[bytes]] = lambda query: []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def hosts(self, *addresses: str, kind: str = "A") -> None:
        """Answer every question with these."""

        def answer(query: dns.message.Message) -> list[bytes]:
            made = dns.message.make_response(query)
            name = query.question[0].name
            if addresses:
                made.answer.append(dns.rrset.from_text(name, 30, "IN", kind, *addresses))
            return [made.to_wire()]

        self.answer = answer

    def _serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(65535)
            if data == b"end":
                return
            for sent in self.answer(dns.message.from_wire(data)):
                self.socket.sendto(sent, peer)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"end", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeDns]:
    """A server that the resolver asks."""
    made = FakeDns()
    use(monkeypatch, tmp_path, made.port)
    yield made
    made.close()


def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, port: int, more: str = "") -> None:
    """Have the resolver ask a server on this machine."""
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver 127.0.0.1\n{more}")
    monkeypatch.setattr(resolver, "RESOLV_CONF", path)
    monkeypatch.setattr(resolver, "PORT", port)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the stand-ins
@pytest.mark.parametrize("name", standins.scenarios("dns") or ["dns"])
async def test_targets_are_those_that_were_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every step the targets are those of 3.14; scenes are played alone, as resolv.conf is one for all."""
    standins.require()
    played = standins.scene(name, tmp_path, standins.new_authority(tmp_path))
    place = played.server.placeholders()["DNS"]
    use(monkeypatch, tmp_path, int(place.rpartition(":")[2]), played.scenario.get("resolv_conf", ""))
    try:
        await standins.play([played])
    finally:
        standins.close(played)
    assert not played.differences, "\n".join(played.differences[:6])
    asked = {(each["path"], each["query"], each["headers"]["proto"]) for each in played.server.state.log}
    wanted = {
        (each["path"], each["query"], each["headers"]["proto"])
        for step in played.truth["steps"]
        for each in step["requests"]
    }
    assert asked == wanted


class TestDns(DiscoveryContract):
    """The built-in `dns` keeps the contract, with real sockets."""

    real_time = True
    patience_s = 3.0
    server: ClassVar[FakeDns]

    @pytest.fixture(autouse=True)
    def _server(self, server: FakeDns) -> None:
        type(self).server = server

    def prepare(self, fetch: PreparedFetch) -> None:
        self.server.hosts("192.0.2.1", "192.0.2.2")

    def make(self, context: Context) -> Discovery:
        return DnsDiscovery({"config": config()}, context)

    def change(self, fetch: PreparedFetch) -> None:
        self.server.hosts("192.0.2.1")

    def break_source(self, fetch: PreparedFetch) -> None:
        self.server.answer = lambda query: [_with_rcode(query, dns.rcode.SERVFAIL)]


def _with_rcode(query: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    made = dns.message.make_response(query)
    made.set_rcode(rcode)
    return made.to_wire()


async def refreshed(**fields: Any) -> list[str]:
    """The addresses of one refresh."""
    made = DnsDiscovery({"config": config(**fields)}, context_of_doubles(offload=ThreadOffload(2)))
    return [target["__address__"] for group in await made.refresh() for target in group.targets]


async def test_answers_to_other_questions_are_passed_over(server: FakeDns) -> None:
    """What comes with another id or for another name, or is nonsense, is not the answer; the right one behind it is."""
    server.hosts("192.0.2.9")
    good = server.answer

    def answer(query: dns.message.Message) -> list[bytes]:
        (sent,) = good(query)
        other = bytes([sent[0] ^ 1]) + sent[1:]
        return [b"", b"garbage", other, sent[:20], query.to_wire(), sent]

    server.answer = answer
    assert await refreshed() == ["192.0.2.9:80"]


async def test_types(server: FakeDns) -> None:
    """MX and NS lose their final dot, SRV brings its own port, IPv6 has brackets; equal names are asked for once."""
    server.hosts("10 mail.example.", kind="MX")
    assert await refreshed(type="mx", port=25) == ["mail.example:25"]
    server.hosts("1 2 443 a.example.", kind="SRV")
    assert await refreshed(type="SRV", names=["x.example", "x.example"]) == ["a.example:443"]
    server.hosts("2001:db8::1", kind="AAAA")
    assert await refreshed(type="AAAA") == ["[2001:db8::1]:80"]


async def test_a_name_that_is_none_is_an_error_of_that_name(server: FakeDns) -> None:
    """A label that is too long cannot be asked for; other names can."""
    server.hosts("192.0.2.1")
    assert await refreshed(names=["x" * 70 + ".example", "good.example"]) == ["192.0.2.1:80"]


async def test_many_names_are_asked_for_side_by_side(server: FakeDns) -> None:
    """A long list of names takes no longer than its answers."""
    server.hosts("192.0.2.1")
    with trio.fail_after(60):
        assert len(await refreshed(names=[f"n{index}.example" for index in range(500)])) == 500


ZONE = """$TTL 30
@ IN SOA ns1 admin 1 60 60 60 60
@ IN NS ns1
ns1 IN A 192.0.2.53
hosts IN A 192.0.2.1
hosts IN A 192.0.2.2
alias IN CNAME hosts
_web._tcp IN SRV 10 5 8080 hosts
six IN AAAA 2001:db8::1
@ IN MX 10 mail
"""
BIG = [(port, f"{'long' * 14}-{port}.example.org") for port in range(1, 91)]


@pytest.fixture
def bind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real name server for a zone of our own."""
    named = shutil.which("named") or shutil.which("named", path="/usr/sbin")
    if named is None:
        pytest.skip("no bind9 on this machine")
    port = free_port()
    lines = ZONE + "".join(f"big IN SRV 0 0 {port} {name}.\n" for port, name in BIG)
    (tmp_path / "zone").write_text(lines)
    (tmp_path / "named.conf").write_text(
        f'options {{ directory "{tmp_path}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; '
        f'pid-file none; session-keyfile "{tmp_path}/key"; recursion no; dnssec-validation no; }};\n'
        'controls { };\nzone "trimon.example" { type primary; file "zone"; };\n'
    )
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [named, "-g", "-n", "1", "-c", str(tmp_path / "named.conf")], stdout=log, stderr=log
        )
        try:
            for _ in range(1200):
                if "running" in (tmp_path / "log").read_text():
                    break
                time.sleep(0.05)
            use(monkeypatch, tmp_path, port, "search trimon.example\n")
            yield
        finally:
            running.kill()
            running.wait()


@pytest.mark.peer
@pytest.mark.usefixtures("bind")
@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("A", "hosts.trimon.example", ["192.0.2.1:80", "192.0.2.2:80"]),
        ("A", "hosts", ["192.0.2.1:80", "192.0.2.2:80"]),
        ("A", "alias.trimon.example.", ["192.0.2.1:80", "192.0.2.2:80"]),
        ("AAAA", "six", ["[2001:db8::1]:80"]),
        ("AAAA", "hosts", []),
        ("A", "absent.trimon.example.", []),
        ("SRV", "_web._tcp.trimon.example", ["hosts.trimon.example:8080"]),
        ("MX", "trimon.example", ["mail.trimon.example:80"]),
        ("NS", "trimon.example", ["ns1.trimon.example:80"]),
        ("SRV", "big", sorted(f"{name}:{port}" for port, name in BIG)),
    ],
)
async def test_a_real_name_server(kind: str, name: str, expected: list[str]) -> None:
    """BIND's answers: aliases, what there is not, an answer that only fits into TCP, names compressed."""
    assert sorted(await refreshed(type=kind, names=[name])) == expected
