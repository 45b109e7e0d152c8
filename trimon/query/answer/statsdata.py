"""What a query cost, as plain data: the API's `stats` and the query log show the same."""

from __future__ import annotations

from collections.abc import Sequence

from trimon.query.execution.stats import QueryStats


def stats_data(stats: QueryStats, per_step_of: Sequence[int] = ()) -> dict[str, object]:
    """Timings in seconds and sample counts, under Prometheus' names; samples per step where times in ms are given."""
    inner_s = stats.preparation_s + stats.evaluation_s
    samples: dict[str, object] = {
        "totalQueryableSamples": stats.samples_total,
        "samplesRead": stats.samples_read,
        "peakSamples": stats.samples_peak,
    }
    if per_step_of:
        times = [time / 1000 if time % 1000 else time // 1000 for time in per_step_of]
        for name, counts in (
            ("totalQueryableSamplesPerStep", stats.samples_per_step),
            ("samplesReadPerStep", stats.read_per_step),
        ):
            samples[name] = [list(pair) for pair in zip(times, counts.tolist(), strict=True)]
    return {
        "timings": {
            "evalTotalTime": inner_s + stats.sort_s,
            "resultSortTime": stats.sort_s,
            "queryPreparationTime": stats.preparation_s,
            "innerEvalTime": stats.evaluation_s,
            "execQueueTime": stats.queue_s,
            "execTotalTime": inner_s + stats.sort_s + stats.queue_s,
        },
        "samples": samples,
    }
