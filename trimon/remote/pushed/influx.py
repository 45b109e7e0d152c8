"""InfluxDB's line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`, a sample for each field.

A field `f` of a measurement `m` is the metric `m_f`. Strings have no place among samples and are counted. Source: InfluxDB's
reference of line protocol, versions 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Final

import numpy as np

from trimon.errors import UserError
from trimon.model.labellimits import checked
from trimon.model.labels import METRIC_NAME, Labels, format_label_set
from trimon.model.rows import Appended, SampleBatch
from trimon.records import dataclass
from trimon.remote.pushed.graphite import decoded, number, quoted
from trimon.remote.pushed.names import label_name, metric_name

PRECISIONS_NS: Final = {
    "": 1,
    "ns": 1,
    "n": 1,
    "us": 1_000,
    "u": 1_000,
    "µ": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Units of a line's time by the names that clients give them."""
_NS_PER_MS: Final = 1_000_000
# Heads (measurement and tags) that are remembered; a flood of new ones forgets all.
_HEADS_MAX: Final = 100_000
_FIELDS_MAX: Final = 10_000
_DIGITS_MAX: Final = 20
_TIME_MS_MAX: Final = 1 << 53
_TRUE: Final = frozenset((b"t", b"T", b"true", b"True", b"TRUE"))
_FALSE: Final = frozenset((b"f", b"F", b"false", b"False", b"FALSE"))
# What ends a part of a line, unless a backslash stands before it; within quotes nothing does.
_HEAD_END: Final = re.compile(rb"(?:[^\\ ]|\\.|\\$)*")
_FIELDS_END: Final = re.compile(rb'(?:[^\\ "]|\\.|\\$|"(?:[^"\\]|\\.)*")*')
_COMMAS: Final = re.compile(rb'(?:[^\\,"]|\\.|\\$|"(?:[^"\\]|\\.)*")+')
_TAG_COMMAS: Final = re.compile(rb"(?:[^\\,]|\\.|\\$)+")
_NAME_END: Final = re.compile(rb"(?:[^\\=]|\\.|\\$)*")
_ESCAPED: Final = re.compile(r"\\([,= ])")


@dataclass(slots=True)
class InfluxSamples:
    """What the lines of a request say, and how many fields were strings."""

    series: dict[Labels, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """The line of each sample, from 1 on."""
    strings: int = 0

    def batch(self) -> SampleBatch:
        """The samples as one batch, all of it or nothing."""
        return SampleBatch(
            tuple(self.series),
            np.array(self.numbers, np.int32),
            np.array(self.times_ms, np.int64),
            np.array(self.values),
            atomic=True,
        )

    def told(self, answer: Appended) -> str:
        """What storage says of a sample that it refuses, with its line and series."""
        if answer.refused_sample is None:
            return answer.error
        series, time_ms = answer.refused_sample
        which = self.series.get(series), time_ms
        line = next(
            (
                line
                for *sample, line in zip(self.numbers, self.times_ms, self.lines, strict=True)
                if tuple(sample) == which
            ),
            0,
        )
        shown = f"{answer.error}: {format_label_set(series)}"
        return f"line {line}: {shown}" if line else shown


@dataclass(slots=True)
class _Head:
    """A measurement with tags, and the series of its fields."""

    measurement: str
    tags: dict[str, str]
    fields: dict[bytes, Labels] = field(default_factory=dict)


class InfluxReader:
    """Reads requests. Synchronous, for one thread at a time."""

    def __init__(self, labels: Iterable[tuple[str, str]] = ()) -> None:
        self._labels = dict(labels)
        self._heads: dict[tuple[bytes, str], _Head] = {}

    def read(self, body: bytes, unit_ns: int, now_ms: int, database: str = "") -> InfluxSamples:
        """The samples of all lines; `database` is a label `db` where there is one. Raises UserError, which names the line."""
        out = InfluxSamples()
        for place, raw in enumerate(body.split(b"\n"), 1):
            line = raw.strip(b" \t\r")
            if not line or line[:1] == b"#":
                continue
            try:
                self._line(line, unit_ns, now_ms, database, out)
                out.lines += [place] * (len(out.values) - len(out.lines))
            except UserError as error:
                raise UserError(f"line {place}: {error.message}: {quoted(line[:120])}") from None
        return out

    def _line(self, line: bytes, unit_ns: int, now_ms: int, database: str, out: InfluxSamples) -> None:
        head_text, fields_text, time_text = _parts(line)
        time_ms = _time_ms(time_text, unit_ns) if time_text else now_ms
        head = self._heads.get((head_text, database))
        if head is None:
            head = self._head(head_text, database)
        plain = b"\\" not in fields_text and b'"' not in fields_text
        for text in fields_text.split(b",") if plain else _COMMAS.findall(fields_text):
            name, value = _pair(text)
            read = _value(value)
            if read is None:
                out.strings += 1
                continue
            labels = head.fields.get(name) or self._series(head, name)
            out.numbers.append(out.series.setdefault(labels, len(out.series)))
            out.times_ms.append(time_ms)
            out.values.append(read)

    def _head(self, text: bytes, database: str) -> _Head:
        measurement, *pairs = text.split(b",") if b"\\" not in text else _TAG_COMMAS.findall(text) or [b""]
        if not measurement or text[:1] == b",":
            raise UserError("no measurement")
        tags = dict(self._labels)
        if database:
            tags.setdefault("db", database)
        for pair in pairs:
            name, value = _pair(pair)
            tags[label_name(_unescaped(name))] = _unescaped(value)
        if len(self._heads) >= _HEADS_MAX:
            self._heads.clear()
        head = self._heads[text, database] = _Head(_unescaped(measurement), tags)
        return head

    @staticmethod
    def _series(head: _Head, name: bytes) -> Labels:
        if len(head.fields) >= _FIELDS_MAX:
            head.fields.clear()
        shown = metric_name(f"{head.measurement}_{_unescaped(name)}")
        labels = head.fields[name] = checked({**head.tags, METRIC_NAME: shown})
        return labels


def _parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, fields and time of a line."""
    if b"\\" not in line and b'"' not in line:
        parts: Sequence[bytes] = line.split()
    else:
        head = _matched(_HEAD_END, line, 0)
        rest = line[len(head) :].lstrip(b" ")
        fields = _matched(_FIELDS_END, rest, 0)
        parts = [head, fields, *rest[len(fields) :].split()] if fields else [head]
    if len(parts) not in (2, 3):
        raise UserError("measurement, fields and perhaps a time are wanted")
    return parts[0], parts[1], parts[2] if len(parts) > 2 else b""


def _matched(pattern: re.Pattern[bytes], text: bytes, begin: int) -> bytes:
    found = pattern.match(text, begin)
    return found[0] if found is not None else b""


def _pair(text: bytes) -> tuple[bytes, bytes]:
    """Name and value of `name=value`."""
    if b"\\" not in text:
        name, equals, value = text.partition(b"=")
    else:
        name = _matched(_NAME_END, text, 0)
        equals, value = text[len(name) : len(name) + 1], text[len(name) + 1 :]
    if not equals or not name or not value:
        raise UserError(f"{quoted(text[:80])} is not name=value")
    return name, value


def _unescaped(text: bytes) -> str:
    shown = decoded(text)
    return _ESCAPED.sub(r"\1", shown) if "\\" in shown else shown


def _value(text: bytes) -> float | None:
    """A field's value; None for a string."""
    last = text[-1:]
    if last == b'"' and text[:1] == b'"' and len(text) > 1:
        return None
    if last in (b"i", b"u"):
        if last == b"u" and text[:1] == b"-":
            raise UserError(f"{quoted(text[:40])} is no integer without a sign")
        return float(_integer(text[:-1]))
    if text in _TRUE:
        return 1.0
    if text in _FALSE:
        return 0.0
    return number(text)


def _integer(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise UserError(f"{quoted(text[:40])} is no integer")
    return int(text)


def _time_ms(text: bytes, unit_ns: int) -> int:
    time_ms = _integer(text) * unit_ns // _NS_PER_MS
    if abs(time_ms) > _TIME_MS_MAX:
        raise UserError(f"{quoted(text[:40])} is beyond all times")
    return time_ms
