"""One alert as an Alertmanager is told of it, and many of them as the body of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote_plus

import orjson

from trimon.gotext.strings import go_json
from trimon.gotext.times import rfc3339
from trimon.model.labels import Labels
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """An alert that fires or has ended, its labels as they leave the server."""

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int
    generator_url: str = ""


def generator_url(external_url: str, expression: str) -> str:
    """Where people see the expression of a rule."""
    return f"{external_url.rstrip('/')}/graph?g0.expr={quote_plus(expression)}&g0.tab=1"


def encode(messages: Sequence[AlertMessage]) -> bytes:
    """The body of `POST /api/v2/alerts`."""
    return go_json(orjson.dumps(list(_data(messages))))


def _data(messages: Iterable[AlertMessage]) -> Iterable[dict[str, object]]:
    for message in messages:
        shown: dict[str, object] = {"annotations": dict(message.annotations)} if message.annotations else {}
        shown |= {
            "endsAt": rfc3339(message.ends_at_ms),
            "startsAt": rfc3339(message.starts_at_ms),
            "generatorURL": message.generator_url,
            "labels": dict(message.labels),
        }
        yield shown
