"""Lists in pages: all of them, in order, and an end in any case."""

from __future__ import annotations

import pytest

from trimon import limits
from trimon.discovery.asking.record import SourceError
from trimon.discovery.mechanisms.clouds import paged
from trimon.discovery.mechanisms.clouds.paged import Page, all_pages


async def test_pages_are_asked_for_by_the_names_that_pages_say() -> None:
    """All items in the order of the pages; a page without items is a page as any other."""
    pages: dict[str, Page[int]] = {"": Page([1, 2], "b"), "b": Page([], "c"), "c": Page([3])}

    async def ask(name: str) -> Page[int]:
        return pages[name]

    assert await all_pages(ask) == [1, 2, 3]


async def test_a_page_that_comes_again_is_an_error() -> None:
    """A list whose second page names the first as the next would never end."""

    async def ask(name: str) -> Page[int]:
        return Page([1], "b" if name == "a" else "a")

    with pytest.raises(SourceError, match="page 'a' comes again"):
        await all_pages(ask, "a")


@pytest.mark.parametrize("items", [[], [1]])
async def test_a_list_without_end_is_an_error(items: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are new each time end at the limit of pages, or of items."""
    monkeypatch.setattr(paged, "PAGES_MAX", 50)
    monkeypatch.setattr(limits, "TARGETS_PER_PUBLISH_MAX", 20)
    asked = []

    async def ask(name: str) -> Page[int]:
        asked.append(name)
        return Page(items, f"{name}x")

    with pytest.raises(SourceError, match="more than 20 items" if items else "more than 50 pages"):
        await all_pages(ask)
    assert len(asked) == (21 if items else 50)


async def test_empty_pages_end() -> None:
    """A filter may leave some pages without an item; a list of nothing but such pages is given up."""
    asked: list[str] = []

    async def ask(name: str) -> Page[int]:
        asked.append(name)
        return Page([1] if len(asked) % 50 == 0 else [], "" if len(asked) == 120 else str(len(asked)))

    assert await all_pages(ask) == [1, 1]

    async def ask_for_nothing(name: str) -> Page[int]:
        return Page([], name + "x")

    with pytest.raises(SourceError, match="more than 100 pages in a row"):
        await all_pages(ask_for_nothing)
