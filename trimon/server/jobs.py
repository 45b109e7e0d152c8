"""From a scrape config to a job: the engine's options, and how its targets are reached."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from trimon import limits
from trimon.actors.scraping.scrapepool import JobConfig
from trimon.config.dump import fingerprint
from trimon.config.globals import KEEP_KNOWN, PROTOCOLS, PROTOCOLS_PROTO_FIRST
from trimon.config.scrape import ScrapeConfig
from trimon.fetch.client import HttpFetch
from trimon.model.relabel import Relabeling
from trimon.peers.credentials import Credentials
from trimon.peers.options import client_options
from trimon.query.language.options import TYPE_AND_UNIT
from trimon.scrape.options import PoolOptions

_LEGACY: Final = "legacy"
STARTS_AS_ZEROS: Final = "created-timestamp-zero-ingestion"


def pool_options(config: ScrapeConfig, features: Collection[str] = ()) -> PoolOptions:
    """What the scrape engine needs of a completed scrape config, with names of `--enable-feature`."""
    starts = STARTS_AS_ZEROS in features
    protocols = config.scrape_protocols
    if starts and protocols == PROTOCOLS:
        # Only protobuf says of all series when they began.
        protocols = PROTOCOLS_PROTO_FIRST
    return PoolOptions(
        job=config.job_name,
        interval_ms=config.scrape_interval,
        timeout_ms=config.scrape_timeout,
        metrics_path=config.metrics_path,
        scheme=config.scheme,
        params=config.params,
        protocols=protocols,
        fallback_protocol=config.fallback_scrape_protocol,
        escaping=config.metric_name_escaping_scheme,
        legacy_names=config.metric_name_validation_scheme == _LEGACY,
        compression=config.enable_compression,
        honor_labels=config.honor_labels,
        honor_timestamps=config.honor_timestamps,
        track_timestamps_staleness=config.track_timestamps_staleness,
        native_histograms=config.scrape_native_histograms,
        always_classic_histograms=config.always_scrape_classic_histograms,
        convert_classic_histograms=config.convert_classic_histograms_to_nhcb,
        native_histogram_bucket_limit=config.native_histogram_bucket_limit,
        native_histogram_min_bucket_factor=config.native_histogram_min_bucket_factor,
        extra_metrics=config.extra_scrape_metrics,
        type_and_unit_labels=TYPE_AND_UNIT in features,
        start_timestamps_as_zeros=starts,
        sample_limit=config.sample_limit,
        keep_known=config.on_limit == KEEP_KNOWN,
        exposed_sample_limit=config.exposed_sample_limit,
        metric_name_limit=config.metric_name_limit,
        new_series_limit=config.new_series_limit,
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


def job_config(config: ScrapeConfig, features: Collection[str] = ()) -> JobConfig:
    """A job; `version` changes with anything that concerns its pool."""
    credentials = Credentials(config)
    client = client_options(config, credentials)
    pool = config.without_discovery()
    options = pool_options(config, features)
    return JobConfig(
        replace(options, sent_secrets=lambda: credentials.sent),
        fingerprint("job", pool),
        lambda: HttpFetch(client),
        config.scrape_failure_log_file,
    )
