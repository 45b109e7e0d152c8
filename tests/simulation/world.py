"""A world: a server, its disk, its targets and its clients, and what happens to them. One seed is one world.

    while it lasts:   start ── events ── an end: in order, killed, or the power fails
                        │        │              at a moment, or at the n-th change of the disk from now
                        └────────┴── after each: what is readable is what the plain lists say

Scheduling is seeded too, so a world goes the same way each time; `World.log` is its story.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import orjson
import trio
import trio.testing

from tests.simulation import machine as machines
from tests.simulation.disk import SimulatedDisk
from tests.simulation.history import History, Readable, bits
from tests.simulation.machine import Machine
from tests.simulation.network import MOODS, Network
from tests.support import protobuf
from tests.support.asgi import Answered
from trimon.errors import OperatingError
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.model.sample import STALE_NAN
from trimon.storage.options import StoreOptions
from trimon.virtualclock import VirtualClock

BLOCK_MS = 20_000
WINDOW_MS = 3 * 3_600_000  # as `Written` has it
ALL = (Matcher("__name__", MatchType.REGEXP, ".+"),)
PUSHED = tuple(labels_of({"__name__": "p", "i": str(i)}) for i in range(4))
ALIVE = labels_of({"__name__": "alive"})
PROTO = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
EVENTS_MAX = 14
STALE = bits(STALE_NAN)
LIVES_MAX = 4


class Broken(AssertionError):
    """A world in which something is readable that must not be, or not what must."""


class World:
    """Everything that one seed decides."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pick = random.Random(seed)
        self.disk = SimulatedDisk(random.Random(seed + 1))
        self.network = Network(random.Random(seed + 2))
        self.history = History(BLOCK_MS)
        self.options = StoreOptions(
            Path("/data"),
            fsync=self.pick.choice(("always", "interval", "interval", "never")),
            out_of_order_window_ms=WINDOW_MS,
            min_block_ms=BLOCK_MS,
            max_block_ms=4 * BLOCK_MS,
            wal_segment_bytes=self.pick.choice((1 << 12, 1 << 16)),
        )
        self.disk.on_sync_failed = self.history.not_synced
        self.clock = VirtualClock(1_700_006_400_000)
        self.told = False
        self.damaged, self.damaged_before = "", False
        self.log: list[str] = [f"seed {seed}, fsync {self.options.fsync}"]
        self.targets: tuple[str, ...] = ("a:1", "b:1")

    def note(self, text: str) -> None:
        """One line of the story."""
        self.log.append(f"{self.clock.now_ms() - self.clock.start_ms:>7} {text}")

    def fail(self, what: str) -> None:
        """Raises Broken with the story."""
        raise Broken("\n".join([*self.log, what]))

    async def live(self) -> None:
        """The whole story."""
        power_failed = False
        for _ in range(self.pick.randint(2, LIVES_MAX)):
            self.told = False
            ended = await self._life(power_failed)
            # One that ended before it told what is left leaves that to the next, which may not hear of all of it again.
            self.damaged_before = bool(self.damaged)
            power_failed = ended or (power_failed and not self.told)
        self.disk.start(power_failed=power_failed)
        self.note(f"{self.history.taken} samples were taken")

    # ---- a life

    async def _life(self, power_failed: bool) -> bool:
        """One process; whether it ended because the power failed."""
        self.disk.start(power_failed=power_failed)
        if self.pick.random() < 0.1 and (path := self.disk.flip(_holds_data)):
            self.damaged = path
            self.note(f"a bit of {path} flips")
        scope = trio.CancelScope()
        self.disk.on_death = scope.cancel
        if self.pick.random() < 0.2:
            self.disk.crash_in = self.pick.randint(1, 30)
            self.note(f"it will end at change {self.disk.crash_in}")
        try:
            # Names are random: two lives at one moment must not make the same ones.
            names = self.pick.randrange(1 << 60)
            machine = machines.build(self.options, self.disk, self.history, self.clock, self.network, names)
        except OperatingError as error:
            if not self.disk.dead:
                self.fail(f"no start: {error}")
            return self._ended()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run, machine, scope)
            with trio.CancelScope() as story:

                def end() -> None:
                    scope.cancel()
                    story.cancel()

                self.disk.on_death = end
                await self._story(machine, power_failed=power_failed)
            if self.disk.dead:
                scope.cancel()
        if not self.disk.dead and machine.reports.total:
            self.fail(f"crash reports: {[(each.path, each.error) for each in machine.reports.latest()]}")
        return self._ended()

    async def _run(self, machine: Machine, scope: trio.CancelScope) -> None:
        try:
            await machines.run(machine, scope)
        except BaseException:
            if not self.disk.dead:
                raise

    def _ended(self) -> bool:
        """After an end: whether the power failed with it."""
        power_failed = self.disk.dead and self.pick.random() < 0.5
        self.note(f"the end: {'power' if power_failed else 'killed' if self.disk.dead else 'in order'}")
        return power_failed

    async def _story(self, machine: Machine, *, power_failed: bool) -> None:
        with trio.fail_after(600):
            await machine.storage.replayed.wait()
        found = self.found(machine)
        wrong = self.history.survived(found, power_failed=power_failed, damaged=bool(self.damaged))
        if wrong:
            self.fail(wrong)
        told = machine.store.problems or _torn(machine) or self.damaged_before
        if self.history.lost and not told:
            self.fail(f"{self.history.lost} samples are lost in {self.damaged}, and nobody is told")
        self.damaged, self.damaged_before = "", False
        self.told = True
        self.note(f"started, {sum(map(len, found.values()))} samples, problems {machine.store.problems}")
        machine.scrape(*self.targets)
        machine.rule()
        for _ in range(self.pick.randint(1, EVENTS_MAX)):
            await self._happen(machine)
            await trio.lowlevel.checkpoint()
            self.check(machine)
        self.disk.heal()
        await self._goes_on(machine)
        if self.pick.random() < 0.4:
            await machine.stop()
            self.check(machine)
        else:
            self.disk.die()

    async def _goes_on(self, machine: Machine) -> None:
        """With nothing wrong any more, what is pushed is stored."""
        await trio.sleep(3)
        answer = await self._push(machine, [(ALIVE, self.clock.now_ms(), 1.0)])
        if machine.reports.total:
            self.fail(f"crash reports: {[(each.path, each.error) for each in machine.reports.latest()]}")
        if answer.status_code != 204:
            self.fail(f"healed, and a push is answered {answer.status_code}: {answer.body!r}")

    def check(self, machine: Machine) -> None:
        """What is readable is what the plain lists say."""
        wrong = self.history.differs(self.found(machine))
        if wrong:
            self.fail(wrong)

    def found(self, machine: Machine) -> Readable:
        """Everything that a query can see."""
        selection = machine.store.snapshot().select(ALL, 0, 2**50)
        frame = selection.frame(0, 2**50)
        out: Readable = {}
        for row in range(frame.rows):
            values = frame.values[frame.offsets[row] : frame.offsets[row + 1]]
            array = frame.time_of_row[row]
            times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]].tolist()
            if sorted(set(times)) != times:
                self.fail(f"times of {selection.labels.labels(row)} do not ascend")
            if times:
                out[selection.labels.labels(row)] = dict(
                    zip(times, values.view("int64").tolist(), strict=True)
                )
        return out

    # ---- events

    async def _happen(self, machine: Machine) -> None:
        events: tuple[tuple[Callable[[Machine], Any], float], ...] = (
            (self._wait, 8),
            (self._pushes, 6),
            (self._ask, 3),
            (self._mood, 3),
            (self._fault, 2),
            (self._heal, 2),
            (self._crash_soon, 0.5),
            (self._delete, 0.8),
            (self._clean, 0.3),
            (self._reload, 1),
        )
        event = self.pick.choices([event for event, _ in events], [weight for _, weight in events])[0]
        await event(machine)

    async def _wait(self, machine: Machine) -> None:
        seconds = self.pick.choice((1, 3, 9, 21))
        self.note(f"{seconds} s pass")
        await trio.sleep(seconds)

    async def _pushes(self, machine: Machine) -> None:
        pick, now_ms = self.pick, self.clock.now_ms()
        samples = [
            (labels, now_ms - late_ms + step * 1000, float(pick.randint(0, 9)))
            for labels in pick.sample(PUSHED, pick.randint(1, len(PUSHED)))
            for late_ms in [pick.choice((0, 0, 0, 15_000, 100_000))]
            for step in range(pick.choice((1, 1, 5)))
        ]
        samples = [each for each in samples if each[:2] not in self.history.written.removed]
        faulty = self.disk.room_bytes is not None or self.disk.error_share > 0
        status = (await self._push(machine, samples)).status_code
        self.note(f"{len(samples)} samples are pushed: {status}")
        if status not in {204, 400} and not (faulty and status >= 500):
            self.fail(f"a push is answered {status}")

    async def _push(self, machine: Machine, samples: list[tuple[Labels, int, float]]) -> Answered:
        body = b"".join(protobuf.series(labels, [(time_ms, value)]) for labels, time_ms, value in samples)
        packed = bytes(cramjam.snappy.compress_raw(body))
        return await machine.client.post("/api/v1/write", data=packed, headers=PROTO)

    async def _ask(self, machine: Machine) -> None:
        """How many samples there are of the last five minutes, from the server and from the lists.

        Others may store something while it answers: the number lies between those before and after.
        """
        now_ms = self.clock.now_ms()
        query = 'sum(count_over_time({__name__=~"a|p|up|total"}[5m]))'
        least = self._count(now_ms)
        answer = await machine.client.get(
            "/api/v1/query", query_string={"query": query, "time": now_ms / 1000}
        )
        if answer.status_code != 200:
            self.fail(f"a query is answered {answer.status_code}: {answer.body!r}")
        shown = sum(int(item["value"][1]) for item in orjson.loads(answer.body)["data"]["result"])
        most = self._count(now_ms)
        if not least <= shown <= most and not self.history.unsure:
            self.fail(f"a query counts {shown} instead of {least} to {most}")

    def _count(self, now_ms: int) -> int:
        return sum(
            now_ms - 300_000 < time_ms <= now_ms and bits(value) != STALE
            for labels, samples in self.history.written.samples.items()
            if dict(labels)["__name__"] in {"a", "p", "up", "total"}
            for time_ms, value in samples.items()
        )

    async def _mood(self, machine: Machine) -> None:
        name = self.pick.choice(sorted(self.network.targets))
        self.network.targets[name].mood = mood = self.pick.choice(MOODS)
        self.note(f"{name} is {mood}")

    async def _fault(self, machine: Machine) -> None:
        if self.pick.random() < 0.5:
            self.disk.room_bytes = self.pick.choice((0, 10, 300, 5000))
            self.note(f"{self.disk.room_bytes} bytes of room")
        else:
            self.disk.error_share = self.pick.choice((0.05, 0.5, 1.0))
            self.note(f"{self.disk.error_share:.0%} of all changes fail")

    async def _heal(self, machine: Machine) -> None:
        self.disk.heal()
        self.note("the disk is well")

    async def _crash_soon(self, machine: Machine) -> None:
        self.disk.crash_in = self.pick.randint(1, 40)
        self.note(f"it will end at change {self.disk.crash_in}")

    async def _delete(self, machine: Machine) -> None:
        end_ms = self.clock.now_ms() - self.pick.choice((7_000, 40_000))
        start_ms = end_ms - self.pick.choice((1_000, 20_000, 1_000_000))
        name = self.pick.choice(("a", "p", "up"))
        form = {"match[]": name, "start": start_ms / 1000, "end": end_ms / 1000}
        answer = await machine.client.post("/api/v1/admin/tsdb/delete_series", form=form)
        self.note(f"{name} is deleted: {answer.status_code}")

    async def _clean(self, machine: Machine) -> None:
        answer = await machine.client.post("/api/v1/admin/tsdb/clean_tombstones")
        self.note(f"tombstones are cleaned: {answer.status_code}")

    async def _reload(self, machine: Machine) -> None:
        self.targets = tuple(self.pick.sample(sorted(self.network.targets), self.pick.randint(0, 3)))
        self.note(f"targets are {self.targets}")
        machine.scrape(*self.targets)


def _torn(machine: Machine) -> bool:
    """Whether the start told of a torn tail: a flipped bit in the last record cannot be told from a write that stopped."""
    return any(what == "storage is ready" and fields["torn_tails"] for _, what, fields in machine.log.entries)


def _holds_data(path: str) -> bool:
    return not path.endswith("/lock") and ".tmp" not in path


def play(seed: int) -> World:
    """One world from its beginning to its end. Raises Broken."""
    world = World(seed)
    run, schedule = trio._core._run, random.Random(seed + 3)
    before = run._r, run._ALLOW_DETERMINISTIC_SCHEDULING
    run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = schedule, True  # type: ignore[misc]  # trio's own tests do the same
    try:
        trio.run(world.live, clock=trio.testing.MockClock(autojump_threshold=0))
    except BaseExceptionGroup as group:
        broken = group.subgroup(Broken)
        while broken is not None and isinstance(broken, BaseExceptionGroup):
            broken = broken.exceptions[0]  # type: ignore[assignment]  # a leaf at last
        raise (broken or group) from None
    finally:
        run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]  # as above
    return world


def broken_story(seed: int) -> str:
    """The story of a world that is broken, empty for one that is whole."""
    try:
        play(seed)
    except Broken as broken:
        return str(broken)
    except Exception:  # noqa: BLE001 # a start that fails is a broken world, and the others are played all the same
        return f"seed {seed}: {traceback.format_exc()}"
    return ""
