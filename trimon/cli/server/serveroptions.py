"""From the values of flags to the options of the parts, and what is wrong with values that can be read."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trimon.actors.alertsender import NotifierSettings
from trimon.actors.remotewrite.manager import KeptBounds
from trimon.cli.server.commandline import ServerFlags, read_value, shown_value
from trimon.cli.server.flags import BY_NAME, FLAGS, STRICT
from trimon.config.configuration import RETENTION_DEFAULT_MS, Config
from trimon.config.storage import RetentionConfig
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles
from trimon.log import Log
from trimon.model.matcher import anchored, compile_regexp
from trimon.query.language.options import QueryOptions
from trimon.redaction import shown_url
from trimon.server.parts.storage import limits_of
from trimon.server.settings import AlertSettings, RuleSettings
from trimon.storage.options import StoreOptions
from trimon.storage.prometheus.coexistence import own_directory
from trimon.web.auth.security import CurrentSecurity, read_security
from trimon.web.context import WebOptions
from trimon.web.externalurl import ExternalUrl, bracketed
from trimon.web.http.hosts import is_loopback_name
from trimon.web.http.wire.listening import UNIX, Address, UnixPath

EXEMPLARS: Final = "exemplar-storage"
CONCURRENT_RULES: Final = "concurrent-rule-eval"
AUTO_RELOAD_MS_MIN: Final = 1_000
WAL_SEGMENT_BYTES: Final = 128 * 2**20
# What an agent has in memory goes with its window: the shorter, the less, and the more often series are made anew. Samples
# older than half of one are refused.
AGENT_WINDOW_MS: Final = 30 * 60_000
_MIB: Final = 2**20


def place_of(error: UserError) -> dict[str, object]:
    """Where an error is, as a field of the log, when its words do not say it."""
    return {"at": error.position} if error.position.line and "\n  line " not in error.message else {}


def check_flags(flags: ServerFlags, log: Log) -> None:
    """Warn of flags that do nothing. Raises OperatingError for what a server does not start with."""
    for name in flags.given:
        flag = BY_NAME[name]
        if flag.inert:
            log.warning("flag has no effect", flag=f"--{name}", reason=flag.inert)
        if flag.least and flags[name] is not None and flags[name] < read_value(flag, flag.least):
            shown = shown_value(flag, flags[name])
            raise UserError(f"--{name} must be at least {flag.least}, got {shown}")
    if not 0 < flags["auto-gomemlimit.ratio"] <= 1:
        raise OperatingError("--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.")
    for name in ("storage.tsdb.wal-segment-size", "storage.agent.wal-segment-size"):
        if flags[name] and not 10 * _MIB <= flags[name] <= 256 * _MIB:
            raise OperatingError(f"flag '{name}' must be set between 10MB and 256MB")
    chunk_bytes = flags["storage.tsdb.max-block-chunk-segment-size"]
    if chunk_bytes and chunk_bytes < _MIB:
        raise OperatingError("flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB")
    if flags["query.max-concurrency"] == 0:
        log.warning("no query could run with --query.max-concurrency=0, so one runs at a time")
    if ExternalUrl(flags["web.external-url"]).has_userinfo:
        log.warning(
            "user and password in --web.external-url are left out of all links: alerts would take them to other servers",
            url=shown_url(flags["web.external-url"]),
        )


def warn_of_missing(flags: ServerFlags, log: Log) -> None:
    """Warn of a folder that a flag names and that is not there. Blocks on the disk."""
    assets = flags["web.user-assets"]
    if assets and not Path(assets).is_dir():
        log.warning("there is no such folder, so /user answers 404", flag="--web.user-assets", folder=assets)


def web_security(flags: ServerFlags) -> CurrentSecurity:
    """What the web config file says. Raises UserError when a server cannot start with it."""
    name = flags["web.config.file"]
    return read_security(Path(name), strict=flags["compat"] == STRICT) if name else CurrentSecurity()


def auto_reload_s(flags: ServerFlags, features: frozenset[str]) -> float:
    """How often the files of the configuration are looked at; 0 for never."""
    if not flags["config.auto-reload"] and "auto-reload-config" not in features:
        return 0.0
    return float(max(AUTO_RELOAD_MS_MIN, flags["config.auto-reload-interval"])) / 1000


def listen_addresses(texts: tuple[str, ...]) -> tuple[Address, ...]:
    """(host, port) or the path of each --web.listen-address. Raises UserError."""
    return tuple(_address(text) for text in texts)


def grpc_addresses(text: str) -> tuple[Address, ...]:
    """The same of --otlp.grpc-listen-address; nothing of an empty one. Raises UserError."""
    if not text or text.startswith(UNIX):
        return listen_addresses((text,)) if text else ()
    _, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--otlp.grpc-listen-address: {text!r} is no address: host:port is wanted")
    return listen_addresses((text,))


def _address(text: str) -> Address:
    if text.startswith(UNIX):
        if not (path := text.removeprefix(UNIX)):
            raise UserError(f"address {text} has no path")
        return UnixPath(path)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise UserError(f'parse external URL "": address {text}: missing port in address')
    if not port.isdigit() or int(port) > 65535:
        url = f"http://{socket.gethostname()}:{port}/"
        raise UserError(f'parse external URL "": parse "{url}": invalid port ":{port}" after host')
    return host.removeprefix("[").removesuffix("]"), int(port)


def flag_retention(flags: ServerFlags) -> RetentionConfig:
    """The retention of a file that says nothing of it."""
    time_ms, size_bytes = flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]
    return RetentionConfig(time=time_ms or (0 if size_bytes else RETENTION_DEFAULT_MS), size=size_bytes)


def data_path(flags: ServerFlags) -> Path:
    """The directory that the mode's flag names."""
    return Path(flags["storage.agent.path" if flags["agent"] else "storage.tsdb.path"])


def kept_log(flags: ServerFlags) -> KeptBounds:
    """How much of the log is kept for receivers."""
    age_ms = flags["storage.agent.retention.max-time" if flags["agent"] else "storage.remote.keep-time"]
    return KeptBounds(age_ms, flags["storage.remote.keep-size"])


def store_options(flags: ServerFlags, config: Config, features: frozenset[str]) -> StoreOptions:
    """How the store is opened. Blocks on the disk."""
    limits = limits_of(config.storage, exemplars=EXEMPLARS in features)
    if flags["agent"]:
        return StoreOptions(
            path=own_directory(DiskFiles(), data_path(flags)),
            fsync=flags["storage.wal-fsync"],
            out_of_order_window_ms=limits.out_of_order_window_ms,
            series_max=flags["storage.series-max"],
            min_block_ms=flags["storage.agent.wal-truncate-frequency"] or AGENT_WINDOW_MS,
            wal_segment_bytes=flags["storage.agent.wal-segment-size"] or WAL_SEGMENT_BYTES,
            lockfile=not flags["storage.agent.no-lockfile"],
            exemplars_max=limits.exemplars_max,
            keeps_blocks=False,
        )
    return StoreOptions(
        path=own_directory(DiskFiles(), data_path(flags)),
        fsync=flags["storage.wal-fsync"],
        out_of_order_window_ms=limits.out_of_order_window_ms,
        retention_ms=limits.retention_ms,
        retention_bytes=limits.retention_bytes,
        retention_percentage=limits.retention_percentage,
        series_max=flags["storage.series-max"],
        min_block_ms=flags["storage.tsdb.min-block-duration"],
        max_block_ms=flags["storage.tsdb.max-block-duration"] or 0,
        wal_segment_bytes=flags["storage.tsdb.wal-segment-size"] or WAL_SEGMENT_BYTES,
        lockfile=not flags["storage.tsdb.no-lockfile"],
        exemplars_max=limits.exemplars_max,
        strict_reads=flags["storage.strict-reads"],
    )


def own_address(addresses: Sequence[Address]) -> str:
    """Host and port under which a client on this machine finds the server; of a Unix socket, what such clients send."""
    for address in addresses:
        if not isinstance(address, UnixPath):
            host, port = address
            return f"{'127.0.0.1' if host in ('', '0.0.0.0', '::') else bracketed(host)}:{port}"  # noqa: S104 # compared
    return "localhost:80"


def _outer(own: str, addresses: Sequence[Address]) -> str:
    """Host and port for links: the machine's name, which others may know, unless it listens on loopback alone."""
    if all(isinstance(address, UnixPath) or is_loopback_name(address[0]) for address in addresses):
        return own
    return f"{socket.gethostname()}:{own.rpartition(':')[2]}"


def web_options(
    flags: ServerFlags, own: str, addresses: Sequence[Address], scheme: str = "http"
) -> WebOptions:
    """How the front end answers. Raises UserError."""
    port = own.rpartition(":")[2]
    external = ExternalUrl(flags["web.external-url"] or f"{scheme}://{_outer(own, addresses)}/", port)
    external.check()
    external = external.for_links()
    cors_origin: str = flags["web.cors.origin"] or ".*"
    try:
        compile_regexp(anchored(cors_origin))
    except UserError as error:
        raise UserError(f'could not compile CORS regex string "{cors_origin}": {error}') from None
    return WebOptions(
        external=external,
        route_prefix=external.prefix(flags["web.route-prefix"]),
        cors_origin=cors_origin,
        agent=flags["agent"],
        enable_lifecycle=flags["web.enable-lifecycle"],
        enable_admin_api=flags["web.enable-admin-api"],
        enable_remote_write=flags["web.enable-remote-write-receiver"],
        remote_write_messages=tuple(flags["web.remote-write-receiver.accepted-protobuf-messages"]),
        notification_subscribers_max=flags["web.max-notifications-subscribers"],
        search_limit_max=flags["web.search.max-limit"],
        enable_otlp=flags["web.enable-otlp-receiver"],
        page_title=flags["web.page-title"],
        user_assets=Path(flags["web.user-assets"]) if flags["web.user-assets"] else None,
        console_templates=Path(flags["web.console.templates"]) if flags["web.console.templates"] else None,
        console_libraries=Path(flags["web.console.libraries"]) if flags["web.console.libraries"] else None,
        allow_remote_debug=flags["web.allow-remote-debug"],
        allowed_hosts=_allowed_hosts(flags["web.allowed-hosts"], addresses),
        # the default lets every page read; none may change anything by default
        changing_origin=cors_origin if "web.cors.origin" in flags.given else "",
        query_cost_max=flags["query.cost-max"],
        query_range_cost_max=flags["query.range-cost-max"],
        remote_read_samples_max=flags["storage.remote.read-sample-limit"],
        remote_read_concurrent_max=flags["storage.remote.read-concurrent-limit"],
        remote_read_frame_bytes_max=flags["storage.remote.read-max-bytes-in-frame"],
    )


def _allowed_hosts(given: Sequence[str], addresses: Sequence[Address]) -> tuple[str, ...] | None:
    """The hosts that requests may name: on loopback alone those given, elsewhere every host when none is given."""
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    hosts = [address[0] for address in addresses if not isinstance(address, UnixPath)]
    if not names and not all(is_loopback_name(host) for host in hosts):
        return None
    return (*names, *(host for host in hosts if host))


def rule_settings(flags: ServerFlags, features: frozenset[str]) -> RuleSettings:
    """How rules are evaluated."""
    at_once = max(0, flags["rules.max-concurrent-evals"]) if CONCURRENT_RULES in features else 0
    return RuleSettings(at_once, flags["rules.catch-up-max"], flags["rules.alert.history-max"])


def query_options(flags: ServerFlags, features: frozenset[str]) -> QueryOptions:
    """How queries run."""
    return QueryOptions(
        lookback_ms=flags["query.lookback-delta"],
        samples_max=flags["query.max-samples"],
        bytes_max=flags["query.max-memory"],
        timeout_s=flags["query.timeout"] / 1000,
        features=features,
    )


def notifier_settings(flags: ServerFlags) -> NotifierSettings:
    """How alerts wait and are sent."""
    return NotifierSettings(
        queue_alerts_max=max(1, flags["alertmanager.notification-queue-capacity"]),
        batch_alerts_max=max(1, flags["alertmanager.notification-batch-size"]),
        drains=flags["alertmanager.drain-notification-queue-on-shutdown"],
    )


def alert_settings(flags: ServerFlags) -> AlertSettings:
    """How alerts are restored and how often they are sent."""
    return AlertSettings(
        resend_delay_ms=flags["rules.alert.resend-delay"],
        outage_tolerance_ms=flags["rules.alert.for-outage-tolerance"],
        grace_period_ms=flags["rules.alert.for-grace-period"],
    )


def shown_flags(flags: ServerFlags, route_prefix: str, store: StoreOptions) -> dict[str, str]:
    """Every flag as /api/v1/status/flags shows it, with the values that hold; flags of our own when they are given."""
    shown = {
        flag.name: shown_value(flag, flags[flag.name])
        for flag in FLAGS
        if not flag.own or flag.name in flags.given
    }
    time_flag = BY_NAME["storage.tsdb.retention.time"]
    shown[time_flag.name] = shown_value(time_flag, flag_retention(flags).time)
    if store.keeps_blocks:
        largest = BY_NAME["storage.tsdb.max-block-duration"]
        shown[largest.name] = shown_value(largest, store.block_ms_max)
    shown["web.route-prefix"] = route_prefix or "/"
    return {name: shown_url(value) for name, value in shown.items()}
