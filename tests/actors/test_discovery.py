"""The subtree of discovery in virtual time: who shares a provider, and what /metrics says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from trimon.actors.discovery.discovered import Discovered, discovered_mailbox
from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.discovery.totals import DiscoveryTotals
from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.discovery import discovery_metrics
from trimon.config import load_text
from trimon.discovery.plugin import Sink, TargetGroup
from trimon.discovery.providers import Consumer, consumer_of
from trimon.discovery.sink import SinkStats
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.selfmetrics import SelfMetrics
from trimon.virtualclock import VirtualClock


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def consumers(*jobs: str, plugin: str = "") -> list[Consumer]:
    """Jobs with the same static targets; with a plug-in, one job more."""
    text = "scrape_configs:\n"
    for job in jobs:
        text += f"  - job_name: {job}\n    static_configs: [{{targets: ['a:1', 'b:1']}}]\n"
    if plugin:
        text += f"  - job_name: p\n    trimon_sd_configs: [{{plugin: '{plugin}'}}]\n"
    return [consumer_of(job) for job in load_text(text, "/etc/p.yml").scrape_configs]


@asynccontextmanager
async def discovery(
    log: LogBuffer | None = None,
) -> AsyncIterator[tuple[DiscoveryManager, Mailbox[Discovered], SelfMetrics]]:
    box = discovered_mailbox("test")
    clock = VirtualClock()
    reports = CrashReports(now_s=lambda: clock.now_ms() / 1000)
    here = DiscoveryManager("scrape", box, clock, InlineOffload(), log or LogBuffer(), 5.0, reports)
    metrics = SelfMetrics()
    metrics.collect(discovery_metrics([here]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.group.run)
        await here.group.ready.wait()
        yield here, box, metrics
        await here.group.stop(within_s=10)


async def test_a_shared_provider_goes_on_when_a_job_joins(autojump_clock: MockClock) -> None:
    """A job that joins or leaves restarts nothing: the provider is the same object, and tells its jobs of now."""
    async with discovery() as (here, box, _):
        here.configure(consumers("one"))
        await trio.sleep(1)
        (run,) = here.runs().values()
        assert run.inspect()["jobs"] == ["one"]
        here.configure(consumers("one", "two"))
        await trio.sleep(10)
        assert list(here.runs().values()) == [run]
        assert run.inspect()["jobs"] == ["one", "two"]
        here.configure(consumers("two"))
        await trio.sleep(10)
        assert list(here.runs().values()) == [run]
        assert run.inspect()["jobs"] == ["two"]
        told = [(message.consumer, len(message.label_sets)) for message in await box.receive_batch(10)]
        assert ("two", 2) in told


class Broken:
    """A discovery that fails at once."""

    def __init__(self, options: object, context: object) -> None:
        pass

    async def run(self, sink: object) -> None:
        raise OSError("no source")


async def test_what_the_metrics_say(autojump_clock: MockClock) -> None:
    """Targets by job, updates taken and passed on, providers that fail: under Prometheus' names."""
    async with discovery() as (here, _, metrics):
        here.configure(consumers("one", "two", plugin=f"{__name__}:Broken"))
        await trio.sleep(60)
        name = {"name": "scrape"}
        assert metrics.value("prometheus_sd_discovered_targets", {**name, "config": "one"}) == 2
        assert metrics.value("prometheus_sd_discovered_targets", {**name, "config": "p"}) == 0
        assert metrics.value("prometheus_sd_received_updates_total", name) == 1
        assert metrics.value("prometheus_sd_updates_total", name) == 1
        assert metrics.value("prometheus_sd_failed_configs", name) == 1
        failures = metrics.value(
            "prometheus_sd_refresh_failures_total", {"mechanism": f"{__name__}:Broken", "config": "p"}
        )
        assert failures is not None
        assert failures >= 3
        for consumer in ("one", "p"):
            at_s = metrics.value("prometheus_sd_last_update_timestamp_seconds", {**name, "config": consumer})
            assert at_s == pytest.approx(1_700_000_000, abs=5)
        assert metrics.value("prometheus_sd_file_read_errors_total") == 0


async def test_what_kubernetes_and_zookeeper_count(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events by role and kind, those that never came too; failures of both mechanisms of ZooKeeper together."""
    async with discovery() as (here, _, metrics):
        stats = SinkStats()
        totals = DiscoveryTotals()
        for plugin, own in (
            ("kubernetes", {"counts": {"events_pod_add": 3, "failures": 1}}),
            ("kubernetes", {"counts": {"events_pod_add": 4}}),
            ("nerve", {"counts": {"zookeeper_failures": 1}}),
            ("serverset", {"counts": {"zookeeper_failures": 2}}),
        ):
            run = SimpleNamespace(plugin=plugin, metric_name="j", stats=stats, crashes=0)
            totals.add(run, own)  # type: ignore[arg-type]  # it has what is looked at
        monkeypatch.setattr(here, "totals", lambda: totals)
        events = "prometheus_sd_kubernetes_events_total"
        assert metrics.value(events, {"role": "pod", "event": "add"}) == 7
        assert metrics.value(events, {"role": "ingress", "event": "delete"}) == 0
        assert metrics.value("prometheus_sd_kubernetes_failures_total") == 1
        assert metrics.value("prometheus_treecache_zookeeper_failures_total") == 3


class Buggy:
    """Publishes, and then has a bug."""

    lives = 0

    def __init__(self, options: object, context: object) -> None:
        type(self).lives += 1

    async def run(self, sink: Sink) -> None:
        sink.publish([TargetGroup.of_addresses("s", ["a:1"])])
        raise ValueError("bug")

    def inspect(self) -> dict[str, object]:
        raise SystemExit(1)


async def test_a_plugin_with_a_bug_ends_in_quarantine(autojump_clock: MockClock) -> None:
    """After about an hour of crashes it is tried once an hour, its targets stay, and a reload tries it anew."""
    Buggy.lives = 0
    async with discovery() as (here, _, metrics):
        jobs = consumers(plugin=f"{__name__}:Buggy")
        here.configure(jobs)
        await trio.sleep(24 * 3600)
        lives = Buggy.lives
        assert 30 < lives < 75
        (plugin,) = [entry for entry in here.plugins() if entry["kind"] == "module"]
        assert "(quarantined)" in str(plugin["running"])
        assert here.hub.counts() == {"p": 1}
        assert metrics.value("prometheus_sd_failed_configs", {"name": "scrape"}) == 1
        here.configure(jobs)
        await trio.sleep(60)
        assert Buggy.lives > lives


async def test_a_source_in_trouble_is_tried_for_ever(autojump_clock: MockClock) -> None:
    """A plug-in whose source does not answer is no bug: after a week it is still tried."""
    async with discovery() as (here, _, __):
        here.configure(consumers(plugin=f"{__name__}:Broken"))
        await trio.sleep(7 * 24 * 3600)
        (plugin,) = [entry for entry in here.plugins() if entry["kind"] == "module"]
        assert "(backoff)" in str(plugin["running"])
        (totals,) = here.totals().configs.values()
        assert totals.failures > 7 * 24 * 10


class Stubborn:
    """A plug-in that does not hear of its cancellation for a while."""

    def __init__(self, options: object, context: object) -> None:
        """Needs neither."""

    async def run(self, sink: Sink) -> None:
        """Publishes nothing, and goes on for a minute after it was cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)


async def test_a_discovery_that_does_not_stop_is_named(autojump_clock: MockClock) -> None:
    """A plug-in that goes on after a reload took it away is told of once, with its actor; one that stops is not."""
    log = LogBuffer()
    async with discovery(log) as (here, _, __):
        here.configure(consumers("one", plugin=f"{__name__}:Stubborn"))
        await trio.sleep(20)
        here.configure(consumers("two"))
        await trio.sleep(50)
        told = [fields for _, what, fields in log.entries if what.startswith("a discovery was told to stop")]
        assert len(told) == 1
        assert "Stubborn" in str(told[0]["actor"]) or "plugin" in str(told[0]["actor"])
        assert 10 <= int(str(told[0]["for_s"])) <= 15
        await trio.sleep(60)
        assert len(here.runs()) == 1


async def test_an_inspect_that_raises_harms_nobody(autojump_clock: MockClock) -> None:
    """A plug-in whose inspect raises, or exits, is shown with its other fields and everybody else's are whole."""
    async with discovery() as (here, _, metrics):
        here.configure(consumers("one", plugin=f"{__name__}:Buggy"))
        await trio.sleep(10)
        assert {entry["name"] for entry in here.plugins() if entry["running"]} == {
            "static",
            f"{__name__}:Buggy",
        }
        shown = [run.inspect() for run in here.runs().values() if run.plugin != "static"]
        assert shown[0]["fields"] == {"inspect_failed": "SystemExit: 1"}
        assert shown[0]["targets"] == 1
        assert metrics.expose()


async def test_alertmanagers_are_discovered_as_jobs_are(autojump_clock: MockClock) -> None:
    """A second kind of consumers has a discovery of its own, under its own name in the metrics."""
    async with discovery() as (here, _, __):
        box = discovered_mailbox("notifier")
        other = DiscoveryManager(
            "notify", box, VirtualClock(), InlineOffload(), LogBuffer(), 5.0, CrashReports()
        )
        metrics = SelfMetrics()
        metrics.collect(discovery_metrics([here, other]))
        here.configure(consumers("one"))
        (job,) = consumers("one")
        other.configure([Consumer("config-0", job.sources), Consumer("config-1", ())])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.group.run)
            await trio.sleep(10)
            told = {message.consumer: len(message.label_sets) for message in await box.receive_batch(9)}
            assert told == {"config-0": 2, "config-1": 0}
            for name, config in (("scrape", "one"), ("notify", "config-0")):
                labels = {"name": name, "config": config}
                assert metrics.value("prometheus_sd_discovered_targets", labels) == 2
            await other.group.stop(within_s=5)


class Counting:
    """Refreshes every second, and crashes after ten."""

    def __init__(self, options: object, context: object) -> None:
        self.refreshes = 0

    async def run(self, sink: Sink) -> None:
        """Publishes each time."""
        while self.refreshes < 10:
            self.refreshes += 1
            sink.publish([TargetGroup.of_addresses("s", ["a:1"])])
            await trio.sleep(1)
        raise OSError("no more")

    def inspect(self) -> dict[str, object]:
        """As a source that is asked again and again."""
        return {"refreshes": self.refreshes, "refresh_failures": 2, "refresh_s": 0.5, "interval_s": 1.0}


async def test_counters_never_go_backwards(autojump_clock: MockClock) -> None:
    """Over crashes, over a reload that takes the source away, and over one that brings it back."""
    labels = {"mechanism": f"{__name__}:Counting", "config": "p"}
    names = ("refresh_failures_total", "refresh_duration_seconds_count", "refresh_duration_seconds_sum")
    async with discovery() as (here, _, metrics):
        seen: list[list[float]] = []

        def look() -> None:
            seen.append([metrics.value(f"prometheus_sd_{name}", labels) or 0.0 for name in names])

        jobs = consumers("one", plugin=f"{__name__}:Counting")
        here.configure(jobs)
        for _step in range(100):
            await trio.sleep(1)
            look()
        assert seen[-1][1] > 20, "it was started again"
        here.configure(consumers("one"))
        look()
        await trio.sleep(10)
        look()
        here.configure(jobs)
        look()
        await trio.sleep(15)
        look()
        for earlier, later in pairwise(seen):
            assert all(before <= after for before, after in zip(earlier, later, strict=True))
        assert seen[-1][1] > seen[-2][1]


class Failing:
    """Publishes in its first life; it fails at once in all others."""

    lives = 0

    def __init__(self, options: object, context: object) -> None:
        type(self).lives += 1

    async def run(self, sink: Sink) -> None:
        """Publishes once."""
        if self.lives == 1:
            sink.publish([TargetGroup.of_addresses("s", ["a:1"])])
            await trio.sleep(5)
        raise OSError("down")


async def test_a_plugin_that_is_down_tells_its_last_success(autojump_clock: MockClock) -> None:
    """The success of an earlier life, however often it was started in vain since."""
    Failing.lives = 0
    async with discovery() as (here, _, __):
        here.configure(consumers(plugin=f"{__name__}:Failing"))
        await trio.sleep(1)
        (run,) = here.runs().values()
        first_ms = run.last_success_ms({})
        assert first_ms > 0
        await trio.sleep(3600)
        (run,) = here.runs().values()
        assert Failing.lives > 3
        assert (run.stats.last_ms, run.last_success_ms({})) == (0, first_ms)
        assert run.inspect()["last_publish_ms"] == first_ms
