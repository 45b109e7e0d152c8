"""Parameters that several routes have, as the description of the API tells them."""

from __future__ import annotations

from typing import Final

from trimon.web.http.endpoint import Kind, Parameter

QUERY: Final = Parameter("query", "The expression.", Kind.EXPRESSION, required=True)
TIME: Final = Parameter("time", "When it is evaluated; now by default.", Kind.TIMESTAMP)
RANGE: Final = (
    Parameter("start", "The first step.", Kind.TIMESTAMP, required=True),
    Parameter("end", "The last step.", Kind.TIMESTAMP, required=True),
    Parameter("step", "From one step to the next.", Kind.DURATION, required=True),
)
BETWEEN: Final = (
    Parameter("start", "Since when there are samples.", Kind.TIMESTAMP),
    Parameter("end", "Until when.", Kind.TIMESTAMP),
)
TIMEOUT: Final = Parameter("timeout", "The longest it may take, not over --query.timeout.", Kind.DURATION)
LOOKBACK: Final = Parameter(
    "lookback_delta",
    "How far an instant selector looks back; --query.lookback-delta by default.",
    Kind.DURATION,
)
EVALUATION: Final = (
    TIMEOUT,
    Parameter("limit", "Most series of the result; 0 for all.", Kind.INTEGER),
    LOOKBACK,
    Parameter("stats", "Whether statistics follow the result; `all` for those of each step, too."),
)
MATCH: Final = Parameter(
    "match[]", "Series to look among; one of several is enough.", Kind.SELECTOR, repeated=True
)
LIMIT: Final = Parameter("limit", "Most results; 0 for all.", Kind.INTEGER)
LOOKUP: Final = (MATCH, *BETWEEN, LIMIT)
METRIC: Final = Parameter("metric", "A family; all by default.")
POOL: Final = Parameter("scrapePool", "The name of a scrape pool.")
RULES: Final = (
    Parameter("type", "Alerting or recording rules alone.", choices=("alert", "record")),
    Parameter("rule_name[]", "Names of rules.", repeated=True),
    Parameter("rule_group[]", "Names of groups.", repeated=True),
    Parameter("file[]", "Files of rules.", repeated=True),
    Parameter("match[]", "What labels of rules match.", Kind.SELECTOR, repeated=True),
    Parameter("exclude_alerts", "Whether alerts are left out.", Kind.BOOLEAN),
)
