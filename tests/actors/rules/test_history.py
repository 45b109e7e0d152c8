"""The history of alerts in virtual time: what is told, once, also through restarts, reloads and with disks that fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.actors.rules.test_alerts import KEY, SERIES, Switch, rule
from tests.support.rule_world import RuleWorld, rule_world
from trimon.actors.rules.history import AlertHistory, RuleChanges, history_mailbox
from trimon.files import AppendFile, DiskFiles
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.rules.alert import Alert, AlertState
from trimon.rules.changes import AlertEvent, Change
from trimon.rules.history import DIRECTORY, AlertChange, HistoryFiles, RuleName

NAME = RuleName("r.yml", "g", "Down", "1")


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def told(history: AlertHistory) -> list[str]:
    """The words of all changes, the first one first."""
    changes, more = history.find(lambda _: True, 1000)
    assert not more
    return [change.event.change.value for change in reversed(changes)]


async def live(here: RuleWorld, nursery: trio.Nursery, text: str, *, on: bool) -> Switch:
    switch = Switch()
    switch.on = on
    nursery.start_soon(switch.run, here)
    here.configure(text)
    await trio.sleep(120)
    return switch


async def test_every_change_is_told_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Pending, firing and resolved with their times, values and texts; what stays the same is not told again."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        switch = await live(here, nursery, rule(), on=False)
        assert await told(here.history) == []
        switch.on = True
        await trio.sleep(120)
        switch.on = False
        await trio.sleep(60)
        assert await told(here.history) == ["pending", "firing", "resolved"]
        switch.on = True
        await trio.sleep(15)
        switch.on = False
        await trio.sleep(30)
        assert (await told(here.history))[3:] == ["pending", "inactive"]
        changes, _ = here.history.find(lambda change: change.event.change is Change.FIRING, 10)
        (fired,) = changes
        assert (fired.labels, fired.value, dict(fired.event.annotations)) == (SERIES, "1e+00", {"s": "down"})
        assert fired.event.at_ms - fired.active_at_ms == 30_000
        nursery.cancel_scope.cancel()


async def test_a_restart_changes_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An alert that fires before and after it is told once; one that ended meanwhile is over when the others are known."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        await live(here, nursery, rule(), on=True)
        assert await told(here.history) == ["pending", "firing"]
        start_ms = here.world.clock.now_ms() + 1
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        await live(here, nursery, rule("for: 0s"), on=True)
        assert await told(here.history) == ["pending", "firing"]
        start_ms = here.world.clock.now_ms() + 1
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        await live(here, nursery, rule("for: 0s"), on=False)
        assert await told(here.history) == ["pending", "firing", "resolved"]
        nursery.cancel_scope.cancel()


async def test_what_fires_is_not_pending_again_after_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """It passes through pending for the server, and fires on for the history; its end is that of what was firing."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        await live(here, nursery, rule("for: 11m"), on=True)
        await trio.sleep(700)
        assert await told(here.history) == ["pending", "firing"]
        start_ms = here.world.clock.now_ms() + 1
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        switch = await live(here, nursery, rule("for: 11m"), on=True)
        assert await told(here.history) == ["pending", "firing"]
        switch.on = False
        await trio.sleep(30)
        assert await told(here.history) == ["pending", "firing", "resolved"]
        nursery.cancel_scope.cancel()


async def test_an_alert_that_comes_back_is_a_new_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    """It is active since it came back, and not since its former life."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        switch = await live(here, nursery, rule(), on=True)
        switch.on = False
        await trio.sleep(60)
        switch.on = True
        await trio.sleep(20)
        (last, *_), _ = here.history.find(lambda _: True, 1)
        assert last.event.change is Change.PENDING
        assert last.active_at_ms == last.event.at_ms
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("text", ["groups: []", "groups: [{name: g, rules: [{alert: Other, expr: m == 7}]}]"])
async def test_a_rule_that_a_reload_takes_away_ends_its_alerts(
    tmp_path: Path, text: str, autojump_clock: MockClock
) -> None:
    """With the rule or with the whole group the alert is over, and the history says so."""
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        await live(here, nursery, rule(), on=True)
        here.configure(text)
        await trio.sleep(60)
        assert await told(here.history) == ["pending", "firing", "resolved"]
        nursery.cancel_scope.cancel()


async def test_rules_of_one_name_are_apart(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Two rules with one alert name and other labels have histories of their own, also after a restart."""
    text = (
        "groups:\n  - name: g\n    rules:\n"
        "      - {alert: Down, expr: m == 1, labels: {severity: page}}\n"
        "      - {alert: Down, expr: m >= 0, labels: {severity: info}}\n"
    )
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        await live(here, nursery, text, on=True)
        assert await told(here.history) == ["firing", "firing"]
        start_ms = here.world.clock.now_ms() + 1
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        await live(here, nursery, text, on=True)
        assert here.manager.groups[KEY].iterations > 3
        assert await told(here.history) == ["firing", "firing"]
        nursery.cancel_scope.cancel()


def changes(numbers: Sequence[int]) -> list[AlertChange]:
    return [
        AlertChange(
            NAME,
            (("n", str(number)),),
            AlertEvent(Change.FIRING, number, 1.0, (("a", "x" * 100),)),
            number,
            "1e+00",
        )
        for number in numbers
    ]


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    """All files together stay within the bound, and hold the newest changes without a gap."""
    files = HistoryFiles(DiskFiles(), tmp_path, 40_000)
    for number in range(1000):
        files.append(changes([number]))
    kept = [change.active_at_ms for change in files.newest_first() if change]
    assert kept == list(range(999, 999 - len(kept), -1))
    assert 100 < len(kept) < 400
    assert sum(path.stat().st_size for path in (tmp_path / DIRECTORY).iterdir()) <= 40_000


def test_damage_costs_a_line(tmp_path: Path) -> None:
    """A torn end and a line that is none are left out and counted; the next process writes a file of its own."""
    files = HistoryFiles(DiskFiles(), tmp_path, 1 << 20)
    files.append(changes(range(5)))
    files.close()
    (path,) = (tmp_path / DIRECTORY).iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"at": "x"}\n' + b"".join(lines[2:4]) + lines[4][:30])
    files = HistoryFiles(DiskFiles(), tmp_path, 1 << 20)
    files.append(changes([9]))
    assert [change.active_at_ms for change in files.newest_first() if change] == [9, 3, 2, 0]
    assert files.damaged_lines == 2


def test_odd_names_stop_nothing(tmp_path: Path) -> None:
    """A directory, a pipe and a file that is far too large are passed over, and a name beyond all of them is free."""
    (tmp_path / DIRECTORY / "00000001").mkdir(parents=True)
    os.mkfifo(tmp_path / DIRECTORY / "00000002")
    with (tmp_path / DIRECTORY / "99999999").open("wb") as file:
        file.truncate(1 << 30)
    files = HistoryFiles(DiskFiles(), tmp_path, 64 << 20)
    files.append(changes([1]))
    files.append(changes([2]))
    assert [change.active_at_ms for change in files.newest_first() if change] == [2, 1]
    assert (tmp_path / DIRECTORY / "100000000").is_file()


class FullDisk(DiskFiles):
    """A disk without room."""

    full = True

    def create(self, path: Path) -> AppendFile:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


async def test_a_full_disk_is_told_once(tmp_path: Path, nursery: trio.Nursery) -> None:
    """What cannot be written is counted and told once; it goes on when there is room."""
    disk, log = FullDisk(), LogBuffer()
    mailbox = history_mailbox()
    history = AlertHistory(HistoryFiles(disk, tmp_path, 1 << 20), mailbox, InlineOffload(), log)
    nursery.start_soon(history.run)

    async def tell(number: int) -> None:
        alert = Alert((("n", str(number)),), (), 1.0, AlertState.FIRING, number)
        history.tell(RuleChanges(NAME, number, [(alert, AlertEvent(Change.FIRING, number, 1.0, ()))]))
        await trio.testing.wait_all_tasks_blocked()

    await tell(1)
    await tell(2)
    assert history.failures == 2
    assert sum("cannot be written" in message for _, message, _ in log.entries) == 1
    disk.full = False
    await tell(3)
    assert await told(history) == ["firing"]
    nursery.cancel_scope.cancel()
