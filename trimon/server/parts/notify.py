"""The part that notifies: discovery of Alertmanagers, the notifier, and the pool of its senders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimon.actors.discovery.discovered import discovered_mailbox
from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.notifier import notifier_metrics
from trimon.actors.notifier import AlertmanagerWatch, Notifier, named_sets, notifier_mailbox
from trimon.config.configuration import Config
from trimon.discovery.providers import Consumer
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.model.labels import labels_of
from trimon.notify.alertmanagers import AlertmanagerSet
from trimon.notify.message import AlertMessage, generator_url
from trimon.peers.options import client_options
from trimon.rules.alert import Alert
from trimon.server.settings import Seams, Settings


class NotifyPart:
    """From alerts to Alertmanagers."""

    def __init__(self, settings: Settings, seams: Seams, reports: CrashReports) -> None:
        self._external_url = settings.web.external.url
        self.mailbox = notifier_mailbox()
        self.senders: Pool[str] = Pool("alertmanagers", reports=reports)
        self.notifier = Notifier(self.mailbox, self.senders, settings.notifier, _connect, seams.log)
        self.watch_mailbox = discovered_mailbox("alertmanager-watch")
        self.watch = AlertmanagerWatch(self.watch_mailbox, self.notifier)
        self.discovery = DiscoveryManager(
            "notify",
            self.watch_mailbox,
            seams.clock,
            seams.discovery_threads,
            seams.log,
            settings.discovery_interval_s,
            reports,
            seams.registry,
        )
        seams.metrics.collect(notifier_metrics(self.notifier))

    def configure(self, config: Config) -> None:
        """The Alertmanagers of a configuration."""
        alerting = config.main.alerting
        self.notifier.configure(alerting, labels_of(config.global_.external_labels))
        self.discovery.configure(
            [Consumer(name, managers.discovery()) for name, managers in named_sets(alerting).items()]
        )

    def notify(self, alerts: Sequence[Alert], expression: str) -> None:
        """Tells the Alertmanagers of alerts of one rule."""
        url = generator_url(self._external_url, expression)
        self.notifier.notify([_message(alert, url) for alert in alerts])


def _message(alert: Alert, url: str) -> AlertMessage:
    """What is said of an alert; an end in the future says until when it counts unless it is sent again."""
    ends_at_ms = alert.resolved_at_ms or alert.valid_until_ms
    return AlertMessage(alert.labels, alert.annotations, alert.fired_at_ms, ends_at_ms, url)


def _connect(managers: AlertmanagerSet) -> Fetch:
    options = client_options(managers.config)
    if managers.config.sigv4 is not None:
        from trimon.peers.sigv4 import SigV4  # noqa: PLC0415 # few sign, and all of AWS' keys come with it

        signer = SigV4(managers.config.sigv4)
        options = replace(options, sign=signer, prepare=signer.prepare)
    return HttpFetch(options)
