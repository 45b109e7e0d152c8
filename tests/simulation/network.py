"""A network of targets: each serves what it counts, unless it is down, slow, cut, or lies."""

from __future__ import annotations

import random
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal

import trio

from trimon.fetch.request import FetchError, FetchRequest, Response, StreamedResponse

Mood = Literal["well", "down", "slow", "cut", "lies", "500"]
MOODS: tuple[Mood, ...] = ("well", "well", "well", "down", "slow", "cut", "lies", "500")
CONTENT_TYPE = "text/plain; version=0.0.4"


@dataclass
class SimulatedTarget:
    """What one target shows: series that come and go, and counters that rise."""

    pick: random.Random
    mood: Mood = "well"
    series: list[str] = field(default_factory=list)
    count: int = 0

    def body(self) -> bytes:
        """What it serves now."""
        if not self.series or self.pick.random() < 0.1:
            self.series = [f'a{{i="{i}"}}' for i in self.pick.sample(range(8), self.pick.randint(1, 8))]
        self.count += 1
        lines = [
            f"{name} {self.pick.choice((self.count, self.pick.randint(0, 60), 1.5))}" for name in self.series
        ]
        return "".join(f"{line}\n" for line in [*lines, f"ticks_total {self.count}"]).encode()


class Network:
    """All targets, by address. The same seed serves the same."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self.targets = {name: SimulatedTarget(pick) for name in ("a:1", "b:1", "c:1")}

    def client(self) -> Connection:
        """A client of one target."""
        return Connection(self._pick, self.targets)


class Connection:
    """The double of the Fetch seam."""

    def __init__(self, pick: random.Random, targets: dict[str, SimulatedTarget]) -> None:
        self._pick = pick
        self._targets = targets

    async def send(self, request: FetchRequest) -> Response:
        """What the target answers in its mood."""
        target = self._targets[request.url.split("/")[2]]
        match target.mood:
            case "down":
                await trio.sleep(0.01)
                raise FetchError("connection refused")
            case "slow":
                await trio.sleep(self._pick.uniform(0.5, 10))
            case "cut":
                await trio.sleep(0.5)
                raise FetchError("the connection ended within the body")
            case "500":
                return Response(500, "Internal Server Error", CONTENT_TYPE, b"", 0)
        await trio.sleep(0.01)
        body = target.body()
        if target.mood == "lies":
            body = body[: self._pick.randint(0, len(body))] + self._pick.choice(
                (b"", b"\xff", b'a{i="', b"\x00\n")
            )
        return Response(200, "OK", CONTENT_TYPE, body, len(body))

    def stream(self, request: FetchRequest) -> AbstractAsyncContextManager[StreamedResponse]:
        """Not asked for."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""
