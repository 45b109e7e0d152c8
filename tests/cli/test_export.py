"""`trimon tsdb export`: what other programs read is what `dump` prints."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.storage.block.test_blocks import maintain
from tests.storage.conftest import EVER, START_MS, Bench, series
from tests.storage.test_histograms import histogram
from tests.support.commandline import Ran, run_trimon
from tests.support.histogram_rows import batch_of, shown
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.sample import STALE_NAN, STALE_NAN_BITS
from trimon.storage.tools import recordbatches
from trimon.storage.tools.dumping import _batches as samples_by_series
from trimon.storage.tools.offline import open_offline

HOUR_MS = 3_600_000


def export(*arguments: str | Path) -> Ran:
    return run_trimon("tsdb", "export", *arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Floats, histograms of several layouts, some of both kinds in one series, staleness markers; in blocks and log."""
    bench, pick = Bench(tmp_path), random.Random(4)
    for hour in (0, 5):
        bench.clock.value_ms = START_MS + (hour + 1) * HOUR_MS
        samples: list[Any] = []
        for number in range(40):
            time_ms = START_MS + hour * HOUR_MS + number * 15_000
            samples += [
                (series("a", s=str(place)), time_ms, STALE_NAN if number == 20 else number / 4)
                for place in range(3)
            ]
            samples.append((series("h"), time_ms, histogram(pick, schema=number % 3)))
            samples.append((series("mixed"), time_ms, float(number) if number % 7 else histogram(pick)))
        bench.append(batch_of(samples))
        maintain(bench)
    assert bench.store.blocks()
    bench.store.close()
    return bench.options.path


def stored(data: Path) -> dict[Any, list[tuple[int, Any]]]:
    """What `dump` has: samples by labels."""
    from trimon.files import DiskFiles

    opened = open_offline(DiskFiles(), data)
    return {
        labels: [(time_ms, shown(value)) for time_ms, value in samples]
        for labels, samples in samples_by_series(opened.snapshot(), (), *EVER)
    }


def buckets(found: list[dict[str, Any]]) -> Buckets:
    return Buckets(
        np.array([each["index"] for each in found], np.int64),
        np.array([each["count"] for each in found], np.float64),
    )


def read_back(table: pa.Table) -> dict[Any, list[tuple[int, Any]]]:
    """The samples of a table by labels."""
    found: dict[Any, list[tuple[int, Any]]] = {}
    values = table["value"].to_numpy()
    for place, row in enumerate(table.to_pylist()):
        labels = tuple(sorted((name, text) for name, text in row["labels"].items() if text is not None))
        value: Any = float(values[place])
        if (had := row["histogram"]) is not None:
            assert row["value"] is None
            value = FloatHistogram(
                had["schema"],
                had["zero_threshold"],
                had["zero_count"],
                had["count"],
                had["sum"],
                buckets(had["positive"]),
                buckets(had["negative"]),
                tuple(had["custom_values"]),
            )
        time_ms = round(row["timestamp"].timestamp() * 1000)
        found.setdefault(labels, []).append((time_ms, shown(value)))
    return found


@pytest.mark.parametrize("name", ["parquet", "arrow"])
@pytest.mark.parametrize("rows", [7, 1 << 19])
def test_columns_have_every_sample(
    name: str, rows: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timestamps, values to the bit, histograms and labels are those of `dump`, whatever the batches' length is."""
    monkeypatch.setattr(recordbatches, "BATCH_ROWS", rows)
    file = tmp_path / f"samples.{name}"
    ran = export("--format", name, "--output", file, data)
    assert (ran.exit_code, ran.output) == (0, "")
    with file.open("rb") as source:
        table = pa.parquet.read_table(source) if name == "parquet" else pa.ipc.open_stream(source).read_all()
    assert list(table.schema.names) == ["timestamp", "value", "histogram", "labels"]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    want, got = stored(data), read_back(table)
    assert len(want) == 5
    assert {labels: [time for time, _ in samples] for labels, samples in got.items()} == {
        labels: [time for time, _ in samples] for labels, samples in want.items()
    }
    assert got == want
    bits = table["value"].combine_chunks().to_numpy(zero_copy_only=False).view(np.uint64)
    assert int((bits == STALE_NAN_BITS).sum()) == 6


def test_openmetrics_goes_to_a_pipe(data: Path) -> None:
    """Without options the text goes to the standard output, and is that of dump-openmetrics."""
    command = [sys.executable, "-m", "trimon", "tsdb"]
    text = subprocess.run([*command, "export", data], capture_output=True, check=True).stdout.decode()
    assert text == run_trimon("tsdb", "dump-openmetrics", data).stdout
    assert text.endswith("# EOF\n")


def test_selectors_and_times_choose(data: Path, tmp_path: Path) -> None:
    """Series that fit any selector, and samples within the closed interval, are written; `dump` chooses alike."""
    chosen = ["--match", 'a{s="0"}', "--match", '{s=~"0|2"}', "--max-time", str(START_MS + 15_000)]
    file = tmp_path / "some.parquet"
    assert export("--format", "parquet", "--output", file, *chosen, data).exit_code == 0
    found = read_back(pa.parquet.read_table(file))
    assert {dict(labels)["s"]: len(samples) for labels, samples in found.items()} == {"0": 2, "2": 2}
    assert len(run_trimon("tsdb", "dump", *chosen, data).stdout.splitlines()) == 4


@pytest.mark.parametrize("name", ["parquet", "arrow", "openmetrics"])
def test_an_export_of_nothing_is_a_file_without_rows(name: str, data: Path, tmp_path: Path) -> None:
    """Where no series fits the file is there, can be read, and has the columns of all others."""
    file = tmp_path / f"none.{name}"
    ran = export("--format", name, "--output", file, "--match", "nothing_has_this_name", data)
    assert (ran.exit_code, ran.output) == (0, "")
    if name == "openmetrics":
        assert file.read_text() == "# EOF\n"
        return
    with file.open("rb") as source:
        table = pa.parquet.read_table(source) if name == "parquet" else pa.ipc.open_stream(source).read_all()
    assert table.num_rows == 0
    assert table.flatten().schema.names[-1] == "labels.__name__"


def test_nothing_is_left_of_a_failed_export(data: Path, tmp_path: Path) -> None:
    """A place that cannot be written and a bad interval are one clear line each; no half file stays."""
    ran = export("--format", "parquet", "--output", tmp_path / "absent" / "x", data)
    assert ran.exit_code == 1
    assert "No such file or directory" in ran.stderr
    assert export("--min-time", "2", "--max-time", "1", data).exit_code != 0
    assert export("--format", "parquet", "--output", tmp_path / "none", tmp_path / "nothing").exit_code == 1
    assert not list(tmp_path.glob("none*"))


def test_without_the_extra_it_says_what_to_install(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is missing, the error names the extra."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = export("--format", "arrow", "--output", "/nowhere/x", data)
    assert ran.exit_code == 1
    assert "install trimon[arrow]" in ran.stderr or "No such file" in ran.stderr
