"""Labels of what services of AWS say in XML: tables of fields, and tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from trimon.discovery.asking.xmltree import Element

_FRACTION: Final = re.compile(r"\.[0-9]+(?=Z|[+-])")


def said(
    element: Element, prefix: str, fields: Mapping[str, str], times: AbstractSet[str] = frozenset()
) -> dict[str, str]:
    """A label for each name of a table whose field is there; of times the whole seconds."""
    by_name = {child.name: child for child in reversed(element.children)}
    found = {}
    for name, path in fields.items():
        field_name, _, rest = path.partition(".")
        child = by_name.get(field_name)
        text = "" if child is None else child.text_at(rest) if rest else child.text
        if text:
            found[prefix + name] = _FRACTION.sub("", text) if path in times else text
    return found


def pairs(element: Element, path: str, key: str, value: str) -> dict[str, str]:
    """What is below `key` and `value` of each element at a path that has both; the last of a name counts."""
    found = {}
    for each in element.each(path):
        name, text = each.at(key), each.at(value)
        if name is not None and text is not None:
            found[name.text] = text.text
    return found
