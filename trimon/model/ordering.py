"""Sorting of long lists in worker threads: other threads have their turns meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar

Item = TypeVar("Item")

# Sorted or taken over at once: some milliseconds.
SLICE_ITEMS: Final = 8192
# Of the sample that the bounds between parts are chosen from, for each part.
_SAMPLED: Final = 16


def sorted_in_slices(texts: Iterable[str]) -> list[str]:
    """Texts in order, as `sorted` has them."""
    return sorted_by_text(list(texts), str)


def sorted_by_text(items: Sequence[Item], text: Callable[[Item], str]) -> list[Item]:
    """Items in the order of their texts.

    Long lists are divided by bounds taken from a sample, and each part is sorted: the sort of a whole list is one call that
    no other thread interrupts.
    """
    if len(items) <= SLICE_ITEMS:
        return sorted(items, key=text)
    parts = 2 * len(items) // SLICE_ITEMS
    sample = sorted(map(text, islice(items, 0, None, max(1, len(items) // (parts * _SAMPLED)))))
    bounds = sample[_SAMPLED::_SAMPLED]
    divided: list[list[Item]] = [[] for _ in range(len(bounds) + 1)]
    for item in items:
        divided[bisect_right(bounds, text(item))].append(item)
    return [item for part in divided for item in sorted(part, key=text)]


def add_in_slices(known: set[str], texts: Sequence[str]) -> None:
    """Adds texts to a set."""
    for at in range(0, len(texts), SLICE_ITEMS):
        known.update(texts[at : at + SLICE_ITEMS])
