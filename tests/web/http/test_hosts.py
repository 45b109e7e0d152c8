"""Under which hosts and from which origins the server is asked: pages of others read and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.asgi import Call
from tests.support.web_world import web_world
from trimon.cli.server.commandline import read_command_line
from trimon.cli.server.serveroptions import listen_addresses, web_options
from trimon.web.context import WebOptions
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.hosts import REMEMBERED_MAX, AllowedHosts

OWN = (
    "localhost",
    "LOCALHOST:9090",
    "a.localhost:1",
    "127.0.0.1:9090",
    "127.9.9.9",
    "[::1]:9090",
    "[::1]",
    "localhost.:9090",
    "",
)
FOREIGN = (
    "evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:9090", "<x", "a..b",
    "[::1", "::1]x", "127.0.0.1@evil.example", "0.0.0.0:9090", "xlocalhost", "127.0.0.1%evil.example", "\xff",
)  # fmt: skip


def test_hosts_of_this_machine_are_its_own() -> None:
    """Loopback names and addresses are answered with any port, nothing that merely looks like them."""
    hosts = AllowedHosts(["prometheus.example:443", "*.corp.example"])
    for host in (*OWN, "Prometheus.example", "prometheus.example:80", "a.b.corp.example"):
        assert hosts.allows(host.encode("latin1")), host
    for host in (*FOREIGN, "corp.example", "a.prometheus.example"):
        assert not hosts.allows(host.encode("latin1")), host
    assert AllowedHosts(["*"]).allows(b"evil.example")


def test_hosts_are_remembered_within_bounds() -> None:
    """A client that names a new host each time takes no memory."""
    hosts = AllowedHosts([])
    assert all(hosts.allows(b"localhost:%d" % port) for port in range(1000))
    assert len(hosts._allowed) == REMEMBERED_MAX


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        ((), ("127.0.0.1",)),
        (("--web.listen-address=localhost:9090", "--web.listen-address=[::1]:9090"), ("localhost", "::1")),
        (("--web.listen-address=:9090",), None),
        (("--web.listen-address=127.0.0.1:9090", "--web.listen-address=10.1.1.1:9090"), None),
        (("--web.listen-address=:9090", "--web.allowed-hosts=a, b"), ("a", "b")),
        (("--web.allowed-hosts=a", "--web.allowed-hosts=b"), ("a", "b", "127.0.0.1")),
    ],
)
def test_the_listeners_and_the_flag_say_what_is_checked(
    flags: tuple[str, ...], allowed: tuple[str, ...] | None
) -> None:
    """On loopback alone hosts are checked; elsewhere when the flag names some."""
    given = read_command_line(list(flags))
    options = web_options(given, "127.0.0.1:9090", listen_addresses(given["web.listen-address"]))
    assert options.allowed_hosts == allowed


async def test_a_foreign_host_reads_nothing(tmp_path: Path) -> None:
    """Under a page's own name every route is 421 and names the flag; probes say that the server lives."""
    options = WebOptions(allowed_hosts=(), external=ExternalUrl("http://prometheus.example/"))
    async with web_world(tmp_path, options) as here:
        app = here.client.app
        for target in ("/api/v1/query?query=1", "/metrics", "/", "/nothing", "/debug/actors"):
            status, _, body = await Call("GET", target, {"host": "evil.example:9090"}).to(app)
            assert status == 421, target
            assert b"evil.example:9090; see --web.allowed-hosts" in body
        for target in ("/-/healthy", "/-/ready"):
            assert (await Call("GET", target, {"host": "evil.example"}).to(app))[0] == 200
        for host in ("localhost:9090", "prometheus.example"):
            assert (await Call("GET", "/api/v1/query?query=1", {"host": host}).to(app))[0] == 200


@pytest.mark.parametrize("target", ["/api/v1/admin/tsdb/delete_series?match[]=a", "/-/reload", "/-/quit"])
async def test_pages_of_others_change_nothing(target: str, tmp_path: Path) -> None:
    """What changes something is refused to a page of another origin, unless the flag allows its origin."""
    options = WebOptions(enable_admin_api=True, enable_lifecycle=True, changing_origin="https://ui[.]example")
    async with web_world(tmp_path, options) as here:
        for origin, allowed in (
            ("http://evil.example", False), ("null", False), ("http://x.evil", False), ("https://ui.example.evil", False),
            ("http://x", True), ("https://X", True), ("https://ui.example", True), ("http://127.0.0.1:9090", True), ("", True),
        ):  # fmt: skip
            headers = {"origin": origin} if origin else {}
            status, _, body = await Call("POST", target, headers).to(here.client.app)
            assert (status in (200, 204)) == allowed, (origin, status, body)
            assert allowed or (status == 403 and b"--web.cors.origin" in body)


@pytest.mark.parametrize("host", [*FOREIGN, "a" * 64, "x" * 70_000, "%", "a b", "a/../b", "[v1.x]"])
async def test_a_host_that_is_none_is_no_failure(host: str, tmp_path: Path) -> None:
    """A request that the framework reads is answered under whatever host."""
    async with web_world(tmp_path) as here:
        headers = {
            "host": host, "transfer-encoding": "chunked", "content-type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        status, _, _ = await Call("POST", "/api/v1/query", headers, b"query=1").to(here.client.app)
        assert status == 200
        assert not here.context.tree().reports.latest()
