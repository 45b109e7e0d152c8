"""Structured logs on standard error, as logfmt or JSON, with Prometheus' field names.

A message is a fixed sentence and its facts are fields. Typed secrets have no printable form, and what a text of
somebody else holds of them is masked. `LogBuffer` is the test double.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TextIO

import orjson

from trimon.problems import RecentProblems
from trimon.redaction import redacted_field

LogFormat = Literal["logfmt", "json"]
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


class Log(Protocol):
    """What the program logs with."""

    def debug(self, event: str, **fields: object) -> object:
        """For developers."""
        ...

    def info(self, event: str, **fields: object) -> object:
        """Normal milestones."""
        ...

    def warning(self, event: str, **fields: object) -> object:
        """Something is wrong and the server goes on."""
        ...

    def error(self, event: str, **fields: object) -> object:
        """Something failed."""
        ...

    def bind(self, **fields: object) -> Log:
        """A log that adds these fields to every message."""
        ...


def _logfmt_value(value: object) -> str:
    text = str(value)
    if text == "" or any(character in text for character in ' ="\n\r\t\\'):
        return orjson.dumps(text).decode()
    return text


def _order(event: MutableMapping[str, object]) -> dict[str, object]:
    ordered: dict[str, object] = {
        "time": event.pop("timestamp", ""),
        "level": str(event.pop("level", "info")).upper().replace("WARNING", "WARN"),
        "msg": event.pop("event", ""),
    }
    ordered.update(event)
    return ordered


def _redact(event: MutableMapping[str, object]) -> None:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted_field(name, value)
        elif value is not None and not isinstance(value, bool | int | float):
            event[name] = redacted_field(name, str(value))


def _render_logfmt(event: MutableMapping[str, object]) -> str:
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in _order(event).items())


def _render_json(event: MutableMapping[str, object]) -> str:
    return orjson.dumps(_order(event), default=str).decode()


class _Output:
    """Where messages go, whole lines whichever thread writes them."""

    __slots__ = ("_least", "_lock", "_problems", "_render", "_stream")

    def __init__(
        self,
        least: int,
        render: Callable[[MutableMapping[str, object]], str],
        stream: TextIO,
        problems: RecentProblems | None,
    ) -> None:
        self._least = least
        self._render = render
        self._stream = stream
        self._problems = problems
        self._lock = threading.Lock()

    def write(self, number: int, level: str, event: dict[str, object]) -> None:
        """Writes a message that is to be told."""
        if number < self._least:
            return
        event["level"] = level
        event["timestamp"] = datetime.now(tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        _redact(event)
        if self._problems is not None:
            self._problems.add(event)
        line = self._render(event)
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()


class _BoundLog:
    """A log over an output, with the fields of all its messages."""

    __slots__ = ("_fields", "_output")

    def __init__(self, output: _Output, fields: Mapping[str, object]) -> None:
        self._output = output
        self._fields = fields

    def debug(self, event: str, **fields: object) -> None:
        self._output.write(logging.DEBUG, "debug", {**self._fields, **fields, "event": event})

    def info(self, event: str, **fields: object) -> None:
        self._output.write(logging.INFO, "info", {**self._fields, **fields, "event": event})

    def warning(self, event: str, **fields: object) -> None:
        self._output.write(logging.WARNING, "warning", {**self._fields, **fields, "event": event})

    def error(self, event: str, **fields: object) -> None:
        self._output.write(logging.ERROR, "error", {**self._fields, **fields, "event": event})

    def bind(self, **fields: object) -> _BoundLog:
        return _BoundLog(self._output, {**self._fields, **fields})


def make_log(
    level: str = "info",
    log_format: LogFormat = "logfmt",
    stream: TextIO | None = None,
    problems: RecentProblems | None = None,
) -> Log:
    """The program's log. `level` is one of debug, info, warn, error; `problems` keeps warnings and errors that are written."""
    render = _render_json if log_format == "json" else _render_logfmt
    return _BoundLog(_Output(LEVELS[level], render, stream or sys.stderr, problems), {})


class LogBuffer:
    """A log that keeps what it was told: `entries` are (level, message, fields)."""

    def __init__(
        self, entries: list[tuple[str, str, dict[str, object]]] | None = None, **fields: object
    ) -> None:
        self.entries = entries if entries is not None else []
        self._fields = fields

    def _keep(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.entries.append((level, event, {**self._fields, **fields}))

    def debug(self, event: str, **fields: object) -> None:
        """Keeps a message of level debug."""
        self._keep("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Keeps a message of level info."""
        self._keep("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Keeps a message of level warn."""
        self._keep("warn", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Keeps a message of level error."""
        self._keep("error", event, fields)

    def bind(self, **fields: object) -> LogBuffer:
        """A buffer with the same entries and more fields."""
        return LogBuffer(self.entries, **{**self._fields, **fields})
