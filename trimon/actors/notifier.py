"""The notifier: alerts of all rules out to all Alertmanagers, each at its own pace."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

import trio

from trimon.actors.alertsender import AlertSender, NotifierSettings, SenderCounts
from trimon.actors.discovery.discovered import Discovered
from trimon.actors.kernel.mailbox import Mailbox, Overflow
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.config.alerting import AlertingConfig, AlertmanagerConfig
from trimon.config.dump import fingerprint
from trimon.discovery.providers import Consumer, providers_of
from trimon.fetch.request import Fetch
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.model.relabel import Relabeling
from trimon.notify.alertmanagers import AlertmanagerSet, FoundAlertmanagers, relabeled, with_external
from trimon.notify.message import AlertMessage
from trimon.records import dataclass
from trimon.redaction import shown_url

# A stopping server has so long for what waits.
DRAIN_S: Final = 10.0
# Alerts whose labels are rewritten at a stretch.
SLICE_ALERTS: Final = 500
# A sender that crashes again and again is tried again after minutes: alerts must not stay away until somebody looks.
POLICY: Final = RestartPolicy(retry_first_s=120.0)


@dataclass(frozen=True, slots=True, eq=False)
class Notification:
    """Alerts of one evaluation."""

    messages: tuple[AlertMessage, ...]


def notifier_mailbox() -> Mailbox[Notification]:
    """What rules have said and nobody has taken up yet: the oldest is lost rather than a rule kept waiting."""
    return Mailbox("notifier", max=10_000, policy=Overflow.DROP_OLDEST)


@dataclass(frozen=True, slots=True, eq=False)
class _Queue:
    """What waits for one Alertmanager under one form of its section."""

    version: str
    mailbox: Mailbox[AlertMessage]


@dataclass(slots=True)
class _Configured:
    """One set of Alertmanagers as it is now."""

    managers: AlertmanagerSet
    early: deque[AlertMessage] | None
    """Alerts from before discovery said for the first time which Alertmanagers there are; None afterwards."""
    label_sets: tuple[Mapping[str, str], ...] = ()
    """What discovery said last."""
    found: FoundAlertmanagers = field(default_factory=FoundAlertmanagers)
    """What that comes to under the section as it is now."""


class Notifier:
    """Passes alerts on to the senders of all Alertmanagers that are known.

    Owns: the sets of Alertmanagers and their senders' queues.
    Receives: Notification. What comes before a set's discovery has said which Alertmanagers there are waits for that,
        as many alerts as a queue holds: rules that fire at once after a start would else be heard a resend delay later.
    Sends: AlertMessage to every sender, never waiting for one.
    Crashes when: relabeling has a bug.
    On restart: sets and queues stay, they belong to the tree.
    """

    def __init__(
        self,
        mailbox: Mailbox[Notification],
        pool: Pool[str],
        settings: NotifierSettings,
        connect: Callable[[AlertmanagerSet], Fetch],
        log: Log,
    ) -> None:
        self.settings = settings
        self.counts: dict[str, SenderCounts] = {}
        self._mailbox = mailbox
        self._pool = pool
        self._connect = connect
        self._log = log
        self._external: Labels = ()
        self._relabeling = Relabeling(())
        self._sets: dict[str, _Configured] = {}
        self._queues: dict[str, _Queue] = {}

    def configure(self, config: AlertingConfig, external: Labels) -> None:
        """The Alertmanagers of a new configuration; those of a set that did not change go on undisturbed."""
        self._external = external
        self._relabeling = Relabeling(config.alert_relabel_configs)
        self._sets = {name: self._configured(name, manager) for name, manager in named_sets(config).items()}
        self._reconcile()

    def _configured(self, name: str, manager: AlertmanagerConfig) -> _Configured:
        """A set under a new configuration, with what is known of it: discovery may have nothing new to say of it."""
        known = self._sets.get(name)
        if known is not None and known.managers.config == manager:
            return known
        # Names are places in a list: a section that moved up is the same set under another name.
        same = next((each for each in self._sets.values() if each.managers.config == manager), None)
        if same is not None:
            return replace(same, early=None if same.early is None else same.early.copy())
        managers = AlertmanagerSet(manager)
        if known is None or not _shares_addresses(known.managers.config, manager):
            return _Configured(managers, deque(maxlen=self.settings.queue_alerts_max))
        changed = replace(known, managers=managers)
        self._find(name, changed)
        return changed

    def _find(self, name: str, known: _Configured) -> None:
        known.found = known.managers.found(known.label_sets)
        for error in known.found.errors:
            self._log.warning("an Alertmanager has no URL", alertmanagers=name, err=error)

    def take(self, discovered: Discovered) -> None:
        """What discovery knows of a set now."""
        known = self._sets.get(discovered.consumer)
        if known is None:
            return
        known.label_sets = discovered.label_sets
        self._find(discovered.consumer, known)
        self._reconcile()
        early, known.early = known.early, None
        if early:
            self._tell(discovered.consumer, known, early)

    def notify(self, messages: Sequence[AlertMessage]) -> None:
        """Takes over alerts that are to be sent; never waits."""
        if messages:
            self._mailbox.send_nowait(Notification(tuple(messages)))

    async def run(self) -> None:
        """Passes on until the mailbox is closed and empty."""
        async for notification in self._mailbox:
            messages = notification.messages
            for begin in range(0, len(messages), SLICE_ALERTS):
                self._pass_on(messages[begin : begin + SLICE_ALERTS])
                await trio.lowlevel.checkpoint()

    def _pass_on(self, messages: Sequence[AlertMessage]) -> None:
        told = relabeled(with_external(messages, self._external), self._relabeling)
        for name, known in self._sets.items():
            if known.early is not None:
                known.early.extend(told)
            else:
                self._tell(name, known, told)

    def _tell(self, name: str, known: _Configured, messages: Sequence[AlertMessage]) -> None:
        own = known.managers.told(messages)
        for url in known.found.active:
            self._queue(f"{name}/{url}", url, own)

    def _queue(self, key: str, url: str, messages: Sequence[AlertMessage]) -> None:
        known = self._queues.get(key)
        if known is None:
            return
        queue = known.mailbox
        before = queue.stats().dropped
        for message in messages:
            queue.send_nowait(message)
        lost = queue.stats().dropped - before
        if lost:
            shown = shown_url(url)
            self.counts[shown].dropped += lost
            self._log.warning(
                "Alert notification queue full, dropping alerts", alertmanager=shown, count=lost
            )

    def _reconcile(self) -> None:
        wanted: dict[str, ChildSpec] = {}
        queues: dict[str, _Queue] = {}
        counts: dict[str, SenderCounts] = {}
        for name, known in self._sets.items():
            names: Counter[str] = Counter()
            version = fingerprint("alertmanager", (known.managers.config.without_discovery(),))
            for url in known.found.active:
                key, shown = f"{name}/{url}", f"{name}/{shown_url(url)}"
                names[shown] += 1
                if names[shown] > 1:  # they differ only in their passwords
                    shown = f"{shown}#{names[shown]}"
                counts[shown_url(url)] = self.counts.get(shown_url(url)) or SenderCounts()
                queue = self._queues.get(key)
                # The queue of a sender that is replaced is closed: that one sends what waits in it, and then ends.
                if queue is None or queue.version != version:
                    queue = _Queue(version, self._mailbox_of(key))
                queues[key] = queue
                wanted[key] = self._spec(shown, known.managers, queue, url, counts[shown_url(url)])
        self._queues, self.counts = queues, counts
        self._pool.reconcile(wanted)

    def _mailbox_of(self, key: str) -> Mailbox[AlertMessage]:
        return Mailbox(key, max=self.settings.queue_alerts_max, policy=Overflow.DROP_OLDEST)

    def _spec(
        self, name: str, managers: AlertmanagerSet, queue: _Queue, url: str, counts: SenderCounts
    ) -> ChildSpec:
        timeout_s = managers.config.timeout / 1000
        settings, mailbox = self.settings, queue.mailbox
        return ChildSpec(
            name,
            lambda: AlertSender(
                url, mailbox, self._connect(managers), timeout_s, settings, counts, self._log
            ),
            mailbox,
            Restart.ALWAYS,
            drain_s=DRAIN_S,
            policy=POLICY,
            version=queue.version,
        )

    @property
    def active(self) -> list[str]:
        """The URLs of all Alertmanagers, those of each set in order; for people, as all that follow."""
        return [shown_url(url) for known in self._sets.values() for url in known.found.active]

    @property
    def dropped(self) -> list[str]:
        """The URLs that relabeling dropped."""
        return [shown_url(url) for known in self._sets.values() for url in known.found.dropped]

    def waiting(self) -> Counter[str]:
        """How many alerts wait for each Alertmanager."""
        waiting: Counter[str] = Counter()
        for key, queue in self._queues.items():
            waiting[shown_url(key.partition("/")[2])] += len(queue.mailbox)
        return waiting

    def inspect(self) -> Mapping[str, object]:
        """The Alertmanagers, and what waits."""
        return {"alertmanagers": self.active, "dropped": self.dropped, "waiting": dict(self.waiting())}


def named_sets(config: AlertingConfig) -> dict[str, AlertmanagerConfig]:
    """The sets of Alertmanagers by the name under which discovery knows them."""
    return {f"config-{number}": manager for number, manager in enumerate(config.alertmanagers)}


def _shares_addresses(old: AlertmanagerConfig, new: AlertmanagerConfig) -> bool:
    """Whether what was found for a section is told under another one that took its place.

    Where both the sources and the rest differ it is somebody else, whose credentials are not for the old addresses;
    discovery, which is wired anew then, says who is.
    """
    return old.without_discovery() == new.without_discovery() or _providers(old) == _providers(new)


def _providers(config: AlertmanagerConfig) -> set[str]:
    """What stands for the sources of a section."""
    return set(providers_of([Consumer("", config.discovery())]))


class AlertmanagerWatch:
    """Tells the notifier what discovery finds.

    Owns: nothing.
    Receives: Discovered; of one set only the latest counts.
    Sends: nothing; it changes the notifier's sets.
    Crashes when: relabeling has a bug.
    On restart: goes on with the next message.
    """

    def __init__(self, mailbox: Mailbox[Discovered], notifier: Notifier) -> None:
        self._mailbox = mailbox
        self._notifier = notifier

    async def run(self) -> None:
        """Takes what comes until the mailbox is closed and empty."""
        async for message in self._mailbox:
            self._notifier.take(message)

    def inspect(self) -> Mapping[str, object]:
        """Nothing of its own."""
        return {}
