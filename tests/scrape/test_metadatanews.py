"""What of a target's metadata is news to storage."""

from __future__ import annotations

from trimon.scrape.exposition.families import BodyFamily
from trimon.scrape.metadatanews import MetadataNews

UP = BodyFamily("gauge", "Whether it is up.", "")
SIZE = BodyFamily("counter", "What came.", "bytes")


def told(news: MetadataNews, **families: BodyFamily) -> list[tuple[str, str, str, str]]:
    """What storage is told when a body shows these."""
    found = news.news(families)
    return [] if found is None else list(found.families)


def test_only_what_has_changed_is_told() -> None:
    """A family is told once, again when its texts change, and again when it comes back."""
    news = MetadataNews()
    assert told(news, up=UP) == [("up", "gauge", "Whether it is up.", "")]
    assert told(news, up=UP) == []
    size = ("size", "counter", "What came.", "bytes")
    assert told(news, up=UP, size=SIZE) == [size]
    assert told(news, up=UP) == []
    assert told(news, up=UP, size=SIZE) == [size]
    changed = BodyFamily("gauge", "Up or not.", "")
    assert told(news, up=changed, size=SIZE) == [("up", "gauge", "Up or not.", "")]


def test_the_texts_of_all_families_are_counted() -> None:
    """The size is that of names, types, helps and units as they are now."""
    news = MetadataNews()
    told(news, up=UP, size=SIZE)
    assert news.size_bytes == len("upgaugeWhether it is up.sizecounterWhat came.bytes")
    told(news, up=UP)
    assert news.size_bytes == len("upgaugeWhether it is up.")
