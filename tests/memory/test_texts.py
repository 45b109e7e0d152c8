"""What is kept of texts is bounded by their characters, whatever the texts are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.memory.texts import TextCache, key_of


@given(st.lists(st.text(max_size=12), max_size=60))
def test_results_are_those_of_the_function_and_within_bounds(texts: list[str]) -> None:
    """However often what is asked: the answer is that of the text, and no more characters are kept than may be."""
    cache = TextCache(str.upper, 30, 8)
    for text in texts:
        assert cache.get(text) == text.upper()
        assert cache.characters <= 30
    assert len(cache) <= len(set(texts))
    cache.clear()
    assert (len(cache), cache.characters) == (0, 0)


def test_the_last_used_stay() -> None:
    """What was asked for again is made once; what was not for the longest time goes, and long texts are never kept."""
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text

    cache = TextCache(make, 10, 6)
    for text in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb", "longest", "longest"):
        cache.get(text)
    assert made == ["aaaa", "bbbb", "cccc", "bbbb", "longest", "longest"]


def test_errors_pass_through_and_are_not_kept() -> None:
    """A text of which nothing can be made says so each time."""
    cache = TextCache(int, 100, 10)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            cache.get("x")
    assert cache.characters == 0


def test_threads_count_a_text_once() -> None:
    """Many threads that ask for the same texts leave the same count as one."""
    cache = TextCache(str, 1000, 10)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(cache.get, [str(number % 50) for number in range(5000)])) == [
            str(number % 50) for number in range(5000)
        ]
    assert (len(cache), cache.characters) == (50, 90)


def test_long_keys_are_short() -> None:
    """A text by which something is known takes no more than a short one, and different ones stay different."""
    assert key_of("up") == "up"
    one, other = key_of("x" * 10_000 + "1"), key_of("x" * 10_000 + "2")
    assert one != other
    assert len(one) == 16
    assert key_of("\ud800" * 300)
