"""Annotations that end with the name of the metric they are about, as far as it is still known."""

from __future__ import annotations

from collections.abc import Iterable

from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME
from trimon.model.table import LabelTable
from trimon.query.execution.annotations import Annotations


def name_of(labels: LabelTable, row: int) -> str:
    """The metric name of a row; empty where there is none."""
    codes, names = labels.column(METRIC_NAME)
    return str(names[int(codes[row])])


def remark(
    annotations: Annotations, notes: Iterable[tuple[str, str]], labels: LabelTable, row: int, start: int
) -> None:
    """Add notes about one series: `warn` and `info` as they are, `-for` with the name, `-name` with it quoted."""
    for kind, text in sorted(notes):
        name = name_of(labels, row)
        shown = text
        if kind.endswith("-name"):
            shown = f"{text} {go_quote(name)}"
        elif kind.endswith("-for") and name:
            shown = f"{text} for metric name {go_quote(name)}"
        add = annotations.info if kind.startswith("info") else annotations.warn
        add(shown, start)
