"""The part that answers: queries of clients and of rules, their journal, and the files that hold a line an event."""

from __future__ import annotations

from pathlib import Path

from trimon.actors.logfiles import LineFiles, line_mailbox
from trimon.actors.loop.passes import LoopPass
from trimon.actors.metrics.scraping import query_metrics
from trimon.actors.querying.activequeries import ActiveFile, left_over
from trimon.actors.querying.backends import QueryBackends
from trimon.actors.querying.costs import QueryCosts
from trimon.actors.querying.gate import Queries
from trimon.actors.querying.querylog import QueryLog
from trimon.actors.querying.waitingroom import WaitingRoom
from trimon.actors.remoteread.reader import RemoteReader
from trimon.config.configuration import Config
from trimon.config.own.querybackends import QueryBackendConfig
from trimon.errors import OperatingError
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.gotext.times import rfc3339
from trimon.log import Log
from trimon.model.labels import labels_of
from trimon.offload import Offload
from trimon.peers.options import client_options
from trimon.server.parts.memory import MemoryPart
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams


class QueryPart:
    """Two gates to the data, one for clients and one for rules, over one journal and one query log."""

    def __init__(
        self,
        storage: StoragePart,
        memory: MemoryPart,
        remote: RemoteReader,
        seams: Seams,
        queries_max: int,
        rules_max: int,
    ) -> None:
        self.line_mailbox = line_mailbox()
        self.lines = LineFiles(self.line_mailbox, seams.clock, seams.parse_threads, seams.log)
        self.query_log = QueryLog(self.lines)
        directory = storage.store.options.path
        self._journal = _open_journal(directory / "queries.active", queries_max + rules_max, seams.log)
        self._storage = storage
        self._memory = memory
        self._remote = remote
        self._seams = seams
        self._costs = QueryCosts(seams.metrics)
        self.loop_pass = LoopPass()
        self.queries = self._gate(seams.query_threads, queries_max, memory.room)
        self.rule_queries = self._gate(seams.rule_threads, rules_max)
        self.backends = QueryBackends(self._begin_ms, _connect, seams.parse_threads, seams.log)
        seams.metrics.collect(query_metrics(self.queries, self.query_log, self.lines))

    def _begin_ms(self) -> int:
        """The first time of which there are local samples."""
        lowest_ms = self._storage.store.figures().lowest_ms
        return self._seams.clock.now_ms() if lowest_ms is None else lowest_ms

    def configure(self, config: Config) -> None:
        """The engines that queries of clients may ask."""
        self.backends.configure(config.main.trimon_query_backends, labels_of(config.global_.external_labels))

    def _gate(self, threads: Offload, concurrency_max: int, room: WaitingRoom | None = None) -> Queries:
        return Queries(
            self._storage.actor.snapshot,
            threads,
            self._seams.clock,
            concurrency_max=concurrency_max,
            journal=self._journal,
            query_log=self.query_log,
            costs=self._costs,
            memory=self._memory.memory.queries,
            room=room,
            takes_turns=room is not None,
            remote=self._remote,
            held_s=self.loop_pass.elapsed_s,
        )


def _connect(config: QueryBackendConfig) -> Fetch:
    return HttpFetch(client_options(config))


def _open_journal(path: Path, slots: int, log: Log) -> ActiveFile | None:
    """The journal of running queries; what the last run left in it is told."""
    if unfinished := left_over(path):
        log.warning(
            "these queries did not finish in the last run",
            queries=[{"query": query, "started": rfc3339(time_s * 1000)} for query, time_s in unfinished],
        )
    try:
        return ActiveFile(path, slots)
    except OperatingError as error:
        log.error("running queries are not journaled", err=str(error))
        return None
