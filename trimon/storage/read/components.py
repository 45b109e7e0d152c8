"""The components of the histograms in a selection: which there are, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimon.model.components import is_marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.table import LabelTable
from trimon.records import dataclass
from trimon.storage.head.arena import Int64s
from trimon.storage.head.runs import taken_runs
from trimon.storage.read.labels import merge_column
from trimon.storage.read.source import FramePart


@dataclass(frozen=True, slots=True, eq=False)
class ComponentParts:
    """The components of the series of a selection. `columns` has an empty frame: what they are, without their samples."""

    columns: HistogramColumns
    parts: tuple[FramePart, ...]

    @property
    def labels(self) -> LabelTable:
        """As many rows as there are components, without labels."""
        return LabelTable(len(self.columns.row), (), (), ())

    def are_in(self, frame: SampleFrame) -> bool:
        """Whether the frame of the selection holds a histogram."""
        rows = np.unique(self.columns.row)
        if len(rows) == frame.rows:
            return bool(is_marker(frame.values).any())
        return bool(is_marker(taken_runs(frame.values, frame.offsets[rows], frame.lengths[rows])).any())

    def joined(self, frame: SampleFrame, components: SampleFrame) -> SampleFrame:
        """The frame of the selection with that of its components."""
        missing = tuple(dict.fromkeys((*frame.missing, *components.missing)))
        return replace(frame, native=replace(self.columns, frame=components), missing=missing)


def component_parts(parts: Sequence[FramePart]) -> ComponentParts | None:
    """The components of the series of some parts, each once, by series and text; None if there are none."""
    found: list[tuple[FramePart, Int64s]] = []
    for part in parts:
        components, place = part.source.components_of(part.series)
        if len(components):
            rows = place if part.rows is None else part.rows[place]
            found.append((FramePart(part.source, components, None), rows))
    if not found:
        return None
    codes, texts = merge_column([part.source.component_texts(part.series) for part, _ in found])
    rows = np.concatenate([rows for _, rows in found])
    keys, place = np.unique(rows * len(texts) + codes, return_inverse=True)
    ends = np.cumsum([len(part.series) for part, _ in found]).tolist()
    placed = tuple(
        replace(part, rows=place[end - len(part.series) : end])
        for (part, _), end in zip(found, ends, strict=True)
    )
    columns = HistogramColumns.of(
        keys // len(texts), (keys % len(texts)).astype(np.int32), texts, SampleFrame.empty()
    )
    return ComponentParts(columns, placed)
