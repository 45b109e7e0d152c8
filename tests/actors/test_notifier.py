"""The notifier in virtual time: each Alertmanager at its own pace, nothing waits for another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
import trio
from trio.testing import MockClock

from trimon.actors.alertsender import NotifierSettings
from trimon.actors.discovery.discovered import Discovered
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.notifier import Notifier, notifier_mailbox
from trimon.config import load_text
from trimon.config.alerting import AlertingConfig
from trimon.fetch.request import FetchError, FetchRequest, Response, StreamedResponse
from trimon.log import LogBuffer
from trimon.model.labels import labels_of
from trimon.notify.alertmanagers import AlertmanagerSet
from trimon.notify.message import AlertMessage

URLS = [f"http://{name}:9093/api/v2/alerts" for name in "ab"]


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@dataclass
class FakeAlertmanager:
    """Answers after a while; keeps when it got what."""

    status: int = 200
    delay_s: float = 0.0
    error: str = ""
    got: list[tuple[float, list[str]]] = field(default_factory=list)


class FakeFetch:
    def __init__(self, peers: dict[str, FakeAlertmanager]) -> None:
        self._peers = peers

    async def send(self, request: FetchRequest) -> Response:
        peer = self._peers[request.url]
        assert (request.method, request.headers) == ("POST", (("Content-Type", "application/json"),))
        names = [alert["labels"]["alertname"] for alert in orjson.loads(request.body)]
        peer.got.append((trio.current_time(), names))
        await trio.sleep(peer.delay_s)
        if peer.error:
            raise FetchError(peer.error)
        return Response(peer.status, "Said So", "", b"", 0)

    def stream(self, request: FetchRequest) -> AbstractAsyncContextManager[StreamedResponse]:
        raise NotImplementedError

    async def aclose(self) -> None:
        return None


def alerting(text: str) -> AlertingConfig:
    """A section `alerting` with these fields."""
    return load_text(f"alerting: {{{text}}}\n", "p.yml").main.alerting


@dataclass
class NotifierWorld:
    notifier: Notifier
    peers: dict[str, FakeAlertmanager]
    log: LogBuffer
    connected: list[AlertmanagerSet]
    """For whom a connection was made, in order."""

    def configure(self, text: str) -> None:
        self.notifier.configure(alerting(text), ())

    def notify(self, *names: str) -> None:
        self.notifier.notify([AlertMessage(labels_of({"alertname": name}), (), 1, 2) for name in names])


@asynccontextmanager
async def notifier_world(
    text: str = "alertmanagers: [{timeout: 5s}]",
    settings: NotifierSettings | None = None,
    *,
    prepare: Callable[[dict[str, FakeAlertmanager]], object] = lambda _: None,
) -> AsyncIterator[NotifierWorld]:
    """A notifier with one set of two Alertmanagers, a and b."""
    peers = {url: FakeAlertmanager() for url in URLS}
    prepare(peers)
    log, reports = LogBuffer(), CrashReports()
    mailbox, pool = notifier_mailbox(), Pool[str]("alertmanagers", reports=reports)
    connected: list[AlertmanagerSet] = []

    def connect(managers: AlertmanagerSet) -> FakeFetch:
        connected.append(managers)
        return FakeFetch(peers)

    notifier = Notifier(mailbox, pool, settings or NotifierSettings(), connect, log)
    root = Group(
        "notifying",
        [
            ChildSpec("alertmanagers", lambda: pool, restart=Restart.ALWAYS, drain_s=30.0),
            ChildSpec("notifier", lambda: notifier, mailbox, Restart.ALWAYS, drain_s=5.0),
        ],
        reports=reports,
    )
    notifier.configure(alerting(text), ())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await root.ready.wait()
        notifier.take(Discovered("config-0", ({"__address__": "a:9093"}, {"__address__": "b:9093"})))
        await trio.sleep(0.01)
        yield NotifierWorld(notifier, peers, log, connected)
        await root.stop(within_s=60)
    assert reports.total == 0


async def test_all_alertmanagers_are_told(autojump_clock: MockClock) -> None:
    """Every Alertmanager gets every alert, what waits in one request, and it is counted."""
    async with notifier_world() as here:
        here.notify("one", "two")
        await trio.sleep(1)
        assert [peer.got[0][1] for peer in here.peers.values()] == [["one", "two"]] * 2
        assert {counts.sent for counts in here.notifier.counts.values()} == {2}


async def test_a_slow_one_delays_no_other(autojump_clock: MockClock) -> None:
    """While one takes four seconds for an answer the other gets its alerts at once; what waited comes together."""

    def slow(peers: dict[str, FakeAlertmanager]) -> None:
        peers[URLS[0]].delay_s = 4.0

    async with notifier_world(prepare=slow) as here:
        began_s = trio.current_time()
        for number in range(4):
            here.notify(f"n{number}")
            await trio.sleep(1)
        quick = here.peers[URLS[1]].got
        assert [names for _, names in quick] == [["n0"], ["n1"], ["n2"], ["n3"]]
        assert all(at - began_s - number < 0.1 for number, (at, _) in enumerate(quick))
        await trio.sleep(5)
        assert [names for _, names in here.peers[URLS[0]].got] == [["n0"], ["n1", "n2", "n3"]]


async def test_what_is_refused_is_lost_and_counted(autojump_clock: MockClock) -> None:
    """An answer that is no success, and none at all, lose their batch with a line in the log; nothing is sent twice."""

    def bad(peers: dict[str, FakeAlertmanager]) -> None:
        peers[URLS[0]].status = 500
        peers[URLS[1]].error = "connection refused"

    async with notifier_world(prepare=bad) as here:
        here.notify("one")
        await trio.sleep(60)
        assert [len(peer.got) for peer in here.peers.values()] == [1, 1]
        for counts in here.notifier.counts.values():
            assert (counts.sent, counts.errors, counts.dropped) == (0, 1, 1)
        told = {fields["err"] for _, message, fields in here.log.entries if message == "Error sending alerts"}
        assert told == {"bad response status 500 Said So", f'Post "{URLS[1]}": connection refused'}


async def test_of_too_many_the_oldest_are_dropped(autojump_clock: MockClock) -> None:
    """A queue holds so many alerts; batches are no larger than is said; what is dropped is counted and logged."""

    def slow(peers: dict[str, FakeAlertmanager]) -> None:
        peers[URLS[0]].delay_s = 10.0

    settings = NotifierSettings(queue_alerts_max=5, batch_alerts_max=2)
    async with notifier_world(settings=settings, prepare=slow) as here:
        here.notify("first")
        await trio.sleep(1)
        here.notify(*(f"n{number}" for number in range(8)))
        await trio.sleep(100)
        assert [names for _, names in here.peers[URLS[0]].got] == [
            ["first"],
            ["n3", "n4"],
            ["n5", "n6"],
            ["n7"],
        ]
        assert here.notifier.counts[URLS[0]].dropped == 3
        assert any("dropping alerts" in message for _, message, _ in here.log.entries)


@pytest.mark.parametrize("drains", [True, False])
async def test_a_stop_sends_what_waits_or_says_what_is_lost(drains: bool, autojump_clock: MockClock) -> None:
    """With draining everything is sent before the end; without, what waits is dropped with a warning."""

    def slow(peers: dict[str, FakeAlertmanager]) -> None:
        peers[URLS[0]].delay_s = 2.0

    async with notifier_world(
        settings=NotifierSettings(batch_alerts_max=1, drains=drains), prepare=slow
    ) as here:
        here.notify("one", "two", "three")
        await trio.sleep(1)
    got = [names for _, names in here.peers[URLS[0]].got]
    assert got == ([["one"], ["two"], ["three"]] if drains else [["one"]])
    lost = [fields["count"] for _, message, fields in here.log.entries if "not drained" in message]
    assert lost == ([] if drains else [2])


async def test_alertmanagers_come_and_go(autojump_clock: MockClock) -> None:
    """What discovery does not know any more is told nothing; a set that did not change keeps what waits."""
    async with notifier_world() as here:
        here.notifier.take(Discovered("config-0", ({"__address__": "b:9093"},)))
        here.notifier.take(Discovered("config-9", ({"__address__": "c:9093"},)))
        assert here.notifier.active == [URLS[1]]
        here.notify("one")
        await trio.sleep(1)
        assert [len(here.peers[url].got) for url in URLS] == [0, 1]
        here.notifier.configure(load_text("global: {}\n", "p.yml").main.alerting, ())
        here.notify("two")
        await trio.sleep(1)
        assert [len(here.peers[url].got) for url in URLS] == [0, 1]


async def test_alerts_from_before_the_first_discovery_wait_for_it(autojump_clock: MockClock) -> None:
    """What fires before a set's Alertmanagers are known is sent when they are, the newest as many as a queue holds."""
    text = "alertmanagers: [{timeout: 5s}, {timeout: 6s}]"
    found = Discovered("config-1", ({"__address__": "b:9093"},))
    async with notifier_world(text, NotifierSettings(queue_alerts_max=2)) as here:
        here.notifier.take(Discovered("config-0", ()))
        here.notify("one", "two", "three")
        await trio.sleep(1)
        here.notifier.take(found)
        await trio.sleep(1)
        assert [names for _, names in here.peers[URLS[1]].got] == [["two", "three"]]
        here.notifier.take(Discovered("config-1", ()))
        here.notify("four")
        await trio.sleep(1)
        here.notifier.take(found)
        await trio.sleep(1)
        assert len(here.peers[URLS[1]].got) == 1


DROP_B = "relabel_configs: [{source_labels: [__address__], regex: 'b:.*', action: drop}]"


@pytest.mark.parametrize(
    ("section", "active"),
    [
        ("path_prefix: /p", [f"http://{name}:9093/p/api/v2/alerts" for name in "ab"]),
        ("scheme: https", [f"https://{name}:9093/api/v2/alerts" for name in "ab"]),
        (DROP_B, URLS[:1]),
        ("relabel_configs: [{target_label: __address__, replacement: 'c:1'}]", ["http://c:1/api/v2/alerts"]),
    ],
)
async def test_a_changed_section_holds_though_discovery_says_nothing_new(
    section: str, active: list[str], autojump_clock: MockClock
) -> None:
    """What a section makes of the addresses that are known is looked at anew, told to those alone, and taken back."""
    async with notifier_world() as here:
        for url in active:
            here.peers.setdefault(url, FakeAlertmanager())
        here.configure(f"alertmanagers: [{{timeout: 5s, {section}}}]")
        assert here.notifier.active == active
        assert list(here.notifier.counts) == active
        here.notify("one")
        await trio.sleep(1)
        assert {url for url, peer in here.peers.items() if peer.got} == set(active)
        here.configure("alertmanagers: [{timeout: 5s}]")
        assert here.notifier.active == URLS
        assert here.notifier.dropped == []


@pytest.mark.parametrize(
    "section",
    ["timeout: 6s", "timeout: 5s, basic_auth: {username: u, password: p}", "follow_redirects: false"],
)
async def test_a_replaced_sender_keeps_nobody_waiting(section: str, autojump_clock: MockClock) -> None:
    """While the sender of the old section waits for an answer the new one sends, over a connection of the new section."""

    def slow(peers: dict[str, FakeAlertmanager]) -> None:
        peers[URLS[0]].delay_s = 4.0

    async with notifier_world(prepare=slow) as here:
        here.notify("one")
        await trio.sleep(1)
        here.notify("two")
        await trio.sleep(0.1)
        here.configure(f"alertmanagers: [{{{section}}}]")
        here.notify("three")
        await trio.sleep(20)
        for url in URLS:
            assert sorted(names for _, names in here.peers[url].got) == [["one"], ["three"], ["two"]]
        assert {counts.sent for counts in here.notifier.counts.values()} == {3}
        assert here.connected[-1].config == alerting(f"alertmanagers: [{{{section}}}]").alertmanagers[0]


async def test_alerts_are_relabeled_as_the_section_says_now(autojump_clock: MockClock) -> None:
    """`alert_relabel_configs` of the section and of all sections hold from the reload on."""
    rule = "alert_relabel_configs: [{target_label: alertname, replacement: %s}]"
    async with notifier_world() as here:
        for where in (f"alertmanagers: [{{{rule % 'set'}}}]", f"{rule % 'all'}, alertmanagers: [{{}}]"):
            here.configure(where)
            here.notify("one")
            await trio.sleep(1)
        for url in URLS:
            assert [names for _, names in here.peers[url].got] == [["set"], ["all"]]


async def test_a_section_that_moves_keeps_its_alertmanagers(autojump_clock: MockClock) -> None:
    """A section that changes its place keeps its addresses and what waits for them; who takes its place has neither."""
    moving = "{timeout: 6s, path_prefix: /q, static_configs: [{targets: ['c:1']}]}"
    other = "{timeout: %ds, static_configs: [{targets: ['d:1']}]}"
    url = "http://c:1/q/api/v2/alerts"
    async with notifier_world(f"alertmanagers: [{{timeout: 5s}}, {moving}]") as here:
        here.peers[url] = FakeAlertmanager()
        here.notify("early")
        await trio.sleep(1)
        here.configure(f"alertmanagers: [{moving}]")
        assert here.notifier.active == []
        here.notifier.take(Discovered("config-0", ({"__address__": "c:1"},)))
        await trio.sleep(1)
        assert [names for _, names in here.peers[url].got] == [["early"]]
        here.configure(f"alertmanagers: [{other % 7}, {moving}]")
        assert here.notifier.active == [url]
        here.notify("late")
        await trio.sleep(1)
        assert [names for _, names in here.peers[url].got] == [["early"], ["late"]]
        here.configure(f"alertmanagers: [{other % 8}, {moving}]")
        assert here.notifier.active == [url]
        waits = here.peers["http://d:1/api/v2/alerts"] = FakeAlertmanager()
        here.notifier.take(Discovered("config-0", ({"__address__": "d:1"},)))
        await trio.sleep(1)
        connections = len(here.connected)
        assert [names for _, names in waits.got] == [["late"]]
        here.configure("alertmanagers: [{timeout: 8s, static_configs: [{targets: ['d:1', 'e:1']}]}]")
        assert here.notifier.active == ["http://d:1/api/v2/alerts"]
        assert len(here.connected) == connections


async def test_counts_end_with_the_address(autojump_clock: MockClock) -> None:
    """However many addresses discovery finds one after the other, counts are kept for those that are there, and go on."""
    async with notifier_world() as here:
        here.notify("one")
        await trio.sleep(1)
        for number in range(50):
            found = ({"__address__": "a:9093"}, {"__address__": f"n{number}:1"})
            here.notifier.take(Discovered("config-0", found))
        assert list(here.notifier.counts) == [URLS[0], "http://n49:1/api/v2/alerts"]
        assert [counts.sent for counts in here.notifier.counts.values()] == [1, 0]
        here.notifier.take(Discovered("config-0", ()))
        assert here.notifier.counts == {}
