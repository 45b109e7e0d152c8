"""Lines of a text that are parts of something: of a classic histogram, or the time at which series began."""

from __future__ import annotations

import math
from typing import Final, Literal

from trimon.errors import UserError
from trimon.gotext.numbers import parse_go_float
from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, QUANTILE_LABEL, Labels
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import SeriesRule
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.records import Pairs

# What no series from outside has as a name of a label; a component has it, too, with another text.
_PART_LABEL: Final = ("", "part of a family")
_SPARE: Final = 1000
_BEGUN: Final = frozenset(("counter", "histogram", "summary"))

Role = Literal["bucket", "sum", "count", "created"]


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Lines with the same one are parts of the same thing: a family, and labels but for `le` and `quantile`."""

    family: str
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class PartLine:
    """A line that is a part; `pairs` are all its own labels, the name among them."""

    key: GroupKey
    role: Role
    bound: float
    pairs: Pairs
    declared: FamilyDeclaration


class FamilyLines:
    """A rule for series: parts get labels that say so, and are told apart later by `parts`. All others have their own.

    `convert`: classic histograms are parts; `created`: so are the series that say when others began, which are in `begun`.
    """

    def __init__(self, series_labels: SeriesRule, *, convert: bool) -> None:
        self.parts: dict[Labels, PartLine] = {}
        self.begun: dict[GroupKey, dict[Labels, None]] = {}
        self._series_labels = series_labels
        self._convert = convert
        self.created = False

    def __call__(self, pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series, those of a part, or None when relabeling drops it."""
        if declared.type not in _BEGUN:
            return self._series_labels(pairs, declared)
        part = self._part_of(pairs, declared)
        if part is not None:
            labels = (_PART_LABEL, *sorted(pairs))
            self.parts[labels] = part
            return labels
        own = self._series_labels(pairs, declared)
        if self.created and own is not None:
            key = GroupKey(declared.family, _without_bounds(pairs))
            self.begun.setdefault(key, {})[own] = None
        return own

    def _part_of(self, pairs: Pairs, declared: FamilyDeclaration) -> PartLine | None:
        name = next((value for label, value in pairs if label == METRIC_NAME), "")
        if not name.startswith(declared.family):
            return None
        role: Role
        suffix, bound = name[len(declared.family) :], math.nan
        if suffix == "_created" and self.created:
            role = "created"
        elif not self._convert or declared.type != "histogram":
            return None
        elif suffix == "_bucket":
            bound = _number(next((value for label, value in pairs if label == BUCKET_LABEL), ""))
            if math.isnan(bound):
                return None
            role = "bucket"
        elif suffix in ("_sum", "_count"):
            role = "sum" if suffix == "_sum" else "count"
        else:
            return None
        return PartLine(GroupKey(declared.family, _without_bounds(pairs)), role, bound, pairs, declared)

    def prune(self, parts: set[Labels], hashes: set[int]) -> None:
        """Forgets parts that are not among these, and series whose hashes are not, where many have gathered."""
        if len(self.parts) > 2 * len(parts) + _SPARE:
            self.parts = {labels: part for labels, part in self.parts.items() if labels in parts}
        if len(self.begun) > 2 * len(hashes) + _SPARE:
            kept = {
                key: {labels: None for labels in series if hash(labels) in hashes}
                for key, series in self.begun.items()
            }
            self.begun = {key: series for key, series in kept.items() if series}


def _without_bounds(pairs: Pairs) -> Pairs:
    left = (METRIC_NAME, BUCKET_LABEL, QUANTILE_LABEL)
    return tuple(sorted(pair for pair in pairs if pair[0] not in left))


def _number(text: str) -> float:
    try:
        return parse_go_float(text)
    except UserError:
        return math.nan
