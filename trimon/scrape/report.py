"""The series that a scrape stores about itself."""

from __future__ import annotations

from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import Target

REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
EXTRA_REPORT = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")


def report_labels(name: str, target_labels: Labels) -> Labels:
    """The labels of a report series. A target's `exported_x` gives way where the target has a label `x` too."""
    labels = {METRIC_NAME: name}
    for label, value in target_labels:
        labels.pop(f"exported_{label}", None)
        labels[label] = value
    return labels_of(labels)


class ScrapeReport:
    """The report of one target: `labels` of its series, and after every scrape their values in the same order."""

    def __init__(self, target: Target, options: PoolOptions) -> None:
        names = REPORT + EXTRA_REPORT if options.extra_metrics else REPORT
        self.labels = tuple(report_labels(name, target.labels) for name in names)
        self._is_extended = options.extra_metrics
        self._timeout_s = target.timeout_ms / 1000
        self._sample_limit = float(options.sample_limit)

    def values(
        self, up: float, duration_s: float, counts: tuple[int, int, int], body_bytes: int
    ) -> list[float]:
        """The report's values in order; `counts` are samples scraped, samples kept, series added."""
        report = [up, duration_s, *map(float, counts)]
        if self._is_extended:
            report += [self._timeout_s, self._sample_limit, float(body_bytes)]
        return report
