"""Structured logs on standard error, as logfmt or JSON, with Prometheus' field names.

A message is a fixed sentence and its facts are fields. Typed secrets have no printable form, and what a text of
somebody else holds of them is masked. `LogBuffer` is the test double.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Final, Literal, Protocol, TextIO

import orjson
import structlog

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


def _redact(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted_field(name, value)
        elif value is not None and not isinstance(value, bool | int | float):
            event[name] = redacted_field(name, str(value))
    return event


def _render_logfmt(_: object, __: str, event: MutableMapping[str, object]) -> str:
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in _order(event).items())


def _render_json(_: object, __: str, event: MutableMapping[str, object]) -> str:
    return orjson.dumps(_order(event), default=str).decode()


def make_log(
    level: str = "info",
    log_format: LogFormat = "logfmt",
    stream: TextIO | None = None,
    problems: RecentProblems | None = None,
) -> Log:
    """The program's log. `level` is one of debug, info, warn, error; `problems` keeps warnings and errors that are written."""
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            *([problems] if problems is not None else ()),
            _render_json if log_format == "json" else _render_logfmt,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return log


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
