"""From a scrape config to a job: the engine's options, and how its targets are reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trimon import limits
from trimon.actors.scrape import JobConfig
from trimon.config.dump import fingerprint
from trimon.config.scrape import ScrapeConfig
from trimon.fetch.client import HttpFetch
from trimon.model.relabel import Relabeling
from trimon.peers.credentials import Credentials
from trimon.peers.options import client_options
from trimon.scrape.options import PoolOptions

_LEGACY: Final = "legacy"


def pool_options(config: ScrapeConfig, *, type_and_unit_labels: bool = False) -> PoolOptions:
    """What the scrape engine needs of a completed scrape config."""
    return PoolOptions(
        job=config.job_name,
        interval_ms=config.scrape_interval,
        timeout_ms=config.scrape_timeout,
        metrics_path=config.metrics_path,
        scheme=config.scheme,
        params=config.params,
        protocols=config.scrape_protocols,
        fallback_protocol=config.fallback_scrape_protocol,
        escaping=config.metric_name_escaping_scheme,
        legacy_names=config.metric_name_validation_scheme == _LEGACY,
        compression=config.enable_compression,
        honor_labels=config.honor_labels,
        honor_timestamps=config.honor_timestamps,
        extra_metrics=config.extra_scrape_metrics,
        type_and_unit_labels=type_and_unit_labels,
        sample_limit=config.sample_limit,
        target_limit=config.target_limit,
        label_limit=config.label_limit,
        label_name_length_limit=config.label_name_length_limit,
        label_value_length_limit=config.label_value_length_limit,
        body_size_limit=config.body_size_limit,
        # a body of exactly the limit is too big already, as in Prometheus
        body_bytes_max=config.body_size_limit - 1 if config.body_size_limit else limits.SCRAPE_BODY_BYTES_MAX,
        keep_dropped_targets=config.keep_dropped_targets,
        relabeling=Relabeling(config.relabel_configs),
        metric_relabeling=Relabeling(config.metric_relabel_configs),
    )


def job_config(config: ScrapeConfig, *, type_and_unit_labels: bool = False) -> JobConfig:
    """A job; `version` changes with anything that concerns its pool."""
    credentials = Credentials(config)
    client = client_options(config, credentials)
    pool = config.without_discovery()
    options = pool_options(config, type_and_unit_labels=type_and_unit_labels)
    return JobConfig(
        replace(options, sent_secrets=lambda: credentials.sent),
        fingerprint("job", pool),
        lambda: HttpFetch(client),
        config.scrape_failure_log_file,
    )


def job_warnings(config: ScrapeConfig) -> list[str]:
    """What a job asks for by name that changes nothing."""
    if config.given("enable_http2") and config.enable_http2:
        return [f"enable_http2 of job {config.job_name} has no effect: targets are asked by HTTP/1.1"]
    return []
