"""What the storage actor says about trouble, in virtual time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from tests.storage.conftest import first_row, series
from tests.support.store_world import world
from trimon.actors.storage.actor import APPEND_FAILED, CALM_S, REPEATED_INTERVAL_S
from trimon.errors import OperatingError
from trimon.model.rows import Row


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def test_appends_that_fail_are_logged_once_a_minute_with_a_count(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of failures are a few lines that add up; the end of it is told after a moment, and the next failure at once."""
    async with world(tmp_path) as here:
        await here.storage.replayed.wait()

        def full(_messages: object) -> list[object]:
            raise OperatingError("No space left on device")

        async def fail(times: int) -> None:
            for _ in range(times):
                with pytest.raises(OperatingError, match="No space left"):
                    await here.writer.append(first_row("g", here.clock.now_ms(), {series("a"): 1.0}))
                await trio.sleep(1)

        with monkeypatch.context() as patch:
            patch.setattr(here.store, "append", full)
            await fail(300)
        await here.writer.append(first_row("g", here.clock.now_ms(), {series("a"): 1.0}))
        await trio.sleep(CALM_S)
        await here.writer.append(first_row("g", here.clock.now_ms(), {series("a"): 1.0}))
        with monkeypatch.context() as patch:
            patch.setattr(here.store, "append", full)
            await fail(1)
        counts = {
            event: [int(str(fields["count"])) for _, told, fields in here.log.entries if told == event]
            for event in (APPEND_FAILED, f"{APPEND_FAILED}, and does so no more")
        }
        failed, over = counts.values()
        assert len(failed) == 300 // REPEATED_INTERVAL_S + 1
        assert len(over) == 1
        assert sum(failed) + sum(over) == 301


async def test_what_is_appended_shielded_is_stored_though_cancelled(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A sender that is cancelled still gets its answers: for known series, for new ones, and with a full mailbox."""
    async with world(tmp_path) as here:
        await here.storage.replayed.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            (first,) = await here.writer.append_shielded(
                first_row("g", here.clock.now_ms(), {series("a"): 1.0})
            )
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        await trio.sleep(1)
        mailbox = here.writer.mailbox
        rows = [Row("g", here.clock.now_ms() + place, first.columns, np.ones(1)) for place in range(3)]
        mailbox.max = 1
        answers: list[object] = []

        async def send(row: Row) -> None:
            with trio.CancelScope() as late:
                late.cancel()
                answers.extend(await here.writer.append_shielded(row))

        async with trio.open_nursery() as nursery:
            for row in rows:
                nursery.start_soon(send, row)
        assert len(answers) == len(rows)
        assert here.samples("a")[0][1][0][1] == 1.0
