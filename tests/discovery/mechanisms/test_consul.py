"""Consul: the contract, the order of what is said, indexes, many services, and answers that are odd."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import trio

from tests.support.oddanswers import json_variants
from trimon.config.discovery.registries import ConsulSdConfig
from trimon.config.secret import Secret, SecretUrl
from trimon.discovery.asking.record import Record
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.registries import consul
from trimon.discovery.mechanisms.registries.consul import ConsulDiscovery
from trimon.discovery.mechanisms.registries.consulpolls import PROMPT_MAX, PollPlaces, Polls
from trimon.discovery.mechanisms.registries.consulquery import Place
from trimon.discovery.mechanisms.registries.consultargets import health
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.budget import ConnectionBudget
from trimon.fetch.request import FetchError, FetchRequest, Response

BASE = "http://localhost:8500/v1"


def entry(name: str, at: int = 1) -> dict[str, Any]:
    return {
        "Node": {"Node": "n", "Address": f"192.0.2.{at}", "Meta": {"a.b": "c"}, "TaggedAddresses": {"lan": "x"}},
        "Service": {"ID": name, "Service": name, "Tags": ["t"], "Address": "", "Port": 80, "Meta": {"m": "v"}},
        "Checks": [{"CheckID": "c", "Status": "passing"}],
    }  # fmt: skip


def answer(value: object, index: int) -> Response:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(200, "OK", "application/json", body, len(body), {"x-consul-index": str(index)})


class Agent(PreparedFetch):
    """An agent whose queries block until its index is another than the one they have."""

    def __init__(self, services: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__()
        self.services = services
        self.index = 7
        self.broken: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.changed = trio.Event()

    def change(self, index: int | None = None) -> None:
        self.index = self.index + 1 if index is None else index
        self.changed.set()
        self.changed = trio.Event()

    async def send(self, request: FetchRequest) -> Response:
        self.requests.append(request)
        url = urlsplit(request.url)
        known = int(parse_qs(url.query).get("index", ["0"])[0])
        name = unquote(url.path.rpartition("/")[2])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.sleep(0.001)
            with trio.move_on_after(float(parse_qs(url.query).get("wait", ["0ms"])[0][:-2]) / 1000):
                while known and known == self.index:
                    await self.changed.wait()
        finally:
            self.at_once -= 1
        if name in self.broken:
            raise FetchError("broken")
        if name == "self":
            return answer({"Config": {"Datacenter": "dc1"}}, 1)
        if url.path.endswith("/catalog/services"):
            return answer({each: ["t"] for each in self.services}, self.index)
        return answer(self.services.get(name, []), self.index)


def make(context: Context, **options: Any) -> ConsulDiscovery:
    return ConsulDiscovery({"config": ConsulSdConfig(**options)}, context)


def ids(found: Found) -> list[str]:
    return sorted(labels["__meta_consul_service_id"] for labels in found.targets)


class TestConsul(DiscoveryContract):
    """Consul keeps the contract."""

    def make(self, context: Context) -> ConsulDiscovery:
        return make(context)

    def _fill(self, fetch: PreparedFetch, services: tuple[str, ...], index: int) -> None:
        fetch.answers[f"{BASE}/agent/self"] = '{"Config": {"Datacenter": "dc1"}}'
        for known in ("", "index=1&", "index=2&"):
            rest = f"{known}stale=&wait=120000ms"
            fetch.answers[f"{BASE}/catalog/services?{rest}"] = answer({name: [] for name in services}, index)
            for name in services:
                fetch.answers[f"{BASE}/health/service/{name}?{rest}"] = answer([entry(name)], index)

    def prepare(self, fetch: PreparedFetch) -> None:
        self._fill(fetch, ("web", "db"), 1)

    def change(self, fetch: PreparedFetch) -> None:
        self._fill(fetch, ("web",), 2)

    def break_source(self, fetch: PreparedFetch) -> None:
        for url in list(fetch.answers):
            if "/web" in url:
                fetch.answers[url] = answer(b"[{", 3)


async def watched(agent: Agent, scene: Callable[[Found, ConsulDiscovery], Any], **options: Any) -> None:
    found = Found()
    discovery = make(context_of_doubles(fetch=agent), refresh_interval=1000, **options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, found.sink)
        await scene(found, discovery)
        nursery.cancel_scope.cancel()


async def test_nothing_is_said_before_all_have_answered(autojump_clock: object) -> None:
    """The first publish waits for every service; one that cannot be asked holds it up, and is asked again."""
    agent = Agent({"web": [entry("web")], "db": [entry("db")]})
    agent.broken.add("db")

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await trio.sleep(60)
        assert not found.published
        assert discovery.stats.counts["rpc_failures"] >= 3
        assert discovery.stats.last_error == "broken"
        agent.broken.clear()
        await found.wait_published()
        assert ids(found) == ["db", "web"]
        assert found.changes == 1

    await watched(agent, scene)


async def test_a_vanished_service_is_gone_and_may_come_back(autojump_clock: object) -> None:
    """A service that is no longer in the catalog is taken away, its watcher ends, and a new one begins when it is back."""
    agent = Agent({"web": [entry("web")], "db": [entry("db")]})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await found.wait_published()
        db = agent.services.pop("db")
        agent.change()
        await trio.sleep(5)
        assert ids(found) == ["web"]
        assert discovery.inspect()["services_watched"] == 1
        agent.services["db"] = db
        agent.change()
        await trio.sleep(5)
        assert ids(found) == ["db", "web"]

    await watched(agent, scene)


async def test_an_index_that_goes_backwards_begins_anew(autojump_clock: object) -> None:
    """After a smaller index the next query has none, and what it says is taken."""
    agent = Agent({"web": [entry("web")]})
    agent.index = 500

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await found.wait_published()
        agent.services["web"] = [entry("web"), entry("web-2", 2)]
        agent.change(3)
        await trio.sleep(5)
        assert ids(found) == ["web", "web-2"]
        at = [request.url for request in agent.requests if "/service/web" in request.url]
        assert [("index=500" in url, "index=3" in url) for url in at] == [
            (False, False),
            (True, False),
            (False, False),
            (False, True),
        ]

    await watched(agent, scene)


async def test_thousands_of_services_share_bounded_connections(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more services than connections they take turns; a change of any shows within a few intervals."""
    places = PollPlaces(ConnectionBudget(80))
    monkeypatch.setattr(consul, "Polls", lambda context: Polls(context, places))
    agent = Agent({f"s{at}": [entry(f"s{at}")] for at in range(1000)})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await found.wait_published()
        assert len(found.targets) == 1000
        agent.services["s999"] = []
        agent.change()
        await trio.sleep(5)
        assert len(found.targets) == 999
        assert places.limiter.total_tokens == 20
        # One for the catalog, and those that do not wait.
        assert agent.most_at_once <= 21 + PROMPT_MAX
        assert places.watchers == 1000

    await watched(agent, scene)
    assert places.watchers == 0


async def test_only_named_services_are_watched_without_the_catalog(autojump_clock: object) -> None:
    """With `services` alone the catalog is not asked; a service that does not exist has no targets."""
    agent = Agent({"web": [entry("web")], "db": [entry("db")]})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await found.wait_published()
        assert ids(found) == ["web"]
        assert not any("catalog" in request.url for request in agent.requests)

    await watched(agent, scene, services=("web", "absent"))


@pytest.mark.parametrize("which", ["self", "services", "web"])
async def test_odd_answers_are_trouble(which: str, autojump_clock: object) -> None:
    """Whatever an agent says, the discovery goes on asking, and publishes nothing that is no target."""

    class Odd(Agent):
        async def send(self, request: FetchRequest) -> Response:
            good = await super().send(request)
            if urlsplit(request.url).path.endswith(f"/{which}"):
                self.bodies = getattr(self, "bodies", None) or json_variants(good.body)
                return answer(next(self.bodies, b"end"), len(self.requests) + 10)
            return good

    agent = Odd({"web": [entry("web")]})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await trio.sleep(3000)
        assert discovery.stats.counts["rpc_failures"] > 20

    await watched(agent, scene)


@pytest.mark.parametrize("index", ["", "x", "-1", "1" * 30, "\u0661"])
async def test_an_index_that_is_none_is_trouble(index: str, autojump_clock: object) -> None:
    """An answer without a good index is not taken."""

    class Odd(Agent):
        async def send(self, request: FetchRequest) -> Response:
            good = await super().send(request)
            return Response(200, "OK", "", good.body, 1, {"x-consul-index": index})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await trio.sleep(60)
        assert not found.published
        assert "X-Consul-Index" in discovery.stats.last_error

    await watched(Odd({"web": [entry("web")]}), scene)


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        ([], "passing"),
        ([("a", "passing"), ("b", "warning")], "warning"),
        ([("a", "critical"), ("b", "warning")], "critical"),
        ([("_node_maintenance", "critical")], "maintenance"),
        ([("_service_maintenance:x", "critical"), ("a", "critical")], "maintenance"),
        ([("a", "strange")], ""),
    ],
)
def test_health_is_that_of_the_worst_check(checks: list[tuple[str, str]], wanted: str) -> None:
    """Maintenance beats all, then the worst; a state that nobody knows is none."""
    assert health([Record({"CheckID": name, "Status": status}) for name, status in checks]) == wanted


@pytest.mark.parametrize("seed", range(25))
async def test_in_the_end_all_is_as_the_agent_has_it(seed: int, autojump_clock: object) -> None:
    """Services come, go and change, queries fail, indexes jump back and forth: once that ends the targets are the agent's."""
    chance = random.Random(seed)
    agent = Agent({f"s{at}": [entry(f"s{at}")] for at in range(chance.randrange(4))})
    indexes = chance.sample(range(1, 100_000), 500)
    names = [f"s{at}" for at in range(8)]

    def trouble() -> None:
        name = chance.choice(names)
        match chance.randrange(5):
            case 0:
                agent.services.pop(name, None)
            case 1:
                agent.broken ^= {chance.choice([*names, "services"])}
            case _:
                agent.services[name] = [entry(f"{name}-{at}", at + 1) for at in range(chance.randrange(4))]
        agent.change(indexes.pop())

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        for _ in range(chance.randrange(100)):
            trouble()
            await trio.sleep(chance.choice([0.0, 0.0005, 0.1, 3.0, 20.0]))
        agent.broken.clear()
        agent.change(indexes.pop())
        await trio.sleep(300)
        wanted = sorted(each["Service"]["ID"] for entries in agent.services.values() for each in entries)
        assert ids(found) == wanted
        assert discovery.inspect()["services_watched"] == len(agent.services)
        assert discovery.inspect()["failing"] == []
        assert not discovery.stats.last_error

    await watched(agent, scene)


@pytest.mark.parametrize(
    ("server", "options", "place"),
    [
        ("c:8500", {}, Place("http://c:8500")),
        ("c:8500/", {"scheme": "https", "path_prefix": "a/b/"}, Place("https://c:8500/a/b")),
        ("https://c/x/", {"scheme": "http"}, Place("https://c/x")),
        ("unix:///run/consul.sock", {"path_prefix": "/p"}, Place("http://localhost/p", "/run/consul.sock")),
    ],
)
def test_where_an_agent_is(server: str, options: dict[str, Any], place: Place) -> None:
    """An address may have a scheme, which wins, or name a socket; a prefix begins with one slash and ends with none."""
    assert Place.of(ConsulSdConfig(server=SecretUrl(server), **options)) == place


def test_an_address_that_cannot_be_reached_is_refused() -> None:
    """A scheme that is none of Consul's is a fault of the configuration."""
    with pytest.raises(UserError, match="ftp"):
        make(context_of_doubles(), server=SecretUrl("ftp://c"))


async def test_the_token_and_the_scope_are_in_every_request(autojump_clock: object) -> None:
    """A token in the configuration goes along in its own header; name space and partition in the query."""
    agent = Agent({"web": [entry("web")]})

    async def scene(found: Found, discovery: ConsulDiscovery) -> None:
        await found.wait_published()
        assert {dict(request.headers)["X-Consul-Token"] for request in agent.requests} == {"token-of-test"}
        assert all("ns=n&partition=p" in request.url for request in agent.requests)
        assert "tag=t&wait=" in agent.requests[-1].url

    token = Secret("token-of-test")
    await watched(agent, scene, services=("web",), token=token, namespace="n", partition="p", tags=("t",))
