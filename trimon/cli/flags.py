"""Every flag of the server in one table, under Prometheus' names. A flag is one line.

A flag that Prometheus has and trimon gives no meaning to yet stands in `REFUSED` with the reason: a command line never
loses a wish silently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import click

from trimon.errors import UserError
from trimon.log import LEVELS
from trimon.units import format_duration, parse_duration_ms, parse_size_bytes

Kind = Literal["text", "path", "duration", "size", "bool", "count", "address", "list", "level", "format"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name without dashes, how its value reads, its default as text, what it does."""

    name: str
    kind: Kind
    default: str
    help: str

    @property
    def field(self) -> str:
        """Its name in `ServerFlags`."""
        return self.name.replace(".", "_").replace("-", "_")


FLAGS: Final = (
    Flag(
        "config.file",
        "path",
        "prometheus.yml",
        "Configuration file. Without this flag and without the file, trimon scrapes itself.",
    ),
    Flag("web.listen-address", "list", "127.0.0.1:9090", "Address to listen on. Repeatable."),
    Flag("web.allow-remote-debug", "bool", "false", "Answer /debug to clients that are not on loopback."),
    Flag("web.max-connections", "count", "512", "Most connections at once."),
    Flag("web.external-url", "text", "", "URL under which the server is reached from outside."),
    Flag("web.route-prefix", "text", "", "Prefix of all routes. Default: the path of --web.external-url."),
    Flag("web.cors.origin", "text", ".*", "Regular expression of origins that may ask, fully anchored."),
    Flag("web.enable-lifecycle", "bool", "false", "Allow reload and quit over HTTP."),
    Flag(
        "web.enable-admin-api", "bool", "false", "Allow deletion, tombstone cleaning and snapshots over HTTP."
    ),
    Flag("web.enable-remote-write-receiver", "bool", "false", "Accept remote write on /api/v1/write."),
    Flag("storage.tsdb.path", "path", "data/", "Directory of the samples."),
    Flag(
        "storage.tsdb.retention.time",
        "duration",
        "",
        "How long to keep samples. Default 15d if no size is given.",
    ),
    Flag("storage.tsdb.retention.size", "size", "", "How many bytes of samples to keep."),
    Flag("storage.tsdb.no-lockfile", "bool", "false", "Do not lock the data directory."),
    Flag("storage.tsdb.min-block-duration", "duration", "2h", "Time range of the first blocks."),
    Flag(
        "storage.tsdb.max-block-duration",
        "duration",
        "",
        "Time range of the biggest blocks. Default: a tenth of the retention.",
    ),
    Flag("storage.tsdb.wal-segment-size", "size", "128MB", "Size of a write-ahead log segment."),
    Flag("storage.wal-fsync", "text", "interval", "When the log is fsynced: always, interval or never."),
    Flag(
        "storage.series-max",
        "count",
        "0",
        "Most series in the head; new ones beyond it are refused. 0: no limit.",
    ),
    Flag("query.lookback-delta", "duration", "5m", "How far an instant selector looks back."),
    Flag("query.timeout", "duration", "2m", "The longest a query may take."),
    Flag("query.max-concurrency", "count", "20", "Most queries at once."),
    Flag("query.max-samples", "count", "50000000", "Most samples a query may load."),
    Flag("query.max-memory", "size", "4GB", "Most memory a query may hold at once, its answer included."),
    Flag(
        "scrape.discovery-reload-interval", "duration", "5s", "How often discovered targets are taken over."
    ),
    Flag("enable-feature", "list", "", "Feature flags, comma separated. Repeatable. Unknown ones only warn."),
    Flag("log.level", "level", "info", "debug, info, warn or error."),
    Flag("log.format", "format", "logfmt", "logfmt or json."),
)

REFUSED: Final = {
    "config.auto-reload": "the files are not watched yet; SIGHUP and /-/reload take over a change",
    "config.auto-reload-interval": "the files are not watched yet; SIGHUP and /-/reload take over a change",
    "web.page-title": "there are no pages yet that it could head",
    "agent": "agent mode does not exist yet",
    "alertmanager.drain-notification-queue-on-shutdown": "alerts are not sent yet",
    "alertmanager.notification-batch-size": "alerts are not sent yet",
    "alertmanager.notification-queue-capacity": "alerts are not sent yet",
    "alertmanager.timeout": "it has no effect since Prometheus 2.0",
    "auto-gomaxprocs": "it tunes the Go runtime, and this is Python",
    "auto-gomemlimit": "it tunes the Go runtime, and this is Python",
    "auto-gomemlimit.ratio": "it tunes the Go runtime, and this is Python",
    "auto-gomemlimit.refresh-interval": "it tunes the Go runtime, and this is Python",
    "rules.alert.for-grace-period": "alert state is not restored yet",
    "rules.alert.for-outage-tolerance": "alert state is not restored yet",
    "rules.alert.resend-delay": "alerts are not sent yet",
    "rules.max-concurrent-evals": "rules of a group run one after the other",
    "scrape.adjust-timestamps": "timestamps are always aligned, within the tolerance of Prometheus",
    "scrape.timestamp-tolerance": "timestamps are always aligned, within the tolerance of Prometheus",
    "storage.agent.path": "agent mode does not exist yet",
    "storage.agent.no-lockfile": "agent mode does not exist yet",
    "storage.agent.retention.max-time": "agent mode does not exist yet",
    "storage.agent.retention.min-time": "agent mode does not exist yet",
    "storage.agent.wal-compression": "agent mode does not exist yet",
    "storage.remote.flush-deadline": "remote write is not sent yet",
    "storage.remote.read-concurrent-limit": "remote read does not exist yet",
    "storage.remote.read-max-bytes-in-frame": "remote read does not exist yet",
    "storage.remote.read-sample-limit": "remote read does not exist yet",
    "storage.tsdb.allow-overlapping-blocks": "overlapping blocks are always merged",
    "storage.tsdb.allow-overlapping-compaction": "overlapping blocks are always merged",
    "storage.tsdb.delay-compact-file.path": "no sidecar format is written that it could protect",
    "storage.tsdb.head-chunks-write-queue-size": "the head has no chunk queue",
    "storage.tsdb.samples-per-chunk": "blocks hold pages of columns, not chunks",
    "storage.tsdb.wal-compression": "the log is always compressed",
    "storage.tsdb.wal-compression-type": "the log is always compressed, with zstd",
    "web.config.file": "TLS and authentication of our own pages do not exist yet",
    "web.console.libraries": "console templates do not exist",
    "web.console.templates": "console templates do not exist",
    "web.enable-otlp-receiver": "OTLP is not received yet",
    "web.max-notifications-subscribers": "live notifications do not exist yet",
    "web.read-timeout": "requests have no time limit of their own yet; queries have --query.timeout",
    "web.remote-write-receiver.accepted-protobuf-messages": "only prometheus.WriteRequest is accepted",
    "web.search.max-limit": "the search API does not exist yet",
    "web.user-assets": "static user files are not served",
}

ServerFlags = dict[str, Any]


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UserError(f'not a listen address: "{text}" (host:port)')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _bounded(text: str) -> int:
    if not text.isdigit():
        raise UserError(f'not a number: "{text}"')
    return int(text)


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in choices:
            raise UserError(f'must be one of {", ".join(choices)}, got "{text}"')
        return text

    return check


_READ: Final[dict[str, Callable[[str], object]]] = {
    "text": str,
    "path": Path,
    "duration": parse_duration_ms,
    "size": parse_size_bytes,
    "count": _bounded,
    "level": _one_of(tuple(LEVELS)),
    "format": _one_of(("logfmt", "json")),
}


class _Value(click.ParamType[object]):
    """A click type that reads a flag of the table and keeps an empty value as None."""

    def __init__(self, kind: Kind) -> None:
        self.name = kind
        self._read = _READ[kind]

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """The value of a flag's text; a UserError becomes a usage error with exit code 2."""
        if not isinstance(value, str):
            return value
        if value == "":
            return None
        try:
            return self._read(value)
        except UserError as error:
            self.fail(str(error), param, ctx)


def _refuse(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if (
        value is not None
        and ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
    ):
        flag = param.opts[0]
        raise click.UsageError(f"flag {flag} is not supported: {REFUSED[flag.removeprefix('--')]}", ctx)


def server_options() -> list[click.Option]:
    """The click options of all flags, the refused ones hidden."""
    options: list[click.Option] = []
    for flag in FLAGS:
        if flag.kind == "bool":
            spec = f"--{flag.name}/--no-{flag.name}"
            options.append(click.Option([spec, flag.field], default=flag.default == "true", help=flag.help))
        elif flag.kind == "list":
            options.append(
                click.Option([f"--{flag.name}", flag.field], multiple=True, metavar="TEXT", help=flag.help)
            )
        else:
            options.append(
                click.Option(
                    [f"--{flag.name}", flag.field],
                    type=_Value(flag.kind),
                    default=flag.default,
                    show_default=bool(flag.default),
                    metavar=flag.kind.upper(),
                    help=flag.help,
                )
            )
    for name in REFUSED:
        field = "refused_" + name.replace(".", "_").replace("-", "_")
        options.append(
            click.Option(
                [f"--{name}", field],
                is_flag=False,
                flag_value="",
                hidden=True,
                callback=_refuse,
                expose_value=False,
            )
        )
        options.append(
            click.Option(
                [f"--no-{name}", f"no_{field}"],
                is_flag=True,
                default=None,
                hidden=True,
                callback=_refuse_no,
                expose_value=False,
            )
        )
    return options


def _refuse_no(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value:
        name = param.opts[0].removeprefix("--no-")
        raise click.UsageError(f"flag --no-{name} is not supported: {REFUSED[name]}", ctx)


def listen_addresses(texts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """(host, port) of each --web.listen-address. Raises UserError."""
    default = next(flag.default for flag in FLAGS if flag.name == "web.listen-address")
    return tuple(_address(text) for text in texts or (default,))


def shown_values(flags: ServerFlags) -> dict[str, str]:
    """Every flag as /api/v1/status/flags shows it."""
    return {flag.name: _shown(flag, flags.get(flag.field)) for flag in FLAGS}


def _shown(flag: Flag, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if flag.kind == "duration" and isinstance(value, int):
        return format_duration(value)
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or flag.default
    return str(value)
