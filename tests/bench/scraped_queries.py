"""Queries over what many targets were scraped for: milliseconds, quiet and while every target goes on.

`python -m tests.bench.scraped_queries [targets]`. Nothing here is asserted: figures are for reading.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.labels import Labels, labels_of
from trimon.model.rows import Row
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

START_MS = 1_700_006_400_000
STEP_MS = 15_000
SERIES = 60
ROWS = 300
QUERIES = (
    ("sum(rate(requests_total[5m]))", 0),
    ("sum(m30)", 0),
    ("sum(rate(requests_total[5m]))", 1),
    ('sum by (code) (rate(requests_total{code="5"}[5m]))', 1),
)


@dataclass
class Fleet:
    """Targets of SERIES series each, ten of them of one metric."""

    store: Store
    clock: StoppedClock
    targets: int
    columns: dict[int, np.ndarray] = field(default_factory=dict)
    rounds: int = 0

    def _labels(self, target: int) -> tuple[Labels, ...]:
        return tuple(
            labels_of(
                {
                    "__name__": "requests_total" if number < 10 else f"m{number}",
                    "code": str(number % 10),
                    "instance": f"i{target}",
                }
            )
            for number in range(SERIES)
        )

    def scrape(self) -> int:
        """A row of every target; the time of the round."""
        time_ms = START_MS + self.rounds * STEP_MS
        self.clock.value_ms = time_ms
        values = np.arange(SERIES, dtype=np.float64) + self.rounds
        none, empty = np.zeros(0, np.int32), np.zeros(0)
        rows = []
        for target in range(self.targets):
            at_ms, name = time_ms + target * 13 % STEP_MS, f"g{target}"
            if target in self.columns:
                rows.append(Row(name, at_ms, self.columns[target], values, (), empty, none))
            else:
                rows.append(Row(name, at_ms, none, empty, self._labels(target), values, none))
        answers = self.store.append(rows)
        if not self.columns:
            self.columns = {t: np.asarray(a.columns, np.int32) for t, a in enumerate(answers)}
        self.rounds += 1
        return time_ms

    def ask(self, expr: str, hours: int, end_ms: int) -> float:
        """Milliseconds of a query."""
        options = QueryOptions()
        began = time.perf_counter()
        snapshot, budget = self.store.snapshot(), Budget(options)
        if hours:
            range_(snapshot, expr, end_ms - hours * 3_600_000, end_ms, STEP_MS, options, budget)
        else:
            instant(snapshot, expr, end_ms, options, budget)
        return (time.perf_counter() - began) * 1000


def main() -> None:
    """Loads, asks, prints."""
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        clock = StoppedClock(START_MS)
        store = Store.open(StoreOptions(Path(name), lockfile=False), DiskFiles(), clock)
        store.replay()
        fleet = Fleet(store, clock, targets)
        began = time.perf_counter()
        for _ in range(ROWS):
            end_ms = fleet.scrape()
        took_s = time.perf_counter() - began
        print(f"{targets} targets x {SERIES} series x {ROWS} rows in {took_s:.1f} s")
        for live in (False, True):
            for expr, hours in QUERIES:
                took = []
                for _ in range(7):
                    if live:
                        end_ms = fleet.scrape()
                    took.append(fleet.ask(expr, hours, end_ms))
                what = "while scraping" if live else "quiet"
                print(
                    f"{what:15s} {hours} h  first {took[0]:8.2f}  then {statistics.median(took[2:]):8.2f}  {expr}"
                )
        store.close()


if __name__ == "__main__":
    main()
