"""The supervision tree in reading order; start goes down the list, stop goes up.

trimon
├── storage            the single writer
├── line-files         query log, logs of failed scrapes
├── compactor          cuts and merges blocks, retention
├── remote-read        whom queries ask besides local storage
├── remote-write       which receivers there are, and the log they have not read
├── remote-write-queues/<receiver>
├── notifier           alerts of all rules to the senders of all Alertmanagers
├── alertmanagers/<set>/<url>
├── alertmanager-discovery, alertmanager-watch
├── discovery          one provider a source of targets, and the hub that coalesces
├── scrape-manager     from label sets to targets
├── scrape/<job>/<target>
├── alert-history      every change of an alert, kept through restarts
├── rule-manager       ends the series of removed rule groups
├── rules/<file>/<group>
├── block-shipper/<bucket>  copies finished blocks to an object store, where the configuration asks for it
├── receivers/<protocol>   what older programs push, where the configuration asks for it
├── config-watch       reloads when a file of the configuration changes, with --config.auto-reload
├── web-config         reads the web config file again when it or what it names changes
├── tracing            sends spans, where the configuration has a place for them
├── memory             the budget of memory, and who is refused when it is used up
├── lag                the event loop's pulse
├── web
└── otlp-grpc          OTLP over gRPC, with --otlp.grpc-listen-address
"""

from __future__ import annotations

from typing import Final

from trimon.actors.kernel.group import Group
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.server.autoreload import AutoReload
from trimon.server.parts.serverparts import ServerParts
from trimon.web.auth.watch import WebConfigWatch
from trimon.web.grpc.server import GrpcActor
from trimon.web.http.wire.server import WebActor

# All of an orderly stop; each child has its own share in its spec. After it the process is ended, within 30 s in all.
STOP_S: Final = 25.0
# Whatever is fetched or read then is of no use; what is on its way to storage is seen through however long it takes.
SCRAPE_DRAIN_S: Final = 1.0
# The writer has no second life in one process: the next start replays the log.
NEVER_AGAIN: Final = RestartPolicy(restarts_max=0)
# Nothing is asked of an agent and it evaluates nothing, so there is nobody to notify.
NOT_OF_AN_AGENT: Final = frozenset(
    (
        "remote-read",
        "alertmanagers",
        "notifier",
        "alertmanager-watch",
        "alertmanager-discovery",
        "alert-history",
        "rule-manager",
        "rules",
    )
)


def supervision_tree(
    parts: ServerParts,
    web: WebActor,
    grpc: GrpcActor | None,
    web_watch: WebConfigWatch,
    watch: AutoReload | None,
    reports: CrashReports,
    *,
    agent: bool,
) -> Group:
    """The root of all actors.

    `watch` is None when the files of the configuration are not watched, `grpc` when nobody asks for it.
    """
    storage, scraping, rules, notify = parts.storage, parts.scraping, parts.rules, parts.notify
    remote_write = parts.remote_write
    lines, line_mailbox = parts.queries.lines, parts.queries.line_mailbox
    always = Restart.ALWAYS
    specs = [
        ChildSpec(
            "storage", lambda: storage.actor, storage.mailbox, Restart.NEVER, drain_s=20.0, policy=NEVER_AGAIN
        ),
        ChildSpec("line-files", lambda: lines, line_mailbox, always, drain_s=2.0),
        ChildSpec("compactor", lambda: storage.compactor, drain_s=5.0),
        ChildSpec("remote-read", lambda: parts.remote_read.reader, restart=always, drain_s=2.0),
        ChildSpec("remote-write", lambda: remote_write.writer, restart=always, drain_s=2.0),
        ChildSpec("remote-write-queues", lambda: remote_write.queues, restart=always, drain_s=16.0),
        ChildSpec("alertmanagers", lambda: notify.senders, restart=always, drain_s=12.0),
        ChildSpec("notifier", lambda: notify.notifier, notify.mailbox, always, drain_s=5.0),
        ChildSpec("alertmanager-watch", lambda: notify.watch, notify.watch_mailbox, always, drain_s=2.0),
        ChildSpec("alertmanager-discovery", lambda: notify.discovery.group, restart=always, drain_s=5.0),
        ChildSpec("discovery", lambda: scraping.discovery.group, restart=always, drain_s=5.0),
        ChildSpec("scrape-manager", lambda: scraping.manager, scraping.mailbox, always, drain_s=2.0),
        ChildSpec("scrape", lambda: scraping.pools, restart=always, drain_s=SCRAPE_DRAIN_S),
        ChildSpec("alert-history", lambda: rules.history, rules.history_mailbox, restart=always, drain_s=2.0),
        ChildSpec("rule-manager", lambda: rules.manager, restart=always, drain_s=2.0),
        ChildSpec("rules", lambda: rules.pool, restart=always, drain_s=12.0),
        ChildSpec("block-shipper", lambda: parts.shipper.pool, restart=always, drain_s=2.0),
        ChildSpec("receivers", lambda: parts.receivers.pool, restart=always, drain_s=6.0),
        ChildSpec("web-config", lambda: web_watch, restart=always),
        ChildSpec("tracing", lambda: parts.tracing, restart=always, drain_s=3.0),
        ChildSpec("memory", lambda: parts.memory.monitor, restart=always),
        ChildSpec("lag", lambda: parts.lag, restart=always),
        ChildSpec("web", lambda: web, restart=always, drain_s=12.0),
    ]
    if grpc is not None:
        specs.append(ChildSpec("otlp-grpc", lambda: grpc, restart=always, drain_s=12.0))
    if watch is not None:
        specs.insert(-3, ChildSpec("config-watch", lambda: watch, restart=always))
    if agent:
        specs = [spec for spec in specs if spec.name not in NOT_OF_AN_AGENT]
    return Group("trimon", specs, reports=reports)
