"""`trimon tsdb`: looking into, checking, filling and converting a data directory while no server runs on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import numpy as np

from trimon.cli.export import export
from trimon.cli.ruleblocks import rules
from trimon.clock import WallClock
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles, is_in_use
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher
from trimon.model.rows import SampleBatch
from trimon.query.language.selectors import parse_selector
from trimon.random import SYSTEM_RANDOMNESS
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import ExpositionError, Pairs, SampleTail
from trimon.scrape.exposition.scanner import ScannedSample
from trimon.storage.block.meta import BlockNames
from trimon.storage.prometheus.coexistence import own_directory, read_directory
from trimon.storage.prometheus.importing import ImportReport, import_directory
from trimon.storage.tools.analysis import analyze as analysis_of
from trimon.storage.tools.backfill import create_blocks
from trimon.storage.tools.checking import repair as repair_directory
from trimon.storage.tools.checking import verify as verify_directory
from trimon.storage.tools.dumping import EVER_MS
from trimon.storage.tools.dumping import dump as dump_samples
from trimon.storage.tools.dumping import dump_openmetrics as dump_text
from trimon.storage.tools.exporting import export_directory
from trimon.storage.tools.listing import list_blocks
from trimon.storage.tools.offline import open_offline
from trimon.units import parse_duration_ms


def _own(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Where the samples of a data directory are, also when it is a Prometheus'."""
    return None if path is None else own_directory(DiskFiles(), path)


def _read(_: click.Context, __: click.Parameter, path: Path) -> Path:
    """Where samples of a data directory are read; a Prometheus' can be read, too."""
    return read_directory(DiskFiles(), path)


_PATH: Final = click.Path(path_type=Path)
DATA: Final = click.argument("path", default="data/", type=_PATH, callback=_read)
FILLED: Final = click.argument("path", default="data/", type=_PATH, callback=_own)
BATCH_SAMPLES: Final = 100_000
# Shorter work shows no bar.
QUIET_S: Final = 1.0


class Bar:
    """A progress callback: a line on standard error, redrawn, once the work takes longer than a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._clock = WallClock()
        self._began_s = self._clock.monotonic_s()
        self._drawn_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Draws the bar when it is time to."""
        now_s = self._clock.monotonic_s()
        if now_s - self._began_s < QUIET_S or (now_s - self._drawn_s < 0.1 and done < total):
            return
        self._drawn_s = now_s
        filled = 30 * done // max(total, 1)
        end = "\n" if done >= total else ""
        click.echo(f"\r{self._what} [{'#' * filled:<30}] {done}/{total}{end}", err=True, nl=False)


def _names() -> BlockNames:
    return BlockNames(WallClock(), SYSTEM_RANDOMNESS)


def _matchers(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in texts for matcher in parse_selector(text))


@click.group("tsdb", help="Work with a data directory.")
def tsdb() -> None:
    """The group of storage commands."""


tsdb.add_command(export)


@tsdb.command("list")
@click.option("-r", "--human-readable", is_flag=True, help="Times and sizes for people.")
@DATA
def list_(path: Path, human_readable: bool) -> None:  # click
    """List the blocks of PATH."""
    for line in list_blocks(DiskFiles(), path, human_readable=human_readable):
        click.echo(line)


@tsdb.command("analyze")
@click.option("--limit", default=20, show_default=True, help="How many entries of each list.")
@click.option("--extended", is_flag=True, help="Also how long series are.")
@click.option("--match", "matches", multiple=True, help="Only series of this selector.")
@DATA
@click.argument("block", default="")
def analyze(path: Path, block: str, limit: int, extended: bool, matches: tuple[str, ...]) -> None:  # click
    """Analyze churn and cardinality of BLOCK, the newest one by default."""
    opened = open_offline(DiskFiles(), path, log=False)
    found = [each for each in opened.blocks if not block or each.meta.ulid == block]
    if not found:
        raise OperatingError(f"no block {block!r} in {path}" if block else f"no blocks in {path}")
    source = found[-1]
    lines = analysis_of(source, source.meta, limit=limit, matchers=_matchers(matches), extended=extended)
    for line in lines:
        click.echo(line)


def _dump(path: Path, matches: tuple[str, ...], start_ms: int, end_ms: int, *, openmetrics: bool) -> None:
    opened = open_offline(DiskFiles(), path)
    for problem in (*opened.problems, *opened.left_out):
        click.echo(f"# {problem}", err=True)
    lines = (dump_text if openmetrics else dump_samples)(
        opened.snapshot(),
        [parse_selector(text) for text in matches],
        max(start_ms, EVER_MS[0]),
        min(end_ms, EVER_MS[1]),
    )
    for line in lines:
        sys.stdout.write(line + "\n")
    for line in opened.missing():
        click.echo(f"# {line}", err=True)


_RANGE: Final = (
    click.option("--min-time", "start_ms", default=EVER_MS[0], help="First timestamp, in ms."),
    click.option("--max-time", "end_ms", default=EVER_MS[1], help="Last timestamp, in ms."),
    click.option("--match", "matches", multiple=True, help="Selector. Repeatable: any may match."),
)


@tsdb.command("dump")
@_RANGE[0]
@_RANGE[1]
@_RANGE[2]
@DATA
def dump(path: Path, matches: tuple[str, ...], start_ms: int, end_ms: int) -> None:
    """Print every sample, one a line, the log's too."""
    _dump(path, matches, start_ms, end_ms, openmetrics=False)


@tsdb.command("dump-openmetrics")
@_RANGE[0]
@_RANGE[1]
@_RANGE[2]
@DATA
def dump_openmetrics(path: Path, matches: tuple[str, ...], start_ms: int, end_ms: int) -> None:
    """Print every sample as OpenMetrics text."""
    _dump(path, matches, start_ms, end_ms, openmetrics=True)


@tsdb.command("verify")
@DATA
def verify(path: Path) -> None:
    """Check every checksum of blocks and log; the exit code is 1 when something is damaged."""
    damaged = False
    for good, line in verify_directory(DiskFiles(), path):
        click.echo(f"{'ok     ' if good else 'DAMAGED'} {line}")
        damaged = damaged or not good
    sys.exit(1 if damaged else 0)


@tsdb.command("repair")
@DATA
def repair(path: Path) -> None:
    """Rewrite damaged blocks without what cannot be read; the old ones are set aside."""
    for line in repair_directory(DiskFiles(), path, Bar("repair")):
        click.echo(line)


@tsdb.command("import-prometheus")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("path", required=False, type=_PATH, callback=_own)
def import_prometheus(source: Path, path: Path | None) -> None:
    """Import the blocks and the log of a Prometheus data directory SOURCE into PATH.

    Without PATH they go into a folder inside SOURCE, where a server that is started with SOURCE looks for them.

    The exit code is 1 when anything had to be left out, which is then said.
    """
    report = ImportReport()
    target = path or own_directory(DiskFiles(), source)
    if is_in_use(target):
        raise OperatingError(
            f"{target} is that of a running server, which would not see what is imported: stop it first"
        )
    if is_in_use(source):
        click.echo(f"# {source} is that of a running server: its newest samples may be missing", err=True)
    for line, so_far in import_directory(
        DiskFiles(), source, path or own_directory(DiskFiles(), source), _names(), Bar("import")
    ):
        click.echo(line)
        report = so_far
    for problem in report.problems:
        click.echo(f"problem: {problem}", err=True)
    for what, count in sorted(report.left_out.items()):
        click.echo(f"left out: {count} {what}", err=True)
    click.echo(f"{report.samples} samples in {len(report.blocks)} blocks")
    sys.exit(0 if report.complete else 1)


@tsdb.command("export-prometheus")
@DATA
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
def export_prometheus(path: Path, target: Path) -> None:
    """Write all samples of PATH as blocks that Prometheus and promtool open, into TARGET.

    The exit code is 1 when anything could not be read, which is then said.
    """
    complete = True
    if is_in_use(path):
        click.echo(f"# {path} is that of a running server: its newest samples may be missing", err=True)
    for line, written in export_directory(DiskFiles(), path, target, _names(), Bar("export")):
        click.echo(line if written is not None else f"problem: {line}", err=written is None)
        complete = complete and written is not None
    sys.exit(0 if complete else 1)


@tsdb.group("create-blocks-from", help="Make blocks from files.")
def create_blocks_from() -> None:
    """The group of back-filling commands."""


create_blocks_from.add_command(rules)


@create_blocks_from.command("openmetrics")
@click.option("--max-block-duration", default="2h", show_default=True, help="Longest range of a block.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE added to every series. Repeatable.")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@FILLED
def openmetrics(source: Path, path: Path, max_block_duration: str, labels: tuple[str, ...]) -> None:
    """Make blocks in PATH from the OpenMetrics file SOURCE; every sample needs a timestamp."""
    extra = dict(label.split("=", 1) for label in labels if "=" in label)
    if len(extra) != len(labels):
        raise UserError("--label needs NAME=VALUE")
    blocks = create_blocks(
        DiskFiles(),
        path,
        _batches(source, extra),
        _names(),
        max_block_ms=parse_duration_ms(max_block_duration),
        progress=Bar("blocks"),
    )
    for meta in blocks:
        click.echo(f"{meta.ulid}: {meta.series} series, {meta.samples} samples")


def _batches(source: Path, extra: dict[str, str]) -> Iterator[SampleBatch]:
    """The samples of an OpenMetrics file. Raises UserError with the line's number."""
    text_format = OpenMetricsFormat()
    heads: dict[bytes, Labels] = {}
    series: dict[Labels, int] = {}
    numbers: list[int] = []
    times: list[int] = []
    values: list[float] = []
    ended = False
    with source.open("rb") as file:
        for count, raw in enumerate(file, 1):
            line = raw.rstrip(b"\n")
            if ended and line:
                raise UserError(f"{source}:{count}: unexpected data after # EOF")
            ended = ended or line == b"# EOF"
            if not line or line.startswith(b"#"):
                continue
            try:
                head, pairs, tail = _sample(text_format, line)
            except OperatingError as error:
                raise UserError(f"{source}:{count}: {error}") from None
            if tail.timestamp_ms is None:
                raise UserError(f"{source}:{count}: expected timestamp for series, got none")
            labels = heads.get(head)
            if labels is None:
                labels = heads[head] = labels_of({**dict(pairs), **extra})
            numbers.append(series.setdefault(labels, len(series)))
            times.append(tail.timestamp_ms)
            values.append(tail.value)
            if len(values) >= BATCH_SAMPLES:
                yield _batch(series, numbers, times, values)
                series, numbers, times, values = {}, [], [], []
    if not ended:
        raise UserError(f"{source}: data does not end with # EOF")
    if values:
        yield _batch(series, numbers, times, values)


def _sample(text_format: OpenMetricsFormat, line: bytes) -> tuple[bytes, Pairs, SampleTail]:
    """What a line says: its series as text, that as labels, and the rest. Raises ExpositionError."""
    plain = text_format.head(line)
    if plain is not None:
        tail = text_format.tail(line[plain[0] :])
        if tail is not None:
            return line[: plain[0]], plain[1], tail
    record = text_format.scanner(line + b"\n").next()
    if not isinstance(record, ScannedSample):
        raise ExpositionError(f"expected a sample: {line[:80]!r}")
    return record.head, record.pairs, record.tail


def _batch(
    series: dict[Labels, int], numbers: list[int], times: list[int], values: list[float]
) -> SampleBatch:
    return SampleBatch(
        tuple(series), np.array(numbers, np.int32), np.array(times, np.int64), np.array(values, np.float64)
    )
