"""Summaries of our own metrics, and the seams of time and randomness that they and names stand on."""

from __future__ import annotations

import math

from trimon.clock import StoppedClock
from trimon.gotext.times import format_go_duration
from trimon.random import SeededRandomness, SystemRandomness
from trimon.selfmetrics import OBSERVATIONS_AGE_S, OBSERVATIONS_KEPT, Durations, MetricFamily, SelfMetrics


def test_a_summary_has_the_quantiles_of_the_last_minutes() -> None:
    """Quantiles are those of the newest observations, by label values; sum and count are of all."""
    clock = StoppedClock()
    metrics = SelfMetrics(clock)
    summary = metrics.summary("x_seconds", "X.", ("slice",), (0.5, 0.99))
    for value in range(1, 101):
        summary.labels("a").observe(float(value))
    summary.labels("b").observe(7.0)

    def shown(quantile: str, part: str = "a") -> float | None:
        return metrics.value("x_seconds", {"slice": part, "quantile": quantile})

    assert (shown("0.5"), shown("0.99"), shown("0.5", "b")) == (50, 99, 7)
    clock.value_ms += round(OBSERVATIONS_AGE_S * 1000) + 1
    assert math.isnan(shown("0.5") or 0)
    for _ in range(2 * OBSERVATIONS_KEPT):
        summary.labels("a").observe(3.0)
    assert (shown("0.5"), shown("0.99")) == (3, 3)
    assert metrics.value("x_seconds_count", {"slice": "a"}) == 100 + 2 * OBSERVATIONS_KEPT
    assert metrics.value("x_seconds_sum", {"slice": "a"}) == 5050 + 6 * OBSERVATIONS_KEPT


def test_a_read_summary_has_sum_and_count() -> None:
    """What something else has summed up is exposed as a summary without quantiles."""
    metrics = SelfMetrics()
    metrics.collect(lambda: [MetricFamily("y_seconds", "Y.", "summary", [((), 2.5)], counts=[4])])
    assert "# TYPE y_seconds summary\ny_seconds_count 4.0\ny_seconds_sum 2.5\n" in metrics.expose().decode()


def test_durations_as_go_prints_them() -> None:
    """The label `interval` has Go's notation."""
    shown = [
        format_go_duration(ms) for ms in (0, 500, 1000, 1500, 15_000, 60_000, 90_500, 3_600_000, 86_400_000)
    ]
    assert shown == ["0s", "500ms", "1s", "1.5s", "15s", "1m0s", "1m30.5s", "1h0m0s", "24h0m0s"]


def test_seeded_randomness_repeats() -> None:
    """The double gives the same bytes for the same seed; the system's never does."""
    first, again, other = SeededRandomness(1), SeededRandomness(1), SeededRandomness(2)
    assert [first.token(8), first.token(4)] == [again.token(8), again.token(4)]
    assert other.token(8) != SeededRandomness(1).token(8)
    assert SystemRandomness().token(16) != SystemRandomness().token(16)


def test_a_histogram_that_is_read_has_cumulative_buckets() -> None:
    """What took as long as a bound is within it, what took longer than all is in the last one alone."""
    metrics, took = SelfMetrics(), Durations((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        took.observe(seconds)
    metrics.collect(
        lambda: [
            MetricFamily("d", "Text.", "histogram", [(("x",), took.sum)], ("who",), buckets=[took.buckets()])
        ]
    )
    buckets = [metrics.value("d_bucket", {"who": "x", "le": le}) for le in ("0.1", "1.0", "+Inf")]
    assert buckets == [2, 3, 4]
    assert metrics.value("d_count", {"who": "x"}) == 4
    assert metrics.value("d_sum", {"who": "x"}) == 7.65
