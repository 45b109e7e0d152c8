"""Samples that are made to go wrong: gaps, resets, NaN, infinities, stale markers, odd times and labels."""

from __future__ import annotations

import math
import random
from pathlib import Path

from trimon.model.histogram import Buckets, FloatHistogram, ResetHint
from trimon.model.labels import labels_of
from trimon.model.sample import NORMAL_NAN, STALE_NAN
from trimon.query.conformance.memory import MemoryStore

# The reference scripts lie beside the repository; tests skip where they are absent.
PROMQL_SCRIPTS = Path(__file__).resolve().parents[2] / ".." / "shared" / "promqltest"


def odd_store() -> MemoryStore:
    """A small store for fuzzing: the same every time."""
    rng = random.Random(7)
    store = MemoryStore()
    for job in "ab":
        for instance in "123":
            labels = {"job": job, "instance": instance}
            times = [step * 15_000 for step in range(80)]
            store.extend(
                labels_of({"__name__": "up", **labels}), [(t, float(rng.random() < 0.9)) for t in times]
            )
            total, samples = 0.0, []
            for t in times:
                total = 0.0 if rng.random() < 0.03 else total + rng.randint(0, 9)
                samples.append((t, total))
            store.extend(labels_of({"__name__": "requests_total", "__type__": "counter", **labels}), samples)
            gauge = [(t + rng.randint(0, 900), rng.gauss(0, 5)) for t in times if rng.random() < 0.7]
            store.extend(labels_of({"__name__": "gauge", "mode": "x.y", **labels}), gauge)
            info = labels_of({"__name__": "target_info", "version": f"v{instance}", **labels})
            store.extend(info, [(t, 1.0) for t in times])
        for le, factor in (("0.1", 1), ("1", 3), ("+Inf", 4), ("broken", 1), ("0.5", 2)):
            bucket = labels_of({"__name__": "h_bucket", "job": job, "le": le})
            store.extend(bucket, [(step * 15_000, float(step * factor)) for step in range(80)])
    special = (math.inf, -math.inf, NORMAL_NAN, STALE_NAN, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0)
    for index in range(4):
        odd = [(t, rng.choice(special)) for t in range(index, 1_200_000, 17_000 + index)]
        store.extend(labels_of({"__name__": "odd", "instance": str(index), "unié": 'q"\\\n'}), odd)
    for index in range(3):
        count = 0.0
        for step in range(80):
            if rng.random() < 0.1:
                count = 0.0
            count += rng.randint(0, 4)
            hint = rng.choice((ResetHint.UNKNOWN, ResetHint.UNKNOWN, ResetHint.GAUGE))
            custom = rng.random() < 0.1
            native = FloatHistogram(
                -53 if custom else rng.choice((0, 1, 3)),
                0.0 if custom else rng.choice((0.0, 0.001, 0.5)),
                0.0 if custom else count,
                3 * count,
                rng.choice((count, math.nan, math.inf, -count)),
                Buckets.of(rng.randint(0, 1), (count, count)),
                Buckets.of(0, () if custom else (count,) * rng.randint(0, 2)),
                rng.choice(((), (0.0, 1.0), (-1.0,))) if custom else (),
                hint,
            )
            own = labels_of({"__name__": "native", "instance": str(index)})
            store.append(own, step * 15_000, native if rng.random() < 0.8 else count)
    store.extend((), [(0, 1.0), (60_000, 2.0)])
    return store
