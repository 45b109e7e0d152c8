"""How many buckets of histograms are in use: what `trimon query analyze` says of the series of a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from trimon.errors import OperatingError, UserError
from trimon.gotext.floats import parse_float
from trimon.model.labels import METRIC_NAME, format_labels, labels_of
from trimon.records import dataclass

HEAD: Final = """Buckets in use by each histogram series over time
-------------------------------------------------
Least, average and most buckets that are not empty, then all buckets that are ever there where that is another number."""
FOOT: Final = """Over all series
---------------
Least, average and most of each column above."""


@dataclass(frozen=True, slots=True)
class BucketUse:
    """How many buckets of one histogram are not empty: the least, average and most over time; `total` buckets are there."""

    least: int
    average: float
    most: int
    total: int

    @classmethod
    def of(cls, used: Sequence[int], total: int) -> BucketUse:
        """From the number at each time."""
        return cls(min(used), sum(used) / len(used), max(used), total)

    def __str__(self) -> str:
        shown = f"{self.least}/{self.average:.3f}/{self.most}"
        return shown if self.most == self.total else f"{shown}/{self.total}"


def uses_of(result: Sequence[dict[str, Any]]) -> tuple[dict[str, BucketUse], dict[str, BucketUse]]:
    """The native and the classic histograms among the series of a range selector, by name.

    Those with fewer than two samples are left out. Raises OperatingError for buckets whose samples are of different times.
    """
    native: dict[str, BucketUse] = {}
    buckets: dict[str, list[dict[str, Any]]] = {}
    for series in result:
        labels = dict(series["metric"])
        if not series.get("values"):
            if len(series.get("histograms", ())) >= 2:
                native[format_labels(labels_of(labels))] = _of_native(series["histograms"])
        elif "le" in labels and labels.get(METRIC_NAME, "").endswith("_bucket"):
            del labels["le"]
            buckets.setdefault(format_labels(labels_of(labels)), []).append(series)
    classic = {
        name: _of_classic(members) for name, members in buckets.items() if len(members[0]["values"]) >= 2
    }
    return native, classic


def _of_native(histograms: Sequence[Any]) -> BucketUse:
    places = [[tuple(bucket[:3]) for bucket in histogram.get("buckets", ())] for _, histogram in histograms]
    return BucketUse.of([len(each) for each in places], len({place for each in places for place in each}))


def _of_classic(members: list[dict[str, Any]]) -> BucketUse:
    """Buckets are counted from the differences of the cumulative ones."""
    members.sort(key=lambda series: _bound(series["metric"]["le"]))
    times = [time for time, _ in members[0]["values"]]
    used = [0] * len(times)
    before = [0.0] * len(times)
    for series in members:
        for index, (time, text) in enumerate(series["values"][: len(times)]):
            if time != times[index]:
                raise OperatingError("matrix result is not time aligned")
            value = parse_float(text)
            used[index] += int(value - before[index]) != 0
            before[index] = value
    return BucketUse.of(used, len(members))


def _bound(text: str) -> float:
    try:
        return parse_float(text)
    except UserError:
        return 0.0


def summary(kind: str, uses: Iterable[BucketUse]) -> str:
    """What all histograms of a kind have in common; empty without any."""
    found = list(uses)
    if not found:
        return ""
    columns = {
        "min populated": [use.least for use in found],
        "avg populated": [int(use.average) for use in found],
        "max populated": [use.most for use in found],
        "total": [use.total for use in found],
    }
    if columns["max populated"] == columns["total"]:
        del columns["total"]
    lines = [
        f"- {name}: {min(numbers)}/{sum(numbers) / len(numbers):.3f}/{max(numbers)}"
        for name, numbers in columns.items()
    ]
    return "\n".join([f"{kind} histogram series ({len(found)} in total):", *lines])
