"""`trimon tsdb create-blocks-from rules`: what recording rules would have recorded, asked of a running server, as blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.clock import WallClock
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.gotext.times import json_time
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import SampleBatch
from trimon.query.language.options import QueryOptions
from trimon.random import SYSTEM_RANDOMNESS
from trimon.rules.file import load_rule_file
from trimon.rules.spec import GroupSpec, RecordingSpec, RuleDefaults
from trimon.storage.block.meta import BlockNames
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.coexistence import own_directory
from trimon.storage.tools.backfill import create_blocks
from trimon.units import parse_duration_ms
from trimon.web.http.parameters import parse_time_ms

# What is asked for at once: the range of a block.
ASKED_MS: Final = 2 * HOUR_MS
# The newest hours are the server's own, which may still change.
RECENT_MS: Final = 3 * HOUR_MS
# A server answers no more steps than this at once.
STEPS_MAX: Final = 11_000


@click.command("rules")
@click.option("--url", default="http://localhost:9090", show_default=True, help="The server to ask.")
@click.option("--start", required=True, help="First time, RFC 3339 or Unix seconds.")
@click.option("--end", default="", help="Last time; three hours ago when missing.")
@click.option(
    "--output-dir",
    default="data/",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where blocks go.",
)
@click.option("--eval-interval", default="60s", show_default=True, help="Interval of groups that name none.")
@http_config_option
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def rules(
    url: str,
    http_config: Path | None,
    start: str,
    end: str,
    output_dir: Path,
    eval_interval: str,
    files: tuple[Path, ...],
) -> None:
    """Make blocks of what the recording rules of FILES would have recorded; alerting rules are left out."""
    clock = WallClock()
    start_ms = parse_time_ms(start)
    end_ms = parse_time_ms(end) if end else clock.now_ms() - RECENT_MS
    if end_ms < start_ms:
        without = (
            "" if end else f": without --end it is {RECENT_MS // HOUR_MS} hours ago, {json_time(end_ms)}"
        )
        raise OperatingError(f"start time is not before end time{without}")
    defaults = RuleDefaults(parse_duration_ms(eval_interval), query=QueryOptions())
    groups = tuple(group for file in files for group in load_rule_file(file, defaults))
    names = BlockNames(clock, SYSTEM_RANDOMNESS)
    directory = own_directory(DiskFiles(), output_dir)
    for meta in create_blocks(
        DiskFiles(), directory, _batches(AskedServer(url, http_config), groups, start_ms, end_ms), names
    ):
        click.echo(f"{meta.ulid}: {meta.series} series, {meta.samples} samples")


def _batches(
    server: AskedServer, groups: Sequence[GroupSpec], start_ms: int, end_ms: int
) -> Iterator[SampleBatch]:
    """What each rule gives, block by block. Raises OperatingError with the server's own words."""
    for group in groups:
        interval_ms = group.interval_ms
        for rule in group.rules:
            if not isinstance(rule, RecordingSpec):
                click.echo(f"{group.file}: {rule.name} is an alerting rule and left out", err=True)
                continue
            # As the server would have evaluated: at whole multiples of the interval.
            first_ms = -(-start_ms // interval_ms) * interval_ms
            while first_ms <= end_ms:
                block_end_ms = first_ms // ASKED_MS * ASKED_MS + ASKED_MS - 1
                last_ms = min(end_ms, block_end_ms, first_ms + (STEPS_MAX - 1) * interval_ms)
                batch = _asked(server, rule, first_ms, last_ms, interval_ms)
                if batch is not None:
                    yield batch
                first_ms += ((last_ms - first_ms) // interval_ms + 1) * interval_ms


def _asked(
    server: AskedServer, rule: RecordingSpec, first_ms: int, last_ms: int, step_ms: int
) -> SampleBatch | None:
    params = {
        "query": rule.expr,
        "start": f"{first_ms / 1000:.3f}",
        "end": f"{last_ms / 1000:.3f}",
        "step": f"{step_ms / 1000:.3f}",
    }
    series: list[Labels] = []
    numbers: list[int] = []
    times: list[int] = []
    values: list[float] = []
    for entry in server.get("/api/v1/query_range", params)["result"]:
        if entry.get("histograms"):
            raise OperatingError(f"{rule.record}: native histograms cannot be recorded yet")
        points = entry["values"]
        numbers += [len(series)] * len(points)
        series.append(_labels(rule, entry["metric"]))
        times += [round(float(time_s) * 1000) for time_s, _ in points]
        values += [float(value) for _, value in points]
    if not values:
        return None
    if len(set(series)) < len(series):
        raise OperatingError(f"{rule.record}: several series are the same after the labels of the rule")
    return SampleBatch(
        tuple(series), np.array(numbers, np.int32), np.array(times, np.int64), np.array(values, np.float64)
    )


def _labels(rule: RecordingSpec, metric: dict[str, Any]) -> Labels:
    """The labels of a recorded series: those of the rule win, and an empty one removes."""
    merged = {**metric, METRIC_NAME: rule.record, **dict(rule.labels)}
    return labels_of({name: value for name, value in merged.items() if value})
