"""Beside the real promtool and prometheus: their files read here, ours read there."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.conftest import NAMES, START_MS, Bench
from tests.support.ports import free_port
from trimon.files import DiskFiles
from trimon.storage.prometheus.block import PrometheusBlock
from trimon.storage.prometheus.importing import import_directory
from trimon.storage.tools.analysis import analyze
from trimon.storage.tools.dumping import dump, dump_openmetrics
from trimon.storage.tools.exporting import export_directory
from trimon.storage.tools.listing import list_blocks
from trimon.storage.tools.offline import open_offline

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        PROMTOOL is None or PROMETHEUS is None, reason="prometheus and promtool are not installed"
    ),
]


def promtool(*arguments: str) -> list[str]:
    done = subprocess.run(["promtool", "tsdb", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A data directory with blocks that promtool made."""
    random = np.random.default_rng(7)
    kinds: list[Callable[[int], str]] = [
        lambda i: repr(float(random.random())),
        lambda i: str(i * 1_000_000),
        lambda i: str(round(float(random.random()), 2)),
        lambda i: "NaN",
        lambda i: ["+Inf", "-Inf", "-0", "1e-320", "123456789"][i % 5],
        lambda i: "7",
    ]
    lines = []
    for number in range(40):
        for i in range(700):
            pairs = f'i="{number}",job="j{number % 3}",text="a\\"b\\\\c é"'
            lines.append(f"m{number % 4}{{{pairs}}} {kinds[number % 6](i)} {1_700_000_000 + i * 15}")
    source = tmp_path / "samples.om"
    source.write_text("\n".join([*sorted(lines, key=lambda line: line.split("{")[0]), "# EOF", ""]))
    promtool("create-blocks-from", "openmetrics", str(source), str(tmp_path / "foreign"))
    (tmp_path / "foreign" / "wal").mkdir()
    return tmp_path / "foreign"


def test_promtools_blocks_are_read_sample_by_sample(foreign: Path) -> None:
    """A dump of promtool's blocks has the very lines of promtool's dump."""
    assert sorted(dump(open_offline(DiskFiles(), foreign).snapshot())) == sorted(
        promtool("dump", str(foreign))
    )


def test_imported_blocks_are_the_same_samples(foreign: Path, tmp_path: Path) -> None:
    """After an import our own blocks dump the same lines; `list` shows the same table for the originals."""
    target = tmp_path / "ours"
    lines = [line for line, _ in import_directory(DiskFiles(), foreign, target, NAMES)]
    assert len(lines) == 3
    assert sorted(dump(open_offline(DiskFiles(), target).snapshot())) == sorted(
        promtool("dump", str(foreign))
    )
    assert list(list_blocks(DiskFiles(), foreign)) == [
        line.rstrip() for line in promtool("list", str(foreign))
    ]
    shown = [line.rstrip() for line in promtool("list", "-r", str(foreign))]
    assert list(list_blocks(DiskFiles(), foreign, human_readable=True)) == shown


def test_analysis_agrees_with_promtool(foreign: Path) -> None:
    """`analyze` prints the same numbers as promtool; where numbers are equal the order may differ."""
    block = open_offline(DiskFiles(), foreign).blocks[-1]
    assert isinstance(block, PrometheusBlock)
    theirs = promtool("analyze", "--limit=1000", str(foreign), block.meta.ulid)
    ours = list(analyze(block, block.meta, limit=1000))
    assert sorted(line.replace("Total Series", "Series") for line in ours) == sorted(
        line.replace("Total Series", "Series") for line in theirs
    )


def export(bench: Bench, target: Path) -> None:
    """All of a store, blocks and log, as blocks of Prometheus."""
    bench.store.sync()
    for line, meta in export_directory(DiskFiles(), bench.options.path, target, NAMES):
        assert meta is not None, line


def test_exported_blocks_are_read_by_promtool(bench: Bench, tmp_path: Path) -> None:
    """promtool lists, analyzes and dumps what we export, sample by sample, also when read back by us."""
    fill(bench, 4.5)
    maintain(bench)
    export(bench, tmp_path / "out")
    ours = sorted(dump(bench.store.snapshot()))
    assert sorted(promtool("dump", str(tmp_path / "out"))) == ours
    assert sorted(dump(open_offline(DiskFiles(), tmp_path / "out").snapshot())) == ours
    assert len(promtool("list", str(tmp_path / "out"))) == 4
    assert "Highest cardinality metric names:" in promtool("analyze", str(tmp_path / "out"))
    assert list(dump_openmetrics(bench.store.snapshot()))[-1] == "# EOF"


@contextmanager
def prometheus(data: Path, config: Path, *flags: str) -> Iterator[str]:
    """A running Prometheus on a data directory; gives its URL."""
    port = free_port()
    if not config.exists():
        config.write_text("global: {}\n")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
    command += ["--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                    break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def ask(url: str, query: str, time_s: float) -> list[dict[str, Any]]:
    parameters = urllib.parse.urlencode({"query": query, "time": str(time_s)})
    with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=10) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result


def test_prometheus_answers_from_exported_blocks(bench: Bench, tmp_path: Path) -> None:
    """A real Prometheus opens exported blocks and finds series by label and their samples."""
    fill(bench, 4.5)
    export(bench, tmp_path / "out")
    time_s = (START_MS + 3_600_000) / 1000
    with prometheus(tmp_path / "out", tmp_path / "prometheus.yml") as url:
        assert ask(url, "count({__name__=~'m.*'})", time_s)[0]["value"][1] == "58"
        (one,) = ask(url, "m3{i='3',target='h'}", time_s)
        (all_of_it,) = ask(url, "sum(count_over_time({__name__=~'.+'}[1h]))", time_s)
    lines = [
        line
        for line in dump(bench.store.snapshot())
        if '__name__="m3", i="3", ' in line and 'target="h"' in line
    ]
    before = [line.split()[-2] for line in lines if int(line.split()[-1]) <= time_s * 1000]
    assert float(one["value"][1]) == float(before[-1])
    assert int(all_of_it["value"][1]) > 3000


def test_a_log_of_prometheus_is_imported(tmp_path: Path) -> None:
    """What a real Prometheus scraped and still has in its log only is imported to the last sample."""
    config = tmp_path / "prometheus.yml"
    data = tmp_path / "data"
    port = free_port()
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(12)
    process.terminate()
    process.wait(60)
    theirs = promtool("dump", str(data))
    assert len(theirs) > 1000
    reports = [report for _, report in import_directory(DiskFiles(), data, tmp_path / "ours", NAMES)]
    assert reports[-1].problems == []
    assert sorted(dump(open_offline(DiskFiles(), tmp_path / "ours").snapshot())) == sorted(theirs)
