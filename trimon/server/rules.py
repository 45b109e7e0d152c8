"""The part that evaluates rules: the manager and the pool of groups."""

from __future__ import annotations

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.rules import rule_metrics
from trimon.actors.rules import RuleManager, RuleSeams
from trimon.server.configuration import CurrentConfiguration
from trimon.server.queries import QueryPart
from trimon.server.settings import Seams
from trimon.server.storage import StoragePart


class RulePart:
    """Rule groups over the stored samples."""

    def __init__(
        self,
        storage: StoragePart,
        queries: QueryPart,
        current: CurrentConfiguration,
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
            ),
        )
        seams.metrics.collect(rule_metrics(lambda: self.manager.groups))
