"""Native histograms taken apart into components, and their texts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.components import (
    Layout,
    MarkerFlags,
    Part,
    component_labels,
    is_component,
    is_marker,
    marker,
    marker_flags,
    parse_component,
    split,
)
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram, ResetHint
from trimon.model.sample import ABSENT, NORMAL_NAN, STALE_NAN

floats = st.floats(allow_nan=False)
layouts = st.builds(Layout, st.integers(-4, 8), st.floats(0, 1)) | st.builds(
    lambda bounds: Layout(CUSTOM_SCHEMA, 0.0, tuple(sorted(bounds))), st.lists(floats, max_size=5)
)


@given(layouts, st.sampled_from(Part), st.integers(-(1 << 31), 1 << 31))
def test_a_text_says_which_component_it_is(layout: Layout, part: Part, index: int) -> None:
    """Part and index come back from the text, the layout from that of the count, also of negative indexes."""
    bucket = part in (Part.POSITIVE, Part.NEGATIVE)
    found = parse_component(layout.text(part, index))
    assert (found.part, found.index) == (part, index if bucket else 0)
    assert found.prefix == layout.prefix
    if part is Part.COUNT or layout.schema != CUSTOM_SCHEMA:
        assert found.layout == layout


def test_markers_are_told_from_all_other_values() -> None:
    """Staleness markers, ABSENT cells, NaN and numbers are no markers; flags come back."""
    flags = [MarkerFlags.NONE, MarkerFlags.FLOAT, MarkerFlags.GAUGE, MarkerFlags.FLOAT | MarkerFlags.GAUGE]
    values = np.array([*map(marker, flags), STALE_NAN, ABSENT, NORMAL_NAN, 0.0, -1.5, np.inf])
    assert is_marker(values).tolist() == [True] * 4 + [False] * 6
    assert marker_flags(values)[:4].tolist() == [0, 1, 2, 3]


def test_a_histogram_is_taken_apart() -> None:
    """Every number has a component; a gauge with float counts says so in its marker."""
    one = FloatHistogram(
        1, 0.5, 2.0, 9.0, 3.5, Buckets.of(-1, (1.0, 2.0)), Buckets.of(3, (4.0,)), hint=ResetHint.GAUGE
    )
    value, texts, values = split(one)
    assert marker_flags(np.array([value])).tolist() == [MarkerFlags.FLOAT | MarkerFlags.GAUGE]
    prefix = "1:0.5:"
    parts = ["count", "sum", "zero", "+-1", "+0", "-3"]
    assert dict(zip(texts, values, strict=True)) == {
        prefix + part: number for part, number in zip(parts, [9.0, 3.5, 2.0, 1.0, 2.0, 4.0], strict=True)
    }


def test_custom_bounds_are_spelled_once() -> None:
    """Only the count has the bounds; columns give them to all components of the layout."""
    one = FloatHistogram(
        CUSTOM_SCHEMA, 0.0, 0.0, 3.0, 1.0, Buckets.of(0, (1.0, 2.0)), custom_values=(0.1, 5.0)
    )
    _, texts, _ = split(one, integer=True)
    assert [text for text in texts if "0.1" in text] == [texts[0]]
    columns = HistogramColumns.of(
        np.zeros(4, np.int64), np.array([0, 1, 2, 3], np.int32), texts, SampleFrame.empty(4)
    )
    assert columns.layouts == (Layout(CUSTOM_SCHEMA, 0.0, (0.1, 5.0)),)
    assert columns.part.tolist() == [Part.COUNT, Part.SUM, Part.POSITIVE, Part.POSITIVE]
    assert columns.index.tolist() == [0, 0, 0, 1]


def test_components_are_told_by_their_labels() -> None:
    """The label of a component sorts before all others, and no other series has it."""
    labels = (("__name__", "x"), ("a", "b"))
    made = component_labels(labels, "1:0.5:sum")
    assert made == tuple(sorted(made))
    assert is_component(made)
    assert not is_component(labels)
    assert not is_component(())
