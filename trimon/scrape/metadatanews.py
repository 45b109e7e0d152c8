"""What storage has been told of a target's metric families, and what is news."""

from __future__ import annotations

from trimon.model.rows import Metadata
from trimon.scrape.exposition.families import BodyFamily


class MetadataNews:
    """The families as storage knows them of one target. Not thread-safe; belongs to its session."""

    def __init__(self) -> None:
        self.size_bytes = 0
        """Length of the texts of all metadata."""
        self._told: dict[str, BodyFamily] = {}

    def news(self, families: dict[str, BodyFamily]) -> Metadata | None:
        """Metadata that storage has not been told; families no longer exposed are forgotten."""
        if families == self._told:
            return None
        news = [(name, family) for name, family in families.items() if self._told.get(name) != family]
        self._told = dict(families)
        texts = ((name, family.type, family.help, family.unit) for name, family in families.items())
        self.size_bytes = sum(len(text) for family in texts for text in family)
        if not news:
            return None
        return Metadata(tuple((name, family.type, family.help, family.unit) for name, family in news))
