"""The part that evaluates rules: the manager and the pool of groups."""

from __future__ import annotations

import trio

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.rules import rule_metrics
from trimon.actors.rules.history import AlertHistory, RuleChanges, history_mailbox
from trimon.actors.rules.manager import RuleManager
from trimon.actors.rules.seams import AlertingSeams, CatchUps, RuleSeams, TemplateCounts
from trimon.files import DiskFiles
from trimon.rules.alerting import AlertOrigin
from trimon.rules.history import HistoryFiles
from trimon.server.configuration import CurrentConfiguration
from trimon.server.parts.notify import NotifyPart
from trimon.server.parts.queries import QueryPart
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams, Settings


def _nobody(_: RuleChanges) -> None:
    """Hears of changes where no history is kept."""


class RulePart:
    """Rule groups over the stored samples."""

    def __init__(
        self,
        storage: StoragePart,
        queries: QueryPart,
        notify: NotifyPart,
        current: CurrentConfiguration,
        settings: Settings,
        seams: Seams,
        reports: CrashReports,
    ) -> None:
        self.pool: Pool[str] = Pool("rules", reports=reports)
        rule_s = seams.metrics.summary(
            "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute."
        )
        group_s = seams.metrics.summary(
            "prometheus_rule_group_duration_seconds", "The duration of rule group evaluations."
        )
        templates = TemplateCounts()
        self.history_mailbox = history_mailbox()
        files = HistoryFiles(DiskFiles(), storage.store.options.path, settings.rules.history_bytes)
        self.history = AlertHistory(files, self.history_mailbox, seams.parse_threads, seams.log)
        external_url = settings.web.external.url
        self.origin = AlertOrigin(lambda: current.config.global_.external_labels, external_url)
        self.manager = RuleManager(
            self.pool,
            RuleSeams(
                queries.rule_queries,
                storage.writer,
                seams.clock,
                seams.log,
                storage.actor.replayed,
                current.query_options,
                rule_s.observe,
                group_s.observe,
                AlertingSeams(
                    self.origin,
                    notify.notify,
                    self.history.tell if settings.rules.history_bytes else _nobody,
                    templates,
                    settings.alerts.resend_delay_ms,
                    settings.alerts.outage_tolerance_ms,
                    settings.alerts.grace_period_ms,
                ),
                trio.CapacityLimiter(settings.rules.at_once) if settings.rules.at_once else None,
                CatchUps(settings.rules.catch_up_ms),
            ),
        )
        seams.metrics.collect(rule_metrics(lambda: self.manager.groups, templates, self.history))
