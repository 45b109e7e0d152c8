"""Families about rule groups, read from the groups when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from trimon.actors.rules.history import AlertHistory
from trimon.actors.rules.seams import TemplateCounts
from trimon.rules.group import RuleGroup
from trimon.selfmetrics import MetricFamily

_FAMILIES: Final[tuple[tuple[str, str, Literal["counter", "gauge"], Callable[[RuleGroup], float]], ...]] = (
    (
        "prometheus_rule_evaluations_total",
        "The total number of rule evaluations.",
        "counter",
        lambda group: group.evaluations,
    ),
    (
        "prometheus_rule_evaluation_failures_total",
        "The total number of rule evaluation failures.",
        "counter",
        lambda group: group.failures,
    ),
    (
        "prometheus_rule_group_iterations_total",
        "The total number of scheduled rule group evaluations, whether executed or missed.",
        "counter",
        lambda group: group.iterations + group.missed,
    ),
    (
        "prometheus_rule_group_iterations_missed_total",
        "The total number of rule group evaluations missed due to slow rule group evaluation.",
        "counter",
        lambda group: group.missed,
    ),
    (
        "prometheus_rule_group_interval_seconds",
        "The interval of a rule group.",
        "gauge",
        lambda group: group.spec.interval_ms / 1000,
    ),
    (
        "prometheus_rule_group_last_duration_seconds",
        "The duration of the last rule group evaluation.",
        "gauge",
        lambda group: group.duration_s,
    ),
    (
        "prometheus_rule_group_last_rule_duration_sum_seconds",
        "The sum of time in seconds it took to evaluate each rule in the group.",
        "gauge",
        lambda group: sum(session.duration_s for session in group.rules),
    ),
    (
        "prometheus_rule_group_last_evaluation_timestamp_seconds",
        "The timestamp of the last rule group evaluation in seconds.",
        "gauge",
        lambda group: group.last_evaluation_ms / 1000,
    ),
    (
        "prometheus_rule_group_last_evaluation_samples",
        "The number of samples returned during the last rule group evaluation.",
        "gauge",
        lambda group: group.samples,
    ),
    (
        "prometheus_rule_group_rules",
        "The number of rules.",
        "gauge",
        lambda group: len(group.rules),
    ),
    (
        "trimon_rule_group_caught_up_iterations_total",
        "Iterations from before the start that were evaluated after it.",
        "counter",
        lambda group: group.caught_up,
    ),
    (
        "trimon_rule_group_dead_rules",
        "Rules that read what has never matched any series.",
        "gauge",
        lambda group: sum(session.selectors.told for session in group.rules),
    ),
)


def rule_metrics(
    groups: Callable[[], Mapping[str, RuleGroup]], templates: TemplateCounts, history: AlertHistory
) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_rule_* of every group, its dead rules, and prometheus_template_* of all."""

    def families() -> Iterator[MetricFamily]:
        live = groups()
        for name, text, kind, value in _FAMILIES:
            samples = [((key,), float(value(group))) for key, group in live.items()]
            yield MetricFamily(name, text, kind, samples, ("rule_group",))
        yield MetricFamily(
            "prometheus_template_text_expansions_total",
            "The total number of template text expansions.",
            "counter",
            [((), float(templates.expansions))],
        )
        yield MetricFamily(
            "prometheus_template_text_expansion_failures_total",
            "The total number of template text expansion failures.",
            "counter",
            [((), float(templates.failures))],
        )
        for name, help_text, count in (
            ("changes", "Changes of alerts that were written to their history.", history.written),
            ("failures", "Changes of alerts that could not be written.", history.failures),
            ("dropped", "Messages of changes that were lost as the disk is too slow.", history.dropped),
        ):
            yield MetricFamily(
                f"trimon_alert_history_{name}_total", help_text, "counter", [((), float(count))]
            )

    return families
