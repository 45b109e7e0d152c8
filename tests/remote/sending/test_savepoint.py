"""The savepoint and its slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.errors import OperatingError
from trimon.remote.sending.entries import Counted
from trimon.remote.sending.savepoint import SLOTS, Savepoint, newest_of, pack_slot, slot_bytes_for


def point(done: int) -> Savepoint:
    return Savepoint("log", done, {2: (1, 99), 3: (0, 8)}, "rules", (Counted(1, 2, 3), Counted()))


def test_a_savepoint_is_read_as_it_was_written() -> None:
    """All of its parts come back."""
    assert Savepoint.unpack(point(3).pack()) == point(3)


def test_a_file_of_an_older_version_is_read() -> None:
    """One that is the JSON alone, as before there were slots."""
    assert newest_of(point(3).pack()) == point(3)


@given(st.permutations(range(1, SLOTS + 1)), st.data())
def test_the_newest_whole_slot_counts(order: list[int], data: st.DataObject) -> None:
    """Whichever slots are torn, at whichever byte, the newest of the others counts; with all torn it is no savepoint."""
    slots = [bytearray(pack_slot(point(number).pack(), number)) for number in order]
    size = slot_bytes_for(max(map(len, slots)))
    torn = data.draw(st.sets(st.sampled_from(range(SLOTS))))
    for number in torn:
        at = data.draw(st.integers(0, len(slots[number]) - 1))
        slots[number][at] ^= 1 << data.draw(st.integers(0, 7))
    content = b"".join(bytes(slot).ljust(size, b"\0") for slot in slots)
    whole = [order[number] for number in range(SLOTS) if number not in torn]
    if whole:
        assert newest_of(content).done == max(whole)
    else:
        with pytest.raises(OperatingError, match="no savepoint"):
            newest_of(content)


@given(st.binary(max_size=200))
def test_no_content_is_a_bug(content: bytes) -> None:
    """Any bytes are a savepoint or an error of the world, as the file and as what a whole slot holds."""
    for data in (content, pack_slot(content, 1).ljust(SLOTS * 4096, b"\0"), b"{" + content):
        with pytest.raises(OperatingError, match="savepoint"):
            newest_of(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version":1,"log":"a","done":1e999,"places":[],"rules":"","beyond":[]}',
        b'{"version":1,"log":"a","done":1,"places":[[1,"x",2]],"rules":"","beyond":[]}',
        b'{"version":2,"log":"a","done":1,"places":[],"rules":"","beyond":[]}',
    ],
)
def test_a_file_that_is_no_savepoint_is_told_in_short(data: bytes) -> None:
    """Whatever stands in the file is a savepoint or an error of the world, with a text for people."""
    with pytest.raises(OperatingError, match="savepoint") as caught:
        newest_of(data)
    assert len(str(caught.value)) < 300
