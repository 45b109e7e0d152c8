"""What is remembered of scrapes: a ring of records, and bodies within a budget."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from trimon.fetch.request import Response
from trimon.scrape.fault import fault_at
from trimon.scrape.records import (
    COMPRESSED_EVERY_MS,
    RECORDS_MAX,
    KeptBodies,
    KeptBody,
    ScrapeParts,
    ScrapeRecords,
    packed,
)


def add(records: ScrapeRecords, at_ms: int, error: str = "") -> None:
    parts = ScrapeParts(at_ms, duration_s=0.25, status=200, wire_bytes=10, body_bytes=20, read_s=0.5)
    records.add(parts, is_up=not error, error=error, samples=3, series=2, fault=None)


@given(st.integers(0, 3 * RECORDS_MAX))
def test_the_last_scrapes_are_remembered_newest_first(count: int) -> None:
    """However many there were, the last ten come back as they were told."""
    records = ScrapeRecords()
    for index in range(count):
        add(records, 1_700_000_000_000 + index, "down" if index % 3 == 0 else "")
    found = records.all()
    expected = range(count - 1, max(count - RECORDS_MAX, 0) - 1, -1)
    assert [record.at_ms - 1_700_000_000_000 for record in found] == list(expected)
    assert [record.error for record in found] == ["down" if index % 3 == 0 else "" for index in expected]
    assert all((record.samples, record.series, record.read_s) == (3, 2, 0.5) for record in found)
    assert records.last() == (found[0] if found else None)


def test_who_waits_for_a_scrape_is_told_once() -> None:
    """A call that waits is made at the next scrape, and not at the one after it."""
    records, told = ScrapeRecords(), []
    records.on_next(lambda: told.append(1))
    add(records, 1)
    add(records, 2)
    assert told == [1]


def test_a_body_that_came_compressed_is_kept_as_it_came() -> None:
    """Nothing is compressed anew; a plain body is, and both give back what was read."""
    body = b"m 1\n" * 1000
    wire = gzip.compress(body)
    came = Response(200, "OK", "text/plain", body, len(wire), wire_body=wire, is_compressed=True)
    plain = Response(200, "OK", "text/plain", body, len(body), wire_body=body)
    assert packed(5, came).data is wire
    assert packed(5, came).body() == packed(5, plain).body() == body
    assert len(packed(5, plain).data) < len(body) // 10


def test_plain_bodies_are_compressed_now_and_then() -> None:
    """A good scrape without compression keeps its body once in five minutes, or when it is asked for."""
    kept = KeptBodies(1000)
    assert kept.wants("t", 0, compressed=False, asked=False)
    kept.keep("t", "last", KeptBody(0, "", b"x", "zstd"))
    assert not kept.wants("t", COMPRESSED_EVERY_MS - 1, compressed=False, asked=False)
    assert kept.wants("t", 1, compressed=True, asked=False)
    assert kept.wants("t", 1, compressed=False, asked=True)
    assert kept.wants("t", COMPRESSED_EVERY_MS, compressed=False, asked=False)
    assert not KeptBodies(0).wants("t", 0, compressed=True, asked=True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 60))))
def test_the_budget_of_bodies_holds(puts: list[tuple[str, bool, int]]) -> None:
    """Whatever is kept, the bytes are counted and never more than the budget; the newest body is there if it fits."""
    kept = KeptBodies(100)
    for at_ms, (target, failed, size) in enumerate(puts):
        kept.keep(target, "failed" if failed else "last", KeptBody(at_ms, "", b"x" * size, "zstd"))
        assert at_ms in kept.of(target)
        held = [body for each in "abc" for body in kept.of(each).values()]
        assert kept.size_bytes == sum(len(body.data) for body in held) <= 100
        assert len(held) == len(kept)
    for each in "abc":
        kept.forget(each)
    assert (kept.size_bytes, len(kept)) == (0, 0)


def test_a_fault_has_line_column_and_a_mark() -> None:
    """The mark stands under the place, in characters and not in bytes."""
    body = "a 1\nü{x=y} 2\n".encode()
    fault = fault_at(body, body.index(b"y"))
    assert (fault.line, fault.column) == (2, 5)
    assert fault.text[len(fault.mark) - 1] == "y"
    assert fault_at(b"", 0).line == 1
    assert fault_at(b"a\n", 2).line == 2


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_place_of_any_body_can_be_shown(body: bytes, place: int) -> None:
    """What is shown is short, printable, and has its mark within or right behind it."""
    fault = fault_at(body, place)
    assert fault.text.isprintable()
    assert len(fault.text) <= 90
    assert len(fault.mark) <= len(fault.text) + 1
