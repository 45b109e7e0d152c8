"""Keeps one part of a resource as the server has it: a list, then every change.

    ┌─> watch-list (where the server has them) ─────┐ a list and its watch in one stream
    │        │ refused                              │
    │        v                                      v
    │      list, page by page ─────────────────> watch ─┐
    │                                    ^              │ ended, cut: on from the last version
    │                                    └──────────────┤
    └──── 410 Gone, an event that cannot be read ───────┘

The versions of bookmarks are where a watch goes on after a quiet time. Until a list is complete what was known stays.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import field
from typing import Final, TypeAlias
from urllib.parse import urlencode

import trio

from trimon.discovery.asking.api import Api, retry_after_s
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import TROUBLE, Retries, SourceStats
from trimon.discovery.mechanisms.kubernetes.answers import (
    GONE,
    Event,
    LineBuffer,
    Refused,
    events_of,
    page_of,
    refusal,
)
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject
from trimon.discovery.mechanisms.kubernetes.resources import Part
from trimon.discovery.mechanisms.kubernetes.store import StorePart
from trimon.discovery.plugin import Context
from trimon.fetch.request import Fetch, FetchRequest, Response, StreamedResponse
from trimon.records import dataclass

Change: TypeAlias = tuple[str, KubernetesObject | None, KubernetesObject | None]
"""A key, and the object before and after; none where there was none, or is none any more."""


@dataclass(slots=True)
class Concerned:
    """What changes concern: keys of the role's objects; and how many events there were, by the name of their count."""

    keys: set[str] = field(default_factory=set)
    events: Counter[str] = field(default_factory=Counter)


# The server ends a watch after a random time between these, so that not all come back at once.
WATCH_S_MIN: Final = 300
WATCH_S_MAX: Final = 599
# A server that does not keep to that is taken for gone.
WATCH_GRACE_S: Final = 30.0
ANSWER_S: Final = 30.0
INITIAL_SILENCE_S: Final = 10.0
LIST_S: Final = 60.0
DELAY_S_MAX: Final = 30.0
# A watch that ends at once is not begun again at once.
WATCH_PACE_S: Final = 1.0
# So often in a row a list has to be denied until the others go on without it.
DENIALS: Final = 3
NOTED_EVERY_MS: Final = 5000
PAGE_OBJECTS: Final = 500
OBJECTS_MAX: Final = 500_000
PAGES_MAX: Final = 5000
# Events in more bytes than this are read in a thread.
_INLINE_BYTES_MAX: Final = 8 * 2**10
_UNSUPPORTED: Final = 422
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_ERROR_BYTES_MAX: Final = 16 * 2**10
_HEADERS: Final = (("Accept", "application/json"),)


class Informer:
    """One watch of one part.

    Owns its store part. Asks `reckon` what changes concern, in a thread after a list, and gives that to `take`; calls
    `noted` when its health may have changed.
    """

    def __init__(
        self,
        context: Context,
        fetch: Fetch,
        url: str,
        part: Part,
        store: StorePart,
        reckon: Callable[[Part, Iterable[Change]], Concerned],
        take: Callable[[Concerned], None],
        noted: Callable[[], None],
        chance: random.Random | None = None,
    ) -> None:
        self.part = part
        self.stats = SourceStats()
        self.synced = trio.Event()
        """Set when the first list is complete."""
        self._context = context
        self._fetch = fetch
        self._api = Api(context, LIST_S, fetch)
        self._url = url + part.path
        self._store = store
        self._reckon = reckon
        self._take_concerned = take
        self._noted = noted
        self._chance = chance or random.Random()  # noqa: S311 # the length of a watch is no secret
        self._retries = Retries(DELAY_S_MAX, chance)
        self._version = ""
        self._current = False
        """Whether a watch may go on from `_version`."""
        self._watch_lists = True
        self._denials = 0
        self._noted_ms = 0

    @property
    def is_denied(self) -> bool:
        """Whether it never had a list, as the server denies it, again and again: it may for a moment when it starts."""
        return self._denials >= DENIALS and not self.synced.is_set()

    async def run(self) -> None:
        """List and watch, for ever."""
        while True:
            try:
                await self._round()
            except TROUBLE as error:
                self._failed(error)
                await trio.sleep(self._retries.delay_s(error))

    def inspect(self) -> Mapping[str, object]:
        """How far it is."""
        return {
            "objects": len(self._store.objects),
            "version": self._version,
            "synced": self.synced.is_set(),
            "watch_lists": self._watch_lists,
            **self.stats.shown(),
        }

    async def _round(self) -> None:
        """A list where one is needed, and a watch until it ends."""
        self.stats.refreshes += 1
        if not self._current and self._watch_lists:
            try:
                await self._follow(initial=True)
            except TROUBLE as error:
                if self._current:  # all was told, and it is the watch after it that broke
                    raise
                if isinstance(error, Refused) and error.status == _TOO_MANY:
                    raise
                self._note_refusal(error)
                if isinstance(error, Refused) and error.status == _UNSUPPORTED:
                    self._watch_lists = False
            else:
                return
        if not self._current:
            await self._list()
        await self._follow(initial=False)

    def _failed(self, error: BaseException) -> None:
        self._note_refusal(error)
        denied = isinstance(error, Refused) and error.status == _FORBIDDEN
        self._denials = self._denials + 1 if denied else 0
        self.stats.failed(error, self._context.clock.now_ms())
        self._context.log.error(
            "Error watching Kubernetes objects", objects=self.part.shown, err=self.stats.last_error
        )
        self._noted()

    def _note_refusal(self, error: BaseException) -> None:
        """What cannot be gone on with needs a new list: an old version, an event that makes no sense."""
        if isinstance(error, Refused) and error.status == GONE and not self._current:
            self._version = ""  # even a list was refused for it
        if isinstance(error, SourceError) and not (isinstance(error, Refused) and error.status == _TOO_MANY):
            self._current = False

    def _succeeded(self) -> None:
        """The server has said something; whoever has hundreds of watches is told every now and then."""
        now_ms = self._context.clock.now_ms()
        is_news = bool(self.stats.last_error) or now_ms - self._noted_ms > NOTED_EVERY_MS
        self.stats.succeeded(now_ms)
        if is_news:
            self._noted_ms = now_ms
            self._noted()

    # ---- lists

    async def _list(self) -> None:
        """All objects, page by page. Raises SourceError, FetchError."""
        objects: dict[str, KubernetesObject] = {}
        query: dict[str, str] = {}
        if self._version:
            query["resourceVersion"] = self._version
        else:
            query = {"limit": str(PAGE_OBJECTS), "resourceVersion": "0"}
        for _ in range(PAGES_MAX):
            answer = await self._api.send(self._asked(query), _HEADERS)
            if answer.status != 200:
                raise refusal(answer.body, answer.status, retry_after_s(answer, self._context.clock))
            page = await self._api.read(answer, lambda body: page_of(body, self.part.resource.read))
            objects.update((each.meta.key, each) for each in page.objects)
            _require_few(len(objects))
            if not page.next:
                await self._replace(objects, page.version)
                return
            if not page.objects:
                raise SourceError("a list that never ends: a page has no objects, and names a next one")
            query = {"continue": page.next, "limit": str(PAGE_OBJECTS)}
        raise SourceError(f"a list of more than {PAGES_MAX} pages, which is the limit")

    async def _replace(self, objects: dict[str, KubernetesObject], version: str) -> None:
        """The objects of a complete list in the place of those that are known."""

        def replaced() -> Concerned:
            before = self._store.replace(objects)
            gone: list[Change] = [(key, each, None) for key, each in before.items() if key not in objects]
            there: list[Change] = [(key, before.get(key), each) for key, each in objects.items()]
            return self._reckon(self.part, gone + there)

        concerned = await self._context.offload.run(replaced)
        self._version, self._current = version, True
        self._take_concerned(concerned)
        self.synced.set()
        self._noted_ms = 0
        self._succeeded()

    # ---- watches

    async def _follow(self, *, initial: bool) -> None:
        """One watch until it ends; with `initial` it begins with all objects. Raises SourceError, FetchError."""
        seconds = self._chance.randint(WATCH_S_MIN, WATCH_S_MAX)
        query = {"allowWatchBookmarks": "true", "watch": "true", **_timeouts(seconds)}
        if self._version:
            query["resourceVersion"] = self._version
        if initial:
            query |= {"resourceVersionMatch": "NotOlderThan", "sendInitialEvents": "true"}
        began_s = trio.current_time()
        request = FetchRequest(self._asked(query), _HEADERS, ANSWER_S)
        gathered: dict[str, KubernetesObject] | None = {} if initial else None
        with trio.move_on_after(seconds + WATCH_GRACE_S):
            async with self._fetch.stream(request) as answer:
                if answer.status != 200:
                    raise await self._refused(answer)
                if not initial:
                    self._succeeded()
                buffer = LineBuffer()
                while (piece := await self._next(answer.pieces, initial=gathered is not None)) is not None:
                    if lines := buffer.feed(piece):
                        gathered = await self._take(await self._events(lines), gathered)
                buffer.end()
        if gathered is not None:
            raise SourceError("the watch ended before its initial events had")
        self._retries.succeeded()
        await trio.sleep_until(began_s + WATCH_PACE_S)

    async def _next(self, pieces: AsyncIterator[bytes], *, initial: bool) -> bytes | None:
        """The next piece of a watch; None at its end. Raises SourceError when initial events end without saying so."""
        with trio.move_on_after(INITIAL_SILENCE_S if initial else math.inf):
            return await anext(pieces, None)
        # Servers before watch-lists take it for a plain watch, whose beginning has no end.
        self._watch_lists = False
        raise SourceError(f"no end of the initial events, and nothing else for {INITIAL_SILENCE_S:g} s")

    async def _refused(self, answer: StreamedResponse) -> Refused:
        """The error of an answer that is no watch."""
        body = b""
        async for piece in answer.pieces:
            body += piece
            if len(body) > _ERROR_BYTES_MAX:
                break
        head = Response(answer.status, answer.reason, "", b"", 0, answer.headers)
        return refusal(body, answer.status, retry_after_s(head, self._context.clock))

    async def _events(self, lines: bytes) -> list[Event]:
        read = self.part.resource.read
        if len(lines) <= _INLINE_BYTES_MAX:
            return events_of(lines, read)
        return await self._context.offload.run(lambda: events_of(lines, read))

    async def _take(
        self, events: list[Event], gathered: dict[str, KubernetesObject] | None
    ) -> dict[str, KubernetesObject] | None:
        """Events into what is gathered of a list, or into the store; what goes on being gathered. Raises Refused."""
        for at, event in enumerate(events):
            if event.error is not None:
                raise event.error
            if gathered is None:
                self._apply(events[at:])
                return None
            if event.initial_end:
                await self._replace(gathered, event.version)
                gathered = None
            elif event.found is not None:
                gathered[event.key] = event.found
                _require_few(len(gathered))
            elif event.key:
                gathered.pop(event.key, None)
        return gathered

    def _apply(self, events: list[Event]) -> None:
        """Changes into the store."""
        changes: list[Change] = []
        error: Refused | None = None
        for event in events:
            if event.error is not None:
                error = event.error
                break
            if event.found is not None:
                changes.append((event.key, self._store.put(event.found), event.found))
                _require_few(len(self._store.objects))
            elif event.key:
                changes.append((event.key, self._store.remove(event.key), None))
            self._version = event.version or self._version
        self._take_concerned(self._reckon(self.part, changes))
        if error is not None:
            raise error
        self._retries.succeeded()
        self._succeeded()

    def _asked(self, query: Mapping[str, str]) -> str:
        part = self.part
        whole = dict(query)
        if part.fields:
            whole["fieldSelector"] = part.fields
        if part.labels:
            whole["labelSelector"] = part.labels
        return f"{self._url}?{urlencode(sorted(whole.items()))}"


def _timeouts(seconds: int) -> dict[str, str]:
    minutes, rest = divmod(seconds, 60)
    return {"timeout": f"{minutes}m{rest}s", "timeoutSeconds": str(seconds)}


def _require_few(objects: int) -> None:
    if objects > OBJECTS_MAX:
        raise SourceError(f"more than {OBJECTS_MAX} objects in one watch, which is the limit")
