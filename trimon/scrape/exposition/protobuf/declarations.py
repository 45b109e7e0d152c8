"""What a family in protobuf says of itself."""

from __future__ import annotations

from trimon.scrape.exposition.families import BodyFamilies
from trimon.scrape.exposition.protobuf.memory import FamilyKey
from trimon.scrape.exposition.protobuf.scan import Family
from trimon.scrape.exposition.protobuf.shape import TYPE_NAMES
from trimon.scrape.exposition.records import ExpositionError, MetadataLine


def declare(family: Family, families: BodyFamilies) -> FamilyKey:
    """What a family says of itself is learned. Raises ExpositionError."""
    name = _text(family.name)
    if name is None or not name:
        raise ExpositionError(f"invalid metric name: {family.name.decode('utf-8', 'replace')}")
    about = _text(family.help)
    if about is None:
        raise ExpositionError(f'invalid help for metric "{name}": {family.help.decode("utf-8", "replace")}')
    if family.type >= len(TYPE_NAMES):
        raise ExpositionError(f'unknown metric type for metric "{name}": {family.type}')
    unit = family.unit.decode("utf-8", "replace")
    families.learn(b"", MetadataLine("HELP", name, about))
    families.learn(b"", MetadataLine("TYPE", name, TYPE_NAMES[family.type]))
    if unit:
        families.learn(b"", MetadataLine("UNIT", name, unit))
    return FamilyKey(name, family.type, unit)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
