"""`trimon tsdb export`: samples for other programs, as OpenMetrics text, Parquet or Arrow."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click

from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles, is_in_use
from trimon.model.arrow import arrow
from trimon.model.matcher import Matcher
from trimon.query.language.selectors import parse_selector
from trimon.records import dataclass
from trimon.storage.prometheus.coexistence import read_directory
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.dumping import EVER_MS, dump_openmetrics
from trimon.storage.tools.offline import open_offline
from trimon.storage.tools.recordbatches import RecordBatches

STANDARD_OUTPUT: Final = "-"
_LINES_AT_ONCE: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be exported."""

    selectors: tuple[tuple[Matcher, ...], ...]
    start_ms: int
    end_ms: int


Write = Callable[[StoreSnapshot, Asked, BinaryIO], None]


def _openmetrics(snapshot: StoreSnapshot, asked: Asked, sink: BinaryIO) -> None:
    lines: list[str] = []
    for line in dump_openmetrics(snapshot, asked.selectors, asked.start_ms, asked.end_ms):
        lines.append(line)
        if len(lines) >= _LINES_AT_ONCE:
            sink.write(("\n".join(lines) + "\n").encode())
            lines = []
    sink.write(("\n".join(lines) + "\n").encode())


def _arrow(snapshot: StoreSnapshot, asked: Asked, sink: BinaryIO) -> None:
    batches = RecordBatches(snapshot, asked.selectors, asked.start_ms, asked.end_ms)
    with arrow().ipc.new_stream(sink, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _parquet(snapshot: StoreSnapshot, asked: Asked, sink: BinaryIO) -> None:
    batches = RecordBatches(snapshot, asked.selectors, asked.start_ms, asked.end_ms)
    import pyarrow.parquet  # noqa: PLC0415 # an extra, which is there now

    with pyarrow.parquet.ParquetWriter(sink, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


FORMATS: Final[dict[str, Write]] = {"openmetrics": _openmetrics, "parquet": _parquet, "arrow": _arrow}


@contextmanager
def _sink(output: str) -> Iterator[BinaryIO]:
    """Where to write; a file is there in whole or not at all. Raises OperatingError."""
    if output == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    half = Path(f"{output}.tmp")
    try:
        with half.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(output)
    except OSError as error:
        raise OperatingError(f"{output}: {error}") from None
    finally:
        half.unlink(missing_ok=True)


@click.command("export")
@click.option(
    "--format", "name", type=click.Choice(list(FORMATS)), default="openmetrics", show_default=True,
    help="What to write; parquet and arrow need trimon[arrow].",
)  # fmt: skip
@click.option(
    "--output", default=STANDARD_OUTPUT, show_default=True, help="A file; - is the standard output."
)
@click.option("--min-time", "start_ms", default=EVER_MS[0], help="First timestamp, in ms.")
@click.option("--max-time", "end_ms", default=EVER_MS[1], help="Last timestamp, in ms.")
@click.option("--match", "matches", multiple=True, help="Selector. Repeatable: any may match.")
@click.argument("path", default="data/", type=click.Path(path_type=Path))
def export(
    path: Path, name: str, output: str, matches: tuple[str, ...], start_ms: int, end_ms: int
) -> None:  # click
    """Write the samples of PATH, the log's too, with a bounded number of them in memory.

    Parquet and Arrow have a row a sample: timestamp, value, histogram, and labels as a structure. The exit code is 1 when
    anything could not be read, which is then said.
    """
    if start_ms > end_ms:
        raise UserError(f"--min-time {start_ms} is after --max-time {end_ms}")
    if output == STANDARD_OUTPUT and name != "openmetrics" and sys.stdout.isatty():
        raise UserError(f"{name} is nothing for a terminal: give --output a file")
    selectors = tuple(tuple(parse_selector(text)) for text in matches)
    asked = Asked(selectors, max(start_ms, EVER_MS[0]), min(end_ms, EVER_MS[1]))
    files = DiskFiles()
    path = read_directory(files, path)
    if is_in_use(path):
        click.echo(f"# {path} is that of a running server: its newest samples may be missing", err=True)
    opened = open_offline(files, path)
    with _sink(output) as sink:
        FORMATS[name](opened.snapshot(), asked, sink)
    missing = (*opened.problems, *opened.left_out, *opened.missing())
    for line in missing:
        click.echo(f"# {line}", err=True)
    sys.exit(1 if missing else 0)
