"""DiscoveryManager: one actor a source of targets, and the hub actor that passes on what changed, not too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import trio

from trimon.actors.discovery.discovered import Discovered
from trimon.actors.discovery.history import HistoryActor
from trimon.actors.discovery.totals import DiscoveryTotals
from trimon.actors.kernel.child import Child
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.lifecycle import State
from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.clock import Clock
from trimon.discovery.history import TargetHistory
from trimon.discovery.hub import Hub
from trimon.discovery.mask import LabelMask
from trimon.discovery.plugin import Context
from trimon.discovery.provider import ProviderRun
from trimon.discovery.providers import Consumer, Provider, providers_of
from trimon.discovery.registry import Registry
from trimon.errors import OperatingError
from trimon.fetch.client import HttpFetch
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.offload import OffloadLanes

# The first change is passed on at once, for a quick start; the ones that follow are collected.
SETTLE_S: Final = 0.1
# A discovery that has not stopped after so long is named; how often is looked for such.
LATE_STOP_S: Final = 10.0
LOOK_S: Final = 5.0
# The threads in which plug-ins' constructors are called, which always come back.
MAKING: Final = "constructors"
HISTORY: Final = "history"
# A discovery whose source is in trouble is started again for ever, ever more slowly; one that has a bug for about an
# hour, then it is put in quarantine until its configuration or its code changes, or a reload, and tried once an hour
# until then. Its targets stay.
PROVIDER_POLICY: Final = RestartPolicy(
    restarts_max=20,
    window_s=6 * 3600.0,
    delay_first_s=1.0,
    delay_max_s=300.0,
    retry_first_s=3600.0,
    retry_max_s=3600.0,
    excused=(OSError, OperatingError, trio.TooSlowError),
)


class HubActor:
    """Passes the latest targets of every changed consumer to who takes them.

    Owns: nothing; the hub itself belongs to the tree and keeps the last good targets.
    Receives: nothing; providers write into the hub, which wakes this actor.
    Sends: Discovered, one for each consumer that changed, at most once an interval; `on_send` is told then who changed, also
        where only what is known was published.
    Crashes when: the hub has a bug.
    On restart: goes on with what changed since.
    """

    def __init__(
        self,
        hub: Hub,
        changed: trio.Event,
        mailbox: Mailbox[Discovered],
        interval_s: float,
        on_send: Callable[[Collection[str]], None],
    ) -> None:
        self.changed = changed
        self._on_send = on_send
        self._hub = hub
        self._mailbox = mailbox
        self._interval_s = interval_s
        self.sends = 0
        self.delayed = 0

    async def run(self) -> None:
        """Waits for changes, lets them settle, passes them on."""
        while True:
            await self.changed.wait()
            await trio.sleep(SETTLE_S)
            self.changed = trio.Event()
            changed = self._hub.take()
            for consumer, label_sets in changed.items():
                await self._mailbox.send(Discovered(consumer, label_sets))
            self.sends += 1
            self._on_send(changed)
            await trio.sleep(self._interval_s)
            self.delayed += self.changed.is_set()

    def inspect(self) -> Mapping[str, object]:
        """The hub's figures."""
        return self._hub.inspect()


class LateStops:
    """Names discoveries that were told to stop, by a reload, and do not: a plug-in that catches its cancellation.

    Owns: what it has told.
    Receives: nothing.
    Sends: nothing; it logs.
    Crashes when: never.
    On restart: tells of those again.
    """

    def __init__(self, providers: Pool[str], log: Log) -> None:
        self._providers = providers
        self._log = log
        self._told: dict[str, float] = {}

    async def run(self) -> None:
        """Looks now and then, for ever."""
        while True:
            await trio.sleep(LOOK_S)
            self._look()

    def _look(self) -> None:
        waiting = {
            child.path: child.since_s for child in self._providers.children() if child.state is State.STOPPING
        }
        now_s = self._providers.reports.now_s()
        for path, since_s in waiting.items():
            if now_s - since_s >= LATE_STOP_S and self._told.get(path) != since_s:
                self._told[path] = since_s
                self._log.warning(
                    "a discovery was told to stop and goes on: it holds back the same one of the new configuration",
                    actor=path,
                    for_s=round(now_s - since_s),
                )
        self._told = {path: since_s for path, since_s in self._told.items() if waiting.get(path) == since_s}

    def inspect(self) -> Mapping[str, object]:
        """Who does not stop."""
        return {"late": sorted(self._told)}


class DiscoveryManager:
    """The subtree of discovery for one kind of consumers, and its configuration.

    `kind` is Prometheus' word for it in metrics: `scrape` for jobs, `notify` for sets of Alertmanagers.
    """

    def __init__(
        self,
        kind: str,
        mailbox: Mailbox[Discovered],
        clock: Clock,
        lanes: OffloadLanes,
        log: Log,
        interval_s: float,
        reports: CrashReports,
        registry: Registry | None = None,
    ) -> None:
        self.kind = kind
        self.registry = registry if registry is not None else Registry()
        self.label_mask = LabelMask()
        self._clock = clock
        self._lanes = lanes
        self._log = log
        self.history = TargetHistory(clock)
        self.hub = Hub(self._wake, self.history, self._wake)
        self.hub_actor = HubActor(self.hub, trio.Event(), mailbox, interval_s, self._sent)
        self.sent_ms = 0
        self.on_send: Callable[[Collection[str]], None] | None = None
        self._configured: dict[str, Provider] = {}
        self._latest: dict[str, ProviderRun] = {}
        self._ended = DiscoveryTotals()
        self._releases: Counter[str] = Counter()
        self._providers: Pool[str] = Pool("providers", reports=reports)
        self.group = Group(
            "discovery",
            [
                ChildSpec("hub", lambda: self.hub_actor, restart=Restart.ALWAYS),
                ChildSpec("providers", lambda: self._providers, restart=Restart.ALWAYS),
                ChildSpec(
                    "history", lambda: HistoryActor(self.history, lanes.lane(HISTORY)), restart=Restart.ALWAYS
                ),
                ChildSpec("late-stops", lambda: LateStops(self._providers, log), restart=Restart.ALWAYS),
            ],
            reports=reports,
        )

    def _sent(self, changed: Collection[str]) -> None:
        """Consumers were told, those of `changed` that their targets are others."""
        self.sent_ms = self._clock.now_ms()
        if self.on_send is not None:
            self.on_send(changed)

    def _wake(self) -> None:
        self.hub_actor.changed.set()

    def configure(self, consumers: Sequence[Consumer]) -> None:
        """The providers of a new configuration; those that are in the old one too go on undisturbed.

        Providers in quarantine, and those whose plug-in was loaded anew, are started afresh.
        """
        providers = providers_of(consumers)
        wiring: dict[str, list[str]] = {consumer.name: [] for consumer in consumers}
        for key, provider in providers.items():
            for name in provider.consumers:
                wiring[name].append(key)
        self._configured = providers
        self.hub.wire(wiring)
        for child in self._providers.children():
            if child.state is State.QUARANTINED:
                self._releases[child.spec.name] += 1
        self._providers.reconcile({key: self._spec(provider) for key, provider in providers.items()})
        for key in self._releases.keys() - providers.keys():
            del self._releases[key]
        for key in self._latest.keys() - providers.keys():
            self._end(self._latest.pop(key))
        for key, run in self._latest.items():
            run.provider = providers[key]

    def _spec(self, provider: Provider) -> ChildSpec:
        """The spec says nothing of consumers: a provider goes on when another one joins."""
        key = provider.key
        name, _ = provider.request()
        return ChildSpec(
            key,
            lambda: self._make(self._configured.get(key, provider)),
            restart=Restart.ON_CRASH,
            policy=PROVIDER_POLICY,
            version=(self.registry.version(name), self._releases[key]),
        )

    def _make(self, provider: Provider) -> ProviderRun:
        context, making = self._context(provider), self._lanes.lane(MAKING)
        run = ProviderRun(provider, self.registry, self.hub, context, self.label_mask, making)
        earlier = self._latest.pop(provider.key, None)
        if earlier is not None:
            run.follow(earlier)
            self._end(earlier)
        if provider.key in self._configured:
            self._latest[provider.key] = run
        return run

    def _end(self, run: ProviderRun) -> None:
        """Keep what a run has counted that is over, or about to be."""
        self._ended.add(run, run.own_fields())

    def totals(self) -> DiscoveryTotals:
        """What all runs have counted since the start of the server."""
        totals = self._ended.copy()
        for run in self._latest.values():
            totals.add(run, run.own_fields())
        return totals

    def runs(self) -> dict[str, ProviderRun]:
        """The providers that have been started, by key."""
        return {
            child.actor.provider.key: child.actor
            for child in self._providers.children()
            if isinstance(child.actor, ProviderRun)
        }

    def children(self) -> Sequence[Child]:
        """The providers as children of the tree, also those that are down."""
        return self._providers.children()

    def failed(self) -> int:
        """How many providers do not run now because they crashed."""
        bad = (State.BACKOFF, State.QUARANTINED, State.FAILED)
        return sum(child.state in bad for child in self._providers.children())

    def _context(self, provider: Provider) -> Context:
        log = self._log.bind(discovery=provider.mechanism, jobs=",".join(provider.consumers))
        offload = self._lanes.lane(provider.request()[0])
        options = provider.client()
        return Context(
            provider.key, HttpFetch(options), self._clock, offload, log, lambda: HttpFetch(options)
        )

    def plugins(self) -> list[Mapping[str, object]]:
        """What /debug/plugins lists: every discovery that can be named, who runs it now, and its calls that hang."""
        hanging = self.registry.calls.hanging()
        running: dict[str, list[str]] = {}
        for child in self._providers.children():
            if isinstance(child.actor, ProviderRun):
                running.setdefault(child.actor.plugin, []).append(f"{child.path} ({child.state.value})")
        return [
            {
                **asdict(info),
                "running": running.get(info.name, []),
                "hanging": hanging.get(info.name, []),
            }
            for info in self.registry.listing()
        ]

    def mask(self, labels: Labels) -> Labels:
        """Discovered labels with what looks like a secret hidden."""
        return self.label_mask.labels(labels)
