"""The actor of one scrape target: waits for its slot, asks, stores, and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from trimon.actors.kernel.reply import ActorGone, AskTimeout
from trimon.actors.storage import Message, Writer
from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch, FetchError, Response
from trimon.offload import Offload
from trimon.scrape.session import Outcome, ScrapeSession

# A scrape this close to its slot gets the slot's time: regular timestamps are compressed away.
TOLERANCE_MS = 2
# Bodies bigger than this are read in a thread; a body never seen costs fifty times one that is known.
COLD_BODY_BYTES_MAX = 8 * 1024
WARM_BODY_BYTES_MAX = 1024 * 1024


def first_slot_ms(now_ms: int, offset_ms: int, interval_ms: int) -> int:
    """The first time from now on that is `offset_ms` into an interval counted from the epoch."""
    return now_ms + (offset_ms - now_ms) % interval_ms


class TargetActor:
    """One target, scraped once an interval at its own phase.

    Owns: the target's session and its connection.
    Receives: nothing.
    Sends: Append to storage, one a scrape.
    Crashes when: reading a body or keeping its layout has a bug. A target that is down is no crash.
    On restart: the session starts over, its series go on in the same columns.
    """

    def __init__(
        self,
        session: ScrapeSession,
        fetch: Fetch,
        writer: Writer,
        clock: Clock,
        offload: Offload,
        *,
        seed: int,
        ended: Callable[[ScrapeSession], None],
        failed: Callable[[str], None] | None = None,
    ) -> None:
        self.session = session
        self._fetch = fetch
        self._writer = writer
        self._clock = clock
        self._offload = offload
        self._seed = seed
        self._ended = ended
        self._failed = failed
        self._waiting = trio.CancelScope()
        self._draining = False
        self._next_slot_ms = 0

    async def run(self) -> None:
        """Scrapes until drained."""
        interval_ms = self.session.target.interval_ms
        offset_ms = self.session.target.offset_ms(self._seed)
        try:
            slot_ms = first_slot_ms(self._clock.now_ms(), offset_ms, interval_ms)
            while await self._wait_until(slot_ms):
                await self._scrape(slot_ms)
                now_ms = self._clock.now_ms()
                missed = max(0, (now_ms - slot_ms) // interval_ms)
                self.session.counts.missed += missed
                slot_ms += (missed + 1) * interval_ms
                if slot_ms - now_ms > interval_ms:  # the clock was set back
                    slot_ms = first_slot_ms(now_ms, offset_ms, interval_ms)
        finally:
            self._ended(self.session)
            with trio.CancelScope(shield=True):
                await self._fetch.aclose()

    def drain(self) -> None:
        """Stops waiting; a row on its way to storage is still seen through."""
        self._draining = True
        self._waiting.cancel()

    async def _wait_until(self, slot_ms: int) -> bool:
        self._next_slot_ms = slot_ms
        if not self._draining:
            with trio.CancelScope() as self._waiting:
                await trio.sleep(max(0, slot_ms - self._clock.now_ms()) / 1000)
        return not self._draining

    async def _scrape(self, slot_ms: int) -> None:
        session = self.session
        start_ms = self._clock.now_ms()
        tolerance_ms = min(TOLERANCE_MS, session.target.interval_ms // 100)
        timestamp_ms = slot_ms if abs(start_ms - slot_ms) <= tolerance_ms else start_ms
        start_s = trio.current_time()
        answer: Response | Exception = FetchError(session.forced_error)
        if not session.forced_error:
            with trio.CancelScope() as self._waiting:
                try:
                    answer = await self._fetch.get(session.request())
                except FetchError as error:
                    answer = error
            if self._waiting.cancelled_caught:
                return
        duration_s = trio.current_time() - start_s
        if isinstance(answer, Response):
            outcome = await self._read(answer, timestamp_ms, duration_s)
        else:
            outcome = session.fail(answer, timestamp_ms, duration_s)
        if self._failed is not None and session.state.health == "down":
            self._failed(session.state.last_error)
        with trio.CancelScope(shield=True):
            await self._store(outcome, timestamp_ms)

    async def _read(self, answer: Response, timestamp_ms: int, duration_s: float) -> Outcome:
        session = self.session
        inline_max = WARM_BODY_BYTES_MAX if session.warm else COLD_BODY_BYTES_MAX
        if len(answer.body) <= inline_max:
            return session.succeed(answer, timestamp_ms, duration_s)
        return await self._offload.run(lambda: session.succeed(answer, timestamp_ms, duration_s))

    async def _store(self, outcome: Outcome, timestamp_ms: int) -> None:
        messages: list[Message] = [outcome.row]
        if outcome.batch is not None:
            messages.append(outcome.batch)
        if outcome.metadata is not None:
            messages.append(outcome.metadata)
        try:
            answers = await self._writer.append(*messages)
        except (OperatingError, ActorGone, AskTimeout) as error:
            self.session.lost(f"storage: {error}")
            return
        self.session.granted(answers[0], timestamp_ms)
        if outcome.batch is not None:
            self.session.counted(answers[1])

    def inspect(self) -> Mapping[str, object]:
        """URL, health and counts of the target."""
        state, counts = self.session.state, self.session.counts
        return {
            "url": self.session.target.url,
            "health": state.health,
            "last_error": state.last_error,
            "last_scrape_ms": state.last_scrape_ms,
            "last_duration_s": state.last_duration_s,
            "next_slot_ms": self._next_slot_ms,
            "series": state.series,
            "scrapes": counts.scrapes,
            "failures": counts.failures,
            "missed": counts.missed,
        }
