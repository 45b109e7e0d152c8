"""The actor of one scrape target: waits for its slot, asks, stores, and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.loop.alarms import Alarms
from trimon.actors.loop.schedule import Schedule
from trimon.actors.scraping.turns import Turns
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response
from trimon.log import Log
from trimon.memory.bodies import BodyMemory
from trimon.offload import Offload
from trimon.scrape.echoes import ECHOED
from trimon.scrape.outcome import ScrapeOutcome
from trimon.scrape.records import KeptBodies, ScrapeParts, packed
from trimon.scrape.session import ScrapeSession
from trimon.tracing.span import Span, SpanKind
from trimon.tracing.tracer import TRACER

# A scrape this close to its slot gets the slot's time: regular timestamps are compressed away.
TOLERANCE_MS = 2
# Bodies bigger than this are read in a thread; a body never seen costs fifty times one that is known.
COLD_BODY_BYTES_MAX = 8 * 1024
WARM_BODY_BYTES_MAX = 1024 * 1024
# Lines that are assembled are looked at twice.
WARM_DENSE_BODY_BYTES_MAX = 64 * 1024
# What reading a body takes, as a multiple of its size: its lines, and for new series their labels.
WARM_MEMORY = 4
COLD_MEMORY = 12

CRASHED = "scraping this target crashed: see the crash reports under /debug/crashes"


class TargetActor:
    """One target, scraped once an interval at its own phase.

    Owns: the target's session and its connection.
    Receives: nothing.
    Sends: Append to storage, one a scrape.
    Crashes when: reading a body or keeping its layout has a bug. A target that is down is no crash. The scrape is stored as
    a failed one before.
    On restart: the session starts over, its series go on in the same columns.
    """

    def __init__(
        self,
        session: ScrapeSession,
        fetch: Fetch,
        writer: Writer,
        clock: Clock,
        offload: Offload,
        log: Log,
        *,
        seed: int,
        ended: Callable[[ScrapeSession], None],
        failed: Callable[[str], None] | None = None,
        interval_s: Callable[[float], None] = lambda _: None,
        turns: Turns | None = None,
        alarms: Alarms | None = None,
        bodies: BodyMemory | None = None,
        kept: KeptBodies | None = None,
    ) -> None:
        self._bodies = bodies if bodies is not None else BodyMemory(sys.maxsize)
        self._kept = kept if kept is not None else KeptBodies(0)
        self._asked = False
        self._turns = turns if turns is not None else Turns()
        self._interval_s = interval_s
        self._last_start_s: float | None = None
        self.session = session
        self._fetch = fetch
        self._writer = writer
        self._clock = clock
        self._offload = offload
        self._log = log
        self._ended = ended
        self._failed = failed
        target = session.target
        self._told_of_echo = False
        # All sessions of one target count together. A method of this actor would make a cycle of the two.
        missed = session.counts.miss
        self._schedule = Schedule(clock, target.interval_ms, target.offset_ms(seed), missed, alarms)

    async def run(self) -> None:
        """Scrapes until drained."""
        try:
            while (slot_ms := await self._schedule.wait()) is not None:
                if not self._turns.free():
                    with self._schedule.interruptible() as scope:
                        await self._turns.take()
                    if scope.cancelled_caught:
                        continue
                try:
                    with TRACER.span("Scrape", kind=SpanKind.CLIENT) as span:
                        await self._scrape(slot_ms)
                        self._describe(span)
                except Exception:
                    await self._crashed()
                    raise
        finally:
            self._ended(self.session)
            with trio.CancelScope(shield=True):
                await self._fetch.aclose()

    def _describe(self, span: Span | None) -> None:
        if span is None:
            return
        target, state = self.session.target, self.session.state
        span.set("scrape_pool", target.job)
        span.set("url.full", target.shown_url)
        span.set("samples", state.samples)
        span.error = state.last_error if state.health == "down" else ""

    def drain(self) -> None:
        """Stops waiting; a row on its way to storage is still seen through."""
        self._schedule.drain()

    def scrape_now(self) -> trio.Event:
        """Scrapes as soon as the scrape under way, if there is one, is over; the event is set when it is stored."""
        done = trio.Event()
        self._asked = True
        self._schedule.ask_now()
        self.session.records.on_next(done.set)
        return done

    async def _scrape(self, slot_ms: int) -> None:
        session = self.session
        asked, self._asked = self._asked, False
        start_ms = self._clock.now_ms()
        tolerance_ms = min(TOLERANCE_MS, session.target.interval_ms // 100)
        timestamp_ms = slot_ms if abs(start_ms - slot_ms) <= tolerance_ms else start_ms
        start_s = trio.current_time()
        if self._last_start_s is not None:
            self._interval_s(start_s - self._last_start_s)
        self._last_start_s = start_s
        answer: Response | Exception = FetchError(session.forced_error)
        if not session.forced_error:
            with self._schedule.interruptible() as scope:
                try:
                    answer = await self._fetch.send(_traced(session.request()))
                except FetchError as error:
                    # With its traceback, which holds this frame, it would be garbage that only the collector finds.
                    answer = error.with_traceback(None)
            if scope.cancelled_caught:
                return
        duration_s = trio.current_time() - start_s
        parts = ScrapeParts(start_ms, duration_s)
        if isinstance(answer, Response) and len(answer.body) > COLD_BODY_BYTES_MAX and not session.warm:
            async with self._bodies.first:
                await self._take_in(answer, parts, timestamp_ms, start_s)
        else:
            await self._take_in(answer, parts, timestamp_ms, start_s)
        await self._record(parts, answer, asked=asked)

    async def _take_in(
        self, answer: Response | Exception, parts: ScrapeParts, timestamp_ms: int, start_s: float
    ) -> None:
        """Reads an answer, and stores what it says."""
        session, duration_s = self.session, parts.duration_s
        if isinstance(answer, Response):
            outcome = await self._read(answer, timestamp_ms, duration_s)
            parts.answered(answer, trio.current_time() - start_s - duration_s)
        else:
            outcome = session.fail(answer, timestamp_ms, duration_s)
            parts.failed(answer.times if isinstance(answer, FetchError) else None)
        if session.state.last_error is ECHOED and not self._told_of_echo:
            self._told_of_echo = True
            self._log.warning(ECHOED, scrape_pool=session.target.job, target=session.target.shown_url)
        if self._failed is not None and session.state.health == "down":
            self._failed(session.state.last_error)
        read_s = trio.current_time()
        await self._store(outcome, timestamp_ms)
        parts.store_s = trio.current_time() - read_s

    async def _record(self, parts: ScrapeParts, answer: Response | Exception, *, asked: bool) -> None:
        """Remembers the scrape, and keeps its body where it is worth it."""
        state, target = self.session.state, self.session.target.key
        is_up = state.health == "up"
        if isinstance(answer, Response) and answer.body:
            kept, response = self._kept, answer
            compressed = answer.is_compressed and bool(answer.wire_body)
            if kept.wants(target, parts.at_ms, compressed=compressed, asked=asked or not is_up):
                body = (
                    packed(parts.at_ms, response)
                    if compressed or len(answer.body) <= COLD_BODY_BYTES_MAX
                    else await self._offload.run(lambda: packed(parts.at_ms, response))
                )
                kept.keep(target, "last" if is_up else "failed", body)
        self.session.records.add(
            parts,
            is_up=is_up,
            error=state.last_error,
            samples=state.samples,
            series=state.series,
            fault=state.fault,
        )

    async def _crashed(self) -> None:
        """Stores `up 0` for a scrape that met a bug, by way of a new session: nobody knows what state this one is in."""
        session = self.session.successor()
        self.session = session
        timestamp_ms = self._clock.now_ms()
        outcome = session.fail(OperatingError(CRASHED), timestamp_ms, 0.0)
        await self._store(outcome, timestamp_ms)

    async def _read(self, answer: Response, timestamp_ms: int, duration_s: float) -> ScrapeOutcome:
        session = self.session
        inline_max = COLD_BODY_BYTES_MAX
        if len(answer.body) > inline_max and session.is_quick(answer.content_type):
            inline_max = WARM_DENSE_BODY_BYTES_MAX if session.is_dense else WARM_BODY_BYTES_MAX
        if len(answer.body) <= inline_max or answer.status != 200:
            return session.succeed(answer, timestamp_ms, duration_s)
        clock = self._clock
        timeout_s = session.target.timeout_ms / 1000

        def read() -> ScrapeOutcome:
            # the time counts from here: waiting for a thread is not the target's fault
            until_s = clock.monotonic_s() + timeout_s
            return session.succeed(answer, timestamp_ms, duration_s, lambda: clock.monotonic_s() >= until_s)

        times = WARM_MEMORY if session.warm else COLD_MEMORY
        async with self._bodies.turn(times * len(answer.body)):
            return await self._offload.run(read)

    async def _store(self, outcome: ScrapeOutcome, timestamp_ms: int) -> None:
        """Stores an outcome, also when the target is cancelled meanwhile."""
        try:
            answers = await self._writer.append_shielded(*outcome.messages())
        except (OperatingError, ActorGone, AskTimeout) as error:
            self.session.lost(f"storage: {error}")
            return
        dropped = self.session.settle(outcome, answers, timestamp_ms)
        for text, count in dropped.warnings():
            target = self.session.target
            self._log.warning(text, scrape_pool=target.job, target=target.shown_url, num_dropped=count)

    def inspect(self) -> Mapping[str, object]:
        """URL, health and counts of the target."""
        state, counts = self.session.state, self.session.counts
        return {
            "url": self.session.target.shown_url,
            "health": state.health,
            "last_error": state.last_error,
            "last_scrape_ms": state.last_scrape_ms,
            "last_duration_s": state.last_duration_s,
            "next_slot_ms": self._schedule.slot_ms,
            "series": state.series,
            "scrapes": counts.scrapes,
            "failures": counts.failures,
            "missed": counts.missed,
        }


def _traced(request: FetchRequest) -> FetchRequest:
    """A request that says which span it belongs to, where there is one."""
    headers = TRACER.headers()
    return replace(request, headers=(*request.headers, *headers)) if headers else request
