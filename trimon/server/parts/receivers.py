"""The part that takes what older programs push: an actor a protocol of the section `trimon_receivers`."""

from __future__ import annotations

from typing import Final

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import Actor, ChildSpec, Restart
from trimon.actors.metrics.receivers import receiver_metrics
from trimon.actors.receivers.graphite import GraphiteReceiver
from trimon.actors.receivers.lines import LineCounts
from trimon.actors.receivers.pushgroups import PushGroups
from trimon.actors.receivers.statsd import StatsdReceiver
from trimon.config.configuration import Config
from trimon.config.dump import fingerprint
from trimon.config.own.receivers import GraphiteConfig, PushgatewayConfig, StatsdConfig
from trimon.remote.pushed.aggregate import StatsdAggregate
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams

DRAIN_S: Final = 5.0
POLICY: Final = RestartPolicy(retry_first_s=120.0)
GRAPHITE: Final = "graphite"
STATSD: Final = "statsd"
PUSHGATEWAY: Final = "pushgateway"


class ReceiversPart:
    """From lines on sockets to storage."""

    def __init__(self, storage: StoragePart, seams: Seams, reports: CrashReports) -> None:
        self.pool: Pool[str] = Pool("receivers", reports=reports)
        self.counts: dict[str, LineCounts] = {}
        self._writer = storage.writer
        self._seams = seams
        self._statsd: tuple[object, StatsdAggregate] | None = None
        self.pushes: PushGroups | None = None
        """The groups that were pushed; None where nothing is received so."""
        seams.metrics.collect(receiver_metrics(self.counts))

    def configure(self, config: Config) -> None:
        """The receivers of a configuration; those that did not change go on."""
        receivers = config.main.trimon_receivers
        wanted: dict[str, ChildSpec] = {}
        for name, section in ((GRAPHITE, receivers.graphite), (STATSD, receivers.statsd)):
            if section is not None:
                self.counts.setdefault(name, LineCounts())
                wanted[name] = ChildSpec(
                    name,
                    lambda section=section: self._actor(section),  # type: ignore[misc]  # mypy knows no type of a default
                    restart=Restart.ALWAYS,
                    drain_s=DRAIN_S,
                    policy=POLICY,
                    version=fingerprint("receiver", (section,)),
                )
        if (pushed := receivers.pushgateway) is not None:
            groups = self._groups(pushed)
            wanted[PUSHGATEWAY] = ChildSpec(
                PUSHGATEWAY, lambda: groups, restart=Restart.ALWAYS, drain_s=DRAIN_S, policy=POLICY
            )
        else:
            self.pushes = None
        self.pool.reconcile(wanted)

    def _groups(self, section: PushgatewayConfig) -> PushGroups:
        if self.pushes is None:
            self.pushes = PushGroups(section, self._writer, self._seams.clock, self._seams.log)
        self.pushes.config = section
        return self.pushes

    def _actor(self, section: GraphiteConfig | StatsdConfig) -> Actor:
        seams = self._seams
        if isinstance(section, GraphiteConfig):
            return GraphiteReceiver(section, self._writer, seams.clock, seams.log, self.counts[GRAPHITE])
        return StatsdReceiver(
            section, self._state(section), self._writer, seams.clock, seams.log, self.counts[STATSD]
        )

    def _state(self, section: StatsdConfig) -> StatsdAggregate:
        """The state of before, unless it was made otherwise."""
        made_of = (section.series_max, section.ttl, section.timer_buckets)
        if self._statsd is None or self._statsd[0] != made_of:
            self._statsd = made_of, StatsdAggregate(*made_of)
        return self._statsd[1]
