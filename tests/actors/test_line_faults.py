"""What the log tells of lines that cannot be taken."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from trimon.actors.receivers.lines import LineCounts, LineFaults
from trimon.errors import UserError
from trimon.log import LogBuffer

LINES = "lines of graphite cannot be taken"
SAMPLES = "samples of graphite are not stored"


async def test_what_follows_the_first_fault_is_told_a_minute_later(autojump_clock: MockClock) -> None:
    """Each kind is told at once, the others of its minute when that is over, and what was told is not told again."""
    log, counts = LogBuffer(), LineCounts()
    faults = LineFaults("graphite", counts, log)

    def told() -> list[tuple[str, object, object]]:
        return [(what, fields["err"], fields["count"]) for _, what, fields in log.entries]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(faults.run)
        for number in range(5):
            faults.line(b"bad \xff" + b"01234"[number : number + 1], UserError("no value"))
        faults.sample("out of bounds", 3)
        at_once = [(LINES, "no value: 'bad \ufffd0'", 1), (SAMPLES, "out of bounds", 3)]
        assert told() == at_once
        await trio.sleep(70)
        assert told()[2:] == [(LINES, "no value: 'bad \ufffd4'", 4)]
        await trio.sleep(200)
        assert len(told()) == 3
        faults.line(b"x", UserError("no value"))
        faults.line(b"y", UserError("no value"))
        nursery.cancel_scope.cancel()
    faults.tell_rest()
    assert told()[3:] == [(LINES, "no value: 'x'", 1), (LINES, "no value: 'y'", 1)]
    assert (counts.malformed, counts.refused) == (7, 3)
