"""From the dotted name of a pushed metric to a series."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trimon.model.labellimits import checked
from trimon.model.labels import METRIC_NAME, Labels
from trimon.records import dataclass

_BAD_IN_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")
_BAD_IN_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_REFERENCE: Final = re.compile(r"\$(?:(\d+)|\{(\d+)\})")


def metric_name(text: str) -> str:
    """A name that every client takes: what no name of a metric may have is an underscore."""
    name = _BAD_IN_NAME.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def label_name(text: str) -> str:
    """The same for a label; one of ours for names that are kept for the server."""
    name = _BAD_IN_LABEL.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else f"key{name}" if name.startswith("__") else name


@dataclass(frozen=True, slots=True)
class NameMapping:
    """One rule; `name` is empty where what it matches is dropped."""

    pattern: re.Pattern[str]
    name: str
    labels: tuple[tuple[str, str], ...]


def mapping(
    match: str, name: str, labels: Iterable[tuple[str, str]] = (), *, drops: bool = False
) -> NameMapping:
    """A rule of a glob: `*` is one part of a dotted name."""
    pattern = re.compile("([^.]*)".join(map(re.escape, match.split("*"))))
    return NameMapping(pattern, "" if drops else name, tuple(labels))


class Naming:
    """Makes label sets; the first mapping that matches the whole name counts. Synchronous, for one thread."""

    def __init__(self, mappings: Sequence[NameMapping], labels: Iterable[tuple[str, str]]) -> None:
        self._mappings = tuple(mappings)
        self._labels = dict(labels)

    def labels(self, name: str, tags: Mapping[str, str]) -> Labels | None:
        """The series of a name with tags, None where a mapping drops it. Tags count more than labels that are added."""
        found: dict[str, str] = {}
        shown = name
        for each in self._mappings:
            matched = each.pattern.fullmatch(name)
            if matched is not None:
                if not each.name:
                    return None
                shown = _filled(each.name, matched)
                found = {label: _filled(value, matched) for label, value in each.labels}
                break
        told = {label_name(tag): value for tag, value in tags.items()}
        return checked({**self._labels, **told, **found, METRIC_NAME: metric_name(shown)})


def _filled(text: str, matched: re.Match[str]) -> str:
    return _REFERENCE.sub(lambda found: matched[int(found[1] or found[2])], text)
