"""The records of an exposition: one a line, whichever way it is read."""

from __future__ import annotations

import re

from trimon.errors import OperatingError
from trimon.model.labels import Labels
from trimon.records import dataclass

Pairs = tuple[tuple[str, str], ...]

_ESCAPE = re.compile(r'\\([\\n"])')
_HELP_ESCAPE = re.compile(r"\\([\\n])")


class ExpositionError(OperatingError):
    """A body that is not the format it claims to be, or breaks a limit; the whole scrape fails."""

    place: int = -1
    """Where in the body the fault is, as an offset in bytes; -1 where that is not known."""


class LabelLimitError(ExpositionError):
    """A series has too many labels, or one that is too long."""


class LateError(ExpositionError):
    """A body that takes longer to read than a scrape may."""


class MetricNameLimitError(ExpositionError):
    """A body has more names of metrics than the job allows."""


class SampleLimitError(ExpositionError):
    """A body has more samples than the job allows."""


class BucketLimitError(ExpositionError):
    """A native histogram has more buckets than the job allows, even after they were merged."""


class SeriesRoomError(ExpositionError):
    """A body has more new series than there is memory for."""


@dataclass(frozen=True, slots=True)
class LineExemplar:
    """An exemplar as written behind a sample; without a timestamp it has the sample's."""

    labels: Labels
    value: float
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class SampleTail:
    """What follows the series: the value, perhaps an explicit timestamp and an exemplar."""

    value: float
    timestamp_ms: int | None
    exemplar: LineExemplar | None = None


@dataclass(frozen=True, slots=True)
class MetadataLine:
    """A metadata line: `kind` is TYPE, HELP or UNIT."""

    kind: str
    family: str
    text: str


def text_of(raw: bytes) -> str:
    """Bytes as text; those that are not UTF-8 are lone surrogates, which no valid name has."""
    return raw.decode("utf-8", "surrogateescape")


def unescape(text: str, *, quotes: bool = True) -> str:
    r"""Undoes `\\`, `\n` and, if asked, `\"`; any other backslash stays."""
    if "\\" not in text:
        return text
    pattern = _ESCAPE if quotes else _HELP_ESCAPE
    return pattern.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
