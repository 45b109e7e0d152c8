"""Starting the server: flags to settings, and one clear line for each thing that can be wrong."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio

from trimon.cli.flags import listen_addresses, shown_values
from trimon.clock import WallClock
from trimon.config.load import Config, load, load_text
from trimon.discovery.registry import Registry
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles
from trimon.log import Log, make_log
from trimon.memory import one_arena
from trimon.model.matcher import anchored, compile_regexp
from trimon.offload import ThreadOffload
from trimon.query.language.options import QueryOptions
from trimon.selfmetrics import SelfMetrics
from trimon.server import RULES_MAX, Loaded, Seams, Server, Settings, complete
from trimon.storage.options import DAY_MS, StoreOptions
from trimon.storage.store import Store
from trimon.web.context import WebOptions
from trimon.web.externalurl import ExternalUrl, bracketed
from trimon.web.http.guard import is_loopback
from trimon.web.http.server import bind

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
RETENTION_DEFAULT_MS: Final = 15 * DAY_MS
WRITER_THREADS: Final = 3
PARSE_THREADS: Final = 4
COLLECTOR_THRESHOLDS: Final = (50_000, 20, 50)
KNOWN_FEATURES: Final = frozenset(
    (
        "promql-experimental-functions",
        "promql-delayed-name-removal",
        "promql-extended-range-selectors",
        "promql-binop-fill-modifiers",
        "promql-duration-expr",
        "promql-per-step-stats",
        "use-start-timestamps",
        "type-and-unit-labels",
        "exemplar-storage",
    )
)
# Known, and yet without the effect that one would expect.
FEATURE_WARNINGS: Final = {
    "use-start-timestamps": "no start timestamps are stored: queries of scraped samples are as without it",
    "native-histograms": "native histograms are not scraped by this version of trimon",
    "created-timestamp-zero-ingestion": "not supported by this version of trimon: _created series are stored as they are",
    "st-storage": "not supported by this version of trimon: start timestamps are not stored",
    "st-synthesis": "not supported by this version of trimon: counters are stored as they are",
}

EMBEDDED: Final = """# The configuration of a server that was given none: it scrapes itself.
global:
  scrape_interval: 15s
  evaluation_interval: 15s
scrape_configs:
  - job_name: trimon
    static_configs:
      - targets: ["{address}"]
"""


def main(flags: dict[str, Any]) -> int:
    """Runs the server; the exit code."""
    log = make_log(flags["log_level"], flags["log_format"])
    one_arena()
    try:
        return _start(flags, log)
    except UserError as error:
        print(f"trimon: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except OperatingError as error:
        print(f"trimon: error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _start(flags: dict[str, Any], log: Log) -> int:
    addresses = listen_addresses(flags["web_listen_address"])
    path: Path | None = flags["config_file"]
    host, port = addresses[0]
    own = f"{'127.0.0.1' if host in ('', '0.0.0.0', '::') else bracketed(host)}:{port}"  # noqa: S104 # compared, not bound

    web, features = _web_options(flags, own), _features(flags, log)
    query_options = _query_options(flags, features)
    registry = Registry()

    def read() -> Loaded:
        if path is None or (path == Path("prometheus.yml") and not path.exists()):
            return Loaded(load_text(EMBEDDED.format(address=own), Path("embedded.yml").absolute()))
        try:
            return complete(load(path), query_options, registry)
        except UserError as error:
            raise UserError(f"Error loading config (--config.file={path}): {error}") from None

    loaded = read()
    config = loaded.config
    for warning in config.warnings:
        log.warning(warning)
    sockets, store = _opened(addresses, _store_options(flags, config, features))
    open_to_all = [address for address, _ in addresses if not is_loopback(address or "0.0.0.0")]  # noqa: S104 # as above
    if open_to_all:
        log.warning(
            "listening on more than loopback without authentication: anybody who reaches the port may read and query",
            addresses=",".join(open_to_all),
        )
    settings = Settings(
        web=web,
        query=query_options,
        queries_max=flags["query_max_concurrency"],
        connections_max=flags["web_max_connections"],
        discovery_interval_s=flags["scrape_discovery_reload_interval"] / 1000,
        flags=shown_values(flags),
    )
    seams = Seams(
        clock=WallClock(),
        log=log,
        metrics=SelfMetrics(),
        writer_threads=ThreadOffload(WRITER_THREADS),
        query_threads=ThreadOffload(flags["query_max_concurrency"]),
        parse_threads=ThreadOffload(PARSE_THREADS),
        rule_threads=ThreadOffload(RULES_MAX),
        registry=registry,
    )
    log.info(
        "trimon is up", url=f"http://{own}/", data=str(store.options.path), jobs=len(config.scrape_configs)
    )
    print(
        f"trimon listens on http://{own}/ (targets: http://{own}/api/v1/targets, "
        f"actors: http://{own}/debug/actors)",
        flush=True,
    )
    server = Server(settings, seams, store, sockets, loaded, read)
    _tune_collector()
    return trio.run(server.run)


def _opened(addresses: Sequence[tuple[str, int]], options: StoreOptions) -> tuple[list[socket.socket], Store]:
    """The listening sockets and the store; no socket stays open when the store can not be opened."""
    sockets = bind(addresses)
    try:
        return sockets, Store.open(options, DiskFiles(), WallClock())
    except OperatingError:
        for listener in sockets:
            listener.close()
        raise


def _tune_collector() -> None:
    """Lets the cycle collector rest: most of what is allocated has no cycles, and what is here now stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _features(flags: dict[str, Any], log: Log) -> frozenset[str]:
    asked = {name.strip() for text in flags["enable_feature"] for name in text.split(",") if name.strip()}
    for name in sorted(asked & FEATURE_WARNINGS.keys()):
        log.warning("option for --enable-feature has no effect", option=name, reason=FEATURE_WARNINGS[name])
    for name in sorted(asked - KNOWN_FEATURES - FEATURE_WARNINGS.keys()):
        log.warning("unknown or unsupported option for --enable-feature", option=name)
    return frozenset(asked)


def _store_options(flags: dict[str, Any], config: Config, features: frozenset[str]) -> StoreOptions:
    fsync = flags["storage_wal_fsync"]
    if fsync not in ("always", "interval", "never"):
        raise UserError(f'--storage.wal-fsync must be always, interval or never, got "{fsync}"')
    retention = config.storage.tsdb.retention
    time_ms = flags["storage_tsdb_retention_time"]
    size_bytes = flags["storage_tsdb_retention_size"] or 0
    percentage = 0.0
    if retention is not None:
        time_ms, size_bytes, percentage = retention.time, retention.size, retention.percentage
    elif time_ms is None:
        time_ms = 0 if size_bytes else RETENTION_DEFAULT_MS
    return StoreOptions(
        path=flags["storage_tsdb_path"],
        fsync=fsync,
        out_of_order_window_ms=config.storage.tsdb.out_of_order_time_window,
        retention_ms=time_ms,
        retention_bytes=size_bytes,
        retention_percentage=percentage,
        series_max=flags["storage_series_max"],
        min_block_ms=flags["storage_tsdb_min_block_duration"],
        max_block_ms=flags["storage_tsdb_max_block_duration"] or 0,
        wal_segment_bytes=flags["storage_tsdb_wal_segment_size"],
        lockfile=not flags["storage_tsdb_no_lockfile"],
        exemplars_max=config.storage.exemplars.max_exemplars if "exemplar-storage" in features else 0,
    )


def _web_options(flags: dict[str, Any], own: str) -> WebOptions:
    external = ExternalUrl(flags["web_external_url"] or f"http://{own}/", own.rpartition(":")[2])
    external.check()
    cors_origin = flags["web_cors_origin"] or ".*"
    try:
        compile_regexp(anchored(cors_origin))
    except UserError as error:
        raise UserError(f'could not compile CORS regex string "{cors_origin}": {error}') from None
    return WebOptions(
        external=external,
        route_prefix=external.prefix(flags["web_route_prefix"] or ""),
        cors_origin=cors_origin,
        enable_lifecycle=flags["web_enable_lifecycle"],
        enable_admin_api=flags["web_enable_admin_api"],
        enable_remote_write=flags["web_enable_remote_write_receiver"],
        allow_remote_debug=flags["web_allow_remote_debug"],
    )


def _query_options(flags: dict[str, Any], features: frozenset[str]) -> QueryOptions:
    return QueryOptions(
        lookback_ms=flags["query_lookback_delta"],
        samples_max=flags["query_max_samples"],
        bytes_max=flags["query_max_memory"],
        timeout_s=flags["query_timeout"] / 1000,
        features=features,
    )
