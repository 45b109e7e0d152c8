"""A cluster in memory that speaks the API of Kubernetes through the Fetch seam, well-behaved or with bad habits.

Its bad habits are those that a real server may have: watches that are cut anywhere, told twice, or gone (410); bookmarks at
any time; lists of many pages that expire; no watch-lists. It never lies: a version is at most as new as what was told.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio

from trimon.fetch.request import FetchError, FetchRequest, Response, StreamedResponse

Object = dict[str, Any]


@dataclass
class Habits:
    """How often, of one, a thing goes wrong."""

    refuse: float = 0.0
    cut: float = 0.0
    gone: float = 0.0
    replay: float = 0.0
    bookmark: float = 0.0
    watch_lists: bool = True
    knows_watch_lists: bool = True
    """Whether it knows the word; else a watch-list is a watch, whose beginning has no end."""
    page: int = 0
    """Objects of a page at most, however many are asked for."""


@dataclass
class FakeCluster:
    """Objects by resource; every change is an event with a version."""

    chance: random.Random = field(default_factory=lambda: random.Random(1))
    habits: Habits = field(default_factory=Habits)
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    events: list[tuple[int, str, str, Object]] = field(default_factory=list)
    version: int = 10
    oldest: int = 0
    """Watches from before this version are gone."""
    requests: list[str] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)
    down: Callable[[], Exception | None] = lambda: None
    denied: str = ""
    """What no path may have in it."""

    def put(self, resource: str, found: Object) -> None:
        """Create or change an object."""
        meta = found["metadata"]
        key = f"{meta.get('namespace', '')}/{meta['name']}"
        there = self.objects.setdefault(resource, {})
        self._tell(resource, "MODIFIED" if key in there else "ADDED", found)
        there[key] = self.events[-1][3]

    def delete(self, resource: str, key: str) -> None:
        """Delete an object, if it is there."""
        found = self.objects.get(resource, {}).pop(key, None)
        if found is not None:
            self._tell(resource, "DELETED", found)

    def forget(self) -> None:
        """Old versions are gone from now on."""
        self.oldest = self.version

    def _tell(self, resource: str, kind: str, found: Object) -> None:
        self.version += 1
        meta = {**found["metadata"], "resourceVersion": str(self.version)}
        self.events.append((self.version, resource, kind, {**found, "metadata": meta}))
        self.changed.set()
        self.changed = trio.Event()

    def _happens(self, likelihood: float) -> bool:
        return likelihood > 0 and self.chance.random() < likelihood

    def _begin(self, request: FetchRequest) -> tuple[str, dict[str, str]]:
        self.requests.append(request.url)
        if (error := self.down()) is not None:
            raise error
        if self._happens(self.habits.refuse):
            raise FetchError("connection refused")
        url = urlsplit(request.url)
        *_, above, resource = url.path.split("/")
        within = above if "/namespaces/" in url.path else ""
        return resource, {**dict(parse_qsl(url.query)), "within": within}

    def _there(self, resource: str, within: str) -> list[Object]:
        return [each for each in self.objects.get(resource, {}).values() if _is_in(each, within)]

    # ---- lists

    async def send(self, request: FetchRequest) -> Response:
        """A list, or a page of one."""
        await trio.lowlevel.checkpoint()
        resource, query = self._begin(request)
        if self.denied and self.denied in request.url:
            return _answer(403, {"kind": "Status", "message": "denied"})
        if self._happens(self.habits.refuse):
            return _answer(503, {"kind": "Status", "message": "away"})
        version, start = self.version, 0
        if "continue" in query:
            version, start = map(int, query["continue"].split("-"))
            if version < self.version or self._happens(self.habits.gone):
                return _answer(410, {"kind": "Status", "message": "expired"})
        elif int(query["resourceVersion"]) < self.oldest and query["resourceVersion"] != "0":
            return _answer(410, {"kind": "Status", "message": "too old"})
        items = self._there(resource, query["within"])[start:]
        meta: dict[str, str] = {"resourceVersion": str(version)}
        page = self.habits.page or int(query.get("limit", 0))
        if page and len(items) > page:
            items, meta["continue"] = items[:page], f"{version}-{start + page}"
        return _answer(200, {"kind": "List", "metadata": meta, "items": items})

    # ---- watches

    @asynccontextmanager
    async def stream(self, request: FetchRequest) -> AsyncIterator[StreamedResponse]:
        """A watch."""
        await trio.lowlevel.checkpoint()
        resource, query = self._begin(request)
        if self.denied and self.denied in request.url:
            yield StreamedResponse(403, "Forbidden", {}, _pieces([]))
            return
        initial = "sendInitialEvents" in query
        if initial and not self.habits.watch_lists:
            body = _answer(422, {"kind": "Status", "message": "forbidden"}).body
            async with aclosing(_pieces([body])) as pieces:
                yield StreamedResponse(422, "Unprocessable", {}, pieces)
            return
        async with aclosing(self._watch(resource, query, initial=initial)) as pieces:
            yield StreamedResponse(200, "OK", {}, pieces)

    async def _watch(
        self, resource: str, query: dict[str, str], *, initial: bool
    ) -> AsyncGenerator[bytes, None]:
        asked = int(query.get("resourceVersion", "0"))
        if asked and asked < self.oldest:
            yield _line("ERROR", {"kind": "Status", "code": 410, "message": "too old"})
            return
        seen = asked
        if initial:
            seen = self.version
            for each in self._there(resource, query["within"]):
                yield _line("ADDED", each)
                if self._happens(self.habits.bookmark):
                    yield _bookmark(asked)
                if self._happens(self.habits.cut):
                    return
            if self.habits.knows_watch_lists:
                yield _bookmark(seen, ended=True)
        while True:
            if self._happens(self.habits.gone):
                yield _line("ERROR", {"kind": "Status", "code": 410, "message": "gone"})
                return
            for piece, version in self._told(resource, query["within"], seen):
                seen = version
                if self._happens(self.habits.cut):
                    yield piece[: self.chance.randrange(len(piece))]
                    if self._happens(0.5):
                        raise FetchError("reset")
                    return
                yield piece
            if self._happens(self.habits.cut):
                return
            await self.changed.wait()

    def _told(self, resource: str, within: str, seen: int) -> Iterator[tuple[bytes, int]]:
        """Events after a version, maybe some of them again, and bookmarks."""
        told = [event for event in self.events if event[1] == resource and _is_in(event[3], within)]
        fresh = [event for event in told if event[0] > seen]
        old = [event for event in told if event[0] <= seen]
        if old and self._happens(self.habits.replay):
            fresh = old[-self.chance.randint(1, len(old)) :] + fresh
        for version, _, kind, found in fresh:
            yield _line(kind, found), max(version, seen)
            if self._happens(self.habits.bookmark):
                yield _bookmark(self.chance.randint(min(self.oldest, version), version)), max(version, seen)

    async def aclose(self) -> None:
        """Nothing to close."""
        await trio.lowlevel.checkpoint()


def _is_in(found: Object, within: str) -> bool:
    return not within or found["metadata"].get("namespace") == within


def _answer(status: int, body: object) -> Response:
    text = json.dumps(body).encode()
    return Response(status, "", "application/json", text, len(text))


def _line(kind: str, found: object) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


def _bookmark(version: int, *, ended: bool = False) -> bytes:
    meta: Object = {"resourceVersion": str(version)}
    if ended:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return _line("BOOKMARK", {"kind": "x", "metadata": meta})


async def _pieces(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


def pod(name: str, ip: str, *, namespace: str = "shop", node: str = "n1", **labels: str) -> Object:
    """A pod with one container and one port."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "uid": f"uid-{name}"},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
        },
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def node(name: str, **labels: str) -> Object:
    """A node."""
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }
