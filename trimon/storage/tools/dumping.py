"""`tsdb dump`: every sample as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trimon.gotext.floats import format_g
from trimon.model.labels import METRIC_NAME, Labels, format_label_set, format_labels
from trimon.model.matcher import Matcher
from trimon.storage.block.writer import sorted_rows
from trimon.storage.read.snapshot import StoreSnapshot

_BATCH_SERIES: Final = 256
EVER_MS: Final = (-(1 << 62), 1 << 62)


def _batches(
    snapshot: StoreSnapshot, matchers: Sequence[Matcher], start_ms: int, end_ms: int
) -> Iterator[tuple[Labels, list[int], list[float]]]:
    """Series by series, sorted; times and values of each."""
    selection = snapshot.select(matchers, start_ms, end_ms)
    order = sorted_rows(selection.labels)
    for begin in range(0, len(order), _BATCH_SERIES):
        rows = order[begin : begin + _BATCH_SERIES]
        frame = selection.subset(rows).frame(start_ms, end_ms)
        for row in range(frame.rows):
            values = frame.values[frame.offsets[row] : frame.offsets[row + 1]]
            if len(values) == 0:
                continue
            array = frame.time_of_row[row]
            times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
            yield selection.labels.labels(int(rows[row])), times.tolist(), values.tolist()


def dump(
    snapshot: StoreSnapshot,
    matchers: Sequence[Matcher] = (),
    start_ms: int = EVER_MS[0],
    end_ms: int = EVER_MS[1],
) -> Iterator[str]:
    """`{labels} value milliseconds`, a line per sample of the closed interval."""
    for labels, times, values in _batches(snapshot, matchers, start_ms, end_ms):
        shown = format_label_set(labels)
        for time_ms, value in zip(times, values, strict=True):
            yield f"{shown} {format_g(value)} {time_ms}"


def dump_openmetrics(
    snapshot: StoreSnapshot,
    matchers: Sequence[Matcher] = (),
    start_ms: int = EVER_MS[0],
    end_ms: int = EVER_MS[1],
) -> Iterator[str]:
    """`name{labels} value seconds`, a line per sample, ended by `# EOF`."""
    for labels, times, values in _batches(snapshot, matchers, start_ms, end_ms):
        name = dict(labels).get(METRIC_NAME, "")
        rest = tuple(pair for pair in labels if pair[0] != METRIC_NAME)
        shown = name + (format_labels(rest).replace(", ", ",") if rest else "{}")
        for time_ms, value in zip(times, values, strict=True):
            yield f"{shown} {format_g(value)} {time_ms / 1000:.3f}"
    yield "# EOF"
