"""What is fetched from endpoints for one query: asked of all at once, decoded in a thread, and merged beneath local samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import trio

from trimon.actors.remoteread.endpoint import Body, ReadEndpoint, RemoteReadError
from trimon.errors import OperatingError, TrimonError
from trimon.memory.queries import MemoryShort
from trimon.model.matcher import Matcher
from trimon.model.snapshot import NotFetched, Snapshot
from trimon.model.spans import HistogramError
from trimon.offload import Offload
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.records import dataclass
from trimon.remote.reading.answers import chunks_of, frames_of, sampled_size, samples_of
from trimon.remote.reading.asked import Asked
from trimon.storage.prometheus.answeredseries import (
    SAMPLE_BYTES,
    Admit,
    AnsweredSeries,
    series_of_batch,
    series_of_chunks,
)
from trimon.storage.prometheus.crc import crc32c, crc32c_many
from trimon.storage.read.federated import NOTHING, FederatedSnapshot, Fetched
from trimon.storage.read.snapshot import StoreSnapshot

Key = tuple[tuple[Matcher, ...], int, int]
# A query that selects something else whenever it has got what it asked for is none that ends.
ROUNDS_MAX: Final = 64
# So many intervals of the same matchers are asked for as they are.
_SPANS_EXACT: Final = 3
_WHAT: Final = "answers to remote reads"
# Frames up to this size are checked side by side.
_SHORT_FRAME_BYTES: Final = 4096
# What a sample takes in an answer that is a message, at least.
_SAMPLE_MESSAGE_BYTES: Final = 9


@dataclass(frozen=True, slots=True)
class _Job:
    """A selection to ask of an endpoint, and the answer when it has come."""

    key: Key
    endpoint: ReadEndpoint
    asked: Asked
    end_ms: int
    """Until when it is asked for, perhaps later than the selection goes."""


class RemoteReading:
    """The samples of others for one query, or for the rules of one iteration."""

    def __init__(
        self,
        endpoints: Sequence[ReadEndpoint],
        local_start_ms: int,
        now_ms: int,
        offload: Offload,
        hops: int,
    ) -> None:
        self._endpoints = endpoints
        self._local_start_ms = local_start_ms
        self._now_ms = now_ms
        self._offload = offload
        self._hops = hops
        self._found: dict[Key, Fetched] = {}
        self._wanted: dict[Key, tuple[_Job, ...]] = {}
        # What was fetched for the same matchers, from when to when.
        self._spans: dict[tuple[Matcher, ...], list[tuple[int, int, Fetched]]] = {}
        self._size_bytes = 0
        self._rounds = 0
        self._turn = trio.Lock()

    def over(self, snapshot: Snapshot) -> Snapshot:
        """The samples of a store and of others."""
        assert isinstance(snapshot, StoreSnapshot)
        return FederatedSnapshot(snapshot, self)

    def found(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> Fetched:
        """What others have of a selection. Raises NotFetched while that is not known. From any thread."""
        key = (matchers, start_ms, end_ms)
        fetched = self._found.get(key)
        if fetched is not None:
            return fetched
        spans = self._spans.get(matchers, [])
        for first_ms, last_ms, known in spans:
            if first_ms <= start_ms and end_ms <= last_ms:
                self._found[key] = known
                return known
        if len(spans) >= _SPANS_EXACT:
            # Somebody evaluates one time after the other: the more there were, the further it goes on.
            ahead_ms = end_ms - min(first_ms for first_ms, _, _ in spans)
            end_ms = max(end_ms, min(self._now_ms, end_ms + ahead_ms))
        jobs = tuple(
            _Job(key, endpoint, asked, end_ms)
            for endpoint in self._endpoints
            if (asked := endpoint.scope.asked(matchers, start_ms, end_ms, self._local_start_ms)) is not None
        )
        if not jobs:
            self._found[key] = NOTHING
            return NOTHING
        self._wanted[key] = jobs
        raise NotFetched(self)

    def warnings(self) -> tuple[str, ...]:
        """What went wrong so far."""
        return tuple(dict.fromkeys(line for fetched in self._found.values() for line in fetched.warnings))

    def hold(self, budget: Budget) -> None:
        """Counts what was fetched among what a query holds. Raises MemoryShort, MemoryExceeded."""
        if self._size_bytes:
            budget.take_bytes(self._size_bytes, _WHAT)
            budget.keep_bytes(self._size_bytes)

    async def fetch(self, budget: Budget) -> None:
        """Fetches all that is wanted. An endpoint that fails is told with a warning; then that of all others is left out.

        Raises MemoryShort, QueryError.
        """
        async with self._turn:
            wanted = {key: jobs for key, jobs in self._wanted.items() if key not in self._found}
            self._wanted.clear()
            if not wanted:
                return
            # who computes waits for his turn at each check, and nothing may wait on the loop's thread
            budget.turns = None
            self._rounds += 1
            if self._rounds > ROUNDS_MAX:
                raise QueryError(f"remote read: the query asks for samples more than {ROUNDS_MAX} times over")
            budget.begin_again()
            self.hold(budget)
            jobs = [job for listed in wanted.values() for job in listed]
            bodies = await self._bodies(jobs, budget)
            found = await self._offload.run(lambda: _decoded(jobs, bodies, budget), budget.cancel)
            budget.check()
            for key, listed in wanted.items():
                fetched = self._judged(listed, [found[jobs.index(job)] for job in listed])
                self._found[key] = fetched
                self._spans.setdefault(key[0], []).append((key[1], listed[0].end_ms, fetched))

    async def _bodies(self, jobs: Sequence[_Job], budget: Budget) -> list[Body | Exception]:
        bodies: list[Body | Exception] = [RemoteReadError("context deadline exceeded")] * len(jobs)
        problems: list[QueryError | MemoryShort] = []
        with trio.move_on_at(trio.current_time() + budget.timeout_s - budget.elapsed_s):
            async with trio.open_nursery() as nursery:

                async def ask(place: int, job: _Job) -> None:
                    try:
                        body = await job.endpoint.read(job.asked, self._hops, _room_bytes(budget))
                        budget.take_bytes(len(body.content), _WHAT)
                        budget.keep_bytes(len(body.content))
                        bodies[place] = body
                    except RemoteReadError as error:
                        bodies[place] = error
                    except (QueryError, MemoryShort) as error:
                        problems.append(error)
                        nursery.cancel_scope.cancel()

                for place, job in enumerate(jobs):
                    nursery.start_soon(ask, place, job)
        if problems:
            raise problems[0]
        budget.check()
        return bodies

    def _judged(self, jobs: Sequence[_Job], found: Sequence[AnsweredSeries | Exception]) -> Fetched:
        warnings: list[str] = []
        sources: list[AnsweredSeries] = []
        for job, each in zip(jobs, found, strict=True):
            if isinstance(each, AnsweredSeries):
                job.endpoint.succeeded()
                sources.append(each)
            else:
                warnings.append(job.endpoint.failure(each))
        if warnings:
            return Fetched((), tuple(dict.fromkeys(warnings)))
        self._size_bytes += sum(source.size_bytes for source in sources)
        return Fetched(tuple(sources))


async def fetch_missing(missing: NotFetched, budget: Budget) -> None:
    """Fetches what a query could not go on without. Raises MemoryShort, QueryError."""
    reading = missing.elsewhere
    assert isinstance(reading, RemoteReading)
    await reading.fetch(budget)


def _room_bytes(budget: Budget) -> int:
    """What a body may have at most."""
    most_bytes = budget.bytes_max
    if budget.reservation is not None:
        most_bytes = min(most_bytes, budget.reservation.most_bytes)
    return max(1, most_bytes - budget.bytes_held - budget.bytes_kept)


def _decoded(
    jobs: Sequence[_Job], bodies: list[Body | Exception], budget: Budget
) -> list[AnsweredSeries | Exception]:
    """The series of each answer, or what is wrong with it. Raises MemoryShort, QueryError. In a worker thread."""

    def admit(size_bytes: int) -> None:
        budget.check()
        budget.take_bytes(size_bytes, _WHAT)

    found: list[AnsweredSeries | Exception] = []
    for place, job in enumerate(jobs):
        body = bodies[place]
        bodies[place] = RemoteReadError("")  # nobody reads it again
        if isinstance(body, Exception):
            found.append(body)
            continue
        try:
            series = _series(job, body, admit)
        except QueryError:
            raise
        except (TrimonError, HistogramError) as error:
            found.append(error)
            continue
        budget.keep_bytes(series.size_bytes - len(body.content))
        found.append(series)
    return found


def _series(job: _Job, body: Body, admit: Admit) -> AnsweredSeries:
    data = body.content
    if not body.is_streamed:
        size_bytes = sampled_size(data)
        admit(size_bytes * (1 + SAMPLE_BYTES // _SAMPLE_MESSAGE_BYTES))
        return series_of_batch(samples_of(data, size_bytes, job.asked.added))
    listed = frames_of(data, job.endpoint.config.chunked_read_limit)
    raw = np.frombuffer(data, np.uint8)
    starts, lengths = np.array(listed.starts, np.int64), np.array(listed.lengths, np.int64)
    wanted = np.array(listed.checksums, np.uint32)
    short = lengths <= _SHORT_FRAME_BYTES
    intact = bool((crc32c_many(raw, starts[short], lengths[short]) == wanted[short]).all())
    for place in np.flatnonzero(~short).tolist():
        begin = listed.starts[place]
        admit(0)
        part = memoryview(data)[begin : begin + listed.lengths[place]]
        intact = intact and crc32c(part) == listed.checksums[place]
    if not intact:
        raise OperatingError("chunkedReader: corrupted frame; checksum mismatch")
    chunks = chunks_of(data, listed, job.asked.added)
    return series_of_chunks(
        list(chunks.series),
        np.array(chunks.owners, np.int32),
        raw,
        np.array(chunks.starts, np.int64),
        np.array(chunks.lengths, np.int64),
        np.array(chunks.kinds, np.int32),
        admit,
    )
