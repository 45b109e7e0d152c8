"""The last warnings and errors of the log, kept for pages: what went wrong lately, without a shell on the machine."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from trimon.records import dataclass

PROBLEMS_MAX: Final = 300
FIELDS_MAX: Final = 30
TEXT_CHARACTERS_MAX: Final = 2_000
_KEPT_LEVELS: Final = frozenset({"warning", "error", "critical"})
_OWN_FIELDS: Final = frozenset({"event", "level", "timestamp"})


@dataclass(slots=True)
class Problem:
    """A message of the log that came once or often."""

    level: str
    message: str
    fields: Mapping[str, object]
    """Those of the last time."""
    first: str
    last: str
    """Times as the log writes them."""
    count: int = 1


def _short(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


class RecentProblems:
    """The last problems, equal ones counted. From any thread; the log calls it after credentials are out.

    Equal are those of the same level, message and texts: numbers differ from one time to the next.
    """

    def __init__(self, most: int = PROBLEMS_MAX) -> None:
        self._most = most
        self._kept: OrderedDict[object, Problem] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, event: Mapping[str, object]) -> None:
        """Takes one message of the log in, if it is a warning or an error."""
        if event.get("level") not in _KEPT_LEVELS:
            return
        fields = {name: _short(value) for name, value in event.items() if name not in _OWN_FIELDS}
        fields = dict(list(fields.items())[:FIELDS_MAX])
        level, message, time = (
            str(event["level"]),
            str(event.get("event", "")),
            str(event.get("timestamp", "")),
        )
        texts = tuple((name, value) for name, value in fields.items() if isinstance(value, str))
        key = (level, message, texts)
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                self._kept[key] = Problem(level, message, fields, time, time)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
                return
            known.count += 1
            known.last, known.fields = time, fields
            self._kept.move_to_end(key)

    def latest(self) -> list[Problem]:
        """Those that are kept, the last one first."""
        with self._lock:
            return list(reversed(self._kept.values()))
