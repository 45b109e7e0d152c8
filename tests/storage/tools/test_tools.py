"""What `trimon tsdb` does on a directory of ours."""

from __future__ import annotations

import numpy as np
import pytest

from tests.storage.block.test_blocks import HOUR, fill, maintain, same
from tests.storage.conftest import ALL, EVER, NAMES, START_MS, Bench, batch, exact, read, series
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.gotext import sizes, times
from trimon.gotext.floats import format_g
from trimon.model.labels import Labels
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.storage.tools.analysis import analyze
from trimon.storage.tools.backfill import create_blocks
from trimon.storage.tools.checking import repair, verify
from trimon.storage.tools.dumping import dump
from trimon.storage.tools.listing import list_blocks
from trimon.storage.tools.offline import open_offline

T = START_MS


def test_go_numbers_durations_and_sizes() -> None:
    """Values, durations and sizes are printed as Go prints them."""
    values = [0.0, -0.0, 1.0, 1e6, 999999.0, 1e21, 1e-4, 1e-5, 0.1, -12.5, 123456789.0, 5e-324, float("nan")]
    shown = [
        "0",
        "-0",
        "1",
        "1e+06",
        "999999",
        "1e+21",
        "0.0001",
        "1e-05",
        "0.1",
        "-12.5",
        "1.23456789e+08",
        "5e-324",
    ]
    assert [format_g(value) for value in values] == [*shown, "NaN"]
    assert [format_g(float("inf")), format_g(float("-inf"))] == ["+Inf", "-Inf"]
    assert [times.format_go_duration(ms) for ms in (0, 5, 1000, 61_500, 7_200_000)] == [
        "0s",
        "5ms",
        "1s",
        "1m1.5s",
        "2h0m0s",
    ]
    assert [sizes.descending_size(size) for size in (0, 1, 1024, 73_966)] == ["0B", "1B", "1KiB", "72KiB238B"]
    assert times.moment(1_700_000_000_000) == "2023-11-14 22:13:20 +0000 UTC"


def test_a_directory_is_read_beside_its_server(bench: Bench) -> None:
    """Blocks and log of a running store are listed, analyzed, counted and dumped without touching a byte."""
    fill(bench, 2.5)
    maintain(bench)
    bench.store.sync()
    before = {path: path.read_bytes() for path in bench.options.path.rglob("*") if path.is_file()}
    opened = open_offline(DiskFiles(), bench.options.path)
    selection = opened.snapshot().select(ALL, *EVER)
    dumped = list(dump(opened.snapshot()))
    assert len(selection.frame(*EVER).values) == len(dumped)
    assert sum(map(len, bench.read().values())) == len(dumped)
    title, line = list_blocks(DiskFiles(), bench.options.path)
    assert title.split()[:2] == ["BLOCK", "ULID"]
    meta, path = bench.store.blocks()[0]
    assert line.split()[:3] == [meta.ulid, str(meta.min_ms), str(meta.max_ms)]
    assert int(line.split()[-1]) == sum(file.stat().st_size for file in path.iterdir())
    lines = list(analyze(opened.blocks[0], meta, limit=3, extended=True))
    assert f"Total Series: {meta.series}" in lines
    assert lines[lines.index("Highest cardinality metric names:") + 1].split()[0] == "12"
    assert any(
        text.startswith("{") and text.endswith(str(T + 60_000)) for text in dump(opened.snapshot(), [ALL])
    )
    assert before == {path: path.read_bytes() for path in bench.options.path.rglob("*") if path.is_file()}


def test_verify_finds_and_repair_keeps(bench: Bench) -> None:
    """A damaged page is named; repair sets the block aside and writes the series that can be read."""
    fill(bench, 2.5)
    maintain(bench)
    before = bench.read()
    _, path = bench.store.blocks()[0]
    bench.store.close()
    assert all(fine for fine, _ in verify(DiskFiles(), bench.options.path))
    data = bytearray((path / "data").read_bytes())
    data[60] ^= 1
    (path / "data").write_bytes(data)
    found = list(verify(DiskFiles(), bench.options.path))
    assert any(not fine and "checksum" in line for fine, line in found)
    lines = list(repair(DiskFiles(), bench.options.path))
    assert any("is set aside" in line for line in lines)
    assert all(fine for fine, _ in verify(DiskFiles(), bench.options.path))
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    after = bench.read()
    assert all(set(pairs) <= set(exact(before)[labels]) for labels, pairs in exact(after).items())
    with pytest.raises(OperatingError, match="in use by another process"):
        list(repair(DiskFiles(), bench.options.path))
    bench.store.close()
    assert next(iter(repair(DiskFiles(), bench.options.path))).startswith("log: ")
    assert "lock" not in DiskFiles().names(bench.options.path)
    (bench.options.path / "lock").touch()  # the last server was killed, which the next one is to see
    list(repair(DiskFiles(), bench.options.path))
    assert "lock" in DiskFiles().names(bench.options.path)


def test_backfilled_blocks_hold_the_samples(bench: Bench) -> None:
    """Samples of any age and order become aligned blocks that a store opens."""
    random = np.random.default_rng(4)
    points = [
        (series("old", i=str(i % 3)), T - 30 * HOUR + int(random.integers(20 * HOUR)), float(i))
        for i in range(500)
    ]
    target = bench.options.path.parent / "filled"
    metas = list(create_blocks(DiskFiles(), target, [batch(*points[:300]), batch(*points[300:])], NAMES))
    assert all(meta.min_ms % (2 * HOUR) == 0 and meta.max_ms - meta.min_ms == 2 * HOUR for meta in metas)
    wanted: dict[Labels, dict[int, float]] = {}
    for labels, time_ms, value in points:
        wanted.setdefault(labels, {}).setdefault(time_ms, value)
    store = Store.open(StoreOptions(target), DiskFiles(), bench.clock)
    store.replay()
    assert same(read(store), {labels: sorted(pairs.items()) for labels, pairs in wanted.items()})
    store.close()
    wider = bench.options.path.parent / "wider"
    assert len(
        list(create_blocks(DiskFiles(), wider, [batch(*points)], NAMES, max_block_ms=18 * HOUR))
    ) < len(metas)
