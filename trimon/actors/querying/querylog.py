"""The query log: a line of JSON for every query that was answered, as Prometheus writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from trimon.actors.logfiles import LineFiles
from trimon.gotext.times import rfc3339
from trimon.query.answer.statsdata import stats_data
from trimon.query.execution.stats import QueryStats
from trimon.records import dataclass

MESSAGE: Final = "promql query logged"


@dataclass(slots=True)
class QueryRecord:
    """What the log says of one query. `stats` is filled in when it has run."""

    text: str
    start_ms: int
    end_ms: int
    step_ms: int = 0
    origin: Mapping[str, object] = field(default_factory=dict)
    """Who asked: `httpRequest` or `ruleGroup`."""
    by_page: bool = False
    """Whether a page of ours asks by itself; no file tells it."""
    stats: QueryStats | None = None


class QueryLog:
    """Writes records while a file is configured. On the loop's thread; the file is written elsewhere."""

    def __init__(self, files: LineFiles) -> None:
        self.path = ""
        """The file; empty: there is no log."""
        self._files = files

    def add(self, record: QueryRecord, error: str = "") -> None:
        """Notes a query that ended, well or with an error."""
        if not self.path:
            return
        fields: dict[str, object] = {
            "params": {
                "end": rfc3339(record.end_ms),
                "query": record.text,
                "start": rfc3339(record.start_ms),
                "step": record.step_ms // 1000,
            }
        }
        if error:
            fields["error"] = error
        if record.stats is not None:
            fields["stats"] = stats_data(record.stats)
        self._files.write(self.path, "INFO", MESSAGE, {**fields, **record.origin})
