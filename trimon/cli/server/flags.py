"""Every flag of the server in one table, under Prometheus' names and with its defaults. A flag is one line.

A flag that nothing acts on stands in `INERT` with the reason: it is taken, shown by `/api/v1/status/flags`, and warned
of by name when a command line has it.
"""

from __future__ import annotations

from typing import Final, Literal

from trimon.records import dataclass

Kind = Literal[
    "text", "texts", "duration", "go-duration", "size", "bool", "count", "number", "messages", "choice"
]

_ENUM: Final = "enum value must be one of {choices}, got '{value}'"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name without dashes, how its value reads, its default as text, what it is for."""

    name: str
    kind: Kind
    default: str
    help: str
    own: bool = False
    """Whether Prometheus does not have it; such a flag is shown when it is given."""
    choices: tuple[str, ...] = ()
    """The values of a choice."""
    bad_choice: str = "must be one of {choices}, got '{value}'"
    """The error of another value."""
    any_case: bool = False
    """Whether a choice may be written in capitals."""
    least: str = ""
    """The least value that makes sense, as text; empty: every value does."""

    @property
    def mode(self) -> Literal["any", "server", "agent"]:
        """Who takes it."""
        if self.name.startswith("storage.agent."):
            return "agent"
        return "server" if self.name.startswith(_SERVER_ALONE) else "any"

    @property
    def inert(self) -> str:
        """Why nothing acts on it; empty when something does."""
        return INERT.get(self.name, "")


STRICT: Final = "strict"
COMPATIBILITIES: Final = ("extended", STRICT)

FLAGS: Final = (
    Flag(
        "config.file",
        "text",
        "prometheus.yml",
        "Configuration file. Without this flag and without the file, trimon scrapes itself.",
    ),
    Flag(
        "config.auto-reload",
        "bool",
        "false",
        "Reload when the configuration file, rule files or scrape config files change.",
    ),
    Flag("config.auto-reload-interval", "duration", "30s", "How often these files are looked at."),
    Flag(
        "compat",
        "choice",
        "extended",
        "strict: files may have nothing that Prometheus does not know.",
        own=True,
        choices=COMPATIBILITIES,
    ),
    Flag(
        "web.listen-address",
        "texts",
        "127.0.0.1:9090",
        "Address to listen on, or unix:PATH for a Unix socket. Repeatable.",
    ),
    Flag(
        "web.systemd-socket",
        "bool",
        "false",
        "Listen on the sockets that systemd hands over, in place of --web.listen-address.",
        own=True,
    ),
    Flag(
        "web.allow-remote-debug",
        "bool",
        "false",
        "Answer /debug to clients that are not on loopback.",
        own=True,
    ),
    Flag(
        "web.allowed-hosts",
        "texts",
        "",
        "Hosts that requests may name, comma separated; *.name for all below, * for all. Repeatable.",
        own=True,
    ),
    Flag("auto-gomaxprocs", "bool", "true", "Fit GOMAXPROCS to the container."),
    Flag("auto-gomemlimit", "bool", "true", "Fit GOMEMLIMIT to the container or machine."),
    Flag("auto-gomemlimit.ratio", "number", "0.9", "Share of the memory that GOMEMLIMIT gets."),
    Flag("auto-gomemlimit.refresh-interval", "go-duration", "0s", "How often GOMEMLIMIT is set anew."),
    Flag(
        "web.config.file",
        "text",
        "",
        "File with TLS, users and headers of the server's own HTTP. Read again when it changes.",
    ),
    Flag("web.read-timeout", "duration", "5m", "The longest a request may take to arrive."),
    Flag("web.max-connections", "count", "512", "Most connections at once.", least="1"),
    Flag("web.max-notifications-subscribers", "count", "16", "Most subscribers of live notifications."),
    Flag(
        "web.external-url",
        "text",
        "",
        "URL under which the server is reached from outside. "
        "Default: the machine's name, or 127.0.0.1 where it listens on loopback alone.",
    ),
    Flag("web.route-prefix", "text", "", "Prefix of all routes. Default: the path of --web.external-url."),
    Flag("web.user-assets", "text", "", "Directory served under /user."),
    Flag("web.enable-lifecycle", "bool", "false", "Allow reload and quit over HTTP."),
    Flag(
        "web.enable-admin-api", "bool", "false", "Allow deletion, tombstone cleaning and snapshots over HTTP."
    ),
    Flag("web.enable-remote-write-receiver", "bool", "false", "Accept remote write on /api/v1/write."),
    Flag(
        "web.remote-write-receiver.accepted-protobuf-messages",
        "messages",
        "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        "Messages that remote write accepts. Repeatable.",
    ),
    Flag("web.enable-otlp-receiver", "bool", "false", "Accept OTLP metrics on /api/v1/otlp/v1/metrics."),
    Flag(
        "otlp.grpc-listen-address",
        "text",
        "",
        "Address to accept OTLP metrics over gRPC on, such as 127.0.0.1:4317 or :4317. Default: none.",
        own=True,
    ),
    Flag("web.console.templates", "text", "consoles", "Directory of console templates."),
    Flag("web.console.libraries", "text", "console_libraries", "Directory of console libraries."),
    Flag(
        "web.page-title",
        "text",
        "Prometheus Time Series Collection and Processing Server",
        "Title of the pages.",
    ),
    Flag("web.cors.origin", "text", ".*", "Regular expression of origins that may ask, fully anchored."),
    Flag("storage.tsdb.path", "text", "data/", "Directory of the samples."),
    Flag("storage.tsdb.min-block-duration", "duration", "2h", "Time range of the first blocks.", least="1s"),
    Flag(
        "storage.tsdb.max-block-duration",
        "duration",
        "",
        "Time range of the biggest blocks. Default: a tenth of the retention.",
    ),
    Flag("storage.tsdb.max-block-chunk-segment-size", "size", "0B", "Size of a chunk file."),
    Flag("storage.tsdb.wal-segment-size", "size", "0B", "Size of a write-ahead log segment. Default 128MB."),
    Flag(
        "storage.tsdb.retention.time",
        "duration",
        "0s",
        "How long to keep samples. Default 15d if no size is given.",
    ),
    Flag("storage.tsdb.retention.size", "size", "0B", "How many bytes of samples to keep."),
    Flag("storage.tsdb.no-lockfile", "bool", "false", "Do not lock the data directory."),
    Flag("storage.tsdb.allow-overlapping-compaction", "bool", "true", "Merge blocks that overlap."),
    Flag("storage.tsdb.wal-compression", "bool", "true", "Compress the log."),
    Flag(
        "storage.tsdb.wal-compression-type",
        "choice",
        "snappy",
        "How the log is compressed.",
        choices=("snappy", "zstd"),
        bad_choice=_ENUM,
    ),
    Flag("storage.tsdb.head-chunks-write-queue-size", "count", "0", "Queue of chunks to the disk."),
    Flag("storage.tsdb.samples-per-chunk", "count", "120", "Samples of a chunk."),
    Flag(
        "storage.tsdb.delayed-compaction.max-percent",
        "count",
        "10",
        "Longest delay of a compaction, in percent of a block.",
    ),
    Flag("storage.tsdb.delay-compact-file.path", "text", "", "File of a sidecar that delays compactions."),
    Flag(
        "storage.tsdb.block-reload-interval", "duration", "1m", "How often blocks are looked for on the disk."
    ),
    Flag(
        "storage.strict-reads",
        "bool",
        "false",
        "Refuse queries that touch damaged parts of blocks, instead of answering with a warning.",
        own=True,
    ),
    Flag(
        "storage.wal-fsync",
        "choice",
        "interval",
        "When the log is fsynced: always, interval or never.",
        own=True,
        choices=("always", "interval", "never"),
    ),
    Flag(
        "storage.series-max",
        "count",
        "0",
        "Most series in the head; new ones beyond it are refused, which log and problems tell. 0: no limit.",
        least="0",
        own=True,
    ),
    Flag(
        "storage.memory-max",
        "size",
        "0B",
        "Most memory of the process. Default: what cgroup, RLIMIT_AS and machine allow.",
        own=True,
    ),
    Flag("storage.agent.path", "text", "data-agent/", "Directory of an agent's log."),
    Flag("storage.agent.wal-segment-size", "size", "0B", "Size of a segment of an agent's log."),
    Flag("storage.agent.wal-compression", "bool", "true", "Compress an agent's log."),
    Flag(
        "storage.agent.wal-compression-type",
        "choice",
        "snappy",
        "How an agent's log is compressed.",
        choices=("snappy", "zstd"),
        bad_choice=_ENUM,
    ),
    Flag(
        "storage.agent.wal-truncate-frequency",
        "duration",
        "0s",
        "How often an agent lets go of samples. 0s: every 30m.",
    ),
    Flag("storage.agent.retention.min-time", "duration", "5m", "How long an agent keeps samples at least."),
    Flag("storage.agent.retention.max-time", "duration", "4h", "How long an agent keeps samples at most."),
    Flag("storage.agent.no-lockfile", "bool", "false", "Do not lock an agent's directory."),
    Flag(
        "storage.agent.checkpoint-from-in-memory-series",
        "bool",
        "false",
        "Write an agent's checkpoints from memory.",
    ),
    Flag(
        "storage.agent.checkpoint-batch-size", "count", "1000", "Series of a batch of an agent's checkpoint."
    ),
    Flag("storage.remote.flush-deadline", "duration", "1m", "How long a stop waits for remote write."),
    Flag(
        "storage.remote.keep-time",
        "duration",
        "1d",
        "How long the log is kept for receivers of remote write beyond what storage needs. 0s: for good.",
        own=True,
    ),
    Flag(
        "storage.remote.keep-size",
        "size",
        "10GB",
        "How much of the log is kept for receivers of remote write beyond what storage needs. 0B: any.",
        own=True,
    ),
    Flag("storage.remote.read-sample-limit", "count", "50000000", "Most samples of a remote read."),
    Flag("storage.remote.read-concurrent-limit", "count", "10", "Most remote reads at once."),
    Flag("storage.remote.read-max-bytes-in-frame", "count", "1048576", "Size of a frame of a remote read."),
    Flag("web.search.max-limit", "count", "10000", "Most answers of a search."),
    Flag(
        "rules.alert.for-outage-tolerance", "duration", "1h", "How long an outage may be for alerts to go on."
    ),
    Flag("rules.alert.for-grace-period", "duration", "10m", "How long restored alerts wait at least."),
    Flag(
        "rules.alert.history-max",
        "size",
        "64MB",
        "How much of the history of alerts is kept in the data directory; 0 for none.",
        own=True,
    ),
    Flag("rules.alert.resend-delay", "duration", "1m", "How often an alert is sent again."),
    Flag(
        "rules.catch-up-max",
        "duration",
        "1h",
        "How far back a start catches up with iterations of rule groups that were missed; 0s: not at all.",
        own=True,
    ),
    Flag(
        "rules.max-concurrent-evals",
        "count",
        "4",
        "Most rules of groups at once, with `concurrent-rule-eval`.",
    ),
    Flag("scrape.adjust-timestamps", "bool", "true", "Align timestamps to the interval."),
    Flag("scrape.timestamp-tolerance", "go-duration", "2ms", "How far a timestamp is moved."),
    Flag("scrape.keep-bodies", "bool", "true", "Keep bodies of the last scrapes, to look into.", own=True),
    Flag(
        "scrape.discovery-reload-interval",
        "duration",
        "5s",
        "How often discovered targets are taken over.",
        least="1ms",
    ),
    Flag(
        "alertmanager.notification-queue-capacity",
        "count",
        "10000",
        "Most alerts that wait to be sent.",
        least="0",
    ),
    Flag("alertmanager.notification-batch-size", "count", "256", "Most alerts sent at once.", least="0"),
    Flag(
        "alertmanager.drain-notification-queue-on-shutdown", "bool", "true", "Send what waits before a stop."
    ),
    Flag("query.lookback-delta", "duration", "5m", "How far an instant selector looks back."),
    Flag("query.timeout", "duration", "2m", "The longest a query may take."),
    Flag("query.max-concurrency", "count", "20", "Most queries at once.", least="0"),
    Flag("query.max-samples", "count", "50000000", "Most samples a query may load.", least="0"),
    Flag(
        "query.max-memory",
        "size",
        "4GB",
        "Most memory a query may hold at once, its answer included.",
        own=True,
    ),
    Flag(
        "query.cost-max",
        "count",
        "0",
        "Most samples that an instant query of a client may look at by the estimate of its plan; it is refused before it runs. "
        "0: any number.",
        own=True,
        least="0",
    ),
    Flag(
        "query.range-cost-max",
        "count",
        "0",
        "The same of a range query, over all its steps.",
        own=True,
        least="0",
    ),
    Flag(
        "enable-feature", "texts", "", "Feature flags, comma separated. Repeatable. Unknown ones only warn."
    ),
    Flag(
        "agent",
        "bool",
        "false",
        "Run as an agent: scrape and send by remote write, without queries and rules.",
    ),
    Flag(
        "log.level",
        "choice",
        "info",
        "debug, info, warn or error.",
        choices=("debug", "info", "warn", "error"),
        bad_choice="unrecognized log level {value}",
        any_case=True,
    ),
    Flag(
        "log.format",
        "choice",
        "logfmt",
        "logfmt or json.",
        choices=("logfmt", "json"),
        bad_choice="unrecognized log format {value}",
    ),
    Flag("write-documentation", "bool", "false", "Print the documentation of Prometheus' flags."),
)

BY_NAME: Final = {flag.name: flag for flag in FLAGS}

_SERVER_ALONE: Final = (
    "storage.tsdb.",
    "storage.strict-reads",
    "storage.remote.read-",
    "storage.remote.keep-time",
    "web.search.",
    "rules.",
    "alertmanager.",
    "query.",
)
_GO: Final = "it tunes the Go runtime, and this is Python"
_SENT: Final = "samples are kept until every receiver has them, or storage.agent.retention.max-time is over"
_NO_CHECKPOINTS: Final = "the log is let go of in whole windows, without checkpoints"
_ALIGNED: Final = "timestamps are always aligned, within Prometheus' tolerance"
_COMPRESSED: Final = "the log is always compressed, with zstd"
_COLUMNS: Final = "blocks hold pages of columns, not chunks"

INERT: Final = {
    "auto-gomaxprocs": _GO,
    "auto-gomemlimit": _GO,
    "auto-gomemlimit.ratio": _GO,
    "auto-gomemlimit.refresh-interval": _GO,
    "storage.tsdb.max-block-chunk-segment-size": _COLUMNS,
    "storage.tsdb.allow-overlapping-compaction": "overlapping blocks are always merged",
    "storage.tsdb.wal-compression": _COMPRESSED,
    "storage.tsdb.wal-compression-type": _COMPRESSED,
    "storage.tsdb.head-chunks-write-queue-size": "the head has no chunk queue",
    "storage.tsdb.samples-per-chunk": _COLUMNS,
    "storage.tsdb.delayed-compaction.max-percent": "compactions are not delayed",
    "storage.tsdb.delay-compact-file.path": "no sidecar format is written that it could protect",
    "storage.tsdb.block-reload-interval": "blocks are opened when they are made",
    "storage.agent.wal-compression": _COMPRESSED,
    "storage.agent.wal-compression-type": _COMPRESSED,
    "storage.agent.retention.min-time": _SENT,
    "storage.agent.checkpoint-from-in-memory-series": _NO_CHECKPOINTS,
    "storage.agent.checkpoint-batch-size": _NO_CHECKPOINTS,
    "storage.remote.flush-deadline": "what a receiver does not take at a stop is sent after the next start",
    "scrape.adjust-timestamps": _ALIGNED,
    "scrape.timestamp-tolerance": _ALIGNED,
    "write-documentation": "the documentation of the flags is docs/flags.md",
}
