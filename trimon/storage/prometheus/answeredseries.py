"""What another server answered to a remote read, as a source: it is read beside blocks and heads for one query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from trimon.model.components import COMPONENT_LABEL, is_component, unmarked
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.rows import SampleBatch
from trimon.model.table import LabelTable
from trimon.storage.block.damage import Loss
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s, ragged_positions
from trimon.storage.head.components import ComponentView
from trimon.storage.prometheus import xor, xor2
from trimon.storage.prometheus.histogramchunks import ENCODINGS, HistogramChunk, decode_histograms
from trimon.storage.prometheus.histogramseries import component_values, kept_layout, markers
from trimon.storage.prometheus.varint import FormatError
from trimon.storage.read.partialframe import PartialFrame

# What a decoded sample takes: its series, time and value, and once more in order.
SAMPLE_BYTES: Final = 48
_FLOAT_DECODERS: Final = {1: xor.decode_chunks, 4: xor2.decode_chunks}
# The number of samples, at the beginning of a chunk.
_HEAD_BYTES: Final = 2
Admit = Callable[[int], None]


class AnsweredSeries:
    """All series of one answer, all of which match what was asked. Implements SeriesSource."""

    def __init__(self, label_sets: Sequence[Labels], rows: Int32s, times: Int64s, values: Floats) -> None:
        """Label sets are distinct, those of components behind all others; samples are in any order.

        Of several samples of a series at one time the first is kept.
        """
        own = sum(not is_component(labels) for labels in label_sets)
        place = {labels: number for number, labels in enumerate(label_sets[:own])}
        owners = np.array([place[labels[1:]] for labels in label_sets[own:]], np.int32)
        numbers = np.arange(own, len(label_sets), dtype=np.int32)
        self._table = LabelTable.of(label_sets)
        self._components = ComponentView(numbers, owners)
        self._partial = _in_order(len(label_sets), rows, times, values)
        self._bounds = (int(times.min()), int(times.max())) if len(times) else (0, -1)

    @property
    def size_bytes(self) -> int:
        """The memory of all samples, about."""
        return self._partial.values.nbytes + self._partial.times.nbytes

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval."""
        return self._bounds[0] <= end_ms and self._bounds[1] >= start_ms

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """All: it is the answer to these very matchers."""
        del matchers
        return np.arange(self._table.rows, dtype=np.int32)

    @property
    def has_components(self) -> bool:
        """Whether any series is a component of a histogram."""
        return len(self._components) > 0

    def without_components(self, series: Int32s) -> Int32s:
        """Those of some series that are no components of histograms."""
        return self._components.without(series)

    def components_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series (ascending), ascending, and the place in `series` of the series of each."""
        return self._components.of(series)

    def component_texts(self, components: Int32s) -> tuple[Int32s, Sequence[str]]:
        """The texts of some components: codes, and what they stand for."""
        codes, texts = self._table.column(COMPONENT_LABEL)
        return codes[components], texts

    def table(self, series: Int32s) -> LabelTable:
        """The labels of these series."""
        return self._table.take(series.astype(np.intp))

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """The samples of these series; row `i` of the partial frame is `series[i]`."""
        del start_ms, end_ms
        whole = self._partial
        if len(series) == len(whole.rows):
            return [whole]
        lengths = whole.lengths[series]
        picked = ragged_positions(whole.offsets[:-1][series], lengths)
        return [
            PartialFrame(
                np.arange(len(series)),
                whole.values[picked],
                np.concatenate(([0], np.cumsum(lengths))),
                whole.times,
                whole.time_offsets,
                whole.time_of_row[series],
            )
        ]

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series have samples in the closed interval."""
        partial = self._partial.clipped(start_ms, end_ms)
        alive: Bools = partial.lengths[series] > 0
        return alive

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples lie in the closed interval."""
        del start_ms, end_ms
        return int(self._partial.lengths[series].sum())

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        return [name for name in self._table.names if name != COMPONENT_LABEL]

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        codes, values = self._table.column(name)
        return [values[code] for code in np.unique(codes).tolist() if code]

    def losses(self, series: Int32s | None, start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """Nothing: an answer that cannot be read is none."""
        del series, start_ms, end_ms
        return ()


def _in_order(series: int, rows: Int32s, times: Int64s, values: Floats) -> PartialFrame:
    """The samples of all series, by time within each."""
    ascends = (rows[1:] > rows[:-1]) | ((rows[1:] == rows[:-1]) & (times[1:] > times[:-1]))
    if not ascends.all():
        order = np.lexsort((times, rows))  # stable, so that the first of two comes first
        rows, times, values = rows[order], times[order], values[order]
        first = np.append(True, (rows[1:] != rows[:-1]) | (times[1:] != times[:-1]))
        rows, times, values = rows[first], times[first], values[first]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=series)))).astype(np.int64)
    return PartialFrame.private(np.arange(series), offsets, times, values)


def series_of_batch(batch: SampleBatch) -> AnsweredSeries:
    """The series of an answer that came as samples; a series may come several times."""
    distinct = dict.fromkeys(batch.series, 0)
    ordered = sorted(distinct, key=is_component)
    place = {labels: number for number, labels in enumerate(ordered)}
    moved = np.array([place[labels] for labels in batch.series], np.int32)
    return AnsweredSeries(ordered, moved[batch.series_index], batch.timestamps_ms, batch.values)


def series_of_chunks(
    label_sets: Sequence[Labels],
    owners: Int32s,
    raw: xor.Bytes,
    starts: Int64s,
    lengths: Int64s,
    kinds: Int32s,
    admit: Admit,
) -> AnsweredSeries:
    """The series of an answer that came as chunks: `raw[start:start + length]` of kind `kinds[i]` is of series `owners[i]`.

    `admit` hears of the bytes that samples will take before they are decoded. Raises FormatError.
    """
    known = np.isin(kinds, [*_FLOAT_DECODERS, *ENCODINGS])
    if not known.all():
        raise FormatError(f"a chunk of unknown encoding {int(kinds[~known][0])}")
    if len(lengths) and int(lengths.min()) < _HEAD_BYTES:
        raise FormatError(f"a chunk of {int(lengths.min())} bytes")
    counts = (raw[starts].astype(np.int64) << 8 | raw[starts + 1]) & np.where(kinds < 5, 0xFFFF, 0x3FFF)
    if (counts > 8 * lengths).any():
        raise FormatError("a chunk claims to hold more samples than it has bits")
    admit(int(counts.sum()) * SAMPLE_BYTES)
    rows: list[Int32s] = []
    times: list[Int64s] = []
    values: list[Floats] = []
    for kind, decode in _FLOAT_DECODERS.items():
        mine = np.flatnonzero(kinds == kind)
        if len(mine):
            found_times, found_values, found = decode(raw, starts[mine], lengths[mine])
            rows.append(np.repeat(owners[mine], found))
            times.append(found_times)
            values.append(unmarked(found_values))
    native = np.flatnonzero(np.isin(kinds, list(ENCODINGS)))
    components: dict[tuple[int, str], int] = {}
    if len(native):
        chunks = decode_histograms(raw, starts[native], lengths[native], kinds[native].tolist())
        admit(int((counts[native] * [len(chunk.numbers) for chunk in chunks]).sum()) * SAMPLE_BYTES)
        for owner, chunk in zip(owners[native].tolist(), chunks, strict=True):
            _add(owner, chunk, len(label_sets), components, rows, times, values)
    every = [*label_sets, *(((COMPONENT_LABEL, text), *label_sets[owner]) for owner, text in components)]
    if not rows:
        return AnsweredSeries(every, np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
    return AnsweredSeries(
        every, np.concatenate(rows).astype(np.int32), np.concatenate(times), np.concatenate(values)
    )


def _add(
    owner: int,
    chunk: HistogramChunk,
    first: int,
    components: dict[tuple[int, str], int],
    rows: list[Int32s],
    times: list[Int64s],
    values: list[Floats],
) -> None:
    """A chunk of histograms: markers in its series, numbers in its components, which are numbered from `first`."""
    rows.append(np.full(len(chunk.times), owner, np.int32))
    times.append(chunk.times)
    values.append(markers(chunk))
    alive = ~chunk.stale
    if not alive.any():
        return
    for text, line in zip(kept_layout(chunk.layout)[1], component_values(chunk)[:, alive], strict=True):
        number = components.setdefault((owner, text), first + len(components))
        rows.append(np.full(len(line), number, np.int32))
        times.append(chunk.times[alive])
        values.append(line)
