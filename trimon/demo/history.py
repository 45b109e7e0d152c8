"""The fleet's past as blocks: what a server would have stored, had it scraped all along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from trimon.demo.families import (
    BOUND_TEXTS,
    BUCKETS,
    CLASSIC,
    SCHEMA,
    ZERO_THRESHOLD,
    Counter,
    Gauge,
    Histogram,
    Target,
    counted,
)
from trimon.demo.flows import Floats
from trimon.model.components import Layout, MarkerFlags, Part, component_labels, marker
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import SampleBatch

STEP_S: Final = 15.0
_LAYOUT: Final = Layout(SCHEMA, ZERO_THRESHOLD)
_Column = tuple[Labels, Floats]


def past(targets: Iterable[Target], began_s: float, length_s: float) -> Iterator[SampleBatch]:
    """A batch a target, of `length_s` seconds since the fleet began, which was at the Unix time `began_s`."""
    times_s = np.arange(0.0, length_s, STEP_S)
    for target in targets:
        offset_s = sum(map(ord, target.name)) % int(STEP_S)
        yield _batch(target, times_s + offset_s, began_s)


def target_labels(target: Target) -> dict[str, str]:
    """The labels that its series have besides their own."""
    return {"instance": target.name, "job": target.job, **target.labels}


def _batch(target: Target, times_s: Floats, began_s: float) -> SampleBatch:
    scraped_s = times_s[target.is_up(times_s) > 0]
    stored: list[tuple[Labels, Floats, Floats]] = []
    for labels, values in _told(target, times_s):
        stored.append((labels, times_s, values))
    for labels, values, first_s in _shown(target, scraped_s):
        since = np.searchsorted(scraped_s, first_s)
        stored.append((labels, scraped_s[since:], values[since:]))
    stored = [entry for entry in stored if len(entry[1])]
    lengths = [len(times) for _, times, _ in stored]
    return SampleBatch(
        tuple(labels for labels, _, _ in stored),
        np.repeat(np.arange(len(stored), dtype=np.int32), lengths),
        np.round((np.concatenate([times for _, times, _ in stored]) + began_s) * 1000).astype(np.int64),
        np.concatenate([values for _, _, values in stored]),
        histograms=True,
    )


def _told(target: Target, times_s: Floats) -> Iterator[_Column]:
    """What the server itself says of a scrape."""
    common = target_labels(target)
    is_up = target.is_up(times_s)
    series = sum(1 for family in target.families for each in family.series if not isinstance(each, Histogram))
    yield labels_of({METRIC_NAME: "up", **common}), is_up
    took_s = is_up * (target.delay_s + 0.002) + 0.001
    yield labels_of({METRIC_NAME: "scrape_duration_seconds", **common}), took_s
    if target.job != "sessions":
        yield labels_of({METRIC_NAME: "scrape_samples_scraped", **common}), is_up * series


def _shown(target: Target, times_s: Floats) -> Iterator[tuple[Labels, Floats, float]]:
    """The series of a target's own families, and when each is first seen."""
    common = target_labels(target)
    since_s = target.since(times_s)
    for family in target.families:
        for series in family.series:
            labels = {METRIC_NAME: family.name, **common, **series.labels}
            match series:
                case Counter():
                    if not len(times_s) or series.first_s <= times_s[-1]:
                        yield labels_of(labels), counted(series, times_s, since_s), series.first_s
                case Gauge():
                    yield labels_of(labels), series.value(times_s), 0.0
                case Histogram():
                    for name, values in _histogram(series, labels, times_s, since_s, native=target.native):
                        yield name, values, 0.0


def _histogram(
    series: Histogram, labels: dict[str, str], times_s: Floats, since_s: Floats, *, native: bool
) -> Iterator[_Column]:
    """The classic series of a histogram, and the native one with its components."""
    counts = series.counts(times_s, since_s)
    sums = series.sums(times_s, since_s)
    total = counts.sum(axis=0)
    below = np.cumsum(counts, axis=0)
    name = labels[METRIC_NAME]
    for place, bound in zip([*CLASSIC.tolist(), -1], BOUND_TEXTS, strict=True):
        yield labels_of({**labels, METRIC_NAME: f"{name}_bucket", "le": bound}), below[place]
    yield labels_of({**labels, METRIC_NAME: f"{name}_sum"}), sums
    yield labels_of({**labels, METRIC_NAME: f"{name}_count"}), total
    if not native:
        return
    own = labels_of(labels)
    yield own, np.full_like(total, marker(MarkerFlags.NONE))
    yield component_labels(own, _LAYOUT.text(Part.COUNT)), total
    yield component_labels(own, _LAYOUT.text(Part.SUM)), sums
    yield component_labels(own, _LAYOUT.text(Part.ZERO)), np.zeros_like(total)
    for row, index in zip(counts, BUCKETS.tolist(), strict=True):
        if row.any():
            yield component_labels(own, _LAYOUT.text(Part.POSITIVE, index)), row
