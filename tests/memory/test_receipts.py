"""Bodies that are coming: how they share the memory there is for them."""

from __future__ import annotations

from trimon.memory.bodies import BodyMemory
from trimon.memory.receipts import OLD_S, Receipts

MIB = 2**20


def test_bodies_that_come_are_counted_and_refused_beyond_the_share() -> None:
    """What is young keeps its place; the one that finds no room is refused, and what it held is free again."""
    bodies = BodyMemory(10 * MIB)
    receipts, refused = Receipts(bodies), list[str]()
    first = receipts.begin(0.0, lambda: refused.append("first"))
    second = receipts.begin(0.0, lambda: refused.append("second"))
    assert first.grow(6 * MIB, 1.0)
    assert second.grow(4 * MIB, 1.0)
    assert not second.grow(1, 2.0)
    assert (bodies.taken_bytes, bodies.refused) == (10 * MIB, 1)
    second.end()
    assert first.grow(4 * MIB, 3.0)
    first.end()
    assert (bodies.taken_bytes, refused) == (0, [])


def test_a_body_that_drips_gives_way() -> None:
    """The oldest one is refused for one that comes now; a body that is whole is not."""
    bodies = BodyMemory(10 * MIB)
    receipts, refused = Receipts(bodies), list[str]()
    whole = receipts.begin(0.0, lambda: refused.append("whole"))
    drips = receipts.begin(0.5, lambda: refused.append("drips"))
    assert whole.grow(2 * MIB, 0.0)
    whole.whole()
    assert drips.grow(8 * MIB, 1.0)
    young = receipts.begin(OLD_S + 1, lambda: refused.append("young"))
    assert young.grow(3 * MIB, OLD_S + 1)
    assert (refused, bodies.taken_bytes) == (["drips"], 5 * MIB)
    assert not young.grow(6 * MIB, OLD_S + 2)
    drips.end()
    for each in (whole, young):
        each.end()
    assert bodies.taken_bytes == 0


def test_one_alone_may_hold_more_than_the_share() -> None:
    """Else it would be refused for ever."""
    bodies = BodyMemory(MIB)
    alone = Receipts(bodies).begin(0.0, lambda: None)
    assert alone.grow(MIB, 0.0)
    assert alone.grow(30 * MIB, 0.0)
    alone.end()
    assert bodies.taken_bytes == 0
