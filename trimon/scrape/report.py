"""The series that a scrape stores about itself."""

from __future__ import annotations

from trimon.model.labels import METRIC_NAME, Labels, labels_of

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
