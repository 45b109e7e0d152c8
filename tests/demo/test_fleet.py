"""The example fleet: its numbers at any moment, and its past."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.demo.exposition import exposed
from trimon.demo.families import Counter, Gauge, Histogram, counted
from trimon.demo.flows import Burst, Flow
from trimon.demo.history import past
from trimon.demo.shop import PAST_S, fleet
from trimon.model.components import is_component
from trimon.model.labels import METRIC_NAME

FLOW = Flow(3.0, 1.2, (Burst(600, 60, 2.0, 13),))


@given(st.floats(0, 2 * PAST_S), st.floats(0.1, 500))
def test_totals_are_the_integral_of_rates(start_s: float, length_s: float) -> None:
    """What came between two moments is the rate summed up, and never less than nothing."""
    times_s = np.linspace(start_s, start_s + length_s, 20_001)
    summed = np.trapezoid(FLOW.rate(times_s), times_s)
    first, last = FLOW.total(times_s[[0, -1]])
    assert last > first
    assert np.isclose(last - first, summed, rtol=1e-3)


def test_counters_only_fall_when_their_process_starts_again() -> None:
    """Counters and every bucket of histograms grow; one target has a process that is started again."""
    times_s = np.arange(0, PAST_S, 60.0)
    for target in fleet():
        since_s = target.since(times_s)
        lives = np.diff(since_s) == 0
        assert lives.all() == (target.name != "api-3")
        for series in (series for family in target.families for series in family.series):
            if isinstance(series, Gauge):
                assert np.isfinite(series.value(times_s)).all()
                continue
            rows = (
                counted(series, times_s, since_s)[None, :]
                if isinstance(series, Counter)
                else series.counts(times_s, since_s)
            )
            assert (np.diff(rows)[:, lives] >= 0).all(), (target.name, series.labels)


def test_histograms_tell_the_same_in_every_form() -> None:
    """The classic buckets of a text sum up to the count that goes with the native ones."""
    target = fleet()[0]
    text, kind = exposed(target, PAST_S, 0.0, "text/plain")
    assert kind.startswith("text/plain")
    values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
    name, label = "shop_request_duration_seconds", 'route="/checkout"'
    count = values[f"{name}_count{{{label}}}"]
    assert (
        values[f'{name}_bucket{{{label},le="+Inf"}}'] == values[f'{name}_bucket{{{label},le="8.0"}}'] == count
    )
    (histogram,) = [
        each
        for family in target.families
        for each in family.series
        if isinstance(each, Histogram) and each.labels["route"] == "/checkout"
    ]
    assert histogram.counts(np.array([PAST_S]), np.zeros(1)).sum() == int(count)


def test_the_past_has_the_values_that_a_scrape_would_have_had() -> None:
    """A sample of the past is what the target shows at that time, and targets that are down have none from then on."""
    for target, batch in zip(fleet(), past(fleet(), 1000.0, PAST_S), strict=True):
        names = ["" if is_component(labels) else dict(labels)[METRIC_NAME] for labels in batch.series]
        ups = batch.values[batch.series_index == names.index("up")]
        assert ups[0] == 1
        assert ups[-1] == (target.name not in ("payments-2", "search-1"))
        number = names.index("process_resident_memory_bytes")
        mine = np.flatnonzero(batch.series_index == number)
        last_s = batch.timestamps_ms[mine[-1]] / 1000 - 1000.0
        shown, _ = exposed(target, last_s, 1000.0, "")
        line = next(
            line for line in shown.decode().splitlines() if line.startswith("process_resident_memory_bytes ")
        )
        assert float(line.split()[1]) == batch.values[mine[-1]]
