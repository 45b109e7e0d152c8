"""Which new series are taken, and of whom."""

from __future__ import annotations

from trimon.memory.series import (
    KEPT_SHARE,
    LOOKED_AT_BYTES,
    REPORT_SERIES_MAX,
    SERIES_BYTES,
    SERIES_BYTES_LATER,
    SMALL_GROWTH,
    SeriesAdmission,
    SeriesGrant,
)


def admission(series: int) -> SeriesAdmission:
    return SeriesAdmission(series * SERIES_BYTES_LATER)


def grant(admission: SeriesAdmission, group: str, known: int = 0) -> SeriesGrant:
    made = admission.grant(group, known, 0, LOOKED_AT_BYTES)
    assert made is not None
    return made


def taken(grant: SeriesGrant, most: int = 1_000_000) -> int:
    """How many series may come, one after the other."""
    return next((count for count in range(most) if not grant.take()), most)


def test_small_bodies_are_not_looked_at() -> None:
    """What costs next to nothing is not counted."""
    assert admission(0).grant("a", 0, 0, LOOKED_AT_BYTES - 1) is None


def test_room_is_granted_once() -> None:
    """What one body was granted no other gets, until it says what it did not need."""
    one = admission(100_000)
    first = grant(one, "a")
    assert first.reserve(50_000)
    assert (first.is_whole, one.room) == (True, 50_000)
    assert taken(first, 10_000) == 10_000
    assert one.settle("a", first) == 10_000
    assert (one.room, one.coming) == (90_000, 100_000)
    one.refill(0, 0)
    assert one.room == 90_000  # they are not in the head yet
    one.landed(10_000)
    one.refill(10_000, 10_000 * SERIES_BYTES)
    assert (one.room, one.coming) == (90_000, 90_000)


def test_the_last_series_are_not_for_who_grows_fastest() -> None:
    """The target that brings the most gets nothing of the last fifth, others do."""
    one = admission(100_000)
    kept = int(100_000 * KEPT_SHARE)
    assert not grant(one, "greedy").reserve(200_000)
    assert taken(grant(one, "greedy", 10)) == 100_000 - kept
    assert taken(grant(one, "greedy", 10)) == 0
    assert grant(one, "modest").reserve(5_000)


def test_under_pressure_who_grows_gets_nothing() -> None:
    """A target that brings many is refused, one that brings a few is not."""
    one = admission(100_000)
    one.is_pressed = True
    assert not grant(one, "greedy").reserve(50_000)
    assert taken(grant(one, "greedy", 10)) <= SMALL_GROWTH
    assert grant(one, "known", 50_000).reserve(10)


def test_bytes_count_beside_series() -> None:
    """Where series take more than they are thought to, fewer come."""
    one = admission(100_000)
    one.refill(1000, one.share_bytes - 2000 * SERIES_BYTES)
    assert one.room == 2000
    one.refill(1000, 2 * one.share_bytes)
    assert one.room == 0


def test_series_that_are_stored_are_not_new() -> None:
    """A target whose body is not remembered, as after a restart, may show again what storage has of it."""
    one = SeriesAdmission(10_000 * SERIES_BYTES_LATER, {"a": 5_000 + REPORT_SERIES_MAX}.get)  # type: ignore[arg-type]  # no other is asked for
    one.refill(10_000, 0)
    made = grant(one, "a")
    assert not made.is_whole
    assert taken(made) == 5_000
    assert one.settle("a", made) == 0
    assert one.room == 0


def test_refusals_are_told_by_target() -> None:
    """Each is told once."""
    one = admission(0)
    made = grant(one, "a")
    assert taken(made) <= 1
    one.settle("a", made)
    assert one.take_refusals() == {"a": 1}
    assert one.take_refusals() == {}
    assert one.refused == 1


def test_growth_is_forgotten() -> None:
    """Who grew long ago is not the one that grows fastest."""
    one = admission(100_000)
    assert grant(one, "old").reserve(40_000)
    assert grant(one, "new").reserve(35_000)
    assert grant(one, "newest").reserve(20_000)  # others grow faster
    for _ in range(20):
        one.forget()
    assert not grant(one, "newest").reserve(4_000)
    assert grant(one, "newest").reserve(500)
