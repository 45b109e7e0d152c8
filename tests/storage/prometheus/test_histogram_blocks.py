"""Native histograms in blocks of Prometheus' format: exported and imported, nothing changes."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import cramjam
import pytest

from tests.storage.conftest import EVER, START_MS, Bench
from tests.storage.conftest import NAMES as BLOCKS
from tests.storage.prometheus.test_peer import PROMETHEUS, ask, prometheus
from tests.storage.test_histograms import NAMES, STEP_MS, histogram, read
from tests.support import protobuf
from tests.support.histogram_rows import Value, batch_of, samples_of, shown
from tests.support.seeds import new_seed
from trimon.files import DiskFiles
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram
from trimon.model.labels import Labels
from trimon.model.sample import STALE_NAN
from trimon.query.answer.json import render_data
from trimon.query.engine import instant
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.remote.write_request import WriteDecoder
from trimon.storage.prometheus.importing import import_directory
from trimon.storage.tools.exporting import export_directory
from trimon.storage.tools.offline import open_offline

OPTIONS = QueryOptions()


def filled(bench: Bench, pick: random.Random, *, steps: int = 300) -> dict[Labels, list[tuple[int, object]]]:
    """Histograms that grow, reset and change, floats and staleness markers between them."""
    told: dict[Labels, list[tuple[int, object]]] = {}
    for step in range(steps):
        time_ms = START_MS + step * STEP_MS
        bench.clock.value_ms = time_ms
        samples: list[tuple[Labels, int, Value]] = []
        for labels in NAMES:
            schema = pick.choice((2, 2, 2, 2, 3, CUSTOM_SCHEMA))
            choice = pick.random()
            value: Value = histogram(pick, schema, gauge=pick.random() < 0.1)
            if choice < 0.1:
                value = float(pick.randint(0, 9))
            elif choice < 0.15:
                value = STALE_NAN
            samples.append((labels, time_ms, value))
            told.setdefault(labels, []).append((time_ms, shown(value)))
        bench.append(batch_of(samples))
    return told


MakeBench = Callable[[str], Bench]


@pytest.mark.parametrize("turn", range(3))
def test_there_and_back_nothing_changes(make_bench: MakeBench, tmp_path: Path, turn: int) -> None:
    """Blocks that are exported and imported hold every histogram, float and staleness marker as before."""
    seed = new_seed()
    bench = make_bench("data")
    told = filled(bench, random.Random(seed))
    assert read(bench) == told
    bench.store.sync()
    lines = [*export_directory(DiskFiles(), bench.options.path, tmp_path / "out", BLOCKS)]
    assert all(meta is not None for _, meta in lines), lines
    back = make_bench("back")
    back.store.close()
    reports = [
        report for _, report in import_directory(DiskFiles(), tmp_path / "out", back.options.path, BLOCKS)
    ]
    assert reports[-1].complete, reports[-1]
    assert sum(meta.samples for meta in reports[-1].blocks) == sum(map(len, told.values()))
    back.reopen()
    assert read(back) == told


def native(pick: random.Random, before: FloatHistogram | None, *, gauge: bool) -> FloatHistogram:
    """A histogram that mostly grows from the one before, in a layout that Prometheus 2.42 knows."""
    if before is None or gauge or pick.random() < 0.03:
        made = histogram(pick, pick.choice((0, 3)), gauge=gauge)
        return replace(made, count=made.zero_count + made.positive.counts.sum() + made.negative.counts.sum())
    added = pick.randint(0, 3)
    positive = Buckets(before.positive.index, before.positive.counts + added)
    count = before.count + added * len(positive)
    return replace(before, positive=positive, count=count, sum=before.sum + pick.random())


# No quantiles and rates: 3.x interpolates otherwise than 2.42.
QUERIES = (
    "{s}",
    "histogram_count({s})",
    "histogram_sum({s})",
    "{s}[1h]",
    "count_over_time({s}[1h])",
)


@pytest.mark.peer
@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
@pytest.mark.parametrize("integer", [True, False])
def test_a_real_prometheus_reads_what_is_exported(bench: Bench, tmp_path: Path, integer: bool) -> None:
    """Prometheus answers the same from exported blocks as trimon from its own: histograms and their figures."""
    pick = random.Random(7 + integer)
    last: dict[Labels, FloatHistogram] = {}
    for step in range(400):
        time_ms = START_MS + step * STEP_MS
        bench.clock.value_ms = time_ms
        for number, labels in enumerate(NAMES):
            last[labels] = native(pick, last.get(labels), gauge=number == 3)
        samples = ((labels, time_ms, value) for labels, value in last.items())
        bench.append(batch_of(samples, integer=integer))
    bench.store.sync()
    assert all(
        meta for _, meta in export_directory(DiskFiles(), bench.options.path, tmp_path / "out", BLOCKS)
    )
    snapshot = bench.store.snapshot()
    with prometheus(tmp_path / "out", tmp_path / "p.yml", "--enable-feature=native-histograms") as url:
        for query in QUERIES:
            for step in (30, 150, 399):
                time_ms = START_MS + step * STEP_MS + 7
                for name in range(len(NAMES)):
                    asked = query.replace("{s}", f'h{{i="{name}"}}')
                    theirs = ask(url, asked, time_ms / 1000)
                    ours = json.loads(
                        render_data(instant(snapshot, asked, time_ms, OPTIONS, Budget(OPTIONS)))
                    )["result"]
                    assert close(ours, theirs), f"{asked} at {time_ms}\n{ours}\n{theirs}"


def close(one: object, other: object) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9) or one == other  # type: ignore[arg-type] # text or number
    except (TypeError, ValueError):
        return one == other


@pytest.mark.peer
@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
def test_the_log_of_a_real_prometheus_is_imported(bench: Bench, tmp_path: Path) -> None:
    """Histograms that a real Prometheus took by remote write, and has in its log, are imported as trimon stores them."""
    pick = random.Random(11)
    now_ms = int(time.time() * 1000) // 1000 * 1000 - 300_000
    bodies = []
    for number in range(2):
        histograms = b""
        for step in range(100):
            counts = sorted(pick.randint(0, 50) + step for _ in range(4))
            fields: dict[str, Any] = {"schema": 1, "zero_threshold": 0.001, "sum": pick.random() * step}
            fields["timestamp"] = now_ms + step * 1000
            fields["positive_spans"] = [{"offset": -1, "length": 2}, {"offset": 3, "length": 2}]
            if number:
                fields |= {"positive_counts": [float(count) for count in counts], "count_float": 999.5}
                fields["reset_hint"] = 3
            else:
                deltas = [counts[0], *(b - a for a, b in pairwise(counts))]
                fields |= {"positive_deltas": deltas, "count_int": sum(counts) + 3, "zero_count_int": 3}
            histograms += protobuf.histogram(fields)
        bodies.append(protobuf.series([("__name__", "h"), ("i", str(number))], [], histograms))
    message = b"".join(bodies)
    data = tmp_path / "data"
    flags = ("--enable-feature=native-histograms", "--web.enable-remote-write-receiver")
    with prometheus(data, tmp_path / "p.yml", *flags) as url:
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        body = bytes(cramjam.snappy.compress_raw(message))
        with urlopen(Request(f"{url}/api/v1/write", body, headers), timeout=10) as answer:
            assert answer.status == 204
    reports = [report for _, report in import_directory(DiskFiles(), data, tmp_path / "ours", BLOCKS)]
    assert reports[-1].complete, reports[-1]
    bench.clock.value_ms = now_ms + 300_000
    answers = bench.append(WriteDecoder().decode(message).batch)
    assert (answers[0].appended, answers[0].error) == (200, "")
    imported = open_offline(DiskFiles(), tmp_path / "ours").snapshot().select((), *EVER)
    stored = bench.store.snapshot().select((), *EVER)
    told = []
    for selection in (imported, stored):
        frame = selection.frame(*EVER)
        told.append(
            {selection.labels.labels(row): samples_of(frame, row, *EVER) for row in range(frame.rows)}
        )
    assert told[0] == told[1]
    assert [len(samples) for samples in told[0].values()] == [100, 100]
