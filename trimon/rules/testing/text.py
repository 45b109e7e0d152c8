"""Alerts and samples as the results of unit tests show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trimon.gotext.floats import format_e
from trimon.model.labels import Labels, format_label_set
from trimon.records import dataclass


@dataclass(frozen=True, slots=True, order=True)
class FiringAlert:
    """Labels and annotations of an alert that fires or is to fire."""

    labels: Labels
    annotations: Labels

    def data(self) -> dict[str, Any]:
        """The form of differences."""
        return {"Labels": dict(self.labels), "Annotations": dict(self.annotations)}


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that an expression gave or is to give; `histogram` is its text form, empty for a float."""

    labels: Labels
    value: float
    histogram: str = ""

    def __str__(self) -> str:
        return f"{format_label_set(self.labels)} {self.histogram or format_e(self.value).replace('e', 'E')}"


def alerts_text(alerts: Sequence[FiringAlert], indent: str) -> str:
    """The alerts, a line each for labels and annotations."""
    if not alerts:
        return "[]"
    lines = []
    for number, alert in enumerate(alerts):
        comma = "," if number + 1 < len(alerts) else ""
        lines.append(f"{number}:")
        lines.append(f"  Labels:{format_label_set(alert.labels)}")
        lines.append(f"  Annotations:{format_label_set(alert.annotations)}{comma}")
    body = "\n".join(indent + line for line in lines)
    return f"[\n{body}\n{indent}]"


def samples_text(samples: Iterable[Sample]) -> str:
    """The samples in one line."""
    return ", ".join(map(str, samples)) or "nil"
