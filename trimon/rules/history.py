"""The history of alerts on disk: a line of JSON for every change of a state.

    <data directory>/alert-history/00000007
        {"at":1700000000123,"change":"firing","file":…,"group":…,"alert":…,"rule":…,"labels":{…},"annotations":{…},"value":"9.5e+01","activeAt":…}
        …

A process writes files of its own, each up to a bound; the oldest are removed when all have too many bytes. A line that is torn
or damaged is left out. Nothing is synced: what the system has not written when the power fails is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from trimon.files import AppendFile, Files
from trimon.gotext.floats import format_e
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import Labels, labels_of
from trimon.openfiles import OddFileError
from trimon.records import dataclass
from trimon.rules.alert import AlertValue
from trimon.rules.changes import AlertEvent, Change

DIRECTORY: Final = "alert-history"
FILES_KEPT: Final = 8
"""A file has at most this share of all bytes."""
LINE_BYTES_MAX: Final = 1 << 20
FILE_BYTES_MAX: Final = 8 << 20
"""That of the usual bound; files of one that was larger may be twice as long."""


@dataclass(frozen=True, slots=True)
class RuleName:
    """Which rule an alert is of."""

    file: str
    group: str
    alert: str
    rule: str = ""
    """What tells it from others of the group with the same name."""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One change of the state of one alert."""

    rule: RuleName
    labels: Labels
    event: AlertEvent
    active_at_ms: int
    value: str
    """As text."""

    def line(self) -> bytes:
        """The change as a line."""
        document = {
            "at": self.event.at_ms,
            "change": self.event.change.value,
            "file": self.rule.file,
            "group": self.rule.group,
            "alert": self.rule.alert,
            "rule": self.rule.rule,
            "labels": dict(self.labels),
            "annotations": dict(self.event.annotations),
            "value": self.value,
            "activeAt": self.active_at_ms,
        }
        return orjson.dumps(document) + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> AlertChange | None:
        """The change of a line; None where it is damaged."""
        try:
            read: Mapping[str, Any] = orjson.loads(line)
            event = AlertEvent(
                Change(read["change"]), int(read["at"]), float("nan"), _pairs(read["annotations"])
            )
            named = (str(read[name]) for name in ("file", "group", "alert", "rule"))
            rule = RuleName(*named)
            return cls(rule, _pairs(read["labels"]), event, int(read["activeAt"]), str(read["value"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _pairs(mapping: Mapping[str, str]) -> Labels:
    return labels_of({str(name): str(value) for name, value in mapping.items()})


def value_text(value: AlertValue) -> str:
    """The value of an alert, as the API shows it."""
    return histogram_text(value) if isinstance(value, FloatHistogram) else format_e(value)


class HistoryFiles:
    """The files of one data directory. Blocks on the disk; one thread at a time writes, others may read meanwhile."""

    def __init__(self, files: Files, path: Path, bytes_max: int) -> None:
        self.damaged_lines = 0
        """Lines that could not be read the last time that all were."""
        self._files = files
        self._path = path / DIRECTORY
        self._bytes_max = bytes_max
        self._open: AppendFile | None = None
        # What is larger was not written here.
        self._file_bytes_max = 2 * max(bytes_max // FILES_KEPT, FILE_BYTES_MAX) + LINE_BYTES_MAX

    def append(self, changes: Iterable[AlertChange]) -> None:
        """Writes changes. Raises OSError: the next ones go into a new file then."""
        data = b"".join(line for line in (change.line() for change in changes) if len(line) <= LINE_BYTES_MAX)
        try:
            self._file().write(data)
        except OSError:
            self.close()
            raise

    def _file(self) -> AppendFile:
        if self._open is not None and self._open.size_bytes >= self._bytes_max // FILES_KEPT:
            self.close()
        if self._open is None:
            self._files.make_directory(self._path)
            names = self._names()
            self._remove_oldest(names)
            self._open = self._files.create(self._path / f"{int(names[-1]) + 1 if names else 1:08d}")
        return self._open

    def _names(self) -> list[str]:
        """Names of files, the oldest first, also of what only has such a name."""
        names = self._files.names(self._path)
        return sorted((name for name in names if name.isdecimal() and 8 <= len(name) <= 18), key=int)

    def _remove_oldest(self, names: Sequence[str]) -> None:
        """Makes room for one more file."""
        sizes = {
            name: self._files.size(self._path / name)
            for name in names
            if not self._files.is_directory(self._path / name)
        }
        for name, size_bytes in sizes.items():
            if sum(sizes.values()) <= self._bytes_max - self._bytes_max // FILES_KEPT:
                return
            self._files.remove(self._path / name)
            sizes = {**sizes, name: sizes[name] - size_bytes}

    def newest_first(self) -> Iterator[AlertChange | None]:
        """All changes, the last one first, and None for a line or a file that is damaged. Raises OSError."""
        damaged = 0
        for name in reversed(self._names()):
            try:
                data = self._files.read(self._path / name, self._file_bytes_max)
            except FileNotFoundError:
                continue  # it was removed meanwhile, as the oldest one
            except (OddFileError, IsADirectoryError):
                damaged += 1
                yield None
                continue
            end = len(data)
            while end > 0:
                begin = data.rfind(b"\n", 0, end - 1) + 1
                change = AlertChange.of_line(data[begin:end])
                damaged += change is None
                yield change
                end = begin
        self.damaged_lines = damaged

    def oldest_ms(self) -> int | None:
        """The time of the oldest change that is kept; None where there is none. Raises OSError."""
        for name in self._names():
            try:
                data = self._files.read(self._path / name, self._file_bytes_max)
            except (FileNotFoundError, OddFileError, IsADirectoryError):
                continue
            begin = 0
            while begin < len(data):
                end = data.find(b"\n", begin) + 1 or len(data)
                change = AlertChange.of_line(data[begin:end])
                if change is not None:
                    return change.event.at_ms
                begin = end
        return None

    def close(self) -> None:
        """Closes the file that is written; the next change begins another one."""
        if self._open is not None:
            self._open.close()
            self._open = None
