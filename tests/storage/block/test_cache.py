"""The cache of decoded parts keeps to its bytes, whatever it keeps."""

from __future__ import annotations

import numpy as np

from trimon.storage.block.bands import PageRows
from trimon.storage.block.cache import ArrayCache, scanning, taking_over
from trimon.storage.block.dictionary import Dictionary, pack_values


def rows(count: int) -> PageRows:
    numbers = np.zeros(1, np.int64)
    return PageRows(np.zeros(count), numbers, numbers, numbers)


def test_the_oldest_goes_when_room_is_short() -> None:
    """What is used least recently is dropped first, and the bytes held never pass the limit."""
    cache = ArrayCache(100_000)
    for number in range(50):
        cache.get(number, lambda: rows(1000))
        cache.get("kept", lambda: rows(10))
        assert cache.used_bytes <= 100_000
    assert cache.peek(0) is None
    assert cache.peek("kept") is not None
    assert isinstance(cache.peek(49), PageRows)


def test_what_is_too_big_is_made_and_not_kept() -> None:
    """Something that would fill a quarter of the cache is handed out and forgotten."""
    cache = ArrayCache(100_000)
    assert len(cache.get("big", lambda: rows(4000)).values) == 4000
    assert cache.used_bytes == 0


def test_rows_are_picked_from_equal_and_unequal_lengths() -> None:
    """Picking rows gives their samples in the asked order, in matrices and ragged pages."""
    for lengths in ([3, 3, 3], [2, 0, 4]):
        sizes = np.array(lengths)
        page = PageRows(np.arange(sizes.sum(), dtype=float), sizes, sizes * 10, sizes * 100)
        picked = page.pick(np.array([2, 0]))
        begins = np.cumsum(sizes) - sizes
        expected = [*range(begins[2], begins[2] + sizes[2]), *range(begins[0], begins[0] + sizes[0])]
        assert picked.values.tolist() == expected
        assert picked.lengths.tolist() == [lengths[2], lengths[0]]
        assert picked.entries.tolist() == [lengths[2] * 10, lengths[0] * 10]


def test_who_reads_everything_once_leaves_nothing_behind() -> None:
    """A scan is given what is kept, keeps what it makes for itself until its end, and drives nothing out."""
    cache = ArrayCache(100_000)
    kept = cache.get("kept", lambda: rows(10))
    made: list[int] = []

    def make() -> PageRows:
        made.append(1)
        return rows(1000)

    with scanning():
        assert cache.get("kept", make) is kept
        for _ in range(3):
            for number in range(50):
                cache.get(number, make)
        assert cache.used_bytes < 1000
    assert len(made) == 50
    cache.get(0, make)
    assert len(made) == 51
    assert cache.used_bytes > 8000


def test_dictionaries_of_blocks_are_counted() -> None:
    """The values of a label that a block has decoded count towards the cache with their text."""
    values = [f"{number:050}" for number in range(1000)]
    cache = ArrayCache(1 << 20)
    dictionary = cache.get("d", lambda: Dictionary(pack_values(values)))
    assert dictionary[1:] == values
    assert cache.used_bytes > 1000 * (50 + 8)
    cache.get("large", lambda: Dictionary(pack_values([f"{number:0500}" for number in range(1000)])))
    assert cache.used_bytes < 100_000


def test_what_nobody_asks_for_is_forgotten() -> None:
    """After two rounds without use; what is used in between stays, and the bytes that went are told."""
    cache = ArrayCache(1 << 20)
    cache.get("often", lambda: rows(10))
    cache.get("once", lambda: rows(1000))
    cache.put("put", rows(500))
    assert cache.forget_unused() == 0
    assert cache.peek("often") is not None
    held = cache.used_bytes
    assert cache.forget_unused() > 8 * 1500
    assert cache.peek("once") is None
    assert cache.peek("put") is None
    assert cache.peek("often") is not None
    assert cache.used_bytes < held - 8 * 1500
    assert cache.forget_unused() == 0
    assert cache.forget_unused() > 0
    assert cache.used_bytes == 0


def test_what_is_taken_over_leaves_the_cache() -> None:
    """Who keeps what he reads in another form is given what is kept, once and again, and leaves none of it in the cache."""
    cache = ArrayCache(100_000)
    kept = cache.get("kept", lambda: rows(10))
    cache.get("other", lambda: rows(10))
    before_bytes = cache.used_bytes
    with taking_over():
        assert cache.get("kept", lambda: rows(1)) is kept
        assert cache.get("kept", lambda: rows(1)) is kept
        made = cache.get("new", lambda: rows(10))
        assert cache.get("new", lambda: rows(1)) is made
    assert cache.used_bytes == before_bytes // 2
    assert cache.peek("kept") is cache.peek("new") is None
    assert cache.peek("other") is not None
    assert len(cache.get("kept", lambda: rows(3)).values) == 3
