"""Families about remote write, read from the queues when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from trimon.actors.remotewrite.manager import RemoteWriter
from trimon.actors.remotewrite.queue import RemoteWriteQueue
from trimon.redaction import shown_url
from trimon.selfmetrics import MetricFamily

_PREFIX: Final = "prometheus_remote_storage_"
_LABELS: Final = ("remote_name", "url")
Value = Callable[[RemoteWriteQueue], float]
Kind = Literal["counter", "gauge"]
_KINDS: Final = ("samples", "histograms", "exemplars")
_TOTALS: Final = (
    ("{}_total", "sent", "Total number of {} sent to remote storage, repeated attempts included."),
    ("{}_failed_total", "failed", "Total number of {} that the receiver refused for good."),
    ("{}_retried_total", "retried", "Total number of {} that were sent again."),
)
_OTHERS: Final[tuple[tuple[str, Kind, str, Value], ...]] = (
    ("metadata_total", "counter", "Metadata entries sent.", lambda q: q.counts.metadata["sent"]),
    (
        "metadata_failed_total",
        "counter",
        "Metadata entries refused for good.",
        lambda q: q.counts.metadata["failed"],
    ),
    (
        "metadata_retried_total",
        "counter",
        "Metadata entries sent again.",
        lambda q: q.counts.metadata["retried"],
    ),
    ("bytes_total", "counter", "Bytes of samples sent, compressed.", lambda q: q.counts.bytes),
    (
        "metadata_bytes_total",
        "counter",
        "Bytes of metadata sent, compressed.",
        lambda q: q.counts.metadata_bytes,
    ),
    (
        "enqueue_retries_total",
        "counter",
        "How often what was read from the log next had to wait for room in a shard.",
        lambda q: q.counts.full,
    ),
    ("shards", "gauge", "Shards that send in parallel.", lambda q: q.shards),
    ("shards_max", "gauge", "The most shards.", lambda q: q.settings.config.queue_config.max_shards),
    ("shards_min", "gauge", "The fewest shards.", lambda q: q.settings.config.queue_config.min_shards),
    ("shards_desired", "gauge", "Shards that the rates ask for.", lambda q: q.shards_desired),
    ("shard_capacity", "gauge", "Entries a shard holds.", lambda q: q.settings.config.queue_config.capacity),
    (
        "max_samples_per_send",
        "gauge",
        "The most samples of a request.",
        lambda q: q.settings.config.queue_config.max_samples_per_send,
    ),
    (
        "queue_highest_timestamp_seconds",
        "gauge",
        "The newest timestamp that was read from the log.",
        lambda q: q.counts.newest_read_ms / 1000,
    ),
    (
        "queue_highest_sent_timestamp_seconds",
        "gauge",
        "The newest timestamp that the receiver has.",
        lambda q: q.counts.newest_sent_ms / 1000,
    ),
)


def remote_write_metrics(
    writer: RemoteWriter, newest_ms: Callable[[], int | None]
) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_remote_storage_*; `newest_ms` is the time of the newest sample that is stored."""
    # The queue that read most may go: what came has come all the same.
    came = [0] * len(_KINDS)

    def families() -> Iterator[MetricFamily]:
        queues = [(_place(queue), queue) for queue in writer.queues.values()]
        if not queues:
            return
        for place, kind in enumerate(_KINDS):
            for name, attribute, text in _TOTALS:
                samples = [(who, float(getattr(queue.counts, attribute)[place])) for who, queue in queues]
                yield MetricFamily(
                    _PREFIX + name.format(kind), text.format(kind), "counter", samples, _LABELS
                )
            dropped = [
                ((*who, reason), float(counted))
                for who, queue in queues
                for reason, counted in _dropped(queue, place)
            ]
            text = f"Total number of {kind} that were not sent, by reason."
            yield MetricFamily(
                f"{_PREFIX}{kind}_dropped_total", text, "counter", dropped, (*_LABELS, "reason")
            )
            waiting = [(who, float(queue.waiting[place])) for who, queue in queues]
            text = f"Number of {kind} read from the log that are not at the receiver."
            yield MetricFamily(f"{_PREFIX}{kind}_pending", text, "gauge", waiting, _LABELS)
            came[place] = max(came[place], *(queue.counts.came[place] for _, queue in queues))
            text = f"Total number of {kind} read from the log, by the queue that read most."
            yield MetricFamily(f"{_PREFIX}{kind}_in_total", text, "counter", [((), float(came[place]))])
        newest_s = (newest_ms() or 0) / 1000
        text = "The newest timestamp of a sample that is stored, and so to be sent."
        yield MetricFamily(f"{_PREFIX}highest_timestamp_in_seconds", text, "gauge", [((), newest_s)])
        yield MetricFamily(
            f"{_PREFIX}sent_batch_duration_seconds",
            "How long attempts to send took.",
            "histogram",
            [(who, queue.counts.took.sum) for who, queue in queues],
            _LABELS,
            buckets=[queue.counts.took.buckets() for _, queue in queues],
        )
        for name, family, text, value in _OTHERS:
            samples = [(who, float(value(queue))) for who, queue in queues]
            yield MetricFamily(_PREFIX + name, text, family, samples, _LABELS)
        yield MetricFamily(
            "prometheus_wal_watcher_current_segment",
            "The segment of the newest run of the log that is read from.",
            "gauge",
            [((queue.settings.name,), float(_segment(queue))) for _, queue in queues],
            ("consumer",),
        )
        lost = [((), float(writer.lost_runs))]
        text = "Runs of the log that were removed before every receiver had them."
        yield MetricFamily("trimon_remote_write_lost_runs_total", text, "counter", lost)

    return families


def _place(queue: RemoteWriteQueue) -> tuple[str, str]:
    return queue.settings.name, shown_url(queue.sender.url)


def _segment(queue: RemoteWriteQueue) -> int:
    places = queue.position.places if queue.position is not None else {}
    return places[max(places)][0] if places else 0


def _dropped(queue: RemoteWriteQueue, place: int) -> list[tuple[str, int]]:
    counts = queue.counts
    found = [("too_old", counts.too_old[place]), ("dropped_series", counts.ruled_out[place])]
    return [*found, ("nhcb_in_rw1_not_supported", counts.custom)] if place == 1 else found
