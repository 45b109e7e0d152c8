"""A text of metrics, read whole into its families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from trimon.errors import UserError
from trimon.model.labels import METRIC_NAME
from trimon.records import dataclass
from trimon.scrape.exposition.records import ExpositionError, MetadataLine
from trimon.scrape.exposition.scanner import Record, ScannedSample, TextScanner

_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(slots=True)
class ExposedSample:
    """One line: its name, its other labels, value, and the timestamp if it has one."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp_ms: int | None


@dataclass(slots=True)
class ExposedFamily:
    """A metric family: what its comments say, and its lines."""

    name: str
    type: str = ""
    """Empty without a TYPE line."""
    help: str | None = None
    samples: list[ExposedSample] = field(default_factory=list)


def read_families(text: bytes) -> dict[str, ExposedFamily]:
    """The families of a text in the classic format, in its order. Raises UserError that names the line."""
    families: dict[str, ExposedFamily] = {}
    line = 1
    for line, record in _records(text):
        if isinstance(record, MetadataLine):
            _learn(families.setdefault(record.family, ExposedFamily(record.family)), record, line)
        elif isinstance(record, ScannedSample):
            _add(families, record)
    if text and not text.endswith(b"\n"):
        raise _fault(line, "unexpected end of input stream")
    return families


def _fault(line: int, what: str) -> UserError:
    return UserError(f"text format parsing error in line {line}: {what}")


def _records(text: bytes) -> Iterator[tuple[int, Record]]:
    scanner = TextScanner(text)
    line, counted = 1, 0
    while True:
        line += text.count(b"\n", counted, scanner.place)
        counted = scanner.place
        try:
            record = scanner.next()
        except ExpositionError as error:
            raise _fault(line, str(error)) from None
        if record is None:
            return
        yield line, record


def _learn(family: ExposedFamily, comment: MetadataLine, line: int) -> None:
    if comment.kind == "HELP":
        if family.help is not None:
            raise _fault(line, f'second HELP line for metric name "{family.name}"')
        family.help = comment.text
        return
    if family.type or family.samples:
        what = f'second TYPE line for metric name "{family.name}", or TYPE reported after samples'
        raise _fault(line, what)
    family.type = comment.text


def _add(families: dict[str, ExposedFamily], record: ScannedSample) -> None:
    labels = dict(record.pairs)
    name = labels.pop(METRIC_NAME)
    sample = ExposedSample(name, labels, record.tail.value, record.tail.timestamp_ms)
    for kind, suffixes in _PARTS.items():
        for suffix in suffixes:
            whole = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
            if whole is not None and whole.type == kind:
                whole.samples.append(sample)
                return
    families.setdefault(name, ExposedFamily(name)).samples.append(sample)
