"""/features: what this server can do, and what of it is switched on."""

from __future__ import annotations

from typing import Final

from trimon.config.discovery.table import MECHANISMS
from trimon.query.language import options as languages
from trimon.query.language.options import QueryOptions
from trimon.query.language.signatures import FUNCTIONS
from trimon.query.language.tokens import (
    AGGREGATORS,
    COMPARISONS,
    EXPERIMENTAL_AGGREGATORS,
    FILL_WORDS,
    MATCH_OPERATORS,
    TRIMS,
    WORD_OPERATORS,
)
from trimon.templates.functions import numbers, queries, texts
from trimon.web.api.querying.search import FEATURE as SEARCH
from trimon.web.api.querying.similarity import ALGORITHMS
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.request import Request
from trimon.web.pages import pages_are_built

_ARITHMETIC: Final = ("+", "-", "*", "/", "%", "^", "@")
_LANGUAGE: Final = (
    "at_modifier", "bool", "by", "duration_expr", "group_left", "group_right", "ignoring", "negative_offset", "offset",
    "on", "per_query_lookback_delta", "subqueries", "without",
)  # fmt: skip
_API: Final = (
    "exclude_alerts", "label_values_match", "openapi_3.1", "openapi_3.2", "query_stats", "query_warnings",
    "time_range_labels", "time_range_series",
)  # fmt: skip
# What Prometheus can do and this server can not.
_MISSING: Final[dict[str, tuple[str, ...]]] = {
    "tsdb": (
        "delayed_compaction", "histograms_st_encoding", "st_storage", "use_uncached_io", "xor2_encoding",
    ),
    "ui": ("ui_v2",),
}  # fmt: skip

Features = dict[str, dict[str, bool]]


def feature_endpoints(context: WebContext) -> list[Endpoint]:
    """/features."""

    async def features(_: Request) -> Answer:
        found = features_of(context)
        return success({group: dict(sorted(found[group].items())) for group in sorted(found)})

    return [
        Endpoint(
            API_PREFIX + "/features",
            ("GET",),
            features,
            summary="Lists what this server can do, and whether it is switched on.",
        )
    ]


def features_of(context: WebContext) -> Features:
    """Every feature by its group."""
    options = context.query_options()
    found = {group: dict.fromkeys(names, False) for group, names in _MISSING.items()}
    found["api"] = _api(context, options)
    found["prometheus"] = {
        "agent_mode": context.options.agent,
        "auto_reload_config": context.flags.get("config.auto-reload") == "true"
        or options.has("auto-reload-config"),
        "server_mode": not context.options.agent,
    }
    found["promql"] = _language(options)
    experimental = options.has(languages.EXPERIMENTAL_FUNCTIONS)
    found["promql_functions"] = {
        name: experimental or not signature.experimental for name, signature in FUNCTIONS.items()
    }
    found["promql_operators"] = dict.fromkeys(
        (*_ARITHMETIC, *COMPARISONS, *TRIMS, *WORD_OPERATORS, *AGGREGATORS, *MATCH_OPERATORS - {"="}), True
    ) | dict.fromkeys(EXPERIMENTAL_AGGREGATORS, experimental)
    found["rules"] = {
        "concurrent_rule_eval": options.has("concurrent-rule-eval"),
        "keep_firing_for": True,
        "query_offset": True,
    }
    typed = options.has(languages.TYPE_AND_UNIT)
    found["scrape"] = {
        "extra_scrape_metrics": True,
        "start_timestamp_zero_ingestion": options.has("created-timestamp-zero-ingestion"),
        "type_and_unit_labels": typed,
    }
    found["service_discovery_providers"] = {row.name: True for row in MECHANISMS}
    found["templating_functions"] = {
        function.name: True for room in (numbers, queries, texts) for function in room.FUNCTIONS
    }
    # The pages beside which Prometheus has its second and older ones.
    found["ui"]["ui_v3"] = pages_are_built()
    found["otlp_receiver"] = {
        "delta_conversion": options.has("otlp-deltatocumulative"),
        "native_delta_ingestion": options.has("otlp-native-delta-ingestion"),
    }
    found["tsdb"] |= {
        "exemplar_storage": options.has("exemplar-storage"),
        "isolation": True,
        "native_histograms": True,
    }
    return found


def _api(context: WebContext, options: QueryOptions) -> dict[str, bool]:
    return {
        **dict.fromkeys(_API, True),
        **{f"search_fuzz_alg_{name}": True for name in ALGORITHMS},
        "admin": context.options.enable_admin_api,
        "lifecycle": context.options.enable_lifecycle,
        "otlp_write_receiver": context.options.enable_otlp,
        "remote_write_receiver": context.options.enable_remote_write,
        "search": options.has(SEARCH),
    }


def _language(options: QueryOptions) -> dict[str, bool]:
    extended = options.has(languages.EXTENDED_SELECTORS)
    return {
        **dict.fromkeys(_LANGUAGE, True),
        **dict.fromkeys(FILL_WORDS, options.has(languages.FILL_MODIFIERS)),
        "anchored": extended,
        "smoothed": extended,
        "delayed_name_removal": options.has(languages.DELAYED_NAME_REMOVAL),
        "per_step_stats": options.has(languages.PER_STEP_STATS),
        "type_and_unit_labels": options.has(languages.TYPE_AND_UNIT),
    }
